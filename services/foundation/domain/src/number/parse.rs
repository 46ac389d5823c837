//! What is called, read from what was written: `tel:` (RFC 3966), `sip:`/`sips:` whose user part is a number
//! (RFC 3261 19.1.6), a service urn (RFC 5031), or plain dialled digits.
//!
//! Reading allocates nothing and is total: any text has a [`Dialled`] or a named [`Refusal`]. What was dialled is
//! no number yet: the tenant's dial plan makes it one ([`canonical`](super::canonical())).

use super::{Digits, Number};

/// The most bytes of a text that is read: more than any number with its parameters needs, so that the cost is bounded.
pub const TEXT_BYTES_MAX: usize = 512;

/// What was dialled, not yet rewritten by a dial plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialled<'a> {
    /// A global number, with an extension perhaps: it is canonical already.
    Global(Number),
    /// Digits that mean something only to a dial plan.
    Local(DialString),
    /// What follows `urn:service:`, such as `sos` or `sos.fire`. Case does not matter (RFC 5031 4.2).
    Service(&'a str),
    /// No number: a URI of an endpoint or a host (a contact, a GRUU, a SIP address).
    Address {
        /// The user part as written, escapes and all; none where the URI has none.
        user: Option<&'a str>,
        /// The host as written, without port.
        host: &'a str,
    },
}

impl Dialled<'_> {
    /// The digits, without plus: of what is longer than 15 the first 15. None: it is no number.
    #[must_use]
    pub fn digits(&self) -> Option<Digits> {
        match self {
            Self::Global(number) => Some(number.digits()),
            Self::Local(digits) => Some(digits.head()),
            Self::Service(_) | Self::Address { .. } => None,
        }
    }

    /// Whether it is a call for help: `urn:service:sos` or a service below it (RFC 5031 4.2).
    #[must_use]
    pub fn is_sos(&self) -> bool {
        let Self::Service(name) = self else { return false };
        let (head, rest) = name.split_at_checked(3).unwrap_or((name, ""));
        head.eq_ignore_ascii_case("sos") && (rest.is_empty() || rest.starts_with('.'))
    }
}

/// Why what was called is not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// Nothing was dialled.
    #[error("nothing was dialled")]
    Empty,
    /// More digits, or more text, than the limit.
    #[error("{what} has at most {max} {unit}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// The limit.
        max: usize,
        /// What the limit counts.
        unit: &'static str,
    },
    /// It is no number: it has a character that numbers do not have, or a scheme that calls do not have.
    #[error("{0}")]
    NotANumber(&'static str),
}

const NUMBER_TOO_LONG: Refusal =
    Refusal::TooLong { what: "a number", max: Digits::LEN_MAX, unit: "digits (E.164)" };
const DIALLED_TOO_LONG: Refusal =
    Refusal::TooLong { what: "what is dialled", max: DialString::LEN_MAX, unit: "digits" };

/// 1 to 24 decimal digits as they were dialled, visual separators taken out.
///
/// Longer than a number, for an access code and an international prefix may come before 15 digits.
#[derive(Clone, Copy)]
pub struct DialString {
    digits: [u8; Self::LEN_MAX],
    len: u8,
}

impl DialString {
    /// The most digits.
    pub const LEN_MAX: usize = crate::tenant::DialRule::DIALLED_MAX;

    const EMPTY: Self = Self { digits: [0; Self::LEN_MAX], len: 0 };

    /// The digits as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII digits are ever pushed.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The digits as ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// How many digits.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Never: there is at least one digit in any that [`parse`] gives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first 15 digits, packed.
    #[must_use]
    pub fn head(&self) -> Digits {
        let bytes = self.as_bytes();
        Digits::parse(bytes.get(..Digits::LEN_MAX).unwrap_or(bytes)).unwrap_or_default()
    }

