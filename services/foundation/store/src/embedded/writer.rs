//! The one writer: a thread that takes what waits, does it in one transaction, syncs, and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase as _};
use tokio::sync::{broadcast, mpsc};

use super::batch::{Batch, Clocks, words};
use super::gate::{Gate, Opened};
use super::layout::COMMITS;
use super::open::{self, Lock};
use super::request::{Done, Request};
use super::{Place, World};
use crate::types::{CommitId, Shard};

/// How many requests share a sync at most: bounds the time that the first waits for the last.
const BATCH: usize = 256;
/// How many bytes the requests that share a sync may have, but for the last: bounds a transaction's memory.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// How often, each 10 ms, the writer looks whether readers have left the old handle before it tells callers to
/// come back.
const REOPEN_TRIES: u32 = 50;

pub(super) struct Writer {
    pub(super) gate: Arc<Gate>,
    pub(super) place: Place,
    pub(super) world: World,
    pub(super) hints: broadcast::Sender<Shard>,
    pub(super) clocks: Clocks,
    /// A sync failed since the file was last known to be whole on the disk; see [`open::rewrite`].
    pub(super) suspect: bool,
    /// Let go of when the database is closed, and not before.
    pub(super) lock: Option<Lock>,
}

impl Writer {
    /// Works until it is told to close, or every handle on the store is gone.
    pub(super) fn run(mut self, mut waiting: mpsc::Receiver<Request>) {
        let mut closing = None;
        while closing.is_none() {
            let Some(first) = waiting.blocking_recv() else { break };
            let mut requests = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Close(reply) => closing = Some(reply),
                    other => {
                        bytes += other.bytes();
                        requests.push(other);
                    }
                }
                let room = closing.is_none() && requests.len() < BATCH && bytes < BATCH_BYTES;
                next = if room { waiting.try_recv().ok() } else { None };
            }
            self.serve(requests);
        }
        waiting.close();
        if let Some(database) = self.gate.set(Opened::Closed) {
            Self::leave(database);
        }
        drop(self.lock.take());
        if let Some(reply) = closing {
            // Who asked may have gone.
            let _ = reply.send(Ok(()));
        }
    }

    fn serve(&mut self, requests: Vec<Request>) {
        if requests.is_empty() {
            return;
        }
        let database = match self.database() {
            Ok(database) => database,
            Err(why) => return requests.into_iter().for_each(|r| r.refuse(&why)),
        };
        // A file that was damaged under us must not end the only writer: who waits is told that it is not known
        // what became of it, and the file is opened, and so checked, anew.
        if catch_unwind(AssertUnwindSafe(|| self.batch(database, requests))).is_err() {
            self.forget("the database could not be written");
        }
        // At once, and not with the next request: readers wait for it. If it fails, the next request tries again.
        let _ = self.database();
    }

    /// The database, opened anew if it failed.
    fn database(&mut self) -> Result<Arc<Database>, String> {
        if let Some(database) = self.gate.open() {
            return Ok(database);
        }
        match self.open() {
            Ok(database) => {
                let database = Arc::new(database);
                self.gate.set(Opened::Open(Arc::clone(&database)));
                tracing::info!("the store was opened again");
                Ok(database)
            }
            Err(why) => {
                self.gate.set(Opened::Away(why.clone()));
                Err(why)
            }
        }
    }

    fn open(&mut self) -> Result<Database, String> {
        if self.suspect {
            open::rewrite(&self.place).map_err(|e| words(&redb::Error::Io(e)))?;
            self.suspect = false;
        }
        open::database(&self.place, &self.world).map_err(|e| {
            // Opening mends, and syncs what it mended.
            self.suspect = true;
            e.to_string()
        })
    }

    /// Waits a while until readers have left a handle, for a file is opened once at a time.
    fn leave(database: Arc<Database>) {
        for _ in 0..REOPEN_TRIES {
            if Arc::strong_count(&database) == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Forgets a handle that failed. Every caller has dropped its own before.
    fn forget(&self, why: &str) {
        tracing::warn!(why, "the store failed, it is opened again");
        if let Some(database) = self.gate.set(Opened::Reopening(why.to_owned())) {
            Self::leave(database);
        }
    }

    fn batch(&mut self, database: Arc<Database>, requests: Vec<Request>) {
        let txn = match database.begin_write() {
            Ok(txn) => txn,
            Err(e) => {
                drop(database);
                let why = words(&e.into());
                self.forget(&why);
                return requests.into_iter().for_each(|r| r.refuse(&why));
            }
        };
        let mut done = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter();
        let applied = self.apply(&txn, &mut requests, &mut done);
        match applied {
            Err(why) => {
                drop(txn);
                drop(database);
                self.forget(&why);
                done.into_iter().for_each(|d| d.refuse(&why));
                requests.for_each(|r| r.refuse(&why));
            }
            Ok(false) => {
                drop(txn);
                done.into_iter().for_each(|d| d.tell(&self.hints));
            }
            Ok(true) => match txn.commit() {
                Ok(()) => done.into_iter().for_each(|d| d.tell(&self.hints)),
                Err(e) => {
                    drop(database);
                    let why = words(&e.into());
                    self.suspect = true;
                    self.forget(&why);
                    self.settle(done, &why);
                }
            },
        }
    }

    /// Does all requests; answers whether anything was written. Those that were not reached stay in `requests`.
    fn apply(
        &mut self,
        txn: &redb::WriteTransaction,
        requests: &mut std::vec::IntoIter<Request>,
        done: &mut Vec<Done>,
    ) -> Result<bool, String> {
        let wall = (self.world.clock)();
        let mut batch = Batch::new(txn, &mut self.clocks, wall).map_err(|e| e.to_string())?;
        for request in requests.by_ref() {
            done.push(request.apply(&mut batch, &self.world).map_err(|e| e.to_string())?);
        }
        Ok(batch.dirty)
    }

    /// What to say after a commit that failed. The file is written and opened anew, and what it then holds is what
    /// happened, for good. While that does not succeed, it is not known.
    fn settle(&mut self, done: Vec<Done>, why: &str) {
        let found = self.database().ok().and_then(|database| {
            let txn = database.begin_read().ok()?;
            txn.open_table(COMMITS).ok()
        });
        for done in done {
            let happened = match (&found, done.wrote()) {
                (Some(table), Some((shard, CommitId(id)))) => {
                    table.get((shard.0, id)).ok().map(|r| r.is_some())
                }
                _ => None,
            };
            match happened {
                Some(true) => done.tell(&self.hints),
                Some(false) => done.refuse(why),
                None => done.doubt(why),
            }
        }
    }
}
