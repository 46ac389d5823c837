//! A server: an embedded store in memory, told the time with each operation.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tandem_domain::id::TenantId;
use tandem_store::embedded::{Embedded, Place};
use tandem_store::{Backend, Commit, Error, Outcome, SessionId, Shard, World};

use crate::dice::Dice;

/// What is done to a server.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Commit(Commit),
    Sweep(Shard),
    OpenSession(TenantId, SessionId, u32),
    KeepAlive(TenantId, SessionId, u32),
    EndSession(TenantId, SessionId),
}

/// An operation, with the time that the server's clock showed and its chance.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    pub(crate) now: u64,
    pub(crate) chance: u64,
    pub(crate) what: What,
}

impl Op {
    /// The shard whose log it may lengthen.
    pub(crate) fn shard(&self) -> Option<Shard> {
        match &self.what {
            What::Commit(commit) => Some(Shard::of(&commit.tenant)),
            What::Sweep(shard) => Some(*shard),
            _ => None,
        }
    }
}

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Outcome(Outcome),
    Swept(usize),
    Lives(bool),
    Done,
}

/// A server. Whatever it is asked is answered before anything else happens.
pub(crate) struct Server {
    pub(crate) store: Embedded,
    clock: Arc<AtomicU64>,
    chance: Arc<Mutex<Dice>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let (clock, chance) = (Arc::new(AtomicU64::new(1)), Arc::new(Mutex::new(Dice(0))));
        let (seen, rolled) = (Arc::clone(&clock), Arc::clone(&chance));
        let world = World {
            clock: Arc::new(move || seen.load(Ordering::SeqCst)),
            chance: Arc::new(move || {
                let mut dice = rolled.lock().unwrap();
                u128::from(dice.roll(u64::MAX)) << 64 | u128::from(dice.roll(u64::MAX))
            }),
        };
        Self { store: Embedded::open(Place::Memory, world).unwrap(), clock, chance }
    }

    /// One that was told all this before.
    pub(crate) fn of(ops: &[Op]) -> Self {
        let server = Self::new();
        // What was refused then is refused again.
        ops.iter().for_each(|op| drop(server.apply(op)));
        server
    }

    pub(crate) fn apply(&self, op: &Op) -> Result<Answer, Error> {
        self.clock.store(op.now, Ordering::SeqCst);
        *self.chance.lock().unwrap() = Dice(op.chance);
        Ok(match &op.what {
            What::Commit(commit) => Answer::Outcome(wait(self.store.commit(commit.clone()))?),
            What::Sweep(shard) => Answer::Swept(wait(self.store.sweep(*shard))?),
            What::OpenSession(tenant, session, ttl) => {
                wait(self.store.open_session(tenant, *session, *ttl))?;
                Answer::Done
            }
            What::KeepAlive(tenant, session, ttl) => {
                Answer::Lives(wait(self.store.keep_alive(tenant, *session, *ttl))?)
            }
            What::EndSession(tenant, session) => {
                wait(self.store.end_session(tenant, *session))?;
                Answer::Done
            }
        })
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread, whatever else there is to do on it: no virtual time passes.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    // What is waited for is done by threads of the store; a budget of this task would never be renewed meanwhile.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
