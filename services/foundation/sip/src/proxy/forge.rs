//! Messages that a proxy sends, made from those that it received: everything that it does not change is copied
//! byte for byte, in order.

use std::net::SocketAddr;

use crate::message::{Header, Message, Start, list};
use crate::transaction::Peer;

/// What changes in a request on its way.
pub(super) struct Forward<'a> {
    pub(super) uri: &'a str,
    /// Our Via, without its name.
    pub(super) via: &'a str,
    /// What the top Via becomes: with `received` and `rport`.
    pub(super) top_via: &'a [u8],
    /// Our Record-Route values, the first on top.
    pub(super) record_route: &'a [String],
    /// How many Route values at the top were ours.
    pub(super) own_routes: usize,
    /// The last Route value became the Request-URI again (RFC 3261 16.4).
    pub(super) drop_last_route: bool,
    /// A Route value to put at the end: the Request-URI before a strict router takes its place (16.6 step 6).
    pub(super) append_route: Option<&'a str>,
    pub(super) max_forwards: u8,
    pub(super) remove: &'a [Header],
    pub(super) strip_private: bool,
    pub(super) add: &'a [String],
    /// Streams need a Content-Length (18.3).
    pub(super) stream: bool,
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Headers that belong to one side only, and go no further when the other side is not trusted.
fn is_private(name: &[u8]) -> bool {
    let front = |p: &str| name.len() >= p.len() && name[..p.len()].eq_ignore_ascii_case(p.as_bytes());
    front("X-") || front("P-") || front("ms-")
}

