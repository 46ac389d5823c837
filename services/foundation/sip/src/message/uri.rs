//! URIs: `sip`, `sips` and `tel` taken apart, others told apart by their scheme.
//!
//! A [`Uri`] borrows the message. Parsing checks every character (RFC 3261 25.1, RFC 3966 3), so that what is
//! later compared, hashed or resolved holds no blank, quote or half an escape. One lenience: a host may hold
//! `_`, which names in private networks do.

mod compare;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::classes::{HEADER, HOST, PARAM, PASSWORD, USER, span};
use super::scan::colon;
use super::table::digits;

/// Which rules a URI is read by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Scheme {
    /// RFC 3261 19.1.
    Sip,
    /// RFC 3261 19.1, over TLS to the last hop.
    Sips,
    /// RFC 3966.
    Tel,
    /// Any other; only its text is known.
    Other,
}

/// Which part of a URI is malformed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UriError {
    /// No scheme and colon.
    #[error("malformed URI scheme")]
    Scheme,
    /// The user or the password, or the number of a `tel` URI.
    #[error("malformed URI user")]
    User,
    /// The host, or an IPv6 reference.
    #[error("malformed URI host")]
    Host,
    /// The port: 1 to 65535.
    #[error("malformed URI port")]
    Port,
    /// A parameter.
    #[error("malformed URI parameter")]
    Params,
    /// A header after '?'.
    #[error("malformed URI header")]
    Headers,
}

/// A URI, its parts as they came: escapes are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uri<'a> {
    text: &'a str,
    /// The scheme's kind.
    pub scheme: Scheme,
    /// The user; of a `tel` URI the number.
    pub user: Option<&'a str>,
    /// The password, which RFC 3261 19.1.1 advises against.
    pub password: Option<&'a str>,
    /// The host, an IPv6 reference with its brackets; empty unless `sip` or `sips`.
    pub host: &'a str,
    /// The port, if one is written: none is not the same as 5060 (RFC 3261 19.1.4).
    pub port: Option<u16>,
    params: &'a str,
    headers: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a whole URI, without angle brackets.
    ///
    /// # Errors
    /// The first part that is malformed.
    pub fn parse(text: &'a [u8]) -> Result<Self, UriError> {
        let text = str::from_utf8(text).map_err(|_| UriError::User)?;
        let colon = colon(text.as_bytes()).ok_or(UriError::Scheme)?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        let scheme = match scheme.len() {
            3 if scheme.eq_ignore_ascii_case("sip") => Scheme::Sip,
            4 if scheme.eq_ignore_ascii_case("sips") => Scheme::Sips,
            3 if scheme.eq_ignore_ascii_case("tel") => Scheme::Tel,
            _ if is_scheme(scheme) => Scheme::Other,
            _ => return Err(UriError::Scheme),
        };
        let blank =
            Uri { text, scheme, user: None, password: None, host: "", port: None, params: "", headers: "" };
        match scheme {
            Scheme::Sip | Scheme::Sips => blank.sip(rest),
            Scheme::Tel => blank.tel(rest),
            Scheme::Other if !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Ok(blank)
            }
            Scheme::Other => Err(UriError::Host),
        }
    }

    fn sip(mut self, rest: &'a str) -> Result<Self, UriError> {
        let rest = self.take_user(rest)?;
        let rest = self.take_host(rest)?;
        let rest = self.take_params(rest)?;
        self.take_headers(rest)?;
        Ok(self)
    }

    /// Takes what stands before an '@', and gives what follows.
    fn take_user(&mut self, rest: &'a str) -> Result<&'a str, UriError> {
        // '@' stands nowhere else unescaped; ';' and '?' may stand in a user, so it is looked for first.
        let end = run(rest, USER);
        if end > 0 && rest.as_bytes().get(end) == Some(&b'@') {
            self.user = Some(&rest[..end]);
            return Ok(&rest[end + 1..]);
        }
        let Some((user_info, rest)) = split(rest, b'@') else { return Ok(rest) };
        let (user, password) = match split(user_info, b':') {
            Some((user, password)) => (user, Some(password)),
            None => (user_info, None),
        };
        if user.is_empty() || !holds(user, USER) || !password.is_none_or(|word| holds(word, PASSWORD)) {
            return Err(UriError::User);
        }
        (self.user, self.password) = (Some(user), password);
        Ok(rest)
    }

    /// Takes `host [":" port]`, and gives what follows.
    fn take_host(&mut self, rest: &'a str) -> Result<&'a str, UriError> {
        let end = if rest.starts_with('[') {
            rest.find(']').ok_or(UriError::Host)? + 1
        } else {
            span(rest.as_bytes(), HOST)
        };
        let (host, rest) = rest.split_at(end);
        if host.is_empty() || host.starts_with('[') && host_address(host).is_none() {
            return Err(UriError::Host);
        }
        self.host = host;
        let Some(port) = rest.strip_prefix(':') else {
            return if ends_host(rest) { Ok(rest) } else { Err(UriError::Host) };
        };
        let end = port.bytes().take_while(u8::is_ascii_digit).count();
        let (port, rest) = port.split_at(end);
        match digits(port.as_bytes()) {
            Some(port @ 1..=0xffff) if ends_host(rest) => self.port = Some(port as u16),
            _ => return Err(UriError::Port),
        }
        Ok(rest)
    }

    /// Takes `;name=value;name`, and gives what follows: nothing, or headers. Each parameter comes once (RFC 3261 19.1.1:
    /// it "MUST NOT appear more than once").
    fn take_params(&mut self, rest: &'a str) -> Result<&'a str, UriError> {
        let Some(params) = rest.strip_prefix(';') else { return Ok(rest) };
        let mut start = 0;
        for nth in 0..PAIRS_MAX {
            let name = &params[start..][..run(&params[start..], PARAM)];
            let mut end = start + name.len();
            if params[end..].starts_with('=') {
                let value = run(&params[end + 1..], PARAM);
                end += if value > 0 { 1 + value } else { 0 };
            }
            let mut before = Pairs::new(&params[..start], b';').take(nth);
            if name.is_empty() || before.any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(UriError::Params);
            }
            match params.as_bytes().get(end) {
                Some(b';') => start = end + 1,
                None | Some(b'?') => {
                    self.params = &params[..end];
                    return Ok(&params[end..]);
                }
                Some(_) => return Err(UriError::Params),
            }
        }
        Err(UriError::Params)
    }

    fn take_headers(&mut self, rest: &'a str) -> Result<(), UriError> {
        let Some(headers) = rest.strip_prefix('?') else { return Ok(()) };
        self.headers = headers;
        let fits = |(name, value): (&str, Option<&str>)| {
            !name.is_empty() && holds(name, HEADER) && value.is_some_and(|value| holds(value, HEADER))
        };
        let all = !headers.is_empty() && self.headers().count() <= PAIRS_MAX && self.headers().all(fits);
        if all { Ok(()) } else { Err(UriError::Headers) }
    }

    fn tel(mut self, rest: &'a str) -> Result<Self, UriError> {
        let end = memchr::memchr(b';', rest.as_bytes()).unwrap_or(rest.len());
        let (number, params) = rest.split_at(end);
        let digit = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'*' | b'#');
        let subscriber = number.strip_prefix('+').unwrap_or(number);
        let separated = |byte: u8| digit(byte) || matches!(byte, b'-' | b'.' | b'(' | b')');
        if !subscriber.bytes().any(digit) || !subscriber.bytes().all(separated) {
            return Err(UriError::User);
        }
        self.user = Some(number);
        // A number has no headers.
        if self.take_params(params)?.is_empty() { Ok(self) } else { Err(UriError::Params) }
    }

    /// As it came.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.text
    }

    /// Name and value of each parameter, escapes kept.
    pub fn params(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + Clone + use<'a> {
        Pairs::new(self.params, b';')
    }

    /// A parameter by name: `Some(None)` is one without value, as `lr`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Option<&'a str>> {
        self.params().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Name and value of each header after '?', escapes kept: they never become header fields of a message.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + Clone + use<'a> {
        Pairs::new(self.headers, b'&')
    }

    /// Whether anything follows a '?'.
    #[must_use]
    pub const fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// The host if it is an address, not a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        host_address(self.host)
    }

    /// The user with its escapes undone; `None` if there is none or if it is not printable then.
    #[must_use]
    pub fn user_text(&self) -> Option<Cow<'a, str>> {
        unescape(self.user?)
    }
}

