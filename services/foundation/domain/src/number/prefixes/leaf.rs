//! A leaf: up to 120 starts of numbers and their values, packed.
//!
//! ```text
//! upper halves, 4 bytes each, in order   lower halves, 0, 1, 2 or 4 bytes each   values, 1, 2 or 4 bytes each
//! ```
//!
//! Starts lose the digits that all of them share and the zeros that all of them end with; what is left is mostly
//! an upper half alone, so that a start costs 6 to 9 bytes.
//!
//! A search walks all upper halves: their lines of memory are fetched at once, where each step of a binary search
//! would wait for the one before.

use crate::number::Digits;

/// The most starts of a leaf. More make reading slower, fewer make more overhead.
pub(super) const STARTS_MAX: usize = 120;

/// The packed starts. At least one is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Leaf {
    /// The start that it begins with, packed.
    first: u64,
    len: u8,
    /// Bits that all starts begin with.
    shared: u8,
    /// Bytes of a lower half.
    lower: u8,
    /// Bytes of a value.
    value: u8,
    bytes: Box<[u8]>,
}

/// The fewest of 1, 2 or 4 bytes that hold `value`.
const fn bytes_of(value: u32) -> u8 {
    match value {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

/// The fewest of 0, 1, 2 or 4 upper bytes of a lower half that keep it whole.
const fn bytes_of_low(low: u32) -> u8 {
    match low.trailing_zeros() {
        32.. => 0,
        24.. => 1,
        16.. => 2,
        _ => 4,
    }
}

/// A number of 0, 1, 2 or 4 bytes.
fn number(bytes: &[u8], at: usize, len: u8) -> u32 {
    match len {
        0 => 0,
        1 => u32::from(bytes[at]),
        2 => u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])),
        _ => word(&bytes[at..at + 4]),
    }
}

fn word(four: &[u8]) -> u32 {
    four.first_chunk().map_or(0, |w| u32::from_le_bytes(*w))
}

impl Leaf {
    /// Packs 1 to 120 starts, which are in order and differ.
    pub(super) fn pack(starts: &[(Digits, u32)]) -> Self {
        debug_assert!(!starts.is_empty() && starts.len() <= STARTS_MAX);
        let (first, last) = (starts[0].0.packed(), starts[starts.len() - 1].0.packed());
        // Never all 64, for a shift by 64 is none.
        let shared = ((first ^ last).leading_zeros() & !3).min(60);
        let rest = |start: Digits| start.packed() << shared;
        let lows = starts.iter().fold(0, |all, (start, _)| all | rest(*start) as u32);
        let values = starts.iter().fold(0, |all, (_, value)| all | value);
        let (lower, value) = (bytes_of_low(lows), bytes_of(values));
        let mut bytes = Vec::with_capacity(starts.len() * (4 + usize::from(lower) + usize::from(value)));
        starts.iter().for_each(|(start, _)| bytes.extend(((rest(*start) >> 32) as u32).to_le_bytes()));
        for (start, _) in starts {
            bytes.extend_from_slice(&(rest(*start) as u32).to_le_bytes()[4 - usize::from(lower)..]);
        }
        starts.iter().for_each(|(_, v)| bytes.extend_from_slice(&v.to_le_bytes()[..usize::from(value)]));
        Self { first, len: starts.len() as u8, shared: shared as u8, lower, value, bytes: bytes.into() }
    }

    /// The start that it begins with.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn upper(&self, at: usize) -> u32 {
        number(&self.bytes, 4 * at, 4)
    }

    fn low(&self, at: usize) -> u32 {
        let low = number(&self.bytes, 4 * self.len() + usize::from(self.lower) * at, self.lower);
        if self.lower == 0 { 0 } else { low << (32 - 8 * self.lower) }
    }

    fn key(&self, at: usize) -> u64 {
        let rest = u64::from(self.upper(at)) << 32 | u64::from(self.low(at));
        let shared = if self.shared == 0 { 0 } else { self.first & !(u64::MAX >> self.shared) };
        shared | rest >> self.shared
    }

    fn value(&self, at: usize) -> u32 {
        let values = (4 + usize::from(self.lower)) * self.len();
        number(&self.bytes, values + usize::from(self.value) * at, self.value)
    }

    /// How many starts are below `key`.
    fn below(&self, key: u64) -> usize {
        if self.shared != 0 && (key ^ self.first) >> (64 - self.shared) != 0 {
            return if key < self.first { 0 } else { self.len() };
        }
        let rest = key << self.shared;
        let (upper, low) = ((rest >> 32) as u32, rest as u32);
        let uppers = self.bytes[..4 * self.len()].chunks_exact(4);
        let mut at = uppers.map(|u| u32::from(word(u) < upper)).sum::<u32>() as usize;
        while at < self.len() && self.upper(at) == upper && self.low(at) < low {
            at += 1;
        }
        at
    }

    /// The value of the longest start that `digits` have.
    ///
    /// # Errors
    /// The start of `digits` to ask the leaves before for, where none in this leaf fits.
    pub(super) fn find(&self, mut digits: u64) -> Result<u32, u64> {
        loop {
            let mut at = self.below(digits);
            // `below` stops before an equal start, which is the longest that there can be.
            if at < self.len() && self.key(at) == digits {
                return Ok(self.value(at));
            }
            if at == 0 {
                return Err(digits);
            }
            at -= 1;
            let key = self.key(at);
            // Every start of `digits` here is one of this key too, for it lies between them.
            let alike = (key ^ digits).leading_zeros() & !3;
            let start = if alike == 0 { 0 } else { digits & !(u64::MAX >> alike) };
            if start == key {
                return Ok(self.value(at));
            }
            digits = start;
        }
    }
}
