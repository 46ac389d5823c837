//! Responses of our own (RFC 3261 8.2.6).

use std::fmt::Display;
use std::net::SocketAddr;

use super::{Lines, WriteError, via};
use crate::message::{Addr, Header, Message, Refusal, list};

/// A response that is being written: made from the request, then given its lines, then finished.
#[derive(Debug)]
pub struct Response<'o> {
    lines: Lines<'o>,
}

impl<'o> Response<'o> {
    /// Starts a response after what `out` holds: status line, all Vias in order, From, To, Call-ID and CSeq of the
    /// request, and the Timestamp in a 100 (8.2.6.1). `to_tag` is added unless the request's To has one; a 100 goes
    /// without. `source`, where the request came from, marks the topmost Via; leave it out if the request was marked
    /// on arrival.
    ///
    /// A header that the request lacks is left out: a 400 is better with what there is.
    pub fn new(
        request: &Message<'_>,
        status: u16,
        reason: impl Display,
        to_tag: Option<&str>,
        source: Option<SocketAddr>,
        out: &'o mut Vec<u8>,
    ) -> Self {
        let mut lines = Lines::new(out);
        lines.text(&format_args!("SIP/2.0 {status:03} "));
        lines.text(&reason);
        lines.copy(b"\r\n");
        copy_vias(request, source, &mut lines);
        for header in [Header::From, Header::To, Header::CallId, Header::CSeq] {
            let Some(value) = request.first(header) else { continue };
            match to_tag {
                Some(tag) if header == Header::To && status > 100 && is_untagged(value) => {
                    lines.copy(b"To: ");
                    lines.copy(value);
                    lines.copy(b";tag=");
                    lines.text(&tag);
                    lines.copy(b"\r\n");
                }
                _ => lines.copied_line(header, value),
            }
        }
        if status == 100 {
            request.all(Header::Timestamp).for_each(|value| lines.copied_line(Header::Timestamp, value));
        }
        Self { lines }
    }

    /// Starts the response that refuses a request, with the line that goes with it.
    pub fn refuse(
        request: &Message<'_>,
        refusal: &Refusal,
        to_tag: Option<&str>,
        source: Option<SocketAddr>,
        out: &'o mut Vec<u8>,
    ) -> Self {
        let response = Self::new(request, refusal.status, &refusal.reason, to_tag, source, out);
        match &refusal.line {
            Some((header, value)) => response.line(*header, value),
            None => response,
        }
    }

    /// Copies the request's Record-Route lines, as a response that forms a dialog must (12.1.1).
    #[must_use]
    pub fn record_route(mut self, request: &Message<'_>) -> Self {
        request.all(Header::RecordRoute).for_each(|value| self.lines.copied_line(Header::RecordRoute, value));
        self
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
    /// As [`Response::finish`].
    pub fn finish_with(mut self, content_type: &str, body: &[u8]) -> Result<(), WriteError> {
        self.lines.line(Header::ContentType, &content_type);
        self.lines.finish(body)
    }
}

fn is_untagged(to: &[u8]) -> bool {
    // One that cannot be read is copied as it is: what follows its semicolon is unknown.
    Addr::parse(to).is_ok_and(|to| to.tag().is_none())
}

fn copy_vias(request: &Message<'_>, source: Option<SocketAddr>, lines: &mut Lines<'_>) {
    for (nth, line) in request.all(Header::Via).enumerate() {
        let top = list(line).next().unwrap_or_default();
        let Some(source) = source.filter(|_| nth == 0) else {
            lines.copied_line(Header::Via, line);
            continue;
        };
        lines.copy(b"Via: ");
        if via::stamp(top, source, lines.out).is_err() {
            lines.copy(top);
        }
        lines.copy(&line[top.len()..]);
        lines.copy(b"\r\n");
    }
}
