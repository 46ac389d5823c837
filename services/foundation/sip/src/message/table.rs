//! Where the lines of a message lie: the first and only pass over its bytes.

mod parse;
#[cfg(test)]
mod tests;

pub(super) use parse::digits;

use super::{HEADERS_MAX, Header, LINE_BYTES_MAX, MESSAGE_BYTES_MAX};

/// A header line, as offsets into the message: `start .. name_end`, then ':', then `value_start .. value_end`
/// without the blanks around it, then the line's end at `end`, past its CRLF. A folded line is one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Whose line it is.
    pub header: Header,
    /// Of the name.
    pub start: u16,
    /// Past the name.
    pub name_end: u16,
    /// Of the value.
    pub value_start: u16,
    /// Past the value.
    pub value_end: u16,
    /// Past the CRLF.
    pub end: u16,
}

const NO_LINE: Line =
    Line { header: Header::Other, start: 0, name_end: 0, value_start: 0, value_end: 0, end: 0 };

/// What a start line is, as offsets; `Unread` before the first message and after a start line that says nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum StartLine {
    Unread,
    Request { method_end: u16, uri_end: u16 },
    Response { status: u16, reason_start: u16 },
}

/// The places of one message's lines: made once, used for message after message, without allocation.
#[derive(Clone, Debug)]
pub struct Table {
    start: StartLine,
    first_line: u16,
    count: u8,
    lines: [Line; HEADERS_MAX],
    /// Where the first line of each header is, of those that were seen.
    firsts: [u8; Header::COUNT],
    /// Which headers there are, a bit each, and which of them come again.
    seen: u64,
    repeated: u64,
    /// Where the body starts, once the empty line was found.
    body_start: u16,
    body_end: u16,
    content_length: Option<u32>,
    /// The first fault that still lets the rest of the head be read.
    fault: Option<ParseError>,
    /// The head was read to its end, so that an error can be answered.
    whole: bool,
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

/// Why bytes are no SIP message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Nothing but CRLFs, or nothing at all: a keep-alive (RFC 5626 4.4.1), not a message.
    #[error("no message, only line ends")]
    Empty,
    /// More than [`MESSAGE_BYTES_MAX`].
    #[error("message exceeds {MESSAGE_BYTES_MAX} bytes")]
    MessageTooLarge,
    /// More than [`LINE_BYTES_MAX`].
    #[error("line exceeds {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// More than [`HEADERS_MAX`].
    #[error("more than {HEADERS_MAX} header lines")]
    TooManyHeaders,
    /// No empty line ends the head.
    #[error("the head does not end with an empty line")]
    HeadUnfinished,
    /// CR without LF, or LF without CR.
    #[error("bare CR or LF")]
    BareLineEnd,
    /// NUL that is not a quoted pair.
    #[error("NUL outside of a quoted string")]
    Nul,
    /// Neither `Method SP Request-URI SP SIP-Version` nor `SIP-Version SP Status-Code SP Reason-Phrase`.
    #[error("malformed start line")]
    StartLine,
    /// A status that is not three digits, 100 to 699.
    #[error("status code out of range")]
    Status,
    /// A version other than SIP/2.0.
    #[error("version not supported")]
    Version,
    /// A header line without a name of token characters and a colon.
    #[error("malformed header line")]
    HeaderLine,
    /// Content-Length that is not digits, or is more than a message can be.
    #[error("malformed Content-Length")]
    ContentLength,
    /// Two Content-Lengths that differ.
    #[error("several Content-Length values")]
    ContentLengthConflict,
    /// The body is shorter than its Content-Length.
    #[error("body is shorter than its Content-Length")]
    BodyShort,
    /// No Content-Length, on a stream (RFC 3261 18.3: it MUST be used there).
    #[error("Content-Length is missing")]
    ContentLengthMissing,
}

impl ParseError {
    /// What a request that has this fault is answered with; [`Table::salvage`] gives what can be read of it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Version => 505,
            Self::MessageTooLarge => 513,
            _ => 400,
        }
    }

    /// The reason phrase that says what to mend.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Empty | Self::HeadUnfinished => "Incomplete Message",
            Self::MessageTooLarge => "Message Too Large",
            Self::LineTooLong => "Line Too Long",
            Self::TooManyHeaders => "Too Many Header Fields",
            Self::BareLineEnd => "Bare CR or LF",
            Self::Nul => "NUL in Header Field",
            Self::StartLine | Self::Status => "Malformed Request-Line",
            Self::Version => "Version Not Supported",
            Self::HeaderLine => "Malformed Header Field",
            Self::ContentLength => "Malformed Content-Length",
            Self::ContentLengthConflict => "Several Content-Length Values",
            Self::BodyShort => "Body Shorter Than Content-Length",
            Self::ContentLengthMissing => "Missing Content-Length",
        }
    }
}

/// The first line of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start<'a> {
    /// RFC 3261 7.1.
    Request {
        /// A token; case matters.
        method: &'a str,
        /// The Request-URI: printable ASCII, not looked into further.
        uri: &'a str,
    },
    /// RFC 3261 7.2.
    Response {
        /// 100 to 699.
        status: u16,
        /// As it came; may be empty.
        reason: &'a [u8],
    },
}

