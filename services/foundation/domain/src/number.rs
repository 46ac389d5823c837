//! Telephone numbers in canonical form: the only form in which numbers are compared.
//!
//! ```text
//! text --parse--> Dialled --canonical--> Number --form::write_uri--> text
//! ```

pub mod canonical;
pub mod form;
pub mod index;
pub mod parse;
pub mod prefixes;

pub use canonical::{Numbering, Origin, canonical};
pub use parse::{Dialled, Refusal, parse};

use std::fmt;

/// An odd multiplier whose bits are in no order (SplitMix64's), and the one that undoes it.
const MIX: u64 = 0xbf58_476d_1ce4_e5b9;
const UNMIX: u64 = inverse(MIX);

/// What an odd multiplier must be multiplied with to give 1 (Newton's method: each step doubles the bits that fit).
const fn inverse(odd: u64) -> u64 {
    let (mut found, mut step) = (odd, 0);
    while step < 5 {
        found = found.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(found)));
        step += 1;
    }
    found
}

/// Packs eight ASCII digits, side by side. None: one of them is no digit.
fn eight(text: [u8; 8]) -> Option<u32> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let digits = u64::from_be_bytes(text) ^ (EACH * 0x30);
    // Above 9 it has its highest bit, or gets it by adding 0x76.
    if (digits | digits.wrapping_add(EACH * 0x76)) & (EACH * 0x80) != 0 {
        return None;
    }
    let nibbles = digits + EACH;
    let pairs = (nibbles | nibbles >> 4) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs | pairs >> 8) & 0x0000_ffff_0000_ffff;
    Some((fours | fours >> 16) as u32)
}

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
        // Eight at a time: every number of every call comes this way. The last eight overlap the first.
        if let (Some(first), Some(last)) = (s.first_chunk(), s.last_chunk()) {
            let rest = u64::from(eight(*last)?) << (4 * (16 - s.len()));
            return Some(Self(u64::from(eight(*first)?) << 32 | u64::from(rest as u32)));
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

    /// The packed form with its bits mixed, each form to one of its own: numbers that are alike lie far apart, as
    /// an [`Index`](index::Index) wants its keys.
    #[must_use]
    pub const fn spread(self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(MIX);
        (mixed ^ mixed >> 32).wrapping_mul(MIX)
    }

    /// From [`Digits::spread`].
    #[must_use]
    pub const fn from_spread(spread: u64) -> Self {
        let mixed = spread.wrapping_mul(UNMIX);
        let packed = (mixed ^ mixed >> 32).wrapping_mul(UNMIX);
        Self(packed ^ packed >> 32)
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
        out.push_str(self.text().as_str());
    }

    /// The digits as text, in ASCII.
    #[must_use]
    pub const fn text(self) -> DigitText {
        let halves = [eight_digits(self.0 >> 32), eight_digits(self.0 & 0xffff_ffff)];
        DigitText { halves, len: self.len() }
    }

    /// The digits as values 0 to 9.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..self.len()).map(move |at| ((self.0 >> (60 - 4 * at)) & 0xf) as u8 - 1)
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

/// Digits as text.
#[derive(Clone, Copy, Debug)]
pub struct DigitText {
    halves: [[u8; 8]; 2],
    len: usize,
}

impl DigitText {
    /// The text: at most 15 ASCII digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.halves.as_flattened().get(..self.len).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Eight packed digits as text, all at once: numbers are written for every call. Places without a digit hold what is
/// none.
const fn eight_digits(packed: u64) -> [u8; 8] {
    let pairs = (packed | packed << 16) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs | pairs << 8) & 0x00ff_00ff_00ff_00ff;
    let digits = (bytes | bytes << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // A packed digit is its value and one.
    (digits + 0x2f2f_2f2f_2f2f_2f2f).to_be_bytes()
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
        let (digits, ext) = match rest.split_once(';') {
            None => (rest, ""),
            Some((digits, ext)) => (digits, ext.strip_prefix("ext=").filter(|ext| !ext.is_empty())?),
        };
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
        let fifteen = *b"123456789012345";
        for len in 1..=15 {
            assert_eq!(Digits::parse(&fifteen[..len]).unwrap().to_string().as_bytes(), &fifteen[..len]);
            for byte in (0..=u8::MAX).filter(|b| !b.is_ascii_digit()) {
                for at in 0..len {
                    let mut text = fifteen;
                    text[at] = byte;
                    assert_eq!(Digits::parse(&text[..len]), None, "{byte} at {at} of {len}");
                }
            }
        }
    }

    #[test]
    fn spread_digits_are_gathered_again_and_lie_far_apart() {
        let mut eighths = [0; 8];
        for n in 0..8_000 {
            let digits = Digits::parse(format!("4930123{n:04}").as_bytes()).unwrap();
            assert_eq!(Digits::from_spread(digits.spread()), digits);
            eighths[(digits.spread() >> 61) as usize] += 1;
        }
        assert!(eighths.iter().all(|n| (900..1_100).contains(n)), "{eighths:?}");
        assert_eq!(Digits::from_spread(Digits::default().spread()), Digits::default());
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
