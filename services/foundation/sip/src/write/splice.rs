//! A received message with edits.

use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;
use std::ops::Range;

use smallvec::SmallVec;

use super::{WriteError, breaks_line, via};
use crate::message::{Header, Line, MESSAGE_BYTES_MAX, Message, Start, list_ranges};

/// Bytes `at` of the message give way to bytes `text` of the splice's own.
#[derive(Clone, Debug)]
struct Edit {
    at: Range<usize>,
    text: Range<usize>,
}

/// Collects edits, then writes. Edits at one place stand in the order they were made; each value or line is edited at
/// most once.
#[derive(Clone, Debug)]
pub struct Splice<'a> {
    message: Message<'a>,
    edits: SmallVec<[Edit; 16]>,
    text: SmallVec<[u8; 512]>,
    body: Option<&'a [u8]>,
    fault: Option<WriteError>,
}

impl<'a> Splice<'a> {
    /// A copy without edits. A message that [`Table::salvage`](crate::message::Table::salvage) gave is not written.
    #[must_use]
    pub fn new(message: Message<'a>) -> Self {
        let fault = message.is_faulty().then_some(WriteError::Faulty);
        Self { message, edits: SmallVec::new(), text: SmallVec::new(), body: None, fault }
    }

    /// Replaces the Request-URI.
    pub fn request_uri(&mut self, uri: impl Display) -> &mut Self {
        match self.message.start() {
            Start::Request { method, uri: old } => {
                let start = method.len() + 1;
                self.edit(start..start + old.len(), |text| write!(text, "{uri}"));
            }
            Start::Response { .. } => self.fail(WriteError::NoSuchValue),
        }
        self
    }

    /// Inserts a line before the first of its header; without one, before all others.
    pub fn prepend(&mut self, header: Header, value: impl Display) -> &mut Self {
        let at = self.message.line(header).map_or(self.message.head_start(), |line| usize::from(line.start));
        self.insert(at, header.name(), &value)
    }

    /// Appends a line to the head.
    pub fn append(&mut self, header: Header, value: impl Display) -> &mut Self {
        self.insert(self.message.head_end(), header.name(), &value)
    }

    /// Appends a line with a name of its own to the head.
    pub fn append_named(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.insert(self.message.head_end(), name, &value)
    }

    /// Replaces the value of the header's first line, or appends the line if there is none.
    pub fn set(&mut self, header: Header, value: impl Display) -> &mut Self {
        match self.message.line(header) {
            Some(line) => self.edit(value_range(line), |text| write!(text, "{value}")),
            None => return self.append(header, value),
        }
        self
    }

    /// Replaces the header's `nth` value, counted from 0 over lines and commas.
    pub fn replace(&mut self, header: Header, nth: usize, value: impl Display) -> &mut Self {
        match self.values(header).nth(nth) {
            Some(at) => self.edit(at, |text| write!(text, "{value}")),
            None => self.fail(WriteError::NoSuchValue),
        }
        self
    }

    /// Removes the header's `nth` value, counted as [`Splice::replace`] does, with its line if it is the only one.
    pub fn remove(&mut self, header: Header, nth: usize) -> &mut Self {
        self.retain(header, |at, _| at != nth)
    }

    /// Removes the header's first value, with its line if it is the only one there.
    pub fn remove_first(&mut self, header: Header) -> &mut Self {
        if let Some(line) = self.message.line(header) {
            let mut values = ranges(&self.message, line);
            let at = match (values.next(), values.next()) {
                (Some(first), Some(second)) => first.start..second.start,
                _ => usize::from(line.start)..usize::from(line.end),
            };
            self.edit_copied(at, b"");
        }
        self
    }

