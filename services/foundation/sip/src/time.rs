//! Time as it is passed in, and the deadlines that wait for it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

/// A moment: how long after a start that the caller chose (its own start, for one). Never runs back.
pub type Now = Duration;

/// Deadlines of things that are named by `K`.
///
/// Most deadlines are met long before their time. So they wait unsorted, by the turn that they fall into, and only those
/// of the present turn are put in order; and one that is met is called off while its owner is at hand, and never looked
/// at again. One of the present turn comes up all the same: its owner compares it with what it still waits for.
#[derive(Debug)]
pub struct Deadlines<K> {
    /// Those of the present turn and before it.
    near: BinaryHeap<Reverse<Entry<K>>>,
    /// The present turn.
    turn: u64,
    later: BTreeMap<u64, Turn<K>>,
    len: usize,
    order: u64,
}

#[derive(Debug)]
struct Turn<K> {
    first: Now,
    entries: Vec<Entry<K>>,
    /// How many of them were not called off.
    live: u32,
}

/// A deadline that was set, for who may call it off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    turn: u64,
    at: u32,
}

/// Turns a second: as many as make a turn's heap small and its table no larger than a few thousand.
const TURNS: u64 = 64;

fn turn_of(at: Now) -> u64 {
    at.as_secs().saturating_mul(TURNS).saturating_add(u64::from(at.subsec_nanos()) * TURNS / 1_000_000_000)
}

#[derive(Debug)]
struct Entry<K> {
    at: Now,
    order: u64,
    /// None: it was called off.
    what: Option<K>,
}

// The order of entries is that of their deadlines, then of their setting; what they name does not matter.
impl<K> PartialEq for Entry<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl<K> Eq for Entry<K> {}
impl<K> PartialOrd for Entry<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Entry<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self { near: BinaryHeap::new(), turn: 0, later: BTreeMap::new(), len: 0, order: 0 }
    }
}

impl<K> Deadlines<K> {
    /// Sets one. Deadlines of the same moment come up in the order of their setting.
    pub fn set(&mut self, at: Now, what: K) -> Handle {
        self.order += 1;
        self.len += 1;
        let (turn, entry) = (turn_of(at), Entry { at, order: self.order, what: Some(what) });
        if turn <= self.turn {
            self.near.push(Reverse(entry));
            return Handle { turn, at: 0 };
        }
        let held = self.later.entry(turn).or_insert_with(|| Turn { first: at, entries: Vec::new(), live: 0 });
        held.first = held.first.min(at);
        held.live += 1;
        held.entries.push(entry);
        Handle { turn, at: held.entries.len() as u32 - 1 }
    }

    /// Calls one off, once. One of the present turn still comes up.
    pub fn call_off(&mut self, handle: Handle) {
        let Some(turn) = self.later.get_mut(&handle.turn) else { return };
        let Some(entry) = turn.entries.get_mut(handle.at as usize) else { return };
        if entry.what.take().is_some() {
            turn.live -= 1;
            self.len -= 1;
            if turn.live == 0 {
                self.later.remove(&handle.turn);
            }
        }
    }

    /// The next one that is due, with its moment.
    pub fn due(&mut self, now: Now) -> Option<(Now, K)> {
        while self.near.is_empty() {
            let first = self.later.first_entry().filter(|turn| turn.get().first <= now)?;
            self.turn = *first.key();
            let live = first.remove().entries.into_iter().filter(|entry| entry.what.is_some());
            self.near = live.map(Reverse).collect();
        }
        let due = self.near.peek().is_some_and(|Reverse(entry)| entry.at <= now);
        let Reverse(entry) = if due { self.near.pop()? } else { return None };
        self.len -= 1;
        Some((entry.at, entry.what?))
    }

    /// When to look again; where what was to come first was called off, somewhat sooner than needed.
    #[must_use]
    pub fn next(&self) -> Option<Now> {
        // What is near is before all that is later.
        match self.near.peek() {
            Some(Reverse(entry)) => Some(entry.at),
            None => self.later.first_key_value().map(|(_, turn)| turn.first),
        }
    }

    /// How many are set and not called off.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether none is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
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

    #[test]
    fn what_is_called_off_never_comes_up() {
        let mut deadlines = Deadlines::default();
        let second = Duration::from_secs(1);
        let handles: Vec<_> =
            [(3, "a"), (3, "b"), (9, "c")].map(|(at, what)| deadlines.set(second * at, what)).into();
        deadlines.call_off(handles[0]);
        deadlines.call_off(handles[2]);
        // Once is enough.
        deadlines.call_off(handles[2]);
        assert_eq!((deadlines.len(), deadlines.next()), (1, Some(second * 3)));
        assert_eq!(deadlines.due(second * 99), Some((second * 3, "b")));
        assert_eq!((deadlines.due(second * 99), deadlines.next(), deadlines.len()), (None, None, 0));
        // Of the present turn: it comes up.
        let now = deadlines.set(second * 3, "d");
        deadlines.call_off(now);
        assert_eq!(deadlines.due(second * 3), Some((second * 3, "d")));
    }

    /// Against a sorted list, with deadlines set while others come up, in the past, in this turn and far ahead.
    #[test]
    fn they_are_those_of_a_sorted_list() {
        let (mut deadlines, mut list, mut seed) = (Deadlines::default(), Vec::new(), 1_u64);
        let mut chance = |n: u64| {
            seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (seed >> 33) % n
        };
        let mut now = Duration::ZERO;
        for what in 0..20_000_u64 {
            let ahead = [0, 3, 16, 500, 5_000, 185_000][chance(6) as usize];
            let at = (now + Duration::from_millis(chance(ahead + 1)))
                .saturating_sub(Duration::from_millis(chance(4)));
            deadlines.set(at, what);
            list.push((at, what));
            if chance(3) == 0 {
                now += Duration::from_micros(chance(40_000));
                list.sort();
                let due = list.iter().take_while(|(at, _)| *at <= now).count();
                let expected: Vec<_> = list.drain(..due).collect();
                let found: Vec<_> = std::iter::from_fn(|| deadlines.due(now)).collect();
                assert_eq!(found, expected);
            }
            let next = list.iter().map(|(at, _)| *at).min();
            assert_eq!((deadlines.next(), deadlines.len()), (next, list.len()));
        }
    }
}
