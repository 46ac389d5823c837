//! What routing and transactions read of a message, in one walk over its lines.

use super::field::{Addr, CSeq, FieldError, Via, list, number};
use super::uri::{Uri, UriError};
use super::{Header, Message, Start};

/// Why a message has no keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    /// A header field that each message has (RFC 3261 8.1.1) is not there.
    #[error("{} is missing", .0.name())]
    Missing(Header),
    /// A header field that stands once came again.
    #[error("{} is repeated", .0.name())]
    Repeated(Header),
    /// A header field cannot be read.
    #[error("{}: {}", .0.name(), .1)]
    Malformed(Header, FieldError),
    /// "The method part of CSeq MUST match the method of the request" (8.1.1.5).
    #[error("CSeq has another method than the request")]
    CSeqMethod,
}

/// The fields that name a message's transaction and dialog and say where it goes.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    /// Of a request its own, of a response the CSeq's.
    pub method: &'a str,
    /// The Request-URI as it came; empty in a response.
    pub uri: &'a str,
    /// Of a response.
    pub status: Option<u16>,
    /// The topmost.
    pub via: Via<'a>,
    /// Whole, for who needs the address; its tag is [`Keys::from_tag`].
    pub from: Addr<'a>,
    /// Whole; its tag is [`Keys::to_tag`].
    pub to: Addr<'a>,
    /// Unset by elements of RFC 2543.
    pub from_tag: Option<&'a str>,
    /// Set inside of a dialog.
    pub to_tag: Option<&'a str>,
    /// Printable ASCII without blanks.
    pub call_id: &'a str,
    /// The number with the method.
    pub cseq: CSeq<'a>,
    /// At most 255 (RFC 3261 20.22): what is more counts as 255. Unset by elements of RFC 2543.
    pub max_forwards: Option<u8>,
    route: Option<&'a [u8]>,
}

impl<'a> Keys<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// The first that is missing, repeated or malformed. A request gets a 400 for it, a response is dropped.
    pub fn read(message: &Message<'a>) -> Result<Self, KeyError> {
        let mut found = Found::default();
        for line in message.lines() {
            let place = match line.header {
                Header::Via => &mut found.via,
                Header::From => &mut found.from,
                Header::To => &mut found.to,
                Header::CallId => &mut found.call_id,
                Header::CSeq => &mut found.cseq,
                Header::MaxForwards => &mut found.max_forwards,
                Header::Route => &mut found.route,
                _ => continue,
            };
            if place.is_none() {
                *place = Some(message.value(*line));
            } else if !matches!(line.header, Header::Via | Header::Route) {
                return Err(KeyError::Repeated(line.header));
            }
        }
        found.keys(message.start())
    }

    /// The Request-URI.
    ///
    /// # Errors
    /// What part of it is malformed.
    pub fn request_uri(&self) -> Result<Uri<'a>, UriError> {
        Uri::parse(self.uri.as_bytes())
    }

    /// The first Route value.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn route(&self) -> Result<Option<Addr<'a>>, FieldError> {
        self.route.and_then(|line| list(line).next()).map(Addr::parse).transpose()
    }

    /// Whether this is a request inside of a dialog: one that has a To tag (RFC 3261 12.2).
    #[must_use]
    pub const fn is_in_dialog(&self) -> bool {
        self.to_tag.is_some()
    }
}

/// The values of the first lines.
#[derive(Default)]
struct Found<'a> {
    via: Option<&'a [u8]>,
    from: Option<&'a [u8]>,
    to: Option<&'a [u8]>,
    call_id: Option<&'a [u8]>,
    cseq: Option<&'a [u8]>,
    max_forwards: Option<&'a [u8]>,
    route: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    fn keys(self, start: Start<'a>) -> Result<Keys<'a>, KeyError> {
        let via_line = self.via.ok_or(KeyError::Missing(Header::Via))?;
        let from = self.from.ok_or(KeyError::Missing(Header::From))?;
        let to = self.to.ok_or(KeyError::Missing(Header::To))?;
        let call_id = self.call_id.ok_or(KeyError::Missing(Header::CallId))?;
        let cseq = self.cseq.ok_or(KeyError::Missing(Header::CSeq))?;

        let via = Via::parse(list(via_line).next().unwrap_or_default()).map_err(fault(Header::Via))?;
        let from = Addr::parse(from).map_err(fault(Header::From))?;
        let to = Addr::parse(to).map_err(fault(Header::To))?;
        let cseq = CSeq::parse(cseq).map_err(fault(Header::CSeq))?;
        let max_forwards = self.max_forwards.map(number).transpose().map_err(fault(Header::MaxForwards))?;
        let (method, uri, status) = match start {
            Start::Request { method, .. } if method != cseq.method => return Err(KeyError::CSeqMethod),
            Start::Request { method, uri } => (method, uri, None),
            Start::Response { status, .. } => (cseq.method, "", Some(status)),
        };
        Ok(Keys {
            method,
            uri,
            status,
            via,
            from,
            to,
            from_tag: from.tag(),
            to_tag: to.tag(),
            call_id: word(call_id).ok_or(KeyError::Malformed(Header::CallId, FieldError::Word))?,
            cseq,
            max_forwards: max_forwards.map(|hops| u8::try_from(hops).unwrap_or(u8::MAX)),
            route: self.route,
        })
    }
}

fn fault(header: Header) -> impl Fn(FieldError) -> KeyError {
    move |error| KeyError::Malformed(header, error)
}

/// Wider than `word ["@" word]` (RFC 3261 25.1): '@' may come more than once, as it does.
fn word(text: &[u8]) -> Option<&str> {
    let printable = !text.is_empty() && text.iter().fold(true, |valid, byte| valid & byte.is_ascii_graphic());
    if printable { str::from_utf8(text).ok() } else { None }
}
