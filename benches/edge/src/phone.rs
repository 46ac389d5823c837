//! The called side: a phone that rings, answers at once and is hung up on.

use std::io::Write as _;
use std::net::UdpSocket;

use crate::Result;
use crate::message::headers;

/// Answers until it fails.
pub fn run(socket: &UdpSocket) -> Result<()> {
    let at = socket.local_addr()?;
    let (mut buffer, mut out) = ([0; 8_192], Vec::new());
    loop {
        let (count, from) = socket.recv_from(&mut buffer)?;
        let Ok(message) = std::str::from_utf8(&buffer[..count]) else { continue };
        let lines: &[&str] = match message.split(' ').next() {
            Some("INVITE") => &["180 Ringing", "200 OK"],
            Some("BYE") => &["200 OK"],
            _ => continue,
        };
        for line in lines {
            out.clear();
            write!(out, "SIP/2.0 {line}\r\n")?;
            for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
                for value in headers(message, name) {
                    let tag = if name == "To" && !value.contains(";tag=") { ";tag=phone" } else { "" };
                    write!(out, "{name}: {value}{tag}\r\n")?;
                }
            }
            write!(out, "Contact: <sip:phone@{at}>\r\nContent-Length: 0\r\n\r\n")?;
            socket.send_to(&out, from)?;
        }
    }
}
