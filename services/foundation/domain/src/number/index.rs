//! An index from keys to values that shares its structure between versions.
//!
//! A key is 64 bits that are spread evenly: a hash of a name, or a number's [`Digits::spread`](super::Digits::spread).
//! It may have several values, 32 bits each; pairs are kept in order, each once.
//!
//! ```text
//! Index ── root: a node of 8 children, by the first 3 bits of the key
//!            ├─ node: by the next 3 bits ...
//!            └─ page: up to 192 pairs, packed (page.rs)
//! ```
//!
//! Because keys are spread evenly, the way to a page and about where to look in it are read from the key and compared
//! with nothing: a lookup waits for memory once a level and once for the page.
//!
//! To clone an index is to copy a pointer; the clone never changes. A change copies the page that it strikes and
//! the nodes above it, unless nobody else holds them. Cost of a change: O(log n), and at most a few KiB copied.

mod page;

use std::sync::Arc;

use smallvec::SmallVec;

use page::{PAIRS_MAX, Page, Pair};

/// How many bits of a key one level decides. Few, for to copy a node touches the count of each child.
const BITS: u32 = 3;
const CHILDREN: usize = 1 << BITS;
/// The bits of a key. Levels below go by the bits of the value.
const KEY_BITS: u32 = u64::BITS;
/// A node whose pages have no more than this together becomes one page: some room stays.
const PAIRS_JOINED: usize = PAIRS_MAX / 2;

/// Keys and their values. See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Index {
    root: Child,
    len: usize,
}

#[derive(Clone, Debug, Default)]
enum Child {
    #[default]
    Empty,
    Page(Page),
    Node(Arc<[Child; CHILDREN]>),
}

/// Which child of a node at a depth a key lies under.
#[inline]
fn digit(key: u64, depth: u32) -> usize {
    (key << depth >> (KEY_BITS - BITS)) as usize
}

/// The same of a pair, whose value decides where the key has no bits left.
fn digit_of((key, value): Pair, depth: u32) -> usize {
    let whole = u128::from(key) << 64 | u128::from(value) << 32;
    (whole << depth >> (128 - BITS)) as usize
}

impl Index {
    /// Builds an index of any number of pairs, in any order.
    #[must_use]
    pub fn build(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        Self { root: Child::of(&pairs, 0), len: pairs.len() }
    }

    /// How many pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The values of a key, in order.
    #[must_use]
    pub fn get(&self, key: u64) -> SmallVec<[u32; 4]> {
        let mut found = SmallVec::new();
        match self.leaf(key) {
            (Child::Empty, _) => {}
            (Child::Page(page), depth) => found.extend(page.values(key, depth)),
            // More than a page of values: what lies here differs in the last bit of the key, or not at all.
            (child @ Child::Node(_), _) => {
                found.extend(child.pairs().filter(|(k, _)| *k == key).map(|(_, v)| v))
            }
        }
        found
    }

    /// The first value of a key, the only one where a key has no more.
    #[must_use]
    pub fn find(&self, key: u64) -> Option<u32> {
        match self.leaf(key) {
            (Child::Empty, _) => None,
            (Child::Page(page), depth) => page.find(key, depth),
            (child @ Child::Node(_), _) => child.values(key).first().copied(),
        }
    }

    /// Brings what leads to a key's page into the cache.
    pub(crate) fn look_at(&self, key: u64) {
        if let (Child::Page(page), depth) = self.leaf(key) {
            page.look_at(key, depth);
        }
    }

    /// The child that holds all pairs of a key, as far down as the key says, and its depth.
    #[inline]
    fn leaf(&self, key: u64) -> (&Child, u32) {
        let (mut child, mut depth) = (&self.root, 0);
        while let Child::Node(node) = child
            && depth <= KEY_BITS - BITS
        {
            child = &node[digit(key, depth)];
            depth += BITS;
        }
        (child, depth)
    }

