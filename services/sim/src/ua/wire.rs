//! Reading SIP messages: the syntax is tandem-sip's; here it becomes what a user agent asks of it.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use tandem_sip::message::{self, Addr, CSeq, Header, Keys, Start, Table, Uri, addresses, list};

use crate::number;

/// A message, read whole and kept: a simulator is asked few calls a second, so it copies.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    method: String,
    uri: String,
    status: u16,
    reason: String,
    headers: Vec<(Header, String, String)>,
    /// Its body.
    pub(crate) body: Bytes,
}

/// Reads one message. None: it is not one, or lacks what names its transaction and dialog.
pub(crate) fn read(bytes: &Bytes) -> Option<Message> {
    let mut table = Table::new();
    let message = table.parse_datagram(bytes).ok()?;
    let keys = Keys::read(&message).ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (status, reason) = match message.start() {
        Start::Request { .. } => (0, String::new()),
        Start::Response { status, reason } => (status, text(reason)),
    };
    let headers = message.headers().map(|(header, name, value)| (header, text(name), text(value))).collect();
    Some(Message {
        method: keys.method.to_owned(),
        uri: keys.uri.to_owned(),
        status,
        reason,
        headers,
        body: Bytes::copy_from_slice(message.body()),
    })
}

impl Message {
    /// Of a request.
    pub(crate) fn is_request(&self) -> bool {
        self.status == 0
    }

    /// Of a request its own, of a response that of its CSeq.
    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// The Request-URI.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// 100 to 699.
    pub(crate) fn status(&self) -> u16 {
        self.status
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// The lines of a header, by its long name in any case; compact forms count.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let wanted = Header::of(name.as_bytes());
        let fits = move |(header, found, _): &&(Header, String, String)| match wanted {
            Header::Other => found.eq_ignore_ascii_case(name),
            known => *header == known,
        };
        self.headers.iter().filter(fits).map(|(_, _, value)| value.as_str())
    }

