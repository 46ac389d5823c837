//! The one writer: a thread that takes what waits, does it in one transaction, syncs, and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase as _};
use tokio::sync::{broadcast, mpsc};

use super::batch::{Batch, Clocks, Fault, words};
use super::gate::{Gate, Opened};
use super::layout::COMMITS;
use super::open::{self, Lock};
use super::request::{Did, Request};
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

    /// Does requests in one transaction, synced once.
    fn batch(&mut self, database: Arc<Database>, mut requests: Vec<Request>) {
        // Each turn ends it, or takes out one request: one tenant's damaged record fails that tenant's request.
        loop {
            let txn = match database.begin_write() {
                Ok(txn) => txn,
                Err(e) => {
                    drop(database);
                    return self.fail(requests, &words(&e.into()));
                }
            };
            let mut did = Vec::with_capacity(requests.len());
            match self.apply(&txn, &requests, &mut did) {
                Ok(false) => {
                    drop(txn);
                    return self.tell(requests, did);
                }
                Ok(true) => {
                    let Err(e) = txn.commit() else { return self.tell(requests, did) };
                    drop(database);
                    let why = words(&e.into());
                    self.suspect = true;
                    self.forget(&why);
                    return self.settle(requests, did, &why);
                }
                Err(fault) if fault.is_local() => {
                    drop(txn);
                    tracing::error!(why = %fault, "a request to the store failed");
                    requests.remove(did.len()).refuse(&fault.to_string());
                }
                Err(fault) => {
                    drop(txn);
                    drop(database);
                    return self.fail(requests, &fault.to_string());
                }
            }
        }
    }

    /// Does all requests in order; answers whether anything was written. The one that failed is the one after
    /// those that are in `did`.
    fn apply(
        &mut self,
        txn: &redb::WriteTransaction,
        requests: &[Request],
        did: &mut Vec<Did>,
    ) -> Result<bool, Fault> {
        let wall = (self.world.clock)();
        let mut batch = Batch::new(txn, &mut self.clocks, wall)?;
        for request in requests {
            did.push(request.apply(&mut batch, &self.world)?);
        }
        Ok(batch.dirty)
    }

    fn tell(&self, requests: Vec<Request>, did: Vec<Did>) {
        requests.into_iter().zip(did).for_each(|(request, did)| request.tell(did, &self.hints));
    }

    /// Nothing was written, for the database failed.
    fn fail(&self, requests: Vec<Request>, why: &str) {
        self.forget(why);
        requests.into_iter().for_each(|r| r.refuse(why));
    }

    /// What to say after a commit that failed. The file is written and opened anew, and what it then holds is what
    /// happened, for good. While that does not succeed, it is not known.
    fn settle(&mut self, requests: Vec<Request>, did: Vec<Did>, why: &str) {
        let found = self.database().ok().and_then(|database| {
            let txn = database.begin_read().ok()?;
            txn.open_table(COMMITS).ok()
        });
        for (request, did) in requests.into_iter().zip(did) {
            let happened = match (&found, request.wrote(&did)) {
                (Some(table), Some((shard, CommitId(id)))) => {
                    table.get((shard.0, id)).ok().map(|r| r.is_some())
                }
                _ => None,
            };
            match happened {
                Some(true) => request.tell(did, &self.hints),
                Some(false) => request.refuse(why),
                None => request.doubt(&did, why),
            }
        }
    }
}