    fn push(&mut self, digit: u8) -> bool {
        let at = usize::from(self.len);
        self.digits.get_mut(at).is_some_and(|slot| {
            *slot = digit;
            self.len += 1;
            true
        })
    }
}

impl PartialEq for DialString {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for DialString {}

impl std::fmt::Debug for DialString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Reads what is called.
///
/// Visual separators `-.()` are skipped in any form, spaces only in plain digits. In a URI `;ext=` counts;
/// `;isub=`, `;phone-context=` and parameters that are not known do not: a local number with a context is still
/// the dial plan's to rewrite, for RFC 3966 5.1.5 does not let a context be put in front of it.
/// A SIP URI with `gr` or `opaque` is a GRUU (RFC 5627) and so an address, whatever its user part looks like.
///
/// # Errors
/// [`Refusal`], when it is neither a number nor an address.
pub fn parse(text: &str) -> Result<Dialled<'_>, Refusal> {
    let text = trimmed(text);
    if text.is_empty() {
        return Err(Refusal::Empty);
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Refusal::TooLong { what: "what is called", max: TEXT_BYTES_MAX, unit: "bytes" });
    }
    if let Some(rest) = scheme(text, "tel:") {
        return subscriber(rest, Spaces::Refused);
    }
    if let Some(rest) = scheme(text, "sip:").or_else(|| scheme(text, "sips:")) {
        return sip(rest);
    }
    if let Some(name) = scheme(text, "urn:service:") {
        let end = name.find([';', '?']).unwrap_or(name.len());
        let name = name.get(..end).unwrap_or_default();
        return if name.is_empty() { Err(Refusal::Empty) } else { Ok(Dialled::Service(name)) };
    }
    subscriber(text, Spaces::Skipped)
}

/// What follows a scheme; schemes ignore case (RFC 3986 3.1).
fn scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Without white space around it; mostly there is none, and then nothing is decoded.
fn trimmed(text: &str) -> &str {
    let graphic = |c: Option<&u8>| c.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if graphic(bytes.first()) && graphic(bytes.last()) { text } else { text.trim() }
}

/// A text before and after the first of some ASCII characters. Short texts: a walk beats a vector search.
fn cut(text: &str, is: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let at = text.bytes().position(is)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn sip(rest: &str) -> Result<Dialled<'_>, Refusal> {
    // A `?` before the `@` belongs to the user part.
    let at = rest.bytes().rposition(|c| c == b'@');
    let user = at.and_then(|at| rest.get(..at));
    let after = at.and_then(|at| rest.get(at + 1..)).unwrap_or(rest);
    // `?headers` never reach anything (RFC 4475 3.1.1.13's lesson).
    let after = cut(after, |c| c == b'?').map_or(after, |(before, _)| before);
    let (hostport, params) = cut(after, |c| c == b';').unwrap_or((after, ""));
    if hostport.is_empty() || hostport.starts_with(':') {
        return Err(Refusal::NotANumber("a sip URI needs a host"));
    }
    let Some(user) = user else { return Ok(Dialled::Address { user: None, host: host(hostport) }) };
    let gruu = param(params, "gr").is_some() || param(params, "opaque").is_some();
    if let Some(number) = plain(user).filter(|_| !gruu) {
        return Ok(number);
    }
    if user.is_empty() || user.contains('@') {
        return Err(Refusal::NotANumber("a sip URI has one user part before its @"));
    }
    let address = Dialled::Address { user: Some(user), host: host(hostport) };
    if gruu {
        return Ok(address);
    }
    let phone = param(params, "user").is_some_and(|v| v.eq_ignore_ascii_case("phone"));
    // A password follows a colon (RFC 3261 25.1); it means nothing to us and is never kept.
    let name = user.split(':').next().unwrap_or_default();
    match subscriber(name, Spaces::Refused) {
        Err(Refusal::NotANumber(_) | Refusal::Empty) if !phone => Ok(address),
        other => other,
    }
}

