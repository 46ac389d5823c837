//! A leaf: up to 128 pairs of key and value, packed into one allocation that is never changed.
//!
//! ```text
//! word 0        pairs | bits that all keys begin with | bytes a lower half | bytes a value
//! words 1, 2    the key that the leaf begins with
//! then          upper halves, 4 bytes each, in order: what a search walks
//! then          lower halves, 0, 1, 2 or 4 bytes each
//! then          values, 1, 2 or 4 bytes each
//! ```
//!
//! Keys lose the digits that all of them share and the zeros that all of them end with; what is left is mostly
//! an upper half alone. Numbers of one tenant are alike, so that a number costs 6 to 9 bytes.

use std::sync::Arc;

/// A key, packed digits or a hash, and what it leads to.
pub(super) type Pair = (u64, u32);

/// The most pairs of a leaf. More make reading slower, fewer make more overhead.
pub(super) const PAIRS_MAX: usize = 128;

const HEADER: usize = 3;
const WORDS_MAX: usize = HEADER + 3 * PAIRS_MAX;

/// The packed words. At least one pair is in them.
#[derive(Clone, Debug)]
pub(super) struct Leaf(Arc<[u32]>);

/// How a leaf is laid out, read from its first words once for a search.
#[derive(Clone, Copy)]
struct Layout {
    pairs: usize,
    shared: u32,
    lower: u32,
    value: u32,
    first: u64,
}

impl Layout {
    fn upper_at(self) -> usize {
        HEADER
    }

    fn lower_at(self) -> usize {
        HEADER + self.pairs
    }

    fn values_at(self) -> usize {
        self.lower_at() + words(self.pairs, self.lower)
    }

    /// The words in all.
    fn len(self) -> usize {
        self.values_at() + words(self.pairs, self.value)
    }
}

/// How many words hold so many items of `bytes` each.
const fn words(items: usize, bytes: u32) -> usize {
    (items * bytes as usize).div_ceil(4)
}

/// The fewest of 1, 2 or 4 bytes that hold `value`.
const fn bytes_of(value: u32) -> u32 {
    match value {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    }
}

/// Item `at` of items of `bytes` (0, 1, 2 or 4) each that begin at a word.
fn item(words: &[u32], begin: usize, bytes: u32, at: usize) -> u32 {
    match bytes {
        0 => 0,
        1 => words[begin + at / 4] >> (8 * (at % 4)) & 0xff,
        2 => words[begin + at / 2] >> (16 * (at % 2)) & 0xffff,
        _ => words[begin + at],
    }
}

fn set_item(words: &mut [u32], begin: usize, bytes: u32, at: usize, item: u32) {
    match bytes {
        0 => {}
        1 => words[begin + at / 4] |= item << (8 * (at % 4)),
        2 => words[begin + at / 2] |= item << (16 * (at % 2)),
        _ => words[begin + at] = item,
    }
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
        let lower = match lows.trailing_zeros() {
            32.. => 0,
            24.. => 1,
            16.. => 2,
            _ => 4,
        };
        let layout = Layout { pairs: pairs.len(), shared, lower, value: bytes_of(values), first };
        let mut out = [0_u32; WORDS_MAX];
        out[0] = pairs.len() as u32 | shared << 8 | lower << 16 | layout.value << 24;
        out[1] = (first >> 32) as u32;
        out[2] = first as u32;
        let (lower_at, values_at) = (layout.lower_at(), layout.values_at());
        for (at, (key, value)) in pairs.iter().enumerate() {
            let key = key << shared;
            out[HEADER + at] = (key >> 32) as u32;
            let low = if lower == 0 { 0 } else { key as u32 >> (32 - 8 * lower) };
            set_item(&mut out, lower_at, lower, at, low);
            set_item(&mut out, values_at, layout.value, at, *value);
        }
        Self(Arc::from(&out[..layout.len()]))
    }

    fn layout(&self) -> Layout {
        let head = self.0[0];
        Layout {
            pairs: (head & 0xff) as usize,
            shared: head >> 8 & 0xff,
            lower: head >> 16 & 0xff,
            value: head >> 24,
            first: u64::from(self.0[1]) << 32 | u64::from(self.0[2]),
        }
    }

    /// How many pairs, 1 to 128.
    pub(super) fn len(&self) -> usize {
        self.layout().pairs
    }

    /// The first pair.
    pub(super) fn first(&self) -> Pair {
        let layout = self.layout();
        (layout.first, self.value(layout, 0))
    }

    /// Writes the pairs into `out` and says how many there are.
    pub(super) fn unpack(&self, out: &mut [Pair]) -> usize {
        let layout = self.layout();
        for (at, pair) in out.iter_mut().enumerate().take(layout.pairs) {
            *pair = (self.key(layout, at), self.value(layout, at));
        }
        layout.pairs
    }

    fn low(&self, layout: Layout, at: usize) -> u32 {
        match layout.lower {
            0 => 0,
            bytes => item(&self.0, layout.lower_at(), bytes, at) << (32 - 8 * bytes),
        }
    }

    fn key(&self, layout: Layout, at: usize) -> u64 {
        let rest = u64::from(self.0[layout.upper_at() + at]) << 32 | u64::from(self.low(layout, at));
        let shared = if layout.shared == 0 { 0 } else { layout.first & !(u64::MAX >> layout.shared) };
        shared | rest >> layout.shared
    }

    fn value(&self, layout: Layout, at: usize) -> u32 {
        item(&self.0, layout.values_at(), layout.value, at)
    }

    /// How many keys are below `key`.
    fn below(&self, layout: Layout, key: u64) -> usize {
        let beyond = layout.shared != 0 && (key ^ layout.first) >> (64 - layout.shared) != 0;
        if beyond {
            return if key < layout.first { 0 } else { layout.pairs };
        }
        let key = key << layout.shared;
        let (upper, low) = ((key >> 32) as u32, key as u32);
        let uppers = &self.0[HEADER..HEADER + layout.pairs];
        let from = uppers.partition_point(|u| *u < upper);
        let mut to = from;
        while to < layout.pairs && uppers[to] == upper && self.low(layout, to) < low {
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
