//! The life of a process, from its first task to its last.
//!
//! ```text
//!            build ok              signal             pause over          all ended, or deadline
//! Starting ───────────▶ Running ───────────▶ Leaving ───────────▶ Draining ───────────▶ Stopped
//!                                            not ready,           no new work,          what is left
//!                                            still serves         streams end           is cut
//!                          a second signal, at any moment: Stopped
//! ```
//!
//! *Leaving* exists because those who send us work learn late that we are going (a Kubernetes endpoint takes a
//! second or two to vanish): until then new work is still served, only the health says no.
//!
//! Invariants: a phase never goes back; every task has a name and is joined before [`run`] returns; a critical
//! task that ends before the process drains ends the process, and its error is what [`run`] returns. Nothing here
//! calls `process::exit`.

mod signals;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::sync::watch;

pub use signals::{Signal, signals};
pub use tasks::{Failure, Left, Name, SharedError, Tasks};

/// Where a process stands in its life. Ordered: a later phase is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Being built; not ready.
    Starting,
    /// Ready.
    Running,
    /// Not ready any more, but new work is still served.
    Leaving,
    /// No new work; what runs ends; streams end by themselves.
    Draining,
    /// What still runs is cut.
    Stopped,
}

/// How long what ends by itself once the process is stopped may take to do so, before it is cut.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a process takes to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// From the signal until new work is refused. Two seconds cover the removal of an endpoint in Kubernetes; a
    /// process on a person's desk wants none.
    pub pause: Duration,
    /// From then until what still runs is cut.
    pub drain: Duration,
}

impl Grace {
    /// No pause, and two seconds for what runs: for a desk, where a person waits for the prompt.
    pub const DESK: Self = Self { pause: Duration::ZERO, drain: Duration::from_secs(2) };
    /// For a cluster: well within the 30 s that Kubernetes waits before it kills.
    pub const CLUSTER: Self = Self { pause: Duration::from_secs(2), drain: Duration::from_secs(20) };
}

/// The handle that moves the phases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<watch::Sender<Phase>>);

impl Shutdown {
    /// A life that has just begun, and the handle by which tasks follow it.
    pub fn new() -> (Self, Drain) {
        let (tx, rx) = watch::channel(Phase::Starting);
        (Self(Arc::new(tx)), Drain(rx))
    }

    /// Moves to `phase`, unless it has already been passed.
    pub fn advance(&self, phase: Phase) {
        self.0.send_if_modified(|now| {
            let forward = phase > *now;
            if forward {
                *now = phase;
            }
            forward
        });
    }

    /// Asks for an orderly end, as the first signal does.
    pub fn leave(&self) {
        self.advance(Phase::Leaving);
    }

    /// Another handle to follow by.
    pub fn drain(&self) -> Drain {
        Drain(self.0.subscribe())
    }
}

/// The handle by which tasks, servers and streams follow the life of the process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<Phase>);

