//! Belongs: what makes a process part of a cell.
//!
//! ```text
//!                    ┌─ follower ── domain::view::View ──> readers (never block), subscribers (no gap)
//! store (the log) ───┼─ sweeper ─── what is due expires
//!                    ├─ process ─── this process, registered under its session
//!                    └─ policy ──── YAML files ──> tenants, policy, ingress claims (one writer at a time)
//! ```
//!
//! A process opens one [`Cell`] and hands it to its services. They answer from [`follower::ViewFollower`] and
//! write through [`Cell::store`]; nobody reads the store to answer a request.
//!
//! Invariants:
//! - a view that was published never changes; it shows whole commits only;
//! - a subscriber gets a view and then every change after it, or is told to begin anew; what waits for it is
//!   bounded;
//! - a watch goes on from a mark without a gap, or is told that it cannot;
//! - a store that cannot be read leaves the view as it is and says since when;
//! - what a store has lost of a tenant is shown as it was until it is written again;
//! - policy and claims are written only by the holder of the `_cell` lease, checked by the store in each commit;
//! - nothing that cannot be read deletes anything.

pub mod follower;
mod metrics;
pub mod policy;
mod process;
pub mod registry;
mod sweep;
pub mod watch;

use std::sync::Arc;

use tandem_domain::id::{Incarnation, ListenerName};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_store::{CommitId, Home, OpenError, SessionId, Store, World};

use follower::ViewFollower;

/// Tasks of this crate bear names that begin so; they end when no other task of the process lives.
const TASK_PREFIX: &str = "cell ";

/// What a process is in its cell.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the store is.
    pub home: Home,
    /// The role under which the process is registered: `up`, `station` and so on.
    pub role: String,
    /// The release, as the process reports it.
    pub version: String,
    /// The listeners of the edges that this process runs; empty if it runs none.
    pub listeners: Vec<ListenerName>,
}

impl Settings {
    /// Everything in one process, in memory: for tests and trials.
    #[must_use]
    pub fn memory(role: &str) -> Self {
        Self {
            home: Home::MEMORY,
            role: role.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listeners: Vec::new(),
        }
    }
}

/// A cell as one process has it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    view: ViewFollower,
    session: process::Session,
    clock: Clock,
    chance: Chance,
    /// Whether other processes may have the store, too.
    shared: bool,
    /// Who reads the log to begin a watch from a mark.
    resuming: watch::Turns,
}

impl Cell {
    /// Opens the store and begins to follow, sweep and be registered, on the tasks of `life`. Returns as soon as
    /// the store is open: wait for [`ViewFollower::synchronised`] before being ready.
    ///
    /// # Errors
    /// [`OpenError`]: what is wrong with the store and what to do.
    pub async fn open(
        life: &Life,
        clock: Clock,
        chance: Chance,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let store = settings.home.clone().open(world(&clock, &chance)).await?;
        Ok(Self::join(life, clock, chance, store, settings))
    }

    /// Belongs to the cell of a store that is open already: several members in one process, as in tests.
    #[must_use]
    pub fn join(life: &Life, clock: Clock, chance: Chance, store: Store, settings: Settings) -> Self {
        let view = ViewFollower::start(life, &store, clock.clone());
        let shared = settings.home.is_shared();
        let session = process::Session::start(life, &store, &view, &clock, &chance, settings);
        sweep::start(life, &store, &view, &clock, session.process());
        let resuming = watch::Turns::new();
        Self(Arc::new(Inner { store, view, session, clock, chance, shared, resuming }))
    }

    /// The store, to write to.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// The facts, to answer from.
    #[must_use]
    pub fn view(&self) -> &ViewFollower {
        &self.0.view
    }

    /// The session of this process in `_cell`: what hangs on it ends with the process.
    #[must_use]
    pub fn session(&self) -> &process::Session {
        &self.0.session
    }

    /// Time, as it was passed in.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Chance, as it was passed in.
    #[must_use]
    pub fn chance(&self) -> &Chance {
        &self.0.chance
    }

    /// Whether other processes may have the store as well.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.shared
    }

    pub(crate) fn resuming(&self) -> &watch::Turns {
        &self.0.resuming
    }

    /// A name for a new commit.
    #[must_use]
    pub fn commit_id(&self) -> CommitId {
        CommitId(wide(&self.0.chance))
    }

    /// A name for a new session.
    #[must_use]
    pub fn session_id(&self) -> SessionId {
        SessionId(wide(&self.0.chance))
    }

    /// A new tenant's incarnation.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(wide(&self.0.chance))
    }
}

pub use process::Session;

/// 128 random bits.
fn wide(chance: &Chance) -> u128 {
    (u128::from(chance.u64()) << 64) | u128::from(chance.u64())
}

/// Clock and chance as a store takes them.
#[must_use]
pub fn world(clock: &Clock, chance: &Chance) -> World {
    let (clock, chance) = (clock.clone(), chance.clone());
    World { clock: Arc::new(move || clock.unix_micros()), chance: Arc::new(move || wide(&chance)) }
}

/// Waits until the process drains and nothing but this crate's own tasks lives: handlers that are being answered
/// still read what they wrote.
async fn last(life: &Life) {
    life.drain.draining().await;
    // Nothing tells the end of another task; this is looked at only on the way out, for seconds at most.
    while life.tasks.living().iter().any(|name| !name.starts_with(TASK_PREFIX)) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
