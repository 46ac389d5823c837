//! Telephone numbers in canonical form: the only form in which numbers are compared.
//!
//! ```text
//! text --parse--> Dialled --canonical--> Number --form::write_uri--> text
//! ```

pub mod canonical;
pub mod form;
pub mod index;
pub mod parse;

pub use canonical::{Numbering, Origin, canonical};
pub use parse::{Dialled, Refusal, parse};

use std::fmt;

/// Up to 15 decimal digits, packed so that the order of the integers is the order of the digit strings.
///
/// Each digit is one nibble holding digit + 1, the first digit in the highest nibble; a nibble of 0 ends it.
/// The lowest nibble is always 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digits(u64);

impl Digits {
    /// The most digits: E.164's 15.
    pub const LEN_MAX: usize = 15;

    /// Packs ASCII digits.
    ///
    /// Returns none if there are more than 15, or something else than a digit.
    #[must_use]
    pub fn parse(s: &[u8]) -> Option<Self> {
        if s.len() > Self::LEN_MAX {
            return None;
        }
        let mut packed = 0_u64;
        for (at, c) in s.iter().enumerate() {
            let digit = c.checked_sub(b'0').filter(|d| *d < 10)?;
            packed |= u64::from(digit + 1) << (60 - 4 * at);
        }
        Some(Self(packed))
    }

    /// How many digits.
    #[must_use]
    pub const fn len(self) -> usize {
        if self.0 == 0 { 0 } else { 16 - (self.0.trailing_zeros() / 4) as usize }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The packed form.
    #[must_use]
    pub const fn packed(self) -> u64 {
        self.0
    }

    /// From the packed form, which the caller got from [`Digits::packed`].
    #[must_use]
    pub const fn from_packed(packed: u64) -> Self {
        Self(packed)
    }

    /// The first `n` digits, or all if there are fewer.
    #[must_use]
    pub const fn prefix(self, n: usize) -> Self {
        if n == 0 {
            return Self(0);
        }
        if n >= 16 { self } else { Self(self.0 & (u64::MAX << (64 - 4 * n))) }
    }

    /// Whether it starts with these digits.
    #[must_use]
    pub const fn starts_with(self, prefix: Self) -> bool {
        self.prefix(prefix.len()).0 == prefix.0
    }

    /// These digits and then the others; none if that is more than 15.
    #[must_use]
    pub const fn then(self, rest: Self) -> Option<Self> {
        let len = self.len();
        if rest.0 == 0 {
            return Some(self);
        }
        if len + rest.len() > Self::LEN_MAX { None } else { Some(Self(self.0 | (rest.0 >> (4 * len)))) }
    }

    /// The digits without the first `n`; empty if there are no more.
    #[must_use]
    pub const fn skip(self, n: usize) -> Self {
        if n >= 16 { Self(0) } else { Self(self.0 << (4 * n)) }
    }

    /// Appends the digits as text: without the formatting machinery, for numbers are written for every call.
    pub(crate) fn push_to(self, out: &mut String) {
        self.iter().for_each(|digit| out.push(char::from(b'0' + digit)));
    }

    /// The digits as values 0 to 9.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..self.len()).map(move |at| ((self.0 >> (60 - 4 * at)) & 0xf) as u8 - 1)
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One write, not one a digit: numbers are written for every call.
        let mut text = [b'0'; Self::LEN_MAX];
        let len = self.len();
        for (place, digit) in text.iter_mut().zip(self.iter()) {
            *place += digit;
        }
        f.write_str(std::str::from_utf8(&text[..len]).unwrap_or_default())
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A number in canonical form: a global number with an optional extension, or a number that has meaning only
/// inside its tenant (an extension).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    global: bool,
    digits: Digits,
    ext: Digits,
}

impl Number {
    /// A global number (`+4930123456`), at least one digit.
    #[must_use]
    pub fn global(digits: Digits, ext: Digits) -> Option<Self> {
        (!digits.is_empty()).then_some(Self { global: true, digits, ext })
    }

    /// A number of the tenant's own (`3456`), at least one digit.
    #[must_use]
    pub fn local(digits: Digits) -> Option<Self> {
        (!digits.is_empty()).then_some(Self { global: false, digits, ext: Digits::default() })
    }

    /// Reads canonical form: `+4930123456`, `+4930123456;ext=12` or `3456`.
    #[must_use]
    pub fn parse_canonical(s: &str) -> Option<Self> {
        let Some(rest) = s.strip_prefix('+') else {
            return Self::local(Digits::parse(s.as_bytes())?);
        };
        let (digits, ext) = rest.split_once(";ext=").unwrap_or((rest, ""));
        if ext.is_empty() && rest.contains(';') {
            return None;
        }
        Self::global(Digits::parse(digits.as_bytes())?, Digits::parse(ext.as_bytes())?)
    }

    /// Appends the canonical form.
    pub(crate) fn push_to(self, out: &mut String) {
        if self.global {
            out.push('+');
        }
        self.digits.push_to(out);
        if !self.ext.is_empty() {
            out.push_str(";ext=");
            self.ext.push_to(out);
        }
    }

    /// Whether it is a global number.
    #[must_use]
    pub const fn is_global(self) -> bool {
        self.global
    }

    /// Its digits, without extension.
    #[must_use]
    pub const fn digits(self) -> Digits {
        self.digits
    }

    /// Its extension; empty where there is none.
    #[must_use]
    pub const fn ext(self) -> Digits {
        self.ext
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.global {
            f.write_str("+")?;
        }
        write!(f, "{}", self.digits)?;
        if self.ext.is_empty() { Ok(()) } else { write!(f, ";ext={}", self.ext) }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_pack_in_the_order_of_their_strings() {
        let mut strings = ["1", "10", "100", "19", "2", "49301234567890", "493012345678901", "0", "00"];
        let mut packed: Vec<Digits> = strings.iter().filter_map(|s| Digits::parse(s.as_bytes())).collect();
        strings.sort_unstable();
        packed.sort_unstable();
        assert_eq!(packed.iter().map(ToString::to_string).collect::<Vec<_>>(), strings);
        for (s, d) in strings.iter().zip(&packed) {
            assert_eq!(d.len(), s.len());
        }
        assert_eq!(Digits::parse(b"1234567890123456"), None);
        assert_eq!(Digits::parse(b"12a"), None);
    }

    #[test]
    fn a_prefix_is_found_whatever_its_length() {
        let whole = Digits::parse(b"493012345678901").unwrap();
        for n in 0..=15 {
            assert!(whole.starts_with(whole.prefix(n)), "{n}");
            assert_eq!(whole.prefix(n).len(), n);
        }
        assert!(!Digits::parse(b"12").unwrap().starts_with(Digits::parse(b"123").unwrap()));
    }

    #[test]
    fn canonical_form_survives_its_own_print() {
        for s in ["+4930123456", "+4930123456;ext=12", "3456"] {
            assert_eq!(Number::parse_canonical(s).unwrap().to_string(), s);
        }
        for s in ["", "+", "+49 30", "+49;isub=1", "sip:1@b", "12;ext=1"] {
            assert_eq!(Number::parse_canonical(s), None, "{s:?}");
        }
    }
}
