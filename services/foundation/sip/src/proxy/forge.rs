//! Messages that a proxy sends, made from those that it received: everything that it does not change is copied
//! byte for byte, in order.

use std::net::SocketAddr;

use crate::message::{HEADERS_MAX, Header, LINE_BYTES_MAX, Message, Table, list};
use crate::write::{Splice, WriteError};

use super::Target;

/// What changes in a request on its way.
pub(super) struct Forward<'a> {
    pub(super) uri: &'a str,
    /// Our Via, without its name.
    pub(super) via: &'a str,
    /// Where it came from: marks the Via that was on top.
    pub(super) source: SocketAddr,
    /// Our Record-Route values, the first on top.
    pub(super) record_route: &'a [String],
    /// How many Route values at the top were ours.
    pub(super) own_routes: usize,
    /// The last Route value became the Request-URI again (RFC 3261 16.4).
    pub(super) drop_last_route: bool,
    /// A Route value to put at the end: the Request-URI before a strict router takes its place (16.6 step 6).
    pub(super) append_route: Option<&'a str>,
    pub(super) max_forwards: u8,
    /// Of a request that was decided about: the headers that its target wants gone and added.
    pub(super) target: Option<&'a Target>,
    /// Private headers go no further.
    pub(super) strips: bool,
    /// Streams need a Content-Length (18.3).
    pub(super) stream: bool,
}

/// Headers that belong to one side only, and go no further when the other side is not trusted: who somebody is, by whom
/// a call was forwarded (RFC 3325 5, RFC 5806 6, RFC 7044 10.1.2), and what elements tell one another.
fn is_private(header: Header, name: &[u8]) -> bool {
    let front = |p: &str| name.len() >= p.len() && name[..p.len()].eq_ignore_ascii_case(p.as_bytes());
    match header {
        Header::AssertedIdentity | Header::PreferredIdentity | Header::Diversion | Header::HistoryInfo => {
            true
        }
        Header::Other => {
            front("X-") || front("P-") || front("ms-") || name.eq_ignore_ascii_case(b"Remote-Party-ID")
        }
        _ => false,
    }
}

/// A request as it goes on.
///
/// # Errors
/// It would be larger than a message may be, or has more lines than we would read ourselves.
pub(super) fn request(message: &Message<'_>, f: &Forward<'_>, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let mut splice = Splice::new(*message);
    splice.request_uri(f.uri).prepend(Header::Via, f.via).stamp_via(f.source);
    for value in f.record_route {
        splice.prepend(Header::RecordRoute, value);
    }
    if f.own_routes > 0 || f.drop_last_route {
        let routes = message.all(Header::Route).flat_map(list).count();
        let last = routes - usize::from(f.drop_last_route && routes > 0);
        splice.retain(Header::Route, |nth, _| (f.own_routes..last).contains(&nth));
    }
    if let Some(route) = f.append_route {
        splice.append(Header::Route, format_args!("<{route}>"));
    }
    splice.set(Header::MaxForwards, f.max_forwards);
    let removed =
        f.target.map_or(0, |target| target.remove.iter().fold(0, |bits, header| bits | header.bit()));
    let named = f.target.map(|target| target.remove_named).unwrap_or_default();
    let gone = |header: Header, name: &[u8]| {
        removed & header.bit() != 0
            || f.strips && is_private(header, name)
            || header == Header::Other && named.iter().any(|n| n.as_bytes().eq_ignore_ascii_case(name))
    };
    splice.drop_lines(gone);
    for line in f.target.map(|target| &*target.add).unwrap_or_default() {
        splice.append_line(line);
    }
    if f.stream {
        splice.ensure_content_length();
    }
    splice.write(out)?;
    is_readable(message, f, out).then_some(()).ok_or(WriteError::TooLarge)
}

/// Whether we could read what we wrote: its CANCEL and its ACK are made from it. Only what is near our own limits is
/// looked at.
fn is_readable(message: &Message<'_>, f: &Forward<'_>, written: &[u8]) -> bool {
    let added = 4 + f.record_route.len() + f.target.map_or(0, |target| target.add.len());
    let small = written.len() <= LINE_BYTES_MAX && message.lines().len() + added <= HEADERS_MAX;
    small || Table::new().parse_datagram(written).is_ok()
}

/// A response as it goes on: our Via taken off (16.7 step 3).
///
/// # Errors
/// None that a parsed response can cause.
pub(super) fn response(message: &Message<'_>, strips: bool, out: &mut Vec<u8>) -> Result<(), WriteError> {
    let mut splice = Splice::new(*message);
    splice.remove_first(Header::Via);
    if strips {
        splice.drop_lines(is_private);
    }
    splice.write(out)
}

/// A stored 401 or 407 with the challenges of every branch (16.7 step 7), each a whole line.
///
/// # Errors
/// It would be larger than a message may be.
pub(super) fn challenged(stored: &Message<'_>, challenges: &[Vec<u8>]) -> Result<Vec<u8>, WriteError> {
    let mut splice = Splice::new(*stored);
    splice.drop_lines(|header, _| matches!(header, Header::WwwAuthenticate | Header::ProxyAuthenticate));
    for line in challenges {
        splice.append_copied(line);
    }
    let mut out = Vec::new();
    splice.write(&mut out)?;
    Ok(out)
}
