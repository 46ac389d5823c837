//! What routing and transactions read of a message.

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
    #[inline]
    pub fn read(message: &Message<'a>) -> Result<Self, KeyError> {
        const ONCE: u64 = Header::From.bit()
            | Header::To.bit()
            | Header::CallId.bit()
            | Header::CSeq.bit()
            | Header::MaxForwards.bit();
        if let Some(header) = message.repeated(ONCE) {
            return Err(KeyError::Repeated(header));
        }
        let needed = |header| message.first(header).ok_or(KeyError::Missing(header));
        let (via, from, to) = (needed(Header::Via)?, needed(Header::From)?, needed(Header::To)?);
        let (call_id, cseq) = (needed(Header::CallId)?, needed(Header::CSeq)?);

        let (via, _) = Via::first(via).map_err(fault(Header::Via))?;
        let from = Addr::parse(from).map_err(fault(Header::From))?;
        let to = Addr::parse(to).map_err(fault(Header::To))?;
        let cseq = CSeq::parse(cseq).map_err(fault(Header::CSeq))?;
        let hops = message.first(Header::MaxForwards).map(number).transpose();
        let hops = hops.map_err(fault(Header::MaxForwards))?;
        let (method, uri, status) = match message.start() {
            Start::Request { method, .. } if method != cseq.method => return Err(KeyError::CSeqMethod),
            Start::Request { method, uri } => (method, uri, None),
            Start::Response { status, .. } => (cseq.method, "", Some(status)),
        };
        Ok(Self {
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
            max_forwards: hops.map(|hops| u8::try_from(hops).unwrap_or(u8::MAX)),
            route: message.first(Header::Route),
        })
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

fn fault(header: Header) -> impl Fn(FieldError) -> KeyError {
    move |error| KeyError::Malformed(header, error)
}

/// Wider than `word ["@" word]` (RFC 3261 25.1): '@' may come more than once, as it does.
fn word(text: &[u8]) -> Option<&str> {
    let printable = !text.is_empty() && text.iter().fold(true, |valid, byte| valid & byte.is_ascii_graphic());
    if printable { str::from_utf8(text).ok() } else { None }
}
