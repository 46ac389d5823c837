//! Messages as they go out.
//!
//! A forwarded message is a [`Splice`]: the received bytes with edits, so that what a proxy does not understand goes
//! on byte for byte and in order. Messages of our own are written by [`Response`] and [`Request`].
//!
//! Invariants: every value that enters a message is checked for CR, LF and NUL on its way in, whoever it comes from;
//! a message that fails the check, or outgrows [`MESSAGE_BYTES_MAX`], leaves the
//! output as it was.

mod request;
mod response;
mod splice;
#[cfg(test)]
mod tests;
mod via;

use std::fmt::{self, Display};
use std::io::Write as _;

use crate::message::{Header, MESSAGE_BYTES_MAX};

pub use request::{Request, ack, cancel};
pub use response::Response;
pub use splice::Splice;

/// Why nothing was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WriteError {
    /// A value holds CR, LF or NUL: it would end its line.
    #[error("value holds CR, LF or NUL")]
    LineBreak,
    /// A value to replace is not in the message.
    #[error("no such value in the message")]
    NoSuchValue,
    /// A salvaged message is answered, never forwarded.
    #[error("the message to forward is at fault")]
    Faulty,
    /// The message would exceed [`MESSAGE_BYTES_MAX`].
    #[error("message exceeds {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// A message to copy from lacks this header.
    #[error("{} is missing", .0.name())]
    Missing(Header),
}

/// A configured text that was found to fit in a line: checked once, when the configuration is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Safe<'a>(&'a str);

impl<'a> Safe<'a> {
    /// Takes a text without CR, LF and NUL.
    ///
    /// # Errors
    /// [`WriteError::LineBreak`].
    pub fn new(text: &'a str) -> Result<Self, WriteError> {
        if breaks_line(text.as_bytes()) { Err(WriteError::LineBreak) } else { Ok(Self(text)) }
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }
}

impl Display for Safe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn breaks_line(text: &[u8]) -> bool {
    memchr::memchr3(b'\r', b'\n', 0, text).is_some()
}

/// The lines of a message of our own, written after what `out` holds.
#[derive(Debug)]
struct Lines<'o> {
    out: &'o mut Vec<u8>,
    start: usize,
    fault: Option<WriteError>,
}

impl<'o> Lines<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start, fault: None }
    }

    /// A value from outside, checked.
    fn text(&mut self, value: &dyn Display) {
        let before = self.out.len();
        // A vector takes all that is written.
        let _ = write!(self.out, "{value}");
        if breaks_line(&self.out[before..]) {
            self.fail(WriteError::LineBreak);
        }
    }

    /// Bytes of a received message: folds in them are whole.
    fn copy(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn copied_line(&mut self, header: Header, value: &[u8]) {
        self.copy(header.name().as_bytes());
        self.copy(b": ");
        self.copy(value);
        self.copy(b"\r\n");
    }

    /// A line of a header that we know; only its value comes from outside.
    fn line(&mut self, header: Header, value: &dyn Display) {
        self.copy(header.name().as_bytes());
        self.copy(b": ");
        self.text(value);
        self.copy(b"\r\n");
    }

    fn line_named(&mut self, name: &str, value: &dyn Display) {
        self.text(&name);
        self.copy(b": ");
        self.text(value);
        self.copy(b"\r\n");
    }

    fn fail(&mut self, fault: WriteError) {
        self.fault.get_or_insert(fault);
    }

    /// Ends the head and adds the body.
    fn finish(mut self, body: &[u8]) -> Result<(), WriteError> {
        self.line(Header::ContentLength, &body.len());
        self.copy(b"\r\n");
        self.copy(body);
        if self.out.len() - self.start > MESSAGE_BYTES_MAX {
            self.fail(WriteError::TooLarge);
        }
        match self.fault {
            None => Ok(()),
            Some(fault) => {
                self.out.truncate(self.start);
                Err(fault)
            }
        }
    }
}
