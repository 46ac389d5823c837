//! Time as it is passed in, and the deadlines that wait for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// A moment: how long after a start that the caller chose (its own start, for one). Never runs back.
pub type Now = Duration;

/// Deadlines of things that are named by `K`.
///
/// A deadline is not taken back: what comes up is compared with what its owner still waits for, so that stopping a
/// timer costs nothing. The heap holds what was set within the longest timer, which limits on transactions bound.
#[derive(Debug)]
pub struct Deadlines<K> {
    heap: BinaryHeap<Reverse<(Now, u64, Entry<K>)>>,
    order: u64,
}

#[derive(Debug)]
struct Entry<K>(K);

// The order of entries is that of their deadlines, then of their setting; what they name does not matter.
impl<K> PartialEq for Entry<K> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl<K> Eq for Entry<K> {}
impl<K> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Entry<K> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), order: 0 }
    }
}

impl<K> Deadlines<K> {
    /// Sets one. Deadlines of the same moment come up in the order of their setting.
    pub fn set(&mut self, at: Now, what: K) {
        self.order += 1;
        self.heap.push(Reverse((at, self.order, Entry(what))));
    }

    /// The next one that is due, with its moment.
    pub fn due(&mut self, now: Now) -> Option<(Now, K)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((at, _, Entry(what)))| (at, what))
    }

    /// When to look again.
    #[must_use]
    pub fn next(&self) -> Option<Now> {
        self.heap.peek().map(|Reverse((at, ..))| *at)
    }

    /// How many are set, those included that nobody waits for any more.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_up_in_order_and_not_before_their_time() {
        let mut deadlines = Deadlines::default();
        for (at, what) in [(5, "b"), (1, "a"), (5, "c")] {
            deadlines.set(Duration::from_secs(at), what);
        }
        assert_eq!(deadlines.due(Duration::ZERO), None);
        let order: Vec<_> =
            std::iter::from_fn(|| deadlines.due(Duration::from_secs(9))).map(|(_, w)| w).collect();
        assert_eq!(order, ["a", "b", "c"]);
        assert!(deadlines.is_empty());
    }
}