impl Table {
    /// Takes over what is known of a message: of the same bytes, wherever they lie, [`Table::of`] makes it again.
    pub(crate) fn copy(&mut self, message: &Message<'_>) {
        let from = message.table;
        let count = usize::from(from.count);
        self.lines[..count].copy_from_slice(&from.lines[..count]);
        (self.start, self.first_line, self.count) = (from.start, from.first_line, from.count);
        (self.firsts, self.seen, self.repeated) = (from.firsts, from.seen, from.repeated);
        (self.body_start, self.body_end) = (from.body_start, from.body_end);
        (self.content_length, self.fault, self.whole) = (from.content_length, from.fault, from.whole);
    }

    /// The message that was read last, in a copy of its bytes.
    pub(crate) const fn of<'a>(&'a self, bytes: &'a [u8]) -> Message<'a> {
        Message { bytes, table: self }
    }
}

/// A message: its bytes and their table.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    table: &'a Table,
}

impl<'a> Message<'a> {
    /// The first line.
    #[must_use]
    pub fn start(&self) -> Start<'a> {
        match self.table.start {
            StartLine::Request { method_end, uri_end } => Start::Request {
                method: ascii(self.slice(0, method_end)),
                uri: ascii(self.slice(method_end + 1, uri_end)),
            },
            StartLine::Response { status, reason_start } => {
                Start::Response { status, reason: self.slice(reason_start, self.table.first_line - 2) }
            }
            StartLine::Unread => Start::Request { method: "", uri: "" },
        }
    }

    /// The header lines, in order.
    #[must_use]
    pub fn lines(&self) -> &'a [Line] {
        &self.table.lines[..usize::from(self.table.count)]
    }

    /// Each header with its name and value as they came: folds are kept.
    pub fn headers(&self) -> impl Iterator<Item = (Header, &'a [u8], &'a [u8])> + use<'a> {
        let message = *self;
        self.lines()
            .iter()
            .map(move |line| (line.header, message.slice(line.start, line.name_end), message.value(*line)))
    }

    /// The value of the first line of this header.
    #[must_use]
    #[inline]
    pub fn first(&self, header: Header) -> Option<&'a [u8]> {
        Some(self.value(*self.line(header)?))
    }

    /// The first line of this header.
    #[inline]
    pub(crate) fn line(&self, header: Header) -> Option<&'a Line> {
        self.lines_of(header).first()
    }

    /// From the first line of this header to its last, or to the end where it comes again.
    #[inline]
    fn lines_of(&self, header: Header) -> &'a [Line] {
        if self.table.seen & header.bit() == 0 {
            return &[];
        }
        let first = usize::from(self.table.firsts[header as usize]);
        let end = if self.table.repeated & header.bit() == 0 { first + 1 } else { self.table.count.into() };
        self.table.lines.get(first..end).unwrap_or_default()
    }

    /// Which of the headers of `once`, bits, comes again, and does so first.
    #[inline]
    pub(super) fn repeated(&self, once: u64) -> Option<Header> {
        if self.table.repeated & once == 0 {
            return None;
        }
        let mut seen = 0;
        self.lines().iter().map(|line| line.header).find(|header| {
            let again = seen & once & header.bit() != 0;
            seen |= header.bit();
            again
        })
    }

    /// The values of the lines of this header, one per line; [`super::list`] takes each apart at its commas.
    pub fn all(&self, header: Header) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        let message = *self;
        self.lines_of(header)
            .iter()
            .filter(move |line| line.header == header)
            .map(move |line| message.value(*line))
    }

    /// The value of a line of this message.
    #[must_use]
    pub fn value(&self, line: Line) -> &'a [u8] {
        self.slice(line.value_start, line.value_end)
    }

    /// The name of a line of this message, as it was written.
    #[must_use]
    pub fn name(&self, line: Line) -> &'a [u8] {
        self.slice(line.start, line.name_end)
    }

    /// A line of this message, with its folds and its CRLF.
    #[must_use]
    pub fn whole(&self, line: Line) -> &'a [u8] {
        self.slice(line.start, line.end)
    }

    /// The first line with its CRLF.
    #[must_use]
    pub fn start_line(&self) -> &'a [u8] {
        self.slice(0, self.table.first_line)
    }

    /// Exactly Content-Length bytes, or all that a datagram held after its head.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.slice(self.table.body_start, self.table.body_end)
    }

    /// The message from its first byte to its body's last: what a datagram held more is left out.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.slice(0, self.table.body_end)
    }

    /// Where the header lines start: past the start line.
    pub(crate) fn head_start(&self) -> usize {
        usize::from(self.table.first_line)
    }

    /// Where the header lines end: at the empty line.
    pub(crate) fn head_end(&self) -> usize {
        usize::from(self.table.body_start) - 2
    }

    /// Whether it was salvaged: it can be answered, not forwarded.
    pub(crate) fn is_faulty(&self) -> bool {
        self.table.fault.is_some()
    }

    /// What the Content-Length line says.
    #[must_use]
    pub fn content_length(&self) -> Option<u32> {
        self.table.content_length
    }

    fn slice(&self, start: u16, end: u16) -> &'a [u8] {
        self.bytes.get(usize::from(start)..usize::from(end)).unwrap_or_default()
    }
}

/// Bytes that the parser found to be ASCII.
fn ascii(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}
