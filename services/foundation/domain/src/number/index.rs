//! An index from keys to values that shares its structure between versions: exact numbers, starts of numbers
//! (the longest wins), and hashes of names.
//!
//! A key is 64 bits: the packed [`Digits`], whose order is the order of the digit strings, or a hash. It may have
//! several values; pairs are kept in order, each once. Values are the caller's, 32 bits.
//!
//! ```text
//! Index ── root: a node of up to 16 children, by their first pair
//!            ├─ node ...
//!            └─ leaf: up to 128 pairs, packed (leaf.rs)
//! ```
//!
//! To clone an index is to copy a pointer; the clone never changes. A change copies the leaf that it strikes and
//! the nodes above it, unless nobody else holds them. Cost of a change: O(log n), and at most a few KiB copied.

mod leaf;

use std::sync::Arc;

use smallvec::SmallVec;

use super::Digits;
use leaf::{Leaf, PAIRS_MAX, Pair};

/// The most children of a node. A change copies the node and touches the count of each child, so that fewer is
/// cheaper to change; more makes the tree flatter to read.
const CHILDREN_MAX: usize = 16;
/// Leaves are built not quite full, so that the first changes do not split them all.
const PAIRS_BUILT: usize = 120;
/// A leaf with fewer pairs looks for a neighbour to join.
const PAIRS_MIN: usize = 32;
/// Two leaves join if they have no more than this together: some room stays.
const PAIRS_JOINED: usize = 96;

/// Keys and their values. See the module's text.
#[derive(Clone, Debug, Default)]
pub struct Index {
    root: Option<Child>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Child {
    Leaf(Leaf),
    Node(Arc<Node>),
}

/// Children in order. `firsts` and `children` have `len` items that count.
#[derive(Clone, Debug, Default)]
struct Node {
    len: usize,
    keys: [u64; CHILDREN_MAX],
    values: [u32; CHILDREN_MAX],
    children: [Option<Child>; CHILDREN_MAX],
}

/// A new right neighbour of a child that was split.
type Split = Option<Child>;

impl Index {
    /// Builds an index of any number of pairs, in any order.
    #[must_use]
    pub fn build(mut pairs: Vec<(u64, u32)>) -> Self {
        pairs.sort_unstable();
        pairs.dedup();
        let len = pairs.len();
        let mut level: Vec<Child> =
            even(len, PAIRS_BUILT, |range| Child::Leaf(Leaf::pack(&pairs[range]))).collect();
        while level.len() > 1 {
            level = even(level.len(), CHILDREN_MAX - 1, |range| {
                let mut node = Node::default();
                for child in &level[range] {
                    node.insert(node.len, child.clone());
                }
                Child::Node(Arc::new(node))
            })
            .collect();
        }
        Self { root: level.pop(), len }
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

    /// The values of a key, in no order that means anything.
    #[must_use]
    pub fn get(&self, key: u64) -> SmallVec<[u32; 4]> {
        let mut found = SmallVec::new();
        let mut bound = (key, u32::MAX);
        while let Some(leaf) = self.root.as_ref().and_then(|r| r.leaf_at(bound)) {
            if !leaf.values(key, &mut |v| found.push(v)) {
                break;
            }
            // The key's values may begin in a leaf before.
            match leaf.first() {
                (_, 0) => break,
                (_, first) => bound = (key, first - 1),
            }
        }
        found
    }

    /// One value of a key, the only one where a key has no more.
    #[must_use]
    pub fn find(&self, key: u64) -> Option<u32> {
        let mut found = None;
        let leaf = self.root.as_ref()?.leaf_at((key, u32::MAX))?;
        leaf.values(key, &mut |v| found = found.or(Some(v)));
        found
    }

    /// The value of the longest key that these digits start with. Keys are packed digits here, one value each.
    #[must_use]
    pub fn longest_prefix(&self, digits: Digits) -> Option<u32> {
        let root = self.root.as_ref()?;
        let mut digits = digits.packed();
        loop {
            match root.leaf_at((digits, u32::MAX))?.longest_prefix(digits) {
                Ok(value) => return Some(value),
                Err(start) => digits = start,
            }
        }
    }

    /// Puts a pair in. Returns whether it is new.
    pub fn insert(&mut self, key: u64, value: u32) -> bool {
        let Some(root) = &mut self.root else {
            self.root = Some(Child::Leaf(Leaf::pack(&[(key, value)])));
            self.len = 1;
            return true;
        };
        if self.len > 0 && root.has((key, value)) {
            return false;
        }
        if let Some(right) = root.insert((key, value)) {
            let mut node = Node::default();
            if let Some(left) = self.root.take() {
                node.insert(0, left);
            }
            node.insert(1, right);
            self.root = Some(Child::Node(Arc::new(node)));
        }
        self.len += 1;
        true
    }

    /// Takes a pair out. Returns whether it was there.
    pub fn remove(&mut self, key: u64, value: u32) -> bool {
        let Some(root) = &mut self.root else { return false };
        if !root.has((key, value)) {
            return false;
        }
        self.len -= 1;
        if !root.remove((key, value)) {
            self.root = None;
        }
        // A node with one child is that child.
        while let Some(Child::Node(node)) = &self.root
            && node.len == 1
        {
            self.root = node.children[0].clone();
        }
        true
    }

    /// Every pair, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u32)> {
        let mut todo: Vec<&Child> = self.root.iter().collect();
        std::iter::from_fn(move || {
            loop {
                match todo.pop()? {
                    Child::Leaf(leaf) => {
                        let mut pairs = [(0, 0); PAIRS_MAX];
                        let len = leaf.unpack(&mut pairs);
                        return Some(pairs.into_iter().take(len));
                    }
                    Child::Node(node) => todo.extend(node.children.iter().flatten().rev()),
                }
            }
        })
        .flatten()
    }
}

/// Cuts `0..len` into as few ranges of at most `max` as it takes, alike in length.
fn even<T>(
    len: usize,
    max: usize,
    mut make: impl FnMut(std::ops::Range<usize>) -> T,
) -> impl Iterator<Item = T> {
    let parts = len.div_ceil(max);
    (0..parts).map(move |at| make(at * len / parts..(at + 1) * len / parts))
}

impl Child {
    fn first(&self) -> Pair {
        match self {
            Self::Leaf(leaf) => leaf.first(),
            Self::Node(node) => (node.keys[0], node.values[0]),
        }
    }

