//! A page: up to 192 pairs of key and value, packed into one allocation that is never changed.
//!
//! ```text
//! for each pair, in order: key, 8 bytes; value, 2 or 4 bytes
//! ```
//!
//! Beside the pointer to it, and so at hand before it is, stands where the keys of each thirty-second part begin:
//! keys are spread evenly, so that a lookup compares a few keys that lie side by side. A pair is put in by copying
//! around it.

use std::sync::Arc;

use smallvec::SmallVec;

/// A key and what it leads to.
pub(super) type Pair = (u64, u32);

/// The most pairs of a page. More make a change dearer, fewer make more overhead.
pub(super) const PAIRS_MAX: usize = 192;

const KEY: usize = 8;
const NARROW: usize = KEY + 2;
const WIDE: usize = KEY + 4;
/// How many bits of a key say in which part of its page it lies.
const PART_BITS: u32 = 5;
const PARTS: usize = 1 << PART_BITS;
/// How many keys a lookup compares at once: few parts hold more.
const WINDOW: usize = 8;

/// A page's bytes while they are put together.
type Bytes = SmallVec<[u8; PAIRS_MAX * WIDE]>;

/// The packed pairs. At least one is in it.
#[derive(Clone, Debug)]
pub(super) struct Page {
    bytes: Arc<[u8]>,
    /// How many pairs lie before each part.
    before: [u8; PARTS],
    len: u8,
    /// Whether a value takes four bytes, not two.
    wide: bool,
}

#[inline]
fn part(key: u64, depth: u32) -> usize {
    (key.checked_shl(depth).unwrap_or(0) >> (u64::BITS - PART_BITS)) as usize
}

fn put(bytes: &mut Bytes, wide: bool, (key, value): Pair) {
    bytes.extend_from_slice(&key.to_le_bytes());
    bytes.extend_from_slice(&value.to_le_bytes()[..if wide { 4 } else { 2 }]);
}

impl Page {
    /// Packs 1 to 192 pairs, which are in order and differ. The first `depth` bits of their keys are alike.
    pub(super) fn pack(pairs: &[Pair], depth: u32) -> Self {
        debug_assert!(!pairs.is_empty() && pairs.len() <= PAIRS_MAX);
        debug_assert!(pairs.is_sorted_by(|a, b| a < b));
        let wide = pairs.iter().any(|(_, value)| *value > u32::from(u16::MAX));
        let mut bytes = Bytes::new();
        pairs.iter().for_each(|pair| put(&mut bytes, wide, *pair));
        let before = std::array::from_fn(|p| pairs.partition_point(|(key, _)| part(*key, depth) < p) as u8);
        Self { bytes: (&*bytes).into(), before, len: pairs.len() as u8, wide }
    }

    /// This page with one more pair, which is not in it. None: there is no room, or its values are too short.
    pub(super) fn with(&self, pair: Pair, depth: u32) -> Option<Self> {
        if self.len() == PAIRS_MAX || (!self.wide && pair.1 > u32::from(u16::MAX)) {
            return None;
        }
        let (Ok(at) | Err(at)) = self.position(pair, depth);
        let (front, back) = self.bytes.split_at(self.stride() * at);
        let mut bytes = Bytes::from_slice(front);
        put(&mut bytes, self.wide, pair);
        bytes.extend_from_slice(back);
        let mut new = Self { bytes: (&*bytes).into(), len: self.len + 1, ..*self };
        new.before[part(pair.0, depth) + 1..].iter_mut().for_each(|n| *n += 1);
        Some(new)
    }

    /// This page without a pair, if it is in it. None: it was the only one.
    pub(super) fn without(&self, pair: Pair, depth: u32) -> Option<Self> {
        let Ok(at) = self.position(pair, depth) else { return Some(self.clone()) };
        if self.len() == 1 {
            return None;
        }
        let (front, back) = self.bytes.split_at(self.stride() * at);
        let mut bytes = Bytes::from_slice(front);
        bytes.extend_from_slice(&back[self.stride()..]);
        let mut new = Self { bytes: (&*bytes).into(), len: self.len - 1, ..*self };
        new.before[part(pair.0, depth) + 1..].iter_mut().for_each(|n| *n -= 1);
        Some(new)
    }

    /// Brings what stands beside the pairs into the cache.
    pub(super) fn look_at(&self, key: u64, depth: u32) {
        std::hint::black_box((self.part(key, depth), self.bytes.len()));
    }

    /// How many pairs, 1 to 192.
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    fn stride(&self) -> usize {
        if self.wide { WIDE } else { NARROW }
    }

    /// A pair; past the end, what is no pair of the page.
    fn pair(&self, at: usize) -> Pair {
        let rest = self.bytes.get(self.stride() * at..).unwrap_or_default();
        let key = rest.first_chunk().map_or(0, |k| u64::from_le_bytes(*k));
        let value = rest.get(KEY..).unwrap_or_default();
        let value = if self.wide {
            value.first_chunk().map_or(0, |v| u32::from_le_bytes(*v))
        } else {
            value.first_chunk().map_or(0, |v| u32::from(u16::from_le_bytes(*v)))
        };
        (key, value)
    }

    /// The places of the pairs in the part that a key belongs to.
    #[inline]
    fn part(&self, key: u64, depth: u32) -> std::ops::Range<usize> {
        let part = part(key, depth);
        let to = self.before.get(part + 1).map_or(self.len(), |to| usize::from(*to));
        usize::from(self.before[part])..to
    }

    /// The first value of a key.
    #[inline]
    pub(super) fn find(&self, key: u64, depth: u32) -> Option<u32> {
        let part = self.part(key, depth);
        let from = part.start.min(self.len().saturating_sub(WINDOW));
        let found = if self.wide {
            self.find_from::<WIDE, { WIDE * WINDOW }>(key, from)
        } else {
            self.find_from::<NARROW, { NARROW * WINDOW }>(key, from)
        };
        // What lies at the end of a long part, or in a page of few pairs, is looked for one by one.
        found.map(|at| self.pair(at).1).or_else(|| self.values(key, depth).next())
    }

    /// The first of `WINDOW` pairs that has a key.
    #[inline]
    fn find_from<const STRIDE: usize, const BYTES: usize>(&self, key: u64, from: usize) -> Option<usize> {
        let window = self.bytes.get(STRIDE * from..)?.first_chunk::<BYTES>()?;
        let mut at = WINDOW;
        // Without a branch, so that the processor goes on to what comes next while it waits for memory.
        for (place, pair) in window.as_chunks::<STRIDE>().0.iter().enumerate().rev() {
            let other = pair.first_chunk().map_or(0, |k| u64::from_le_bytes(*k));
            at = if other == key { place } else { at };
        }
        (at < WINDOW).then_some(from + at)
    }

    /// The values of a key.
    #[inline]
    pub(super) fn values(&self, key: u64, depth: u32) -> impl Iterator<Item = u32> {
        self.part(key, depth).map(|at| self.pair(at)).filter(move |(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Where a pair lies, or would lie.
    pub(super) fn position(&self, pair: Pair, depth: u32) -> Result<usize, usize> {
        let mut part = self.part(pair.0, depth);
        let at = part.find(|at| self.pair(*at) >= pair).unwrap_or(part.end);
        if at < self.len() && self.pair(at) == pair { Ok(at) } else { Err(at) }
    }

    /// Every pair, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair> {
        (0..self.len()).map(|at| self.pair(at))
    }
}
