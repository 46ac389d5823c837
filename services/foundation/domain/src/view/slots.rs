//! A growing array of shared records that shares its structure between versions.
//!
//! A record has a slot, a small number that stays its own until it is taken out; then the slot is used again. A
//! change copies the path to one slot, unless nobody else holds it.

use std::sync::Arc;

use rpds::StackSync;

/// Bits of a slot that one level decides. Few, for to copy a node touches the count of each child.
const BITS: u32 = 3;
const WIDTH: usize = 1 << BITS;

/// The array. See the module's text.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    root: Option<Arc<Node<T>>>,
    /// Levels above the one that holds records.
    height: u32,
    len: u32,
    /// The first slot that was never used.
    end: u32,
    /// Slots before `end` that are free again.
    free: StackSync<u32>,
}

#[derive(Debug)]
enum Node<T> {
    Inner([Option<Arc<Node<T>>>; WIDTH]),
    Outer([Option<Arc<T>>; WIDTH]),
}

impl<T> Clone for Node<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Inner(children) => Self::Inner(children.clone()),
            Self::Outer(records) => Self::Outer(records.clone()),
        }
    }
}

impl<T> Clone for Slots<T> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
            height: self.height,
            len: self.len,
            end: self.end,
            free: self.free.clone(),
        }
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { root: None, height: 0, len: 0, end: 0, free: StackSync::new_sync() }
    }
}

const fn digit(slot: u32, level: u32) -> usize {
    (slot >> (BITS * level)) as usize % WIDTH
}

impl<T> Slots<T> {
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<T>> {
        if slot >= self.end {
            return None;
        }
        let mut node = self.root.as_ref()?;
        let mut level = self.height;
        loop {
            match &**node {
                Node::Inner(children) => node = children[digit(slot, level)].as_ref()?,
                Node::Outer(records) => return records[digit(slot, 0)].as_ref(),
            }
            level = level.checked_sub(1)?;
        }
    }

    /// Puts a record in a free slot.
    pub(crate) fn insert(&mut self, record: Arc<T>) -> u32 {
        let free = self.free.peek().copied();
        let slot = match free {
            Some(slot) => {
                self.free.pop_mut();
                slot
            }
            None => {
                self.end += 1;
                self.end - 1
            }
        };
        self.len += 1;
        self.set(slot, Some(record));
        slot
    }

    /// Puts another record in a slot that is in use.
    pub(crate) fn replace(&mut self, slot: u32, record: Arc<T>) {
        self.set(slot, Some(record));
    }

    /// Frees a slot that is in use.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.set(slot, None);
        self.len -= 1;
        self.free.push_mut(slot);
    }

    fn set(&mut self, slot: u32, record: Option<Arc<T>>) {
        let root = self.root.get_or_insert_with(|| Arc::new(Node::Outer(Default::default())));
        while u64::from(slot) >> (BITS * (self.height + 1)) != 0 {
            let mut children: [_; WIDTH] = Default::default();
            children[0] = Some(Arc::clone(root));
            *root = Arc::new(Node::Inner(children));
            self.height += 1;
        }
        let (mut node, mut level) = (root, self.height);
        loop {
            match Arc::make_mut(node) {
                Node::Outer(records) => {
                    records[digit(slot, 0)] = record;
                    return;
                }
                Node::Inner(children) => {
                    node = children[digit(slot, level)].get_or_insert_with(|| {
                        Arc::new(match level {
                            1 => Node::Outer(Default::default()),
                            _ => Node::Inner(Default::default()),
                        })
                    });
                    level -= 1;
                }
            }
        }
    }

    /// Every record with its slot, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<T>)> {
        (0..self.end).filter_map(|slot| Some((slot, self.get(slot)?)))
    }
}

impl<T: Clone> Slots<T> {
    /// The record of a slot, to be changed: copied first if somebody else holds it.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut T> {
        let (mut node, mut level) = (self.root.as_mut()?, self.height);
        loop {
            match Arc::make_mut(node) {
                Node::Outer(records) => return records[digit(slot, 0)].as_mut().map(Arc::make_mut),
                Node::Inner(children) => node = children[digit(slot, level)].as_mut()?,
            }
            level = level.checked_sub(1)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn slots_keep_what_was_put_in_them(ops in proptest::collection::vec((0_u8..3, 0_usize..200), 0..600)) {
            let mut slots = Slots::default();
            let mut truth: Vec<(u32, usize)> = Vec::new();
            let mut versions = Vec::new();
            for (n, (op, at)) in ops.into_iter().enumerate() {
                match op {
                    0 if !truth.is_empty() => {
                        let (slot, _) = truth.swap_remove(at % truth.len());
                        slots.remove(slot);
                    }
                    1 if !truth.is_empty() => {
                        let at = at % truth.len();
                        truth[at].1 = n;
                        slots.replace(truth[at].0, Arc::new(n));
                    }
                    _ => truth.push((slots.insert(Arc::new(n)), n)),
                }
                if n % 50 == 0 {
                    versions.push((slots.clone(), truth.clone()));
                }
            }
            versions.push((slots, truth));
            for (slots, mut truth) in versions {
                truth.sort_unstable();
                proptest::prop_assert_eq!(slots.len(), truth.len());
                proptest::prop_assert!(slots.iter().map(|(s, n)| (s, **n)).eq(truth));
            }
        }
    }
}
