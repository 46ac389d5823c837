//! Header values taken apart, when someone asks: Via, addresses, CSeq, parameters and comma lists.
//!
//! Each view borrows the message and was checked whole when it was made; nothing is copied. Folds and blanks are
//! allowed wherever RFC 3261 25.1 allows them.

mod addr;
#[cfg(test)]
mod tests;
mod via;

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr3;

use super::classes::is_blank;
use super::cursor::{Cursor, Param};
use super::table::digits;
use super::uri::UriError;

pub use addr::{Addr, addresses};
pub use via::{MAGIC_COOKIE, Via};

/// What is malformed in a header value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FieldError {
    /// Not `SIP/2.0/transport`.
    #[error("malformed sent-protocol")]
    Protocol,
    /// Not `host` or `host:port`.
    #[error("malformed sent-by")]
    SentBy,
    /// A parameter: without a name, with an empty value, not ended, or one that must be unique and is not.
    #[error("malformed parameter")]
    Param,
    /// A display name with characters that need quotes, or a quote that does not end.
    #[error("malformed display name")]
    DisplayName,
    /// No URI, or one without the angle brackets that its characters need.
    #[error("malformed address")]
    Address,
    /// The URI of an address.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// Not a number and a method.
    #[error("malformed CSeq")]
    CSeq,
    /// Not a number in range.
    #[error("malformed number")]
    Number,
    /// Not a word of the characters its field allows.
    #[error("malformed word")]
    Word,
}

/// The parameters of a checked value, in order: name, and value with the quotes it came with.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Params<'a> {
    /// Reads `;name=value;name` up to the first that is malformed.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self { cursor: Cursor::new(text) }
    }

    /// A parameter by name, in any case: `Some(None)` is one without value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.clone().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.cursor.param().ok().flatten()?;
        Some((str::from_utf8(name).ok()?, value))
    }
}

/// The values of a line that may hold several, without the blanks around them. Commas in quotes and in angle
/// brackets do not part. An empty line has none; an empty place between commas is an empty value.
pub fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    list_ranges(value).map(|range| &value[range])
}

/// Where the values that [`list`] gives lie.
pub(crate) fn list_ranges(value: &[u8]) -> impl Iterator<Item = Range<usize>> + Clone {
    let mut start = if value.iter().all(|byte| is_blank(*byte)) { None } else { Some(0) };
    std::iter::from_fn(move || {
        let first = start?;
        let end = comma(&value[first..]).map(|at| first + at);
        start = end.map(|end| end + 1);
        let element = &value[first..end.unwrap_or(value.len())];
        let before = element.iter().take_while(|byte| is_blank(**byte)).count();
        let after = element[before..].iter().rev().take_while(|byte| is_blank(**byte)).count();
        Some(first + before..first + element.len() - after)
    })
}

/// Where the first value of `text` ends.
fn comma(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr3(b',', b'"', b'<', text.get(at..)?)?;
        at += match text[at] {
            b',' => return Some(at),
            b'"' => Cursor::new(&text[at..]).quoted()?.len(),
            _ => memchr::memchr(b'>', &text[at..])?,
        };
    }
}

/// A quoted string without its quotes and backslashes; anything else as it is.
#[must_use]
pub fn unquote(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(inner) = text.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else {
        return Cow::Borrowed(text);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut bytes = inner.iter();
    Cow::Owned(
        std::iter::from_fn(|| {
            bytes.next().and_then(|byte| if *byte == b'\\' { bytes.next() } else { Some(byte) })
        })
        .copied()
        .collect(),
    )
}

/// RFC 3261 20.16.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CSeq<'a> {
    /// Less than 2^31 (8.1.1.5).
    pub number: u32,
    /// As it is written; case matters.
    pub method: &'a str,
}

impl<'a> CSeq<'a> {
    /// Reads `number method`.
    ///
    /// # Errors
    /// [`FieldError::CSeq`].
    pub fn parse(value: &'a [u8]) -> Result<Self, FieldError> {
        let mut cursor = Cursor::new(value);
        let number = digits(cursor.take_while(|byte| byte.is_ascii_digit())).ok_or(FieldError::CSeq)?;
        if number >= 1 << 31 || !cursor.blanks() {
            return Err(FieldError::CSeq);
        }
        let method = cursor.token().ok_or(FieldError::CSeq)?;
        if cursor.is_done() { Ok(Self { number, method }) } else { Err(FieldError::CSeq) }
    }
}

/// A number of seconds or hops. RFC 3261 20.19: what exceeds 32 bits is the largest.
///
/// # Errors
/// [`FieldError::Number`] if it is not written with digits alone.
pub fn number(value: &[u8]) -> Result<u32, FieldError> {
    match digits(value) {
        Some(number) => Ok(number),
        None if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => Ok(u32::MAX),
        None => Err(FieldError::Number),
    }
}