impl Drain {
    /// A life in which nothing ever ends: for tools that run once.
    pub fn never() -> Self {
        let (tx, rx) = watch::channel(Phase::Running);
        drop(tx);
        Self(rx)
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Whether new work is to be refused.
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Waits until `phase` has been reached. Cancel-safe. When the last [`Shutdown`] is gone without it, the phase
    /// can never come and neither does the answer.
    pub async fn reached(&self, phase: Phase) {
        let mut rx = self.0.clone();
        if rx.wait_for(|now| *now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the process leaves: readiness is gone, new work still comes.
    pub async fn leaving(&self) {
        self.reached(Phase::Leaving).await;
    }

    /// Waits until streams are to end and new work is refused. What a service selects on beside its stream.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until what still runs is cut.
    pub async fn stopped(&self) {
        self.reached(Phase::Stopped).await;
    }
}

/// What a build gets: the life, and the place for its tasks.
#[derive(Clone, Debug)]
pub struct Life {
    /// Moves the phases; a build may keep it to end the process by a command.
    pub shutdown: Shutdown,
    /// Follows the phases.
    pub drain: Drain,
    /// Spawns the tasks.
    pub tasks: Tasks,
}

impl Life {
    /// A new life with no tasks.
    pub fn new() -> Self {
        let (shutdown, drain) = Shutdown::new();
        let tasks = Tasks::new(shutdown.clone());
        Self { shutdown, drain, tasks }
    }
}

impl Default for Life {
    fn default() -> Self {
        Self::new()
    }
}

/// How a process that did not fail came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All that ran has ended in order.
    Drained,
    /// The drain's deadline passed, or a second signal came, and what still ran was cut.
    Cut,
}

/// Why [`run`] failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The build failed; nothing was ever ready.
    #[error("cannot start")]
    Build(#[source] anyhow::Error),
    /// A critical task ended early.
    #[error(transparent)]
    Task(#[from] Failure),
}

/// Runs a process: builds it, waits for its end, and leaves in order.
///
/// `build` binds, spawns on [`Life::tasks`] and returns once all is ready (views synchronised, listeners served);
/// then the phase becomes [`Phase::Running`]. The end is the first of: a signal, [`Shutdown::leave`], a critical
/// task that ended. Everything is joined before this returns.
///
/// # Errors
///
/// The build's error, or the first critical task's.
pub async fn run<B, F>(grace: Grace, signals: impl Stream<Item = Signal>, build: B) -> Result<Ended, Error>
where
    B: FnOnce(Life) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let life = Life::new();
    let mut signals = std::pin::pin!(signals.fuse());
    let built = {
        let build = build(life.clone());
        tokio::select! {
            built = build => built,
            () = life.drain.leaving() => Ok(()),
            Some(signal) = signals.next() => {
                tracing::info!(%signal, "asked to leave before being ready");
                life.shutdown.leave();
                Ok(())
            }
        }
    };
    if let Err(error) = built {
        life.shutdown.advance(Phase::Stopped);
        life.tasks.join().await;
        return Err(Error::Build(error));
    }
    life.shutdown.advance(Phase::Running);
    tokio::select! {
        () = life.drain.leaving() => {}
        Some(signal) = signals.next() => {
            tracing::info!(%signal, "leaving; a second signal leaves at once");
            life.shutdown.leave();
        }
    }
    let left = leave(&life, grace, signals).await;
    match life.tasks.failure() {
        Some(failure) => Err(failure.into()),
        None if left.is_empty() => Ok(Ended::Drained),
        None => Ok(Ended::Cut),
    }
}

/// Walks from [`Phase::Leaving`] to [`Phase::Stopped`] and joins all tasks.
async fn leave(life: &Life, grace: Grace, mut signals: impl Stream<Item = Signal> + Unpin) -> Left {
    let pause = async {
        // A process that failed has nothing to offer to those who still come.
        if life.tasks.failure().is_none() {
            tokio::time::sleep(grace.pause).await;
        }
        life.shutdown.advance(Phase::Draining);
        let ended = tokio::time::timeout(grace.drain, life.tasks.ended()).await.is_ok();
        if !ended {
            tracing::warn!(after = ?grace.drain, tasks = ?life.tasks.living(), "drain deadline passed; cutting");
        }
    };
    let in_order = tokio::select! {
        () = pause => true,
        () = life.drain.stopped() => false,
        Some(signal) = signals.next() => {
            tracing::warn!(%signal, tasks = ?life.tasks.living(), "leaving at once");
            false
        }
    };
    let left = life.tasks.living();
    life.shutdown.advance(Phase::Stopped);
    if in_order {
        // What ends by itself at that word, as a registration that is struck off does, is not cut half-way.
        let _ended = tokio::time::timeout(LAST_WORDS, life.tasks.ended()).await;
    }
    life.tasks.join().await;
    left
}

#[cfg(test)]
mod tests;
