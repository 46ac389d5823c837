//! From a number in canonical form to the records that name it.

use smallvec::SmallVec;

use crate::number::index::Index;
use crate::number::{Digits, Number};

/// Why a record stands at a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Role {
    Assignment = 0,
    Extension = 1,
    Workgroup = 2,
    Station = 3,
    LineUri = 4,
    /// An assignment, by the user it names, where it is kept under this very number: calls need the user.
    Did = 5,
}

impl Role {
    const BITS: u32 = 3;

    pub(super) fn with(self, slot: u32) -> u32 {
        slot << Self::BITS | self as u32
    }

    /// The slot and role of a value.
    pub(super) fn split(value: u32) -> (u32, Self) {
        let role = match value & 7 {
            0 => Self::Assignment,
            1 => Self::Extension,
            2 => Self::Workgroup,
            3 => Self::Station,
            4 => Self::LineUri,
            _ => Self::Did,
        };
        (value >> Self::BITS, role)
    }
}

/// An index for each kind of number, so that keys are digits alone and nothing else need be compared.
#[derive(Clone, Debug, Default)]
pub(super) struct NumberMap {
    local: Index,
    global: Index,
    /// Global numbers with an extension, by a hash of both: the caller compares.
    extended: Index,
}

/// Pairs for a [`NumberMap`] that is built at once.
#[derive(Default)]
pub(super) struct NumberPairs {
    local: Vec<(u64, u32)>,
    global: Vec<(u64, u32)>,
    extended: Vec<(u64, u32)>,
}

impl NumberPairs {
    pub(super) fn push(&mut self, number: Number, value: u32) {
        let (into, key) = match kind(number) {
            Kind::Local => (&mut self.local, number.digits().spread()),
            Kind::Global => (&mut self.global, number.digits().spread()),
            Kind::Extended => (&mut self.extended, extended(number)),
        };
        into.push((key, value));
    }

    pub(super) fn build(self) -> NumberMap {
        NumberMap {
            local: Index::build(self.local),
            global: Index::build(self.global),
            extended: Index::build(self.extended),
        }
    }
}

enum Kind {
    Local,
    Global,
    Extended,
}

fn kind(number: Number) -> Kind {
    match (number.is_global(), number.ext().is_empty()) {
        (false, _) => Kind::Local,
        (true, true) => Kind::Global,
        (true, false) => Kind::Extended,
    }
}

fn extended(number: Number) -> u64 {
    // The caller compares, so that a collision costs time alone.
    number.digits().spread() ^ number.ext().spread().rotate_left(32)
}

impl NumberMap {
    fn place(&mut self, number: Number) -> (&mut Index, u64) {
        match kind(number) {
            Kind::Local => (&mut self.local, number.digits().spread()),
            Kind::Global => (&mut self.global, number.digits().spread()),
            Kind::Extended => (&mut self.extended, extended(number)),
        }
    }

    pub(super) fn insert(&mut self, number: Number, value: u32) {
        let (index, key) = self.place(number);
        index.insert(key, value);
    }

    pub(super) fn remove(&mut self, number: Number, value: u32) {
        let (index, key) = self.place(number);
        index.remove(key, value);
    }

    /// Brings what leads to a number's values into the cache.
    pub(super) fn look_at(&self, number: Number) {
        let (index, key) = self.of(number);
        index.look_at(key);
    }

    /// The first of the values that [`get`](Self::get) answers.
    pub(super) fn first(&self, number: Number) -> Option<u32> {
        let (index, key) = self.of(number);
        index.find(key)
    }

    fn of(&self, number: Number) -> (&Index, u64) {
        match kind(number) {
            Kind::Local => (&self.local, number.digits().spread()),
            Kind::Global => (&self.global, number.digits().spread()),
            Kind::Extended => (&self.extended, extended(number)),
        }
    }

    /// The values of a number; of one with an extension perhaps those of others too.
    pub(super) fn get(&self, number: Number) -> SmallVec<[u32; 4]> {
        let (index, key) = self.of(number);
        index.get(key)
    }

    /// Each number without extension and its values, then the values of numbers with one, whose number is not kept.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (Option<Number>, u32)> {
        let none = Digits::default();
        let local = self.local.pairs().map(|(d, v)| (Number::local(Digits::from_spread(d)), v));
        let global = self.global.pairs().map(move |(d, v)| (Number::global(Digits::from_spread(d), none), v));
        local.chain(global).chain(self.extended.pairs().map(|(_, v)| (None, v)))
    }

    /// How many pairs.
    pub(super) fn len(&self) -> usize {
        self.local.len() + self.global.len() + self.extended.len()
    }

    /// The values of each key that has more than one, in runs.
    pub(super) fn shared(&self) -> Vec<SmallVec<[u32; 4]>> {
        let mut runs: Vec<SmallVec<[u32; 4]>> = Vec::new();
        for index in [&self.local, &self.global, &self.extended] {
            let mut last: Option<(u64, u32)> = None;
            let mut open = false;
            for (key, value) in index.pairs() {
                match last {
                    Some((k, _)) if k == key && open => {
                        runs.last_mut().into_iter().for_each(|r| r.push(value))
                    }
                    Some((k, v)) if k == key => {
                        runs.push(SmallVec::from_slice(&[v, value]));
                        open = true;
                    }
                    _ => open = false,
                }
                last = Some((key, value));
            }
        }
        runs
    }
}
