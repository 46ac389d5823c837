//! A disk in memory that loses what was not synced, fills up, and fails, when it is told to.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use tandem_store::embedded::Disk;

/// A small generator, so that a failing round can be run again: splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// What becomes of writes that were not synced when the power is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Power {
    /// None of them was written.
    DropsAll,
    /// Some were, in any order, and of some only some sectors.
    KeepsSome,
}

const SECTOR: usize = 512;

#[derive(Debug)]
enum Unsynced {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Debug, Default)]
struct State {
    /// What is there after a power cut.
    durable: Vec<u8>,
    /// What is read now.
    now: Vec<u8>,
    unsynced: Vec<Unsynced>,
    /// How many calls it takes before it dies; none: it does not.
    lives: Option<u64>,
    /// How many syncs succeed, and how many fail after that.
    syncs: (u64, u64),
    room: u64,
    /// Says that it synced, and did not.
    lies: bool,
    /// Which power cycle it is: a handle of an earlier one is dead.
    cycle: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct LossyDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct Handle {
    disk: LossyDisk,
    cycle: u64,
}

impl LossyDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { room: u64::MAX, ..State::default() })))
    }

    pub(crate) fn die_after(&self, calls: u64) {
        self.0.lock().unwrap().lives = Some(calls);
    }

    pub(crate) fn fail_syncs(&self, after: u64, fail: u64) {
        self.0.lock().unwrap().syncs = (after, fail);
    }

    pub(crate) fn lie(&self) {
        self.0.lock().unwrap().lies = true;
    }

    pub(crate) fn set_room(&self, bytes: u64) {
        self.0.lock().unwrap().room = bytes;
    }

    pub(crate) fn cut_power(&self, power: Power, dice: &mut Dice) {
        let mut state = self.0.lock().unwrap();
        let unsynced = std::mem::take(&mut state.unsynced);
        if power == Power::KeepsSome {
            for op in unsynced {
                if dice.roll(2) == 0 {
                    continue;
                }
                match op {
                    Unsynced::Length(len) => state.durable.resize(len, 0),
                    Unsynced::Write(at, bytes) => {
                        for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                            let at = at + n * SECTOR;
                            if dice.roll(4) > 0 && at + sector.len() <= state.durable.len() {
                                state.durable[at..at + sector.len()].copy_from_slice(sector);
                            }
                        }
                    }
                }
            }
        }
        state.now = state.durable.clone();
        state.lives = None;
        state.syncs = (0, 0);
        state.cycle += 1;
    }
}

impl Disk for LossyDisk {
    fn open(&self) -> Box<dyn StorageBackend> {
        let cycle = self.0.lock().unwrap().cycle;
        Box::new(Handle { disk: self.clone(), cycle })
    }
}

fn dead() -> io::Error {
    io::Error::other("the disk is gone")
}

fn full() -> io::Error {
    io::Error::from(io::ErrorKind::StorageFull)
}

impl Handle {
    fn call<T>(&self, call: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock().unwrap();
        if state.cycle != self.cycle {
            return Err(dead());
        }
        match &mut state.lives {
            Some(0) => return Err(dead()),
            Some(lives) => *lives -= 1,
            None => {}
        }
        call(&mut state)
    }
}

impl StorageBackend for Handle {
    fn len(&self) -> Result<u64, io::Error> {
        self.call(|state| Ok(state.now.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.call(|state| {
            let at = offset as usize;
            let bytes = state.now.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.call(|state| {
            if len > state.room && len as usize > state.now.len() {
                return Err(full());
            }
            state.now.resize(len as usize, 0);
            state.unsynced.push(Unsynced::Length(len as usize));
            Ok(())
        })
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.call(|state| {
            if state.lies {
                return Ok(());
            }
            match &mut state.syncs {
                (0, fail @ 1..) => {
                    *fail -= 1;
                    // As Linux does: what could not be written is still read, and no later sync writes it.
                    state.unsynced.retain(|op| matches!(op, Unsynced::Length(_)));
                    return Err(io::Error::other("input/output error"));
                }
                (0, 0) => {}
                (syncs, _) => *syncs -= 1,
            }
            for op in std::mem::take(&mut state.unsynced) {
                match op {
                    Unsynced::Length(len) => state.durable.resize(len, 0),
                    Unsynced::Write(at, bytes) => state.durable[at..at + bytes.len()].copy_from_slice(&bytes),
                }
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.call(|state| {
            let at = offset as usize;
            let place = state.now.get_mut(at..at + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            place.copy_from_slice(data);
            state.unsynced.push(Unsynced::Write(at, data.to_vec()));
            Ok(())
        })
    }
}