    /// The first line of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let wanted = Header::of(name.as_bytes());
        let fits = |(header, found, _): &&(Header, String, String)| match wanted {
            Header::Other => found.eq_ignore_ascii_case(name),
            known => *header == known,
        };
        self.headers.iter().find(fits).map(|(_, _, value)| value.as_str())
    }

    /// Every value of a header that may hold several in a line.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.all(name).flat_map(|line| list(line.as_bytes()));
        values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    fn address_in(&self, name: &str) -> Option<Addr<'_>> {
        Addr::parse(self.header(name)?.as_bytes()).ok()
    }

    pub(crate) fn sender_tag(&self) -> Option<String> {
        self.address_in("From")?.tag().map(str::to_owned)
    }

    pub(crate) fn to_tag(&self) -> Option<String> {
        self.address_in("To")?.tag().map(str::to_owned)
    }

    /// The user part of To: whom a REGISTER is for.
    pub(crate) fn to_user(&self) -> Option<String> {
        Some(self.address_in("To")?.uri().ok()?.user_text()?.into_owned())
    }

    /// Number and method.
    pub(crate) fn cseq(&self) -> Option<(u32, String)> {
        let cseq = CSeq::parse(self.header("CSeq")?.as_bytes()).ok()?;
        Some((cseq.number, cseq.method.to_owned()))
    }

    /// Writes into the topmost Via of a request where it came from: `received` and, if asked for, `rport` (RFC 3581
    /// section 4). Responses copy it.
    pub(super) fn stamp(&mut self, source: SocketAddr) {
        let top = self.headers.iter_mut().find(|(header, ..)| *header == Header::Via);
        let Some((_, _, line)) = top else { return };
        let (first, rest) = match list(line.as_bytes()).next().map(<[u8]>::len) {
            Some(length) if length <= line.len() => line.split_at(length),
            _ => return,
        };
        let asks = message::Via::parse(first.as_bytes()).is_ok_and(|via| via.rport == Some(None));
        let mut stamped = first.to_owned();
        if asks {
            stamped = stamped
                .split(';')
                .filter(|part| !part.trim().eq_ignore_ascii_case("rport"))
                .collect::<Vec<_>>()
                .join(";");
            stamped.push_str(&format!(";rport={}", source.port()));
        }
        stamped.push_str(&format!(";received={}", source.ip()));
        *line = stamped + rest;
    }

    /// The branch and sent-by of the topmost Via.
    pub(super) fn branch(&self) -> Option<(String, String)> {
        let first = self.all("Via").next()?;
        let via = message::Via::parse(list(first.as_bytes()).next()?).ok()?;
        let port = via.port.map(|port| format!(":{port}")).unwrap_or_default();
        Some((via.branch?.to_owned(), format!("{}{port}", via.host)))
    }

    /// The URI of the first Contact.
    pub(crate) fn contact(&self) -> Option<String> {
        self.contacts().into_iter().next()
    }

    /// The URIs of all Contacts: the most preferred first, those alike in order.
    pub(crate) fn contacts(&self) -> Vec<String> {
        let read = |line: &str| -> Vec<(u16, String)> {
            let each = addresses(line.as_bytes()).flatten();
            each.map(|addr| (addr.q().unwrap_or(1000), String::from_utf8_lossy(addr.uri_text()).into_owned()))
                .collect()
        };
        let mut found: Vec<_> = self.all("Contact").flat_map(read).collect();
        found.sort_by_key(|(q, _)| std::cmp::Reverse(*q));
        found.into_iter().map(|(_, uri)| uri).filter(|uri| uri != "*").collect()
    }

    /// Seconds that a REGISTER asks for: of its Contact, else of Expires; `Contact: *` is no contact.
    pub(crate) fn expires(&self) -> Option<u32> {
        let of_contact = || self.address_in("Contact")?.expires();
        let of_header = || message::number(self.header("Expires")?.as_bytes()).ok();
        of_contact().or_else(of_header)
    }

    /// The user part of the Request-URI.
    pub(crate) fn request_user(&self) -> Option<String> {
        Some(Uri::parse(self.uri.as_bytes()).ok()?.user_text()?.into_owned())
    }

    /// A parameter of the Request-URI, or of the number in its user part (`sip:+1425;ext=7@host`).
    pub(crate) fn request_parameter(&self, name: &str) -> Option<String> {
        let uri = Uri::parse(self.uri.as_bytes()).ok()?;
        let of_number = || {
            let user = uri.user_text()?.into_owned();
            user.split(';').skip(1).find_map(|pair| {
                let (found, value) = pair.split_once('=')?;
                found.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        uri.param(name).flatten().map(str::to_owned).or_else(of_number)
    }

    /// Who calls, as a number if there is one: asserted, preferred, else From.
    pub(crate) fn caller(&self) -> String {
        let user = |value: String| -> Option<String> {
            let addr = Addr::parse(value.as_bytes()).ok()?;
            Some(addr.uri().ok()?.user_text()?.into_owned())
        };
        let named = |name| self.list(name).into_iter().filter_map(user).map(|user| number::bare(&user));
        let mut numbers =
            named("P-Asserted-Identity").chain(named("P-Preferred-Identity")).chain(named("From"));
        let any = || named("From").next();
        numbers.find(|user| number::is_number(user)).or_else(any).unwrap_or_else(|| "anonymous".to_owned())
    }

    /// The name in From.
    pub(crate) fn display(&self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.address_in("From")?.display_name()).into_owned())
    }
}

/// A From or To without its tag.
pub(super) fn without_tag(value: &str) -> String {
    let Ok(addr) = Addr::parse(value.as_bytes()) else { return value.to_owned() };
    let uri = String::from_utf8_lossy(addr.uri_text());
    let name = String::from_utf8_lossy(&addr.display_name()).replace(['"', '\\'], "");
    if name.is_empty() { format!("<{uri}>") } else { format!("\"{name}\" <{uri}>") }
}

