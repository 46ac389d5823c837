//! A leaf: up to 128 pairs of key and value, packed into one allocation that is never changed.
//!
//! ```text
//! bytes 0 to 3    pairs, bits that all keys begin with, bytes a lower half, bytes a value
//! bytes 4 to 11   the key that the leaf begins with
//! then            upper halves, 4 bytes each, in order: what a search walks
//! then            lower halves, 0, 1, 2 or 4 bytes each
//! then            values, 1, 2 or 4 bytes each
//! ```
//!
//! Keys lose the digits that all of them share and the zeros that all of them end with; what is left is mostly
//! an upper half alone. Numbers of one tenant are alike, so that a number costs 6 to 9 bytes.
//!
//! A search walks all upper halves: their lines of memory are fetched at once, where each step of a binary search
//! would wait for the one before. A pair that fits the layout is put in by copying around it.

use std::sync::Arc;

/// A key, packed digits or a hash, and what it leads to.
pub(super) type Pair = (u64, u32);

/// The most pairs of a leaf. More make reading slower, fewer make more overhead.
pub(super) const PAIRS_MAX: usize = 128;

const HEADER: usize = 12;

/// The packed bytes. At least one pair is in them.
#[derive(Clone, Debug)]
pub(super) struct Leaf(Arc<[u8]>);

/// How a leaf is laid out, read from its first bytes once for a search.
#[derive(Clone, Copy)]
struct Layout {
    pairs: usize,
    shared: u32,
    lower: usize,
    value: usize,
    first: u64,
}

/// Where a pair's parts lie.
enum Part {
    Upper,
    Lower,
    Value,
}

impl Layout {
    /// Where item `at` of a part begins.
    fn place(self, part: &Part, at: usize) -> usize {
        let lower = HEADER + 4 * self.pairs;
        match part {
            Part::Upper => HEADER + 4 * at,
            Part::Lower => lower + self.lower * at,
            Part::Value => lower + self.lower * self.pairs + self.value * at,
        }
    }

    fn header(self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[0] = self.pairs as u8;
        out[1] = self.shared as u8;
        out[2] = self.lower as u8;
        out[3] = self.value as u8;
        out[4..].copy_from_slice(&self.first.to_le_bytes());
        out
    }

    /// The upper half and the lower half of a key, without what all share.
    fn halves(self, key: u64) -> (u32, u32) {
        let key = key << self.shared;
        ((key >> 32) as u32, key as u32)
    }

    /// Whether a key begins as all do.
    fn shares(self, key: u64) -> bool {
        self.shared == 0 || (key ^ self.first) >> (64 - self.shared) == 0
    }

    /// The bytes of a lower half that are kept: the upper ones.
    fn low_bytes(self, low: u32) -> [u8; 4] {
        if self.lower == 0 { [0; 4] } else { (low >> (32 - 8 * self.lower)).to_le_bytes() }
    }
}

