//! Requests of our own, and the two that follow from an INVITE.

use std::fmt::Display;

use super::{Lines, WriteError};
use crate::message::{CSeq, Header, Message, Start, list};

/// A request that is being written: started, given its lines, finished. It is the caller's to give all that RFC 3261
/// 8.1.1 asks for.
#[derive(Debug)]
pub struct Request<'o> {
    lines: Lines<'o>,
}

impl<'o> Request<'o> {
    /// Starts a request after what `out` holds.
    pub fn new(method: &str, uri: impl Display, out: &'o mut Vec<u8>) -> Self {
        let mut lines = Lines::new(out);
        lines.text(&format_args!("{method} {uri} SIP/2.0"));
        lines.copy(b"\r\n");
        Self { lines }
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, header: Header, value: impl Display) -> Self {
        self.lines.line(header, &value);
        self
    }

    /// Adds a line with a name of its own.
    #[must_use]
    pub fn line_named(mut self, name: &str, value: impl Display) -> Self {
        self.lines.line_named(name, &value);
        self
    }

    /// Ends it without a body.
    ///
    /// # Errors
    /// The first value that breaks its line, or that the whole is too large; nothing is written then.
    pub fn finish(self) -> Result<(), WriteError> {
        self.lines.finish(b"")
    }

    /// Ends it with a body.
    ///
    /// # Errors
    /// As [`Request::finish`].
    pub fn finish_with(mut self, content_type: &str, body: &[u8]) -> Result<(), WriteError> {
        self.lines.line(Header::ContentType, &content_type);
        self.lines.finish(body)
    }
}

/// Writes the CANCEL of a request as it was sent (RFC 3261 9.1): its Request-URI, Call-ID, To, From, CSeq number,
/// topmost Via and Routes. Only for an INVITE that got a provisional response.
///
/// # Errors
/// What the request lacks.
pub fn cancel(invite: &Message<'_>, out: &mut Vec<u8>) -> Result<(), WriteError> {
    follow(invite, invite, "CANCEL", out)
}

/// Writes the ACK of a final response other than 2xx (RFC 3261 17.1.1.3): as [`cancel`], with the response's To.
///
/// # Errors
/// What the request or the response lacks.
pub fn ack(invite: &Message<'_>, response: &Message<'_>, out: &mut Vec<u8>) -> Result<(), WriteError> {
    follow(invite, response, "ACK", out)
}

fn follow(
    invite: &Message<'_>,
    to_of: &Message<'_>,
    method: &str,
    out: &mut Vec<u8>,
) -> Result<(), WriteError> {
    let uri = match invite.start() {
        Start::Request { uri, .. } if !uri.is_empty() => uri,
        _ => return Err(WriteError::NoSuchValue),
    };
    let via = list(needed(invite, Header::Via)?).next().ok_or(WriteError::Missing(Header::Via))?;
    let cseq = CSeq::parse(needed(invite, Header::CSeq)?).map_err(|_| WriteError::Missing(Header::CSeq))?;
    let from = needed(invite, Header::From)?;
    let to = needed(to_of, Header::To)?;
    let call_id = needed(invite, Header::CallId)?;

    let mut request = Request::new(method, uri, out);
    request.lines.copied_line(Header::Via, via);
    invite.all(Header::Route).for_each(|route| request.lines.copied_line(Header::Route, route));
    request.lines.copied_line(Header::From, from);
    request.lines.copied_line(Header::To, to);
    request.lines.copied_line(Header::CallId, call_id);
    request
        .line(Header::CSeq, format_args!("{} {method}", cseq.number))
        .line(Header::MaxForwards, 70)
        .finish()
}

fn needed<'a>(message: &Message<'a>, header: Header) -> Result<&'a [u8], WriteError> {
    message.first(header).ok_or(WriteError::Missing(header))
}
