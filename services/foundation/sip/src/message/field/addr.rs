//! Addresses: From, To, Contact, Route and their kin (RFC 3261 20.10).

use std::borrow::Cow;

use super::{Cursor, FieldError, Params, digits, is_blank, list, number, unquote};
use crate::message::classes::{TOKEN, is};
use crate::message::uri::Uri;

/// A `name-addr` or an `addr-spec`, with the parameters of the header, not of the URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Addr<'a> {
    display_name: &'a [u8],
    uri: &'a [u8],
    params: &'a [u8],
    tag: Option<&'a str>,
}

impl<'a> Addr<'a> {
    /// Reads one value. The URI is looked into by [`Addr::uri`] only.
    ///
    /// # Errors
    /// What part is malformed.
    #[inline(always)]
    pub fn parse(value: &'a [u8]) -> Result<Self, FieldError> {
        let mut cursor = Cursor::new(value);
        cursor.blanks();
        let display_name = match cursor.peek() {
            Some(b'"') => cursor.quoted().ok_or(FieldError::DisplayName)?,
            _ => Self::unquoted_name(&mut cursor),
        };
        cursor.blanks();
        let uri = if cursor.eat(b'<') {
            let end = memchr::memchr(b'>', cursor.rest()).ok_or(FieldError::Address)?;
            let uri = cursor.take(end);
            cursor.eat(b'>');
            uri
        } else if display_name.is_empty() {
            Self::bare(&mut cursor)?
        } else {
            return Err(FieldError::DisplayName);
        };
        if uri.is_empty() {
            return Err(FieldError::Address);
        }
        let params = cursor.rest();
        let mut tag = None;
        while let Some((name, value)) = cursor.param()? {
            if name.len() == 3 && name.eq_ignore_ascii_case(b"tag") {
                let text = value.and_then(|value| str::from_utf8(value).ok()).ok_or(FieldError::Param)?;
                if tag.replace(text).is_some() {
                    return Err(FieldError::Param);
                }
            }
        }
        Ok(Self { display_name, uri, params, tag })
    }

    /// `*(token LWS)` before a '<'; nothing if this is no display name. Bytes outside of ASCII are let through.
    fn unquoted_name(cursor: &mut Cursor<'a>) -> &'a [u8] {
        let mut ahead = *cursor;
        let name = ahead.take_while(|byte| is(byte, TOKEN) || is_blank(byte) || byte >= 0x80);
        if ahead.peek() != Some(b'<') {
            return b"";
        }
        *cursor = ahead;
        name.trim_ascii_end()
    }

    /// RFC 3261 20: "If the URI contains a comma, question mark or semicolon, the URI MUST be enclosed in angle
    /// brackets"; so a semicolon ends it.
    fn bare(cursor: &mut Cursor<'a>) -> Result<&'a [u8], FieldError> {
        let uri = cursor.take_while(|byte| byte != b';' && !is_blank(byte));
        if uri.iter().any(|byte| matches!(byte, b',' | b'?' | b'<' | b'>' | b'"')) {
            return Err(FieldError::Address);
        }
        Ok(uri)
    }

    /// The display name, without quotes and backslashes; empty if there is none.
    #[must_use]
    pub fn display_name(&self) -> Cow<'a, [u8]> {
        unquote(self.display_name)
    }

    /// What stands in the angle brackets, or before the first parameter.
    #[must_use]
    pub const fn uri_text(&self) -> &'a [u8] {
        self.uri
    }

    /// The URI.
    ///
    /// # Errors
    /// What part of it is malformed.
    pub fn uri(&self) -> Result<Uri<'a>, FieldError> {
        Ok(Uri::parse(self.uri)?)
    }

    /// The header's parameters.
    #[must_use]
    pub const fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// Of From and To (RFC 3261 19.3).
    #[must_use]
    pub const fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// Of a Contact: seconds.
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        number(self.params().get("expires")??).ok()
    }

    /// Of a Contact: the preference in thousandths, 0 to 1000; `None` if it is not written or malformed.
    #[must_use]
    pub fn q(&self) -> Option<u16> {
        let text = self.params().get("q")??;
        let (whole, decimals) = match text.iter().position(|byte| *byte == b'.') {
            Some(dot) => (&text[..dot], &text[dot + 1..]),
            None => (text, [].as_slice()),
        };
        let mut thousandths = [b'0'; 3];
        thousandths.get_mut(..decimals.len())?.copy_from_slice(decimals);
        let sum = digits(whole)?.checked_mul(1000)? + digits(&thousandths)?;
        u16::try_from(sum).ok().filter(|sum| *sum <= 1000)
    }
}

/// Each address of a line that may hold several.
pub fn addresses(value: &[u8]) -> impl Iterator<Item = Result<Addr<'_>, FieldError>> + Clone {
    list(value).map(Addr::parse)
}
