//! The one pass that fills a [`Table`].

use crate::message::classes::{TOKEN, is_blank, span};
use crate::message::scan::{colon, line_break};

use super::{
    HEADERS_MAX, Header, LINE_BYTES_MAX, Line, MESSAGE_BYTES_MAX, Message, NO_LINE, ParseError, StartLine,
    Table,
};

const VERSION: &[u8] = b"SIP/2.0";

impl Table {
    /// A table with room for [`HEADERS_MAX`] lines; empty.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            start: StartLine::Unread,
            first_line: 0,
            count: 0,
            lines: [NO_LINE; HEADERS_MAX],
            firsts: [0; Header::COUNT],
            seen: 0,
            repeated: 0,
            body_start: 0,
            body_end: 0,
            content_length: None,
            fault: None,
            whole: false,
        }
    }

    /// Reads one datagram as one message. Bytes past its Content-Length are left out; without a Content-Length
    /// all that follows the head is the body (RFC 3261 18.3).
    ///
    /// # Errors
    /// The first fault. Faults of a line, of the version or of the body leave the rest readable:
    /// [`Table::salvage`] then gives what an answer needs.
    pub fn parse_datagram<'a>(&'a mut self, bytes: &'a [u8]) -> Result<Message<'a>, ParseError> {
        if let Err(fault) = self.parse_head(bytes) {
            if fault == ParseError::HeadUnfinished && bytes.ends_with(b"\r\n") {
                self.end_head(bytes);
                return self.outcome(bytes);
            }
            return Err(fault);
        }
        let held = bytes.len() - usize::from(self.body_start);
        match self.content_length {
            Some(length) if length as usize > held => self.note(ParseError::BodyShort),
            Some(length) => self.body_end = self.body_start + length as u16,
            None => self.body_end = bytes.len() as u16,
        }
        self.outcome(bytes)
    }

    /// Reads the head of a stream's message, and gives the length of the body that follows.
    pub(in crate::message) fn parse_stream_head(&mut self, bytes: &[u8]) -> Result<u32, ParseError> {
        self.parse_head(bytes)?;
        match (self.fault, self.content_length) {
            (Some(fault), _) => Err(fault),
            (None, None) => Err(ParseError::ContentLengthMissing),
            (None, Some(length)) => Ok(length),
        }
    }

    /// The message whose head [`Table::parse_stream_head`] read, now that its body is there.
    pub(in crate::message) fn with_body<'a>(&'a mut self, bytes: &'a [u8]) -> Message<'a> {
        self.body_end = bytes.len() as u16;
        Message { bytes, table: self }
    }

    /// What can be read of a request that [`Table::parse_datagram`] refused: enough of the head for an answer.
    /// `None` for a response, for an ACK (neither is answered, RFC 3261 16.11, 17.1.1.3) and if the head was not read to its end.
    #[must_use]
    pub fn salvage<'a>(&'a self, bytes: &'a [u8]) -> Option<Message<'a>> {
        let message = Message { bytes, table: self };
        match message.start() {
            super::Start::Request { method: "" | "ACK", .. } | super::Start::Response { .. } => None,
            super::Start::Request { .. } => self.whole.then_some(message),
        }
    }

    /// Takes a head whose lines are whole and that lacks but its empty line for one that can be answered.
    fn end_head(&mut self, bytes: &[u8]) {
        self.note(ParseError::HeadUnfinished);
        (self.body_start, self.body_end, self.whole) = (bytes.len() as u16, bytes.len() as u16, true);
    }

    fn outcome<'a>(&'a self, bytes: &'a [u8]) -> Result<Message<'a>, ParseError> {
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(Message { bytes, table: self }),
        }
    }

    fn note(&mut self, fault: ParseError) {
        self.fault.get_or_insert(fault);
    }

    fn parse_head(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        self.start = StartLine::Unread;
        (self.count, self.seen, self.repeated) = (0, 0, 0);
        (self.body_start, self.body_end) = (0, 0);
        (self.content_length, self.fault, self.whole) = (None, None, false);
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(ParseError::MessageTooLarge);
        }
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return Err(ParseError::Empty);
        }
        let mut at = line_end(bytes, 0, Fold::Ends)?;
        self.first_line = at as u16;
        match start_line(&bytes[..at - 2]) {
            Ok(start) => self.start = start,
            Err((start, fault)) => {
                self.start = start;
                self.note(fault);
            }
        }
        while !bytes[at..].starts_with(b"\r\n") {
            at = self.header_line(bytes, at)?;
        }
        self.body_start = at as u16 + 2;
        self.body_end = self.body_start;
        self.whole = true;
        Ok(())
    }

    /// Reads the line that starts at `start`, and gives where the next does.
    fn header_line(&mut self, bytes: &[u8], start: usize) -> Result<usize, ParseError> {
        let end = line_end(bytes, start, Fold::Goes)?;
        let line = &bytes[start..end];
        // RFC 3261 7.3.1: blanks may stand before the colon.
        let colon = colon(line).unwrap_or(0);
        let mut name = &line[..colon];
        while let [rest @ .., b' ' | b'\t'] = name {
            name = rest;
        }
        let header = Header::of_line(line, name.len());
        // What is known by its name is a token.
        if header == Header::Other && (name.is_empty() || span(name, TOKEN) < name.len()) {
            self.note(ParseError::HeaderLine);
            return Ok(end);
        }
        if usize::from(self.count) == HEADERS_MAX {
            return Err(ParseError::TooManyHeaders);
        }
        let (mut value_start, mut value_end) = (start + colon + 1, end - 2);
        while value_start < value_end && is_blank(bytes[value_start]) {
            value_start += 1;
        }
        while value_start < value_end && is_blank(bytes[value_end - 1]) {
            value_end -= 1;
        }
        self.lines[usize::from(self.count)] = Line {
            header,
            start: start as u16,
            name_end: (start + name.len()) as u16,
            value_start: value_start as u16,
            value_end: value_end as u16,
            end: end as u16,
        };
        if self.seen & header.bit() == 0 {
            self.firsts[header as usize] = self.count;
        }
        self.repeated |= self.seen & header.bit();
        self.seen |= header.bit();
        self.count += 1;
        if header == Header::ContentLength {
            self.content_length(&bytes[value_start..value_end]);
        }
        Ok(end)
    }

    fn content_length(&mut self, value: &[u8]) {
        match (digits(value), self.content_length) {
            (None, _) => self.note(ParseError::ContentLength),
            (Some(length), Some(before)) if length != before => self.note(ParseError::ContentLengthConflict),
            (Some(length), _) => self.content_length = Some(length),
        }
    }
}

