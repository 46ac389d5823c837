//! Via (RFC 3261 20.42, RFC 3581).

use std::net::IpAddr;
use std::ops::Range;

use super::{Cursor, FieldError, Param, Params};
use crate::message::classes::{HOST, span};
use crate::message::table::digits;
use crate::message::uri::host_address;

/// What a branch of RFC 3261 starts with (8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

/// One Via value: where a message went through, and where its response goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Via<'a> {
    /// As it is written; case does not matter.
    pub transport: &'a str,
    /// The sent-by host, an IPv6 reference with its brackets.
    pub host: &'a str,
    /// The sent-by port, if one is written.
    pub port: Option<u16>,
    /// Unset by elements of RFC 2543.
    pub branch: Option<&'a str>,
    /// Where the request came from, if that is not the sent-by (RFC 3261 18.2.1).
    pub received: Option<IpAddr>,
    /// `Some(None)` asks for the source port, `Some(Some(port))` is it (RFC 3581).
    pub rport: Option<Option<u16>>,
    /// Where the response goes instead.
    pub maddr: Option<&'a str>,
    /// Of a multicast.
    pub ttl: Option<u8>,
    params: &'a [u8],
}

impl<'a> Via<'a> {
    /// Reads one value; [`super::list`] finds it in a line of several.
    ///
    /// # Errors
    /// What part is malformed; a parameter that is named here and comes twice is.
    pub fn parse(value: &'a [u8]) -> Result<Self, FieldError> {
        match Self::first(value)? {
            (via, []) => Ok(via),
            _ => Err(FieldError::Param),
        }
    }

    /// Reads the first value of a line; with it comes what follows, from the comma on.
    ///
    /// # Errors
    /// As [`Via::parse`].
    #[inline(always)]
    pub(crate) fn first(line: &'a [u8]) -> Result<(Self, &'a [u8]), FieldError> {
        let mut cursor = Cursor::new(line);
        cursor.blanks();
        let transport = protocol(&mut cursor).ok_or(FieldError::Protocol)?;
        if !cursor.blanks() {
            return Err(FieldError::Protocol);
        }
        let (host, port) = sent_by(&mut cursor)?;
        cursor.blanks();
        let params = cursor.rest();
        let mut via = Self {
            transport,
            host,
            port,
            branch: None,
            received: None,
            rport: None,
            maddr: None,
            ttl: None,
            params,
        };
        while let Some(param) = cursor.param_of_list()? {
            via.keep(param)?;
        }
        via.params = &params[..params.len() - cursor.rest().len()];
        Ok((via, cursor.rest()))
    }

    #[inline(always)]
    fn keep(&mut self, (name, value): Param<'a>) -> Result<(), FieldError> {
        let text = || value.and_then(|value| str::from_utf8(value).ok());
        match name.len() {
            6 if name.eq_ignore_ascii_case(b"branch") => once(&mut self.branch, text()),
            5 if name.eq_ignore_ascii_case(b"rport") => {
                let port = match value {
                    None => None,
                    Some(value) => Some(
                        digits(value).and_then(|port| u16::try_from(port).ok()).ok_or(FieldError::Param)?,
                    ),
                };
                once(&mut self.rport, Some(port))
            }
            8 if name.eq_ignore_ascii_case(b"received") => {
                once(&mut self.received, text().and_then(host_address))
            }
            5 if name.eq_ignore_ascii_case(b"maddr") => once(&mut self.maddr, text()),
            3 if name.eq_ignore_ascii_case(b"ttl") => {
                once(&mut self.ttl, value.and_then(digits).and_then(|ttl| u8::try_from(ttl).ok()))
            }
            _ => Ok(()),
        }
    }

    /// All parameters, as they came.
    #[must_use]
    pub const fn params(&self) -> Params<'a> {
        Params::new(self.params)
    }

    /// Each parameter's name, and where it lies in the value this was read from, its semicolon included.
    pub(crate) fn param_ranges(
        &self,
        value: &[u8],
    ) -> impl Iterator<Item = (&'a [u8], Range<usize>)> + use<'a> {
        let (len, mut cursor) = (value.len(), Cursor::new(self.params));
        std::iter::from_fn(move || {
            cursor.blanks();
            let start = len - cursor.rest().len();
            let (name, _) = cursor.param().ok()??;
            Some((name, start..len - cursor.rest().len()))
        })
    }

    /// Whether the branch names a transaction (17.2.3): the cookie and more. A cookie alone does not (RFC 4475 3.2.1).
    #[must_use]
    pub fn has_transaction_branch(&self) -> bool {
        self.branch
            .is_some_and(|branch| branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE))
    }
}

/// Fills `place` if it is empty, and refuses what is no value or comes twice (RFC 3261 7.3.1).
fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<(), FieldError> {
    if place.is_some() || value.is_none() {
        return Err(FieldError::Param);
    }
    *place = value;
    Ok(())
}

/// `SIP / 2.0 / transport`, of which the transport.
fn protocol<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    if cursor.rest().starts_with(b"SIP/2.0/") {
        cursor.take(8);
        cursor.blanks();
        return cursor.token();
    }
    let name = cursor.token()?;
    let version = if cursor.separator(b'/') { cursor.token()? } else { return None };
    let transport = if cursor.separator(b'/') { cursor.token()? } else { return None };
    (name.eq_ignore_ascii_case("SIP") && version == "2.0").then_some(transport)
}

fn sent_by<'a>(cursor: &mut Cursor<'a>) -> Result<(&'a str, Option<u16>), FieldError> {
    let host = match cursor.peek() {
        // An IPv6 reference has its own colons inside brackets.
        Some(b'[') => cursor.take(memchr::memchr(b']', cursor.rest()).map_or(0, |end| end + 1)),
        _ => cursor.take(span(cursor.rest(), HOST)),
    };
    let host = str::from_utf8(host).map_err(|_| FieldError::SentBy)?;
    if host.is_empty() || host.starts_with('[') && host_address(host).is_none() {
        return Err(FieldError::SentBy);
    }
    let port = if cursor.separator(b':') {
        match digits(cursor.take_while(|byte| byte.is_ascii_digit())) {
            Some(port @ 1..=0xffff) => Some(port as u16),
            _ => return Err(FieldError::SentBy),
        }
    } else {
        None
    };
    match cursor.peek() {
        None | Some(b';' | b',' | b' ' | b'\t' | b'\r' | b'\n') => Ok((host, port)),
        Some(_) => Err(FieldError::SentBy),
    }
}