    /// Keeps the values of a header that `wanted` wants, by their place and bytes. A line that keeps none goes.
    /// Once for each header: two calls do not know of each other.
    pub fn retain(&mut self, header: Header, mut wanted: impl FnMut(usize, &'a [u8]) -> bool) -> &mut Self {
        let mut nth = 0;
        for line in self.message.lines().iter().filter(|line| line.header == header) {
            let values: SmallVec<[Range<usize>; 8]> = ranges(&self.message, line).collect();
            let keeps: SmallVec<[bool; 8]> = values
                .iter()
                .map(|range| {
                    nth += 1;
                    wanted(nth - 1, &self.message.bytes()[range.clone()])
                })
                .collect();
            self.drop_values(line, &values, &keeps);
        }
        self
    }

    fn drop_values(&mut self, line: &Line, values: &[Range<usize>], keeps: &[bool]) {
        let Some(first_kept) = keeps.iter().position(|keep| *keep) else {
            if !values.is_empty() {
                self.edit(usize::from(line.start)..usize::from(line.end), |_| Ok(()));
            }
            return;
        };
        if first_kept > 0 {
            self.edit(values[0].start..values[first_kept].start, |_| Ok(()));
        }
        for at in first_kept + 1..values.len() {
            if !keeps[at] {
                self.edit(values[at - 1].end..values[at].end, |_| Ok(()));
            }
        }
    }

    /// Removes the lines that `gone` names by header and by name as it came. None of them may be edited otherwise.
    pub fn drop_lines(&mut self, mut gone: impl FnMut(Header, &'a [u8]) -> bool) -> &mut Self {
        for line in self.message.lines() {
            if gone(line.header, self.message.name(*line)) {
                self.edit(usize::from(line.start)..usize::from(line.end), |_| Ok(()));
            }
        }
        self
    }

    /// Appends a whole line, `Name: value` without its end, to the head.
    pub fn append_line(&mut self, line: &str) -> &mut Self {
        let start = self.text.len();
        self.text.extend_from_slice(line.as_bytes());
        self.insert_text(self.message.head_end(), start, true)
    }

    /// Appends a line of a received message, with its folds and its end, to the head.
    pub(crate) fn append_copied(&mut self, line: &[u8]) -> &mut Self {
        let at = self.message.head_end();
        self.edit_copied(at..at, line);
        self
    }

    /// Marks the topmost Via with where the request came from (RFC 3261 18.2.1, RFC 3581).
    pub fn stamp_via(&mut self, source: SocketAddr) -> &mut Self {
        let Some(at) = self.values(Header::Via).next() else {
            self.fail(WriteError::Missing(Header::Via));
            return self;
        };
        let start = self.text.len();
        // Received bytes: a fold in them is whole.
        match via::stamp(&self.message.bytes()[at.clone()], source, &mut self.text) {
            Ok(()) => self.edits.push(Edit { at, text: start..self.text.len() }),
            Err(_) => self.fail(WriteError::NoSuchValue),
        }
        self
    }

    /// Adds a Content-Length if there is none: on a stream it must be there (RFC 3261 18.3).
    pub fn ensure_content_length(&mut self) -> &mut Self {
        match self.message.content_length() {
            Some(_) => self,
            None => self.append(Header::ContentLength, self.message.body().len()),
        }
    }

    /// Replaces the body, and Content-Length with it; Content-Type is the caller's.
    pub fn body(&mut self, body: &'a [u8]) -> &mut Self {
        self.body = Some(body);
        self.retain(Header::ContentLength, |nth, _| nth == 0).set(Header::ContentLength, body.len())
    }

    /// Writes the message after what `out` holds.
    ///
    /// # Errors
    /// The first fault of an edit, or that the message grew too large; `out` is then as it was.
    pub fn write(&mut self, out: &mut Vec<u8>) -> Result<(), WriteError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let head_end = self.message.head_end() + 2;
        let body = self.body.unwrap_or(self.message.body());
        let bytes = self.message.bytes();
        let start = out.len();
        out.reserve(bytes.len() + self.text.len() + self.body.map_or(0, <[u8]>::len));
        // An insertion stands before what is replaced at the same place; the sort keeps the order of equals.
        self.edits.sort_by_key(|edit| (edit.at.start, !edit.at.is_empty()));
        let mut copied = 0;
        for edit in &self.edits {
            out.extend_from_slice(bytes.get(copied..edit.at.start).unwrap_or_default());
            out.extend_from_slice(&self.text[edit.text.clone()]);
            copied = copied.max(edit.at.end);
        }
        out.extend_from_slice(&bytes[copied..head_end]);
        out.extend_from_slice(body);
        if out.len() - start > MESSAGE_BYTES_MAX {
            out.truncate(start);
            return Err(WriteError::TooLarge);
        }
        Ok(())
    }

    /// Where a header's values lie, over lines and commas.
    fn values(&self, header: Header) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let message = self.message;
        message
            .lines()
            .iter()
            .filter(move |line| line.header == header)
            .flat_map(move |line| ranges(&message, line))
    }

    fn insert(&mut self, at: usize, name: &str, value: &dyn Display) -> &mut Self {
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b": ");
        let written = write!(self.text, "{value}");
        self.insert_text(at, start, written.is_ok())
    }

    /// Inserts what was written behind `start`, as a line.
    fn insert_text(&mut self, at: usize, start: usize, written: bool) -> &mut Self {
        self.check(start, written);
        self.text.extend_from_slice(b"\r\n");
        self.edits.push(Edit { at: at..at, text: start..self.text.len() });
        self
    }

    fn edit(
        &mut self,
        at: Range<usize>,
        write: impl FnOnce(&mut SmallVec<[u8; 512]>) -> std::io::Result<()>,
    ) {
        let start = self.text.len();
        let written = write(&mut self.text);
        self.check(start, written.is_ok());
        self.edits.push(Edit { at, text: start..self.text.len() });
    }

    fn edit_copied(&mut self, at: Range<usize>, bytes: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        self.edits.push(Edit { at, text: start..self.text.len() });
    }

    fn check(&mut self, start: usize, written: bool) {
        if !written || breaks_line(&self.text[start..]) {
            self.fail(WriteError::LineBreak);
        }
    }

    fn fail(&mut self, fault: WriteError) {
        self.fault.get_or_insert(fault);
    }
}

fn value_range(line: &Line) -> Range<usize> {
    usize::from(line.value_start)..usize::from(line.value_end)
}

/// The values of one line: at commas if its header is a list.
fn ranges<'a>(message: &Message<'a>, line: &Line) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let whole = value_range(line);
    let start = whole.start;
    let listed = line.header.is_list();
    let parts = listed.then(|| list_ranges(message.value(*line)));
    let single = if listed { None } else { Some(whole) };
    parts.into_iter().flatten().map(move |part| start + part.start..start + part.end).chain(single)
}