/// The host without the port.
fn host(hostport: &str) -> &str {
    match hostport.strip_prefix('[').and_then(|h| h.split_once(']')) {
        Some((inside, _)) => hostport.get(..inside.len() + 2).unwrap_or(hostport),
        None => hostport.split(':').next().unwrap_or_default(),
    }
}

/// A parameter's value; empty where it has none. Names ignore case.
fn param<'a>(mut params: &'a str, name: &str) -> Option<&'a str> {
    while !params.is_empty() {
        let (first, rest) = cut(params, |c| c == b';').unwrap_or((params, ""));
        let (key, value) = cut(first, |c| c == b'=').unwrap_or((first, ""));
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        params = rest;
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spaces {
    Skipped,
    Refused,
}

/// Digits with plus or without and nothing else, as most calls have them. None: it needs a closer look.
fn plain(text: &str) -> Option<Dialled<'static>> {
    let bytes = text.as_bytes();
    if let Some(digits) = bytes.strip_prefix(b"+") {
        return Number::global(Digits::parse(digits)?, Digits::default()).map(Dialled::Global);
    }
    if bytes.is_empty() || bytes.len() > DialString::LEN_MAX || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut dialled = DialString { len: bytes.len() as u8, ..DialString::EMPTY };
    dialled.digits.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(Dialled::Local(dialled))
}

/// RFC 3966's telephone-subscriber, with or without escapes.
fn subscriber(text: &str, spaces: Spaces) -> Result<Dialled<'static>, Refusal> {
    if let Some(number) = plain(text) {
        return Ok(number);
    }
    let (number, params) = text.split_once(';').unwrap_or((text, ""));
    let number = number.trim();
    let plus = number.strip_prefix('+').or_else(|| scheme(number, "%2b"));
    let digits = digits(plus.unwrap_or(number), spaces)?;
    let mut ext = Digits::default();
    for p in params.split(';') {
        let Some(value) = scheme(p, "ext=") else { continue };
        if !ext.is_empty() {
            return Err(Refusal::NotANumber("a number has one extension"));
        }
        let found = self::digits(value, spaces)?;
        ext = Digits::parse(found.as_bytes()).ok_or(Refusal::TooLong {
            what: "an extension",
            max: Digits::LEN_MAX,
            unit: "digits",
        })?;
    }
    if plus.is_none() {
        return if ext.is_empty() {
            Ok(Dialled::Local(digits))
        } else {
            Err(Refusal::NotANumber("only a global number (+) has an extension"))
        };
    }
    let digits = Digits::parse(digits.as_bytes()).ok_or(NUMBER_TOO_LONG)?;
    Number::global(digits, ext).map(Dialled::Global).ok_or(Refusal::Empty)
}

fn digits(text: &str, spaces: Spaces) -> Result<DialString, Refusal> {
    let mut out = DialString::EMPTY;
    let mut bytes = text.bytes();
    while let Some(c) = bytes.next() {
        let c = if c == b'%' { unescape(&mut bytes)? } else { c };
        match c {
            b'0'..=b'9' if out.push(c) => {}
            b'0'..=b'9' => return Err(DIALLED_TOO_LONG),
            b'-' | b'.' | b'(' | b')' => {}
            b' ' if spaces == Spaces::Skipped => {}
            _ => return Err(Refusal::NotANumber("a number has digits, with + before them or nothing")),
        }
    }
    if out.is_empty() { Err(Refusal::Empty) } else { Ok(out) }
}

fn unescape(bytes: &mut std::str::Bytes<'_>) -> Result<u8, Refusal> {
    let mut nibble = || bytes.next().and_then(|c| char::from(c).to_digit(16));
    match (nibble(), nibble()) {
        (Some(high), Some(low)) => Ok((high << 4 | low) as u8),
        _ => Err(Refusal::NotANumber("a % is followed by two hexadecimal digits")),
    }
}

#[cfg(test)]
mod tests;
