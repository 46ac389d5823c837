//! Messages out of a stream of bytes (RFC 3261 7.5, 18.3; RFC 5626 4.4.1).
//!
//! On a stream a wrong length puts every later message at an attacker's hand, so the first fault ends the
//! connection: what was read of the request can still be answered, then the stream closes. How a stream is cut
//! into reads makes no difference to what comes out.

#[cfg(test)]
mod tests;

use memchr::memmem;

use super::classes::{TOKEN, is};
use super::{MESSAGE_BYTES_MAX, Message, ParseError, Table};

/// What a stream held next.
#[derive(Clone, Copy, Debug)]
pub enum Framed<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// A double CRLF: answer it with one CRLF (RFC 5626 4.4.1).
    Ping,
}

/// Why a stream must be closed: the fault of the message that it held next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("stream closed: {0}")]
pub struct StreamError(pub ParseError);

/// Holds what a stream brought until it is a message; at most one message and one read more.
#[derive(Clone, Debug, Default)]
pub struct StreamFramer {
    buffer: Vec<u8>,
    /// Where the next message starts.
    start: usize,
    /// How far the next message was searched for the end of its head, from `start`.
    searched: usize,
    /// How long the next message is, once its head was read.
    length: Option<usize>,
    fault: Option<ParseError>,
}

impl StreamFramer {
    /// A framer at the start of a stream; it allocates when bytes come.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), start: 0, searched: 0, length: None, fault: None }
    }

    /// Takes what was read. Call [`StreamFramer::next`] until it gives nothing before the next read: that bounds
    /// what is held.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.fault.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next message or ping; `None` until more was read. `table` may be shared by all streams of a thread.
    ///
    /// # Errors
    /// The fault that ends the stream, again on each later call. [`StreamFramer::salvage`] then gives what an
    /// answer needs.
    pub fn next<'a>(&'a mut self, table: &'a mut Table) -> Result<Option<Framed<'a>>, StreamError> {
        match self.advance(table) {
            Ok(Step::Wait) => Ok(None),
            Ok(Step::Ping) => Ok(Some(Framed::Ping)),
            Ok(Step::Message { start, end }) => {
                Ok(Some(Framed::Message(table.with_body(&self.buffer[start..end]))))
            }
            Err(fault) => {
                self.fault = Some(fault);
                Err(StreamError(fault))
            }
        }
    }

    /// What can be read of the request at which [`StreamFramer::next`] failed, with the table it was given.
    #[must_use]
    pub fn salvage<'a>(&'a self, table: &'a Table) -> Option<Message<'a>> {
        match self.fault {
            None | Some(ParseError::StartLine | ParseError::HeadUnfinished) => None,
            Some(_) => table.salvage(&self.buffer[self.start..]),
        }
    }

    /// Whether a message has begun and not ended: from here on its sender has limited time.
    #[must_use]
    pub fn is_amid_message(&self) -> bool {
        self.buffer.len() > self.start
    }

    fn advance(&mut self, table: &mut Table) -> Result<Step, ParseError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        loop {
            let held = &self.buffer[self.start..];
            match held {
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return Ok(Step::Wait),
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.start += 4;
                    return Ok(Step::Ping);
                }
                // RFC 3261 7.5: "MUST ignore any CRLF appearing before the start-line".
                [b'\r', b'\n', ..] => self.start += 2,
                // TLS or worse on a plain port need not wait for an end that will not come.
                [first, ..] if !is(*first, TOKEN) => return Err(ParseError::StartLine),
                _ => break,
            }
        }
        let Some(length) = self.length.map_or_else(|| self.read_head(table), |length| Ok(Some(length)))?
        else {
            return Ok(Step::Wait);
        };
        let (start, end) = (self.start, self.start + length);
        if self.buffer.len() < end {
            self.length = Some(length);
            return Ok(Step::Wait);
        }
        if self.length.take().is_some() {
            // The table may have served other streams since the head was read.
            table.parse_stream_head(&self.buffer[start..end])?;
        }
        (self.start, self.searched) = (end, 0);
        Ok(Step::Message { start, end })
    }

    /// How long the next message is, if its head has come whole.
    fn read_head(&mut self, table: &mut Table) -> Result<Option<usize>, ParseError> {
        let held = &self.buffer[self.start..];
        let Some(found) = memmem::find(&held[self.searched..], b"\r\n\r\n") else {
            if held.len() > MESSAGE_BYTES_MAX {
                return Err(ParseError::HeadUnfinished);
            }
            self.searched = held.len().saturating_sub(3);
            return Ok(None);
        };
        let head = self.searched + found + 4;
        let body = table.parse_stream_head(&held[..head])?;
        match head.checked_add(body as usize) {
            Some(length) if length <= MESSAGE_BYTES_MAX => Ok(Some(length)),
            _ => Err(ParseError::MessageTooLarge),
        }
    }
}

enum Step {
    Wait,
    Ping,
    Message { start: usize, end: usize },
}