    /// The last leaf that begins at or before a pair.
    fn leaf_at(&self, pair: Pair) -> Option<&Leaf> {
        let mut child = self;
        loop {
            match child {
                Self::Leaf(leaf) => return leaf.begins_by(pair).then_some(leaf),
                Self::Node(node) => child = node.children[node.at(pair)?].as_ref()?,
            }
        }
    }

    fn has(&self, pair: Pair) -> bool {
        let mut found = false;
        let leaf = self.leaf_at(pair);
        leaf.is_some_and(|l| {
            l.values(pair.0, &mut |v| found |= v == pair.1);
            found
        })
    }

    /// Puts in a pair that is not there.
    fn insert(&mut self, pair: Pair) -> Split {
        match self {
            Self::Leaf(leaf) => {
                if let Some(more) = leaf.with(pair) {
                    *leaf = more;
                    return None;
                }
                let mut pairs = [(0, 0); PAIRS_MAX + 1];
                let len = leaf.unpack(&mut pairs);
                let at = pairs[..len].partition_point(|p| *p < pair);
                pairs.copy_within(at..len, at + 1);
                pairs[at] = pair;
                let len = len + 1;
                if len <= PAIRS_MAX {
                    *leaf = Leaf::pack(&pairs[..len]);
                    return None;
                }
                *leaf = Leaf::pack(&pairs[..len / 2]);
                Some(Self::Leaf(Leaf::pack(&pairs[len / 2..len])))
            }
            Self::Node(node) => Arc::make_mut(node).insert_below(pair),
        }
    }