/// The address that a host is, with the brackets of an IPv6 reference or without.
#[must_use]
pub fn host_address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[') {
        Some(open) => open.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None if host.contains(':') => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        None => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
    }
}

/// What lies before the first `at` and what lies behind it. `at` is ASCII.
#[inline]
fn split(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = memchr::memchr(at, text.as_bytes())?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Names and values: `name=value;name`, with another separator for headers.
#[derive(Clone, Debug)]
struct Pairs<'a> {
    rest: Option<&'a str>,
    separator: u8,
}

impl<'a> Pairs<'a> {
    fn new(text: &'a str, separator: u8) -> Self {
        // An empty text has no pair.
        Self { rest: Some(text).filter(|text| !text.is_empty()), separator }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a str, Option<&'a str>);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest?;
        let (pair, after) = match split(rest, self.separator) {
            Some((pair, after)) => (pair, Some(after)),
            None => (rest, None),
        };
        self.rest = after;
        Some(match split(pair, b'=') {
            Some((name, value)) => (name, Some(value)),
            None => (pair, None),
        })
    }
}

/// The most parameters of a URI, and the most headers: comparing looks for each of one among those of the other.
const PAIRS_MAX: usize = 64;

/// Whether a host, or its port, ends here.
fn ends_host(rest: &str) -> bool {
    matches!(rest.as_bytes(), [] | [b';' | b'?', ..])
}

/// How much of a text may stand in `part`: its characters, and each '%' with two hexadecimal digits.
fn run(text: &str, part: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += span(&bytes[at..], part);
        match bytes[at..] {
            [b'%', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => at += 3,
            _ => return at,
        }
    }
}

/// Whether a text may stand in `part`.
fn holds(text: &str, part: u8) -> bool {
    run(text, part) == text.len()
}

/// Undoes `%HEXHEX`. `None` if that leaves a control character, so that no escape can end a line, or no UTF-8.
#[must_use]
pub fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = compare::unescaped(text).map(|(byte, _)| byte).collect::<Vec<u8>>();
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(Cow::Owned(text))
}