/// The IP address, port and transport of a URI or of an address with one in it; none when its host is a name.
pub(super) fn uri_address(text: &str) -> Option<(SocketAddr, Option<String>)> {
    let inner = match Addr::parse(text.as_bytes()) {
        Ok(addr) if text.contains('<') => String::from_utf8_lossy(addr.uri_text()).into_owned(),
        _ => text.to_owned(),
    };
    let uri = Uri::parse(inner.as_bytes()).ok()?;
    let address: IpAddr = uri.address()?;
    let transport = uri.param("transport").flatten().map(str::to_ascii_lowercase);
    Some((SocketAddr::new(address, uri.port.unwrap_or(5060)), transport))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &str) -> Message {
        let text = format!(
            "INVITE sip:+14255550101;ext=7@127.0.0.1:5062;user=phone SIP/2.0\r\n\
             v: SIP/2.0/UDP 127.0.0.9:5070;branch=z9hG4bKa\r\nf: \"Ann B\" <sip:+12065550001@127.0.0.9>;tag=1\r\n\
             t: <sip:+14255550101@127.0.0.1>\r\ni: c1\r\nCSeq: 7 INVITE\r\n{headers}Content-Length: 0\r\n\r\n"
        );
        read(&Bytes::from(text)).unwrap()
    }

    #[test]
    fn what_a_user_agent_asks_of_a_request() {
        let message = request("m: <sip:a@127.0.0.9:5070;transport=tcp>\r\nX-Private: 1\r\n");
        assert_eq!(message.request_user().unwrap(), "+14255550101;ext=7");
        assert_eq!(message.request_parameter("ext").unwrap(), "7");
        assert_eq!((message.sender_tag().as_deref(), message.to_tag()), (Some("1"), None));
        assert_eq!(message.cseq(), Some((7, "INVITE".to_owned())));
        assert_eq!(message.branch(), Some(("z9hG4bKa".to_owned(), "127.0.0.9:5070".to_owned())));
        assert_eq!(message.contact().unwrap(), "sip:a@127.0.0.9:5070;transport=tcp");
        assert_eq!(message.header("x-private"), Some("1"));
        assert_eq!(message.display().unwrap(), "Ann B");
        assert_eq!(without_tag(message.header("From").unwrap()), "\"Ann B\" <sip:+12065550001@127.0.0.9>");
    }

    #[test]
    fn a_response_goes_where_its_request_came_from() {
        let check = |via: &str, expected: &str| {
            let mut message = request("");
            if let Some((_, _, line)) = message.headers.iter_mut().find(|(header, ..)| *header == Header::Via)
            {
                via.clone_into(line);
            }
            message.stamp("127.0.0.7:7000".parse().unwrap());
            assert_eq!(message.all("Via").next(), Some(expected));
        };
        check("SIP/2.0/UDP a;branch=z9hG4bK1", "SIP/2.0/UDP a;branch=z9hG4bK1;received=127.0.0.7");
        check(
            "SIP/2.0/UDP a;rport;branch=z9hG4bK1, SIP/2.0/UDP b;rport",
            "SIP/2.0/UDP a;branch=z9hG4bK1;rport=7000;received=127.0.0.7, SIP/2.0/UDP b;rport",
        );
        check(
            "SIP/2.0/UDP a;rport=5;branch=z9hG4bK1",
            "SIP/2.0/UDP a;rport=5;branch=z9hG4bK1;received=127.0.0.7",
        );
    }

    #[test]
    fn the_caller_is_the_number_that_is_asserted() {
        let check = |headers: &str, expected: &str| assert_eq!(request(headers).caller(), expected);
        check("", "+12065550001");
        check("P-Asserted-Identity: <sip:ann@a.example>, <tel:+14255550101>\r\n", "+14255550101");
        check("P-Asserted-Identity: <sip:ann@a.example>\r\n", "+12065550001");
        check("P-Preferred-Identity: <tel:+14255550102>\r\n", "+14255550102");
    }

    #[test]
    fn a_uri_says_where_it_leads() {
        let check = |text: &str, expected: Option<(&str, Option<&str>)>| {
            let found = uri_address(text).map(|(address, transport)| (address.to_string(), transport));
            assert_eq!(found, expected.map(|(a, t)| (a.to_owned(), t.map(str::to_owned))), "{text}");
        };
        check("sip:a@127.0.0.1", Some(("127.0.0.1:5060", None)));
        check("<sip:127.0.0.1:5070;lr;transport=TCP>", Some(("127.0.0.1:5070", Some("tcp"))));
        check("sip:a@contoso.example", None);
        check("tel:+1", None);
    }

    #[test]
    fn redirects_are_in_order_of_preference() {
        let message = request(
            "Contact: <sip:a@127.0.0.1>;q=0.5, <sip:b@127.0.0.1>\r\nContact: <sip:c@127.0.0.1>;q=0.9\r\n",
        );
        assert_eq!(message.contacts(), ["sip:b@127.0.0.1", "sip:c@127.0.0.1", "sip:a@127.0.0.1"]);
    }
}
