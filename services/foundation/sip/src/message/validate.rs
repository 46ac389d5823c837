//! Which response a request gets that must not go on (RFC 3261 8.2, 16.3).
//!
//! [`check_request`] is for every element; then [`check_forwarding`] for a proxy, or [`check_extensions`] for a user
//! agent. Loops (482) are the proxy core's to find: it has the branches.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::classes::{TOKEN, is, span};
use super::field::{Addr, list};
use super::keys::{KeyError, Keys};
use super::uri::{Scheme, Uri};
use super::{Header, Message, ParseError, addresses};

/// The final response that a request gets, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// 400 to 699.
    pub status: u16,
    /// Says what to mend.
    pub reason: Cow<'static, str>,
    /// A header line that goes with it, as 420's Unsupported: name and value.
    pub line: Option<(Header, String)>,
}

impl Refusal {
    /// A response without a line of its own.
    #[must_use]
    pub const fn new(status: u16, reason: &'static str) -> Self {
        Self { status, reason: Cow::Borrowed(reason), line: None }
    }

    /// The request came by before and nothing about it changed (RFC 5393).
    pub const LOOP_DETECTED: Self = Self::new(482, "Loop Detected");
    /// Max-Forwards is used up.
    pub const TOO_MANY_HOPS: Self = Self::new(483, "Too Many Hops");
}

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self::new(error.status(), error.reason())
    }
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        let reason = match error {
            KeyError::Missing(header) => format!("Missing {}", header.name()),
            KeyError::Repeated(header) => format!("Repeated {}", header.name()),
            KeyError::Malformed(header, _) => format!("Malformed {}", header.name()),
            KeyError::CSeqMethod => "CSeq Method Differs".to_owned(),
        };
        Self { status: 400, reason: Cow::Owned(reason), line: None }
    }
}

/// Checks what every element must: syntax of what is read on the way, the scheme, the body's size.
///
/// # Errors
/// The response to send: 400, 413 or 416. None is sent to an ACK (RFC 3261 16.11: it is dropped).
pub fn check_request<'a>(message: &Message<'a>, body_bytes_max: usize) -> Result<Keys<'a>, Refusal> {
    Ok(check_request_uri(message, body_bytes_max)?.0)
}

/// As [`check_request`], with the Request-URI that it has read.
///
/// # Errors
/// As [`check_request`].
pub fn check_request_uri<'a>(
    message: &Message<'a>,
    body_bytes_max: usize,
) -> Result<(Keys<'a>, Uri<'a>), Refusal> {
    let keys = Keys::read(message)?;
    // RFC 3261 16.3 step 1: "the request MUST be well-formed enough to be handled".
    for (addr, reason) in [(keys.from, "Malformed From"), (keys.to, "Malformed To")] {
        addr.uri().map_err(|_| Refusal::new(400, reason))?;
    }
    keys.route().map_err(|_| Refusal::new(400, "Malformed Route"))?;
    let uri = keys.request_uri().map_err(|_| Refusal::new(400, "Malformed Request-URI"))?;
    if uri.scheme == Scheme::Other && !is_service_call(keys.method, &uri) {
        return Err(Refusal::new(416, "Unsupported URI Scheme"));
    }
    // RFC 3261 19.1.1 table 1: headers are not allowed in a Request-URI; taken for fields they would be an injection.
    if uri.has_headers() {
        return Err(Refusal::new(400, "Headers in Request-URI"));
    }
    if keys.method == "REGISTER" && !message.all(Header::Contact).all(is_contact) {
        return Err(Refusal::new(400, "Malformed Contact"));
    }
    if message.body().len() > body_bytes_max {
        return Err(Refusal::new(413, "Request Entity Too Large"));
    }
    Ok((keys, uri))
}

/// Whether a service is called by its name, such as `urn:service:sos` (RFC 5031), or that call is acknowledged or taken
/// back: it is no scheme that leads anywhere, and who decides about calls must see it.
fn is_service_call(method: &str, uri: &Uri<'_>) -> bool {
    let head = uri.as_str().as_bytes().get(..SERVICE.len());
    matches!(method, "INVITE" | "ACK" | "CANCEL") && head.is_some_and(|h| h.eq_ignore_ascii_case(SERVICE))
}

/// What the name of a service begins with.
const SERVICE: &[u8] = b"urn:service:";

/// Checks what a proxy must before it forwards (16.3 steps 3 and 5). `options` are the option tags it knows.
///
/// # Errors
/// 483 or 420 with Unsupported.
pub fn check_forwarding(message: &Message<'_>, keys: &Keys<'_>, options: &[&str]) -> Result<(), Refusal> {
    if keys.max_forwards == Some(0) {
        return Err(Refusal::TOO_MANY_HOPS);
    }
    check_options(message, keys, Header::ProxyRequire, options)
}

/// Checks what a user agent server must before it acts (8.2.2.3). `options` are the option tags it knows.
///
/// # Errors
/// 420 with Unsupported.
pub fn check_extensions(message: &Message<'_>, keys: &Keys<'_>, options: &[&str]) -> Result<(), Refusal> {
    check_options(message, keys, Header::Require, options)
}

fn check_options(
    message: &Message<'_>,
    keys: &Keys<'_>,
    header: Header,
    known: &[&str],
) -> Result<(), Refusal> {
    // 8.2.2.3: in a CANCEL or an ACK for a non-2xx they "MUST be ignored"; an ACK is never answered.
    if matches!(keys.method, "ACK" | "CANCEL") {
        return Ok(());
    }
    let mut unsupported = String::new();
    for option in message.all(header).flat_map(list) {
        if option.is_empty() || span(option, TOKEN) < option.len() {
            return Err(KeyError::Malformed(header, super::FieldError::Word).into());
        }
        if known.iter().any(|tag| option.eq_ignore_ascii_case(tag.as_bytes())) {
            continue;
        }
        if !unsupported.is_empty() {
            unsupported.push_str(", ");
        }
        unsupported.extend(option.iter().filter(|byte| is(**byte, TOKEN)).map(|byte| char::from(*byte)));
    }
    if unsupported.is_empty() {
        return Ok(());
    }
    let line = Some((Header::Unsupported, unsupported));
    Err(Refusal { status: 420, reason: Cow::Borrowed("Bad Extension"), line })
}

/// Whether a registration's Contact line can be read: `*`, or addresses with URIs.
fn is_contact(line: &[u8]) -> bool {
    line == b"*" || addresses(line).all(|addr| addr.and_then(|addr: Addr<'_>| addr.uri()).is_ok())
}