    /// Puts a pair in. Returns whether it is new.
    pub fn insert(&mut self, key: u64, value: u32) -> bool {
        let new = !self.has((key, value));
        if new {
            self.root.insert((key, value), 0);
            self.len += 1;
        }
        new
    }

    /// Takes a pair out. Returns whether it was there.
    pub fn remove(&mut self, key: u64, value: u32) -> bool {
        let there = self.has((key, value));
        if there {
            self.root.remove((key, value), 0);
            self.len -= 1;
        }
        there
    }

    fn has(&self, pair: Pair) -> bool {
        let (mut child, mut depth) = (&self.root, 0);
        loop {
            match child {
                Child::Empty => return false,
                Child::Page(page) => return page.position(pair, depth).is_ok(),
                Child::Node(node) => child = &node[digit_of(pair, depth)],
            }
            depth += BITS;
        }
    }

    /// Every pair, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u32)> {
        self.root.pairs()
    }
}

impl Child {
    /// Of pairs in order, all of which lie under one node at a depth.
    fn of(pairs: &[Pair], depth: u32) -> Self {
        match pairs.len() {
            0 => Self::Empty,
            1..=PAIRS_MAX => Self::Page(Page::pack(pairs, depth)),
            _ => {
                let mut rest = pairs;
                Self::Node(Arc::new(std::array::from_fn(|child| {
                    let len = rest.partition_point(|p| digit_of(*p, depth) <= child);
                    let (own, after) = rest.split_at(len);
                    rest = after;
                    Self::of(own, depth + BITS)
                })))
            }
        }
    }

    /// Puts in a pair that is not there.
    fn insert(&mut self, pair: Pair, depth: u32) {
        match self {
            Self::Empty => *self = Self::Page(Page::pack(&[pair], depth)),
            Self::Node(node) => Arc::make_mut(node)[digit_of(pair, depth)].insert(pair, depth + BITS),
            Self::Page(page) => match page.with(pair, depth) {
                Some(more) => *page = more,
                None => {
                    let mut pairs: Vec<Pair> = page.pairs().collect();
                    pairs.insert(pairs.partition_point(|p| *p < pair), pair);
                    *self = Self::of(&pairs, depth);
                }
            },
        }
    }

    /// Takes out a pair that is there.
    fn remove(&mut self, pair: Pair, depth: u32) {
        match self {
            Self::Empty => {}
            Self::Page(page) => *self = page.without(pair, depth).map_or(Self::Empty, Self::Page),
            Self::Node(node) => {
                let children = Arc::make_mut(node);
                children[digit_of(pair, depth)].remove(pair, depth + BITS);
                if let Some(joined) = Self::joined(children, depth) {
                    *self = joined;
                }
            }
        }
    }

    /// What takes the place of a node with so few pairs that one page can hold them with room to spare.
    fn joined(children: &[Self; CHILDREN], depth: u32) -> Option<Self> {
        let len = children.iter().try_fold(0, |sum, child| match child {
            Self::Empty => Some(sum),
            Self::Page(page) => Some(sum + page.len()),
            Self::Node(_) => None,
        });
        if len? > PAIRS_JOINED {
            return None;
        }
        let pairs: SmallVec<[Pair; PAIRS_JOINED]> = children.iter().flat_map(Self::pairs).collect();
        Some(if pairs.is_empty() { Self::Empty } else { Self::Page(Page::pack(&pairs, depth)) })
    }

    /// The values of a key that has more than a page of them: its pairs lie together as far as the key says.
    #[cold]
    #[inline(never)]
    fn values(&self, key: u64) -> SmallVec<[u32; 4]> {
        self.pairs().filter(|(k, _)| *k == key).map(|(_, value)| value).collect()
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> {
        let mut todo = vec![self];
        std::iter::from_fn(move || {
            loop {
                match todo.pop()? {
                    Self::Empty => {}
                    Self::Page(page) => return Some(page.pairs()),
                    Self::Node(children) => todo.extend(children.iter().rev()),
                }
            }
        })
        .flatten()
    }
}

#[cfg(test)]
mod tests;