/// The fewest of 1, 2 or 4 bytes that hold `value`.
const fn bytes_of(value: u32) -> usize {
    match value {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

/// The fewest of 0, 1, 2 or 4 upper bytes of a lower half that keep it whole.
const fn bytes_of_low(low: u32) -> usize {
    match low.trailing_zeros() {
        32.. => 0,
        24.. => 1,
        16.. => 2,
        _ => 4,
    }
}

fn read(bytes: &[u8], at: usize, len: usize) -> u32 {
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
    /// Packs 1 to 128 pairs, which are in order and differ.
    pub(super) fn pack(pairs: &[Pair]) -> Self {
        debug_assert!(!pairs.is_empty() && pairs.len() <= PAIRS_MAX);
        debug_assert!(pairs.is_sorted_by(|a, b| a < b));
        let (first, last) = (pairs[0].0, pairs[pairs.len() - 1].0);
        // Never all 64, for a shift by 64 is none.
        let shared = ((first ^ last).leading_zeros() & !3).min(60);
        let (mut lows, mut values) = (0_u32, 0_u32);
        for (key, value) in pairs {
            lows |= (key << shared) as u32;
            values |= value;
        }
        let (lower, value) = (bytes_of_low(lows), bytes_of(values));
        let layout = Layout { pairs: pairs.len(), shared, lower, value, first };
        let mut out = Vec::with_capacity(layout.place(&Part::Value, pairs.len()));
        out.extend_from_slice(&layout.header());
        for (key, _) in pairs {
            out.extend_from_slice(&layout.halves(*key).0.to_le_bytes());
        }
        for (key, _) in pairs {
            out.extend_from_slice(&layout.low_bytes(layout.halves(*key).1)[..lower]);
        }
        for (_, v) in pairs {
            out.extend_from_slice(&v.to_le_bytes()[..value]);
        }
        Self(out.into())
    }

    /// This leaf with one more pair, which is not in it. None: the layout does not hold it, or there is no room.
    pub(super) fn with(&self, pair: Pair) -> Option<Self> {
        let old = self.layout();
        let (upper, low) = old.halves(pair.0);
        let fits = old.shares(pair.0) && bytes_of_low(low) <= old.lower && bytes_of(pair.1) <= old.value;
        if !fits || old.pairs == PAIRS_MAX {
            return None;
        }
        let mut at = self.below(old, pair.0);
        while at < old.pairs && self.key(old, at) == pair.0 && self.value(old, at) < pair.1 {
            at += 1;
        }
        let new = Layout { pairs: old.pairs + 1, first: old.first.min(pair.0), ..old };
        let mut out = Vec::with_capacity(new.place(&Part::Value, new.pairs));
        out.extend_from_slice(&new.header());
        let parts = [
            (Part::Upper, upper.to_le_bytes(), 4),
            (Part::Lower, old.low_bytes(low), old.lower),
            (Part::Value, pair.1.to_le_bytes(), old.value),
        ];
        for (part, bytes, len) in parts {
            let here = old.place(&part, at);
            out.extend_from_slice(&self.0[old.place(&part, 0)..here]);
            out.extend_from_slice(&bytes[..len]);
            out.extend_from_slice(&self.0[here..old.place(&part, old.pairs)]);
        }
        Some(Self(out.into()))
    }

    /// This leaf without a pair that is in it. None: it was the only one.
    pub(super) fn without(&self, pair: Pair) -> Option<Self> {
        let old = self.layout();
        if old.pairs == 1 {
            return None;
        }
        let mut at = self.below(old, pair.0);
        while at + 1 < old.pairs && self.value(old, at) != pair.1 {
            at += 1;
        }
        let first = if at == 0 { self.key(old, 1) } else { old.first };
        let new = Layout { pairs: old.pairs - 1, first, ..old };
        let mut out = Vec::with_capacity(new.place(&Part::Value, new.pairs));
        out.extend_from_slice(&new.header());
        for part in [Part::Upper, Part::Lower, Part::Value] {
            out.extend_from_slice(&self.0[old.place(&part, 0)..old.place(&part, at)]);
            out.extend_from_slice(&self.0[old.place(&part, at + 1)..old.place(&part, old.pairs)]);
        }
        Some(Self(out.into()))
    }

    #[inline]
    fn layout(&self) -> Layout {
        let first = self.0[4..HEADER].first_chunk().map_or(0, |k| u64::from_le_bytes(*k));
        let [pairs, shared, lower, value] = [self.0[0], self.0[1], self.0[2], self.0[3]];
        Layout {
            pairs: usize::from(pairs),
            shared: u32::from(shared),
            lower: usize::from(lower),
            value: usize::from(value),
            first,
        }
    }

    /// How many pairs, 1 to 128.
    pub(super) fn len(&self) -> usize {
        usize::from(self.0[0])
    }

    /// The first pair.
    pub(super) fn first(&self) -> Pair {
        let layout = self.layout();
        (layout.first, self.value(layout, 0))
    }

    /// Whether it begins at or before a pair. Reads values only where keys are equal.
    #[inline]
    pub(super) fn begins_by(&self, pair: Pair) -> bool {
        let layout = self.layout();
        layout.first < pair.0 || (layout.first == pair.0 && self.value(layout, 0) <= pair.1)
    }

    /// Writes the pairs into `out` and says how many there are.
    pub(super) fn unpack(&self, out: &mut [Pair]) -> usize {
        let layout = self.layout();
        for (at, pair) in out.iter_mut().enumerate().take(layout.pairs) {
            *pair = (self.key(layout, at), self.value(layout, at));
        }
        layout.pairs
    }

    #[inline]
    fn low(&self, layout: Layout, at: usize) -> u32 {
        match layout.lower {
            0 => 0,
            len => read(&self.0, layout.place(&Part::Lower, at), len) << (32 - 8 * len),
        }
    }

    #[inline]
    fn upper(&self, layout: Layout, at: usize) -> u32 {
        read(&self.0, layout.place(&Part::Upper, at), 4)
    }

    #[inline]
    fn key(&self, layout: Layout, at: usize) -> u64 {
        let rest = u64::from(self.upper(layout, at)) << 32 | u64::from(self.low(layout, at));
        let shared = if layout.shared == 0 { 0 } else { layout.first & !(u64::MAX >> layout.shared) };
        shared | rest >> layout.shared
    }

    #[inline]
    fn value(&self, layout: Layout, at: usize) -> u32 {
        read(&self.0, layout.place(&Part::Value, at), layout.value)
    }

    /// How many keys are below `key`.
    #[inline]
    fn below(&self, layout: Layout, key: u64) -> usize {
        if !layout.shares(key) {
            return if key < layout.first { 0 } else { layout.pairs };
        }
        let (upper, low) = layout.halves(key);
        let uppers = &self.0[HEADER..HEADER + 4 * layout.pairs];
        let mut to = uppers.chunks_exact(4).map(|u| u32::from(word(u) < upper)).sum::<u32>() as usize;
        while to < layout.pairs && self.upper(layout, to) == upper && self.low(layout, to) < low {
            to += 1;
        }
        to
    }

    /// Calls `take` with each value of a key, and says whether the leaf's first pair was one of them: then the
    /// leaf before may have more.
    pub(super) fn values(&self, key: u64, take: &mut impl FnMut(u32)) -> bool {
        let layout = self.layout();
        let from = self.below(layout, key);
        let mut at = from;
        while at < layout.pairs && self.key(layout, at) == key {
            take(self.value(layout, at));
            at += 1;
        }
        from == 0 && at > 0
    }

    /// The value of the longest key that `digits` start with.
    ///
    /// # Errors
    /// The start of `digits` to ask the leaves before for, where none in this leaf fits.
    pub(super) fn longest_prefix(&self, mut digits: u64) -> Result<u32, u64> {
        let layout = self.layout();
        loop {
            let mut at = self.below(layout, digits);
            // `below` stops before an equal key, which is the longest start that there can be.
            if at < layout.pairs && self.key(layout, at) == digits {
                return Ok(self.value(layout, at));
            }
            if at == 0 {
                return Err(digits);
            }
            at -= 1;
            let key = self.key(layout, at);
            // Every start of `digits` in the index is one of this key too, for it lies between them.
            let alike = (key ^ digits).leading_zeros() & !3;
            let start = if alike == 0 { 0 } else { digits & !(u64::MAX >> alike) };
            if start == key {
                return Ok(self.value(layout, at));
            }
            digits = start;
        }
    }
}