/// A request as it goes on.
pub(super) fn request(message: &Message<'_>, f: &Forward<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.bytes().len() + 512);
    let method = method(message);
    for part in [method, " ", f.uri, " SIP/2.0\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    line(&mut out, "Via", f.via.as_bytes());
    for value in f.record_route {
        line(&mut out, "Record-Route", value.as_bytes());
    }
    let routes: Vec<&[u8]> = message.all(Header::Route).flat_map(list).collect();
    let last = routes.len() - usize::from(f.drop_last_route && !routes.is_empty());
    for value in routes.get(f.own_routes..last).unwrap_or_default() {
        line(&mut out, "Route", value);
    }
    if let Some(route) = f.append_route {
        line(&mut out, "Route", format!("<{route}>").as_bytes());
    }
    line(&mut out, "Max-Forwards", f.max_forwards.to_string().as_bytes());
    let (mut vias, mut has_length) = (0, false);
    for entry in message.lines() {
        let value = message.value(*entry);
        match entry.header {
            Header::Route | Header::MaxForwards => continue,
            Header::Via if vias == 0 => {
                vias += 1;
                line(&mut out, "Via", f.top_via);
                let rest: Vec<&[u8]> = list(value).skip(1).collect();
                rest.iter().for_each(|v| line(&mut out, "Via", v));
                continue;
            }
            header if f.remove.contains(&header) => continue,
            Header::ContentLength => has_length = true,
            _ => {}
        }
        let name = message.name(*entry);
        if f.strip_private && is_private(name) {
            continue;
        }
        out.extend_from_slice(message.whole(*entry));
    }
    for added in f.add {
        out.extend_from_slice(added.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if f.stream && !has_length {
        line(&mut out, "Content-Length", message.body().len().to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(message.body());
    out
}

pub(super) fn method<'a>(message: &Message<'a>) -> &'a str {
    match message.start() {
        Start::Request { method, .. } => method,
        Start::Response { .. } => "",
    }
}

/// The top Via with where the request really came from (RFC 3261 18.2.1, RFC 3581 4).
pub(super) fn top_via(message: &Message<'_>, from: SocketAddr) -> Vec<u8> {
    let value = message.first(Header::Via).and_then(|v| list(v).next()).unwrap_or_default();
    let mut out = Vec::with_capacity(value.len() + 48);
    let mut asked = false;
    // Parameters of a Via are separated by ';' and never quoted, but for extensions that we leave alone.
    for (at, part) in value.split(|b| *b == b';').enumerate() {
        let name = part.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
        if at > 0 && name.eq_ignore_ascii_case(b"received") {
            continue;
        }
        if at > 0 {
            out.push(b';');
        }
        if at > 0 && name.eq_ignore_ascii_case(b"rport") {
            asked = true;
            out.extend_from_slice(format!("rport={}", from.port()).as_bytes());
        } else {
            out.extend_from_slice(part);
        }
    }
    let ip = from.ip().to_string();
    let sent_by = value.split(|b| *b == b';').next().unwrap_or_default();
    let same = sent_by.rsplit(|b| b.is_ascii_whitespace()).next().is_some_and(|host| {
        let host = host.strip_prefix(b"[").unwrap_or(host);
        host.strip_prefix(ip.as_bytes()).is_some_and(|rest| rest.is_empty() || matches!(rest[0], b':' | b']'))
    });
    if asked || !same {
        out.extend_from_slice(b";received=");
        out.extend_from_slice(ip.as_bytes());
    }
    out
}

/// A response as it goes on: our Via taken off (16.7 step 3).
pub(super) fn response(message: &Message<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.bytes().len());
    out.extend_from_slice(message.start_line());
    let mut vias = 0;
    for entry in message.lines() {
        match entry.header {
            Header::Via if vias == 0 => {
                vias += 1;
                let rest: Vec<&[u8]> = list(message.value(*entry)).skip(1).collect();
                rest.iter().for_each(|v| line(&mut out, "Via", v));
            }
            _ => out.extend_from_slice(message.whole(*entry)),
        }
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(message.body());
    out
}

/// A response of our own (RFC 3261 8.2.6).
pub(super) fn answer(request: &Message<'_>, from: Peer, status: &str, tag: &str, add: &[String]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"SIP/2.0 ");
    out.extend_from_slice(status.as_bytes());
    out.extend_from_slice(b"\r\n");
    let mut vias = 0;
    for entry in request.lines() {
        let value = request.value(*entry);
        match entry.header {
            Header::Via if vias == 0 => {
                vias += 1;
                line(&mut out, "Via", &top_via(request, from.address));
                let rest: Vec<&[u8]> = list(value).skip(1).collect();
                rest.iter().for_each(|v| line(&mut out, "Via", v));
            }
            Header::To if !tag.is_empty() && !has_tag(value) => {
                out.extend_from_slice(b"To: ");
                out.extend_from_slice(value);
                out.extend_from_slice(b";tag=");
                out.extend_from_slice(tag.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Header::Via | Header::From | Header::To | Header::CallId | Header::CSeq => {
                out.extend_from_slice(request.whole(*entry));
            }
            _ => {}
        }
    }
    for added in add {
        out.extend_from_slice(added.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    out
}

/// Whether From or To has a tag: a parameter after the address.
pub(super) fn has_tag(value: &[u8]) -> bool {
    tag(value).is_some()
}

/// The tag of From or To.
pub(super) fn tag(value: &[u8]) -> Option<&[u8]> {
    let params = match value.iter().rposition(|b| *b == b'>') {
        Some(at) => value.get(at + 1..)?,
        None => value,
    };
    params.split(|b| *b == b';').skip(1).find_map(|p| {
        let at = p.iter().position(|b| *b == b'=')?;
        p[..at].trim_ascii().eq_ignore_ascii_case(b"tag").then(|| p[at + 1..].trim_ascii())
    })
}

/// A CANCEL or an ACK for a request that we forwarded (RFC 3261 9.1, 17.1.1.3): same Request-URI, top Via, From,
/// Call-ID, CSeq number and Route; the ACK has the response's To.
pub(super) fn follow_up(forwarded: &Message<'_>, method: &str, to: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let Start::Request { uri, .. } = forwarded.start() else { return out };
    for part in [method, " ", uri, " SIP/2.0\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    let mut vias = 0;
    for entry in forwarded.lines() {
        match entry.header {
            Header::Via if vias == 0 => {
                vias += 1;
                out.extend_from_slice(forwarded.whole(*entry));
            }
            Header::To => line(&mut out, "To", to.unwrap_or(forwarded.value(*entry))),
            Header::From | Header::CallId | Header::Route => out.extend_from_slice(forwarded.whole(*entry)),
            Header::CSeq => {
                let number =
                    forwarded.value(*entry).split(u8::is_ascii_whitespace).next().unwrap_or_default();
                let value = [number, b" ", method.as_bytes()].concat();
                line(&mut out, "CSeq", &value);
            }
            _ => {}
        }
    }
    out.extend_from_slice(b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n");
    out
}

/// A stored 401 or 407 with the challenges of every branch (16.7 step 7).
pub(super) fn challenged(stored: &Message<'_>, challenges: &[Vec<u8>]) -> Vec<u8> {
    let mut out = stored.start_line().to_vec();
    for entry in stored.lines() {
        if !matches!(entry.header, Header::WwwAuthenticate | Header::ProxyAuthenticate) {
            out.extend_from_slice(stored.whole(*entry));
        }
    }
    challenges.iter().for_each(|c| out.extend_from_slice(c));
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(stored.body());
    out
}
