//! Steps through a header value. Blanks include the CRLF of a fold, which the table has checked.

use memchr::memchr2;

use super::classes::{TOKEN, VALUE, is_blank, span};
use super::field::FieldError;

#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }

    #[inline]
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    pub(super) const fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Steps over blanks, and says whether there were any.
    #[inline]
    pub(super) fn blanks(&mut self) -> bool {
        let before = self.rest.len();
        while let [first, rest @ ..] = self.rest
            && is_blank(*first)
        {
            self.rest = rest;
        }
        self.rest.len() < before
    }

    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// A separator with blanks allowed around it: SLASH, COLON, SEMI, EQUAL of RFC 3261 25.1.
    #[inline]
    pub(super) fn separator(&mut self, byte: u8) -> bool {
        let mut ahead = *self;
        // Most have no blanks before them.
        let found = ahead.eat(byte) || (ahead.blanks() && ahead.eat(byte));
        if found {
            ahead.blanks();
            *self = ahead;
        }
        found
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    #[inline]
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().position(|byte| !wanted(*byte)).unwrap_or(self.rest.len());
        self.take(len)
    }

    /// A token, not empty.
    #[inline]
    pub(super) fn token(&mut self) -> Option<&'a str> {
        str::from_utf8(self.token_bytes()?).ok()
    }

    fn token_bytes(&mut self) -> Option<&'a [u8]> {
        let taken = self.take(span(self.rest, TOKEN));
        if taken.is_empty() { None } else { Some(taken) }
    }

    /// A quoted string with its quotes; nothing if there is none, or if it does not end.
    #[inline]
    pub(super) fn quoted(&mut self) -> Option<&'a [u8]> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let mut at = 1;
        loop {
            at += memchr2(b'"', b'\\', self.rest.get(at..)?)?;
            if self.rest[at] == b'"' {
                return Some(self.take(at + 1));
            }
            at += 2;
        }
    }

    /// The next `;name` or `;name=value`; `None` at the end.
    #[inline(always)]
    pub(super) fn param(&mut self) -> Result<Option<Param<'a>>, FieldError> {
        match self.param_of_list()? {
            None if !self.is_done() => Err(FieldError::Param),
            param => Ok(param),
        }
    }

    /// The next `;name` or `;name=value`; `None` at the end, and at the comma before the next value of a list.
    #[inline(always)]
    pub(super) fn param_of_list(&mut self) -> Result<Option<Param<'a>>, FieldError> {
        if !self.separator(b';') {
            self.blanks();
            return if matches!(self.peek(), None | Some(b',')) { Ok(None) } else { Err(FieldError::Param) };
        }
        let name = self.token_bytes().ok_or(FieldError::Param)?;
        if !self.separator(b'=') {
            return Ok(Some((name, None)));
        }
        let value = match self.peek() {
            Some(b'"') => self.quoted().ok_or(FieldError::Param)?,
            _ => self.take(span(self.rest, VALUE)),
        };
        if value.is_empty() { Err(FieldError::Param) } else { Ok(Some((name, Some(value)))) }
    }
}

/// Name, which is a token, and value; a quoted value has its quotes.
pub(super) type Param<'a> = (&'a [u8], Option<&'a [u8]>);