    /// Takes out a pair that is there. Returns whether anything is left.
    fn remove(&mut self, pair: Pair) -> bool {
        match self {
            Self::Leaf(leaf) => match leaf.without(pair) {
                Some(less) => {
                    *leaf = less;
                    true
                }
                None => false,
            },
            Self::Node(node) => Arc::make_mut(node).remove_below(pair),
        }
    }

    /// This and its right neighbour as one, if one can hold them and it is time.
    fn joined(&self, right: &Self) -> Option<Self> {
        match (self, right) {
            (Self::Leaf(a), Self::Leaf(b)) => {
                let (left, sum) = (a.len(), a.len() + b.len());
                if left.min(b.len()) >= PAIRS_MIN || sum > PAIRS_JOINED {
                    return None;
                }
                let mut pairs = [(0, 0); PAIRS_MAX];
                a.unpack(&mut pairs);
                b.unpack(&mut pairs[left..]);
                Some(Self::Leaf(Leaf::pack(&pairs[..sum])))
            }
            (Self::Node(a), Self::Node(b)) => {
                if a.len.min(b.len) > CHILDREN_MAX / 4 || a.len + b.len > CHILDREN_MAX * 3 / 4 {
                    return None;
                }
                let mut node = Node::clone(a);
                for child in b.children.iter().flatten() {
                    node.insert(node.len, child.clone());
                }
                Some(Self::Node(Arc::new(node)))
            }
            _ => None,
        }
    }
}

impl Node {
    /// The last child that begins at or before a pair.
    fn at(&self, pair: Pair) -> Option<usize> {
        let keys = &self.keys[..self.len];
        let mut at = keys.iter().filter(|k| **k <= pair.0).count();
        // Children that begin with the same key are told apart by value.
        while at > 0 && keys[at - 1] == pair.0 && self.values[at - 1] > pair.1 {
            at -= 1;
        }
        at.checked_sub(1)
    }

    /// Puts a child in at a place; there is room.
    fn insert(&mut self, at: usize, child: Child) {
        let len = self.len;
        self.children[at..=len].rotate_right(1);
        self.keys[at..=len].rotate_right(1);
        self.values[at..=len].rotate_right(1);
        self.len += 1;
        self.set(at, child);
    }

    fn set(&mut self, at: usize, child: Child) {
        (self.keys[at], self.values[at]) = child.first();
        self.children[at] = Some(child);
    }

    fn take(&mut self, at: usize) {
        let len = self.len;
        self.children[at] = None;
        self.children[at..len].rotate_left(1);
        self.keys[at..len].rotate_left(1);
        self.values[at..len].rotate_left(1);
        self.len -= 1;
    }

    fn insert_below(&mut self, pair: Pair) -> Split {
        let at = self.at(pair).unwrap_or(0);
        let child = self.children[at].as_mut()?;
        let split = child.insert(pair);
        (self.keys[at], self.values[at]) = child.first();
        let right = split?;
        if self.len < CHILDREN_MAX {
            self.insert(at + 1, right);
            return None;
        }
        let half = CHILDREN_MAX / 2;
        let mut other = Self::default();
        for i in half..CHILDREN_MAX {
            if let Some(child) = self.children[i].take() {
                other.insert(other.len, child);
            }
        }
        self.len = half;
        if at < half {
            self.insert(at + 1, right)
        } else {
            other.insert(at + 1 - half, right)
        }
        Some(Child::Node(Arc::new(other)))
    }

    fn remove_below(&mut self, pair: Pair) -> bool {
        let Some(at) = self.at(pair) else { return self.len > 0 };
        let left = self.children[at].as_mut().is_some_and(|c| c.remove(pair));
        if !left {
            self.take(at);
            return self.len > 0;
        }
        if let Some(child) = &self.children[at] {
            (self.keys[at], self.values[at]) = child.first();
        }
        let first = at.saturating_sub(1);
        for i in first..(at + 1).min(self.len - 1) {
            let pair = (&self.children[i], &self.children[i + 1]);
            let (Some(a), Some(b)) = pair else { continue };
            if let Some(joined) = a.joined(b) {
                self.take(i + 1);
                self.set(i, joined);
                break;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
