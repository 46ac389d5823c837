//! Things by number: found in one step, and their places used again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Things by numbers that we gave, or by digests that we keyed: nobody can choose them so that they collide, and to mix
/// their bits is enough.
pub(crate) type Numbered<K, T> = HashMap<K, T, BuildHasherDefault<Mix>>;

/// Mixes the bits of one number.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        // The map takes its place from the low bits and a mark from the high ones.
        let wide = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (wide >> 64) as u64 ^ wide as u64;
    }

    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64 ^ (number >> 64) as u64);
    }
}

/// Places in a block: blocks are never moved, so that growing costs no copy of what is held.
const BLOCK: usize = 256;

/// Holds things by a number that it gives. Its low half is a place, its high half how often that place was given: a
/// number comes again after four billion others of its place.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    blocks: Vec<Box<[Place<T>]>>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Place<T> {
    given: u32,
    held: Option<T>,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> Pool<T> {
    /// Takes one in, and gives its number.
    pub(crate) fn insert(&mut self, held: T) -> u64 {
        if self.free.is_empty() {
            self.grow();
        }
        let at = self.free.pop().unwrap_or_default();
        let place = &mut self.blocks[at as usize / BLOCK][at as usize % BLOCK];
        place.given = place.given.wrapping_add(1);
        place.held = Some(held);
        self.len += 1;
        u64::from(place.given) << 32 | u64::from(at)
    }

    fn grow(&mut self) {
        let first = (self.blocks.len() * BLOCK) as u32;
        self.blocks.push((0..BLOCK).map(|_| Place { given: 0, held: None }).collect());
        self.free.extend((first..first + BLOCK as u32).rev());
    }

    fn place(&self, number: u64) -> Option<&Place<T>> {
        let at = number as u32 as usize;
        self.blocks.get(at / BLOCK)?.get(at % BLOCK).filter(|place| u64::from(place.given) == number >> 32)
    }

    fn place_mut(&mut self, number: u64) -> Option<&mut Place<T>> {
        let at = number as u32 as usize;
        self.blocks.get_mut(at / BLOCK)?.get_mut(at % BLOCK).filter(|p| u64::from(p.given) == number >> 32)
    }

    /// The one with a number, if it is held still.
    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.place(number)?.held.as_ref()
    }

    /// The one with a number, if it is held still.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.place_mut(number)?.held.as_mut()
    }

    /// Lets one go.
    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let held = self.place_mut(number)?.held.take()?;
        self.free.push(number as u32);
        self.len -= 1;
        Some(held)
    }

    /// How many are held.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_its_things_alone() {
        let mut pool = Pool::default();
        let numbers: Vec<u64> = (0..1_000).map(|n| pool.insert(n)).collect();
        assert_eq!((pool.get(numbers[999]), pool.len()), (Some(&999), 1_000));
        assert_eq!(pool.remove(numbers[500]), Some(500));
        assert_eq!(pool.get(numbers[500]), None);
        assert_eq!(pool.remove(numbers[500]), None);
        let again = pool.insert(7);
        // The place is used again, its number is not.
        assert_eq!((again as u32, again == numbers[500]), (numbers[500] as u32, false));
        assert_eq!((pool.get(again), pool.get(numbers[500]), pool.len()), (Some(&7), None, 1_000));
        *pool.get_mut(again).unwrap() = 8;
        assert_eq!(pool.remove(again), Some(8));
        assert_eq!(pool.get(u64::MAX), None);
    }
}