/// Whether a line goes on when the next starts with a blank (RFC 3261 7.3.1); the start line does not.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    Goes,
    Ends,
}

/// Past the CRLF of the line that starts at `start`.
#[inline(always)]
fn line_end(bytes: &[u8], start: usize, fold: Fold) -> Result<usize, ParseError> {
    let mut at = start;
    loop {
        let found = line_break(bytes, at).ok_or(ParseError::HeadUnfinished)?;
        if found + 2 - start > LINE_BYTES_MAX {
            return Err(ParseError::LineTooLong);
        }
        // Most lines are whole.
        if let Some([b'\r', b'\n', next]) = bytes.get(found..found + 3)
            && !matches!(next, b' ' | b'\t')
        {
            return Ok(found + 2);
        }
        match (bytes[found], bytes.get(found + 1)) {
            (b'\r', Some(b'\n')) => match bytes.get(found + 2) {
                Some(b' ' | b'\t') if fold == Fold::Goes => at = found + 2,
                _ => return Ok(found + 2),
            },
            (b'\r', None) => return Err(ParseError::HeadUnfinished),
            // RFC 3261 25.1: a quoted pair may hold any ASCII character but CR and LF, so NUL too.
            (0, _)
                if bytes[start..found].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1 =>
            {
                at = found + 1;
            }
            (0, _) => return Err(ParseError::Nul),
            _ => return Err(ParseError::BareLineEnd),
        }
    }
}

/// Reads a start line; what is known of one that is at fault comes with the fault.
fn start_line(line: &[u8]) -> Result<StartLine, (StartLine, ParseError)> {
    if line.get(..4).is_some_and(|version| version.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(line).map_err(|fault| (StartLine::Unread, fault));
    }
    let method_end = span(line, TOKEN);
    if method_end == 0 || line.get(method_end) != Some(&b' ') {
        return Err((StartLine::Unread, ParseError::StartLine));
    }
    let method_only = StartLine::Request { method_end: method_end as u16, uri_end: method_end as u16 + 1 };
    let rest = &line[method_end + 1..];
    let uri_len = memchr::memchr(b' ', rest).ok_or((method_only, ParseError::StartLine))?;
    // Without an early end the compiler checks many bytes at once.
    let valid = rest[..uri_len].iter().fold(true, |valid, byte| valid & is_uri_byte(*byte));
    let uri_end = method_end + 1 + uri_len;
    if uri_len == 0 || !valid {
        return Err((method_only, ParseError::StartLine));
    }
    let start = StartLine::Request { method_end: method_end as u16, uri_end: uri_end as u16 };
    let version = &line[uri_end + 1..];
    if version.eq_ignore_ascii_case(VERSION) {
        Ok(start)
    } else if is_version(version) {
        Err((start, ParseError::Version))
    } else {
        Err((method_only, ParseError::StartLine))
    }
}

/// RFC 3261 7.2: `SIP/2.0 SP 3DIGIT SP Reason-Phrase`; the phrase may be empty, its space may not be missing.
fn status_line(line: &[u8]) -> Result<StartLine, ParseError> {
    let version_end = line.iter().position(|byte| *byte == b' ').ok_or(ParseError::StartLine)?;
    if !line[..version_end].eq_ignore_ascii_case(VERSION) {
        return Err(if is_version(&line[..version_end]) {
            ParseError::Version
        } else {
            ParseError::StartLine
        });
    }
    let rest = &line[version_end + 1..];
    let code_end = rest.iter().position(|byte| *byte == b' ').ok_or(ParseError::StartLine)?;
    match (code_end, digits(&rest[..code_end])) {
        (3, Some(status @ 100..=699)) => Ok(StartLine::Response {
            status: status as u16,
            reason_start: (version_end + code_end + 2) as u16,
        }),
        _ => Err(ParseError::Status),
    }
}

/// `SIP/` digits `.` digits.
fn is_version(text: &[u8]) -> bool {
    let Some((name, number)) = text.split_at_checked(4) else { return false };
    let mut parts = number.splitn(2, |byte| *byte == b'.');
    let mut part =
        || parts.next().is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit));
    name.eq_ignore_ascii_case(b"SIP/") && part() && part()
}

/// A number written with digits alone; `None` too if it does not fit.
pub(in crate::message) fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u32, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(u32::from(byte - b'0')),
        _ => None,
    })
}

/// Printable ASCII without what ends or quotes a URI.
#[inline]
const fn is_uri_byte(byte: u8) -> bool {
    (byte > b' ') & (byte < 0x7f) & (byte != b'<') & (byte != b'>') & (byte != b'"')
}
