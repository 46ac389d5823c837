//! The floor: what a redirect costs that keeps nothing and decides nothing. A blocking socket, our parser, our writer,
//! the same two Contacts for every number.

use tandem_sip::message::{Header, Keys, Start, Table};
use tandem_sip::write::Response;

use crate::{FLOOR, Result, bind};

const CONTACT: &str = "<sip:+49302000000@127.9.2.30:5062;user=phone>;q=1.000, <sip:+49302000000@127.9.2.31:5062;user=phone>;q=0.667";

/// Serves until it is killed.
pub fn run() -> Result<()> {
    let socket = bind(FLOOR)?;
    println!("{}\nready", socket.local_addr()?);
    let (mut table, mut buffer, mut out) = (Box::new(Table::new()), [0; 8_192], Vec::new());
    loop {
        let (count, from) = socket.recv_from(&mut buffer)?;
        let Ok(message) = table.parse_datagram(&buffer[..count]) else { continue };
        let Start::Request { method, .. } = message.start() else { continue };
        if method == "ACK" || Keys::read(&message).is_err() {
            continue;
        }
        out.clear();
        Response::new(&message, 302, "Moved Temporarily", Some("floor"), Some(from), &mut out)
            .line(Header::Contact, CONTACT)
            .finish()?;
        socket.send_to(&out, from)?;
    }
}
