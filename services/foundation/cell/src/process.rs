//! This process in its cell: one session, and the record that hangs on it.

use std::sync::Arc;
use std::time::Duration;

use tandem_domain::record::{self, Kind, ProcessRecord, Record};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_store::{Commit, CommitId, Durability, Error, Outcome, Precondition, SessionId, Store, Until};
use tokio::sync::watch;

use crate::follower::ViewFollower;
use crate::{Settings, wide};

/// How long a session lives after its last keep-alive, in shard time.
pub(crate) const SESSION_TTL: Duration = Duration::from_secs(10);
/// How often it is kept alive: three may be lost.
const KEEP_EVERY: Duration = Duration::from_millis(2500);
/// How soon a registration that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);
/// How long the end of the session is waited for when the process leaves.
const END_WITHIN: Duration = Duration::from_secs(1);

/// The session of a process in `_cell`.
#[derive(Clone, Debug)]
pub struct Session {
    process: Arc<str>,
    now: watch::Receiver<Option<SessionId>>,
}

impl Session {
    /// The id under which the process is registered: role and chance, unique in the cell's life.
    #[must_use]
    pub fn process(&self) -> &str {
        &self.process
    }

    /// The session as it is now; none: not registered, or the registration was lost.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        *self.now.borrow()
    }

    /// Waits until the process is registered.
    pub async fn registered(&self) -> SessionId {
        let mut now = self.now.clone();
        match now.wait_for(Option::is_some).await.map(|id| *id) {
            Ok(Some(id)) => id,
            // The task has ended: the process is leaving.
            _ => std::future::pending().await,
        }
    }

    /// Waits until a session is no more, or the process leaves. Cancel-safe.
    pub async fn ended(&self, session: SessionId) {
        let mut now = self.now.clone();
        let _ = now.wait_for(|id| *id != Some(session)).await;
    }

    pub(crate) fn start(
        life: &Life,
        store: &Store,
        view: &ViewFollower,
        clock: &Clock,
        chance: &Chance,
        settings: Settings,
    ) -> Self {
        let process: Arc<str> = format!("{}-{:016x}", settings.role, chance.u64()).into();
        let record = ProcessRecord {
            id: process.to_string(),
            role: settings.role,
            version: settings.version,
            formats: (u16::from(tandem_store::codec::VERSION), u16::from(tandem_store::codec::VERSION)),
            listeners: settings.listeners,
        };
        let (told, now) = watch::channel(None);
        let keeper = Keeper {
            store: store.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
            record: Record::Process(Arc::new(record)),
            process: Arc::clone(&process),
            diverged: view.diverged(),
            told,
        };
        let ending = life.clone();
        life.tasks.spawn("cell process", keeper.run(ending));
        Self { process, now }
    }
}

struct Keeper {
    store: Store,
    clock: Clock,
    chance: Chance,
    record: Record,
    process: Arc<str>,
    /// The store may have lost it.
    diverged: watch::Receiver<u64>,
    told: watch::Sender<Option<SessionId>>,
}

impl Keeper {
    async fn run(mut self, life: Life) {
        tokio::select! {
            () = self.keep() => {}
            () = crate::last(&life) => {}
            // Something else did not end in time, such as a call that rings: the registration ends all the same.
            () = life.drain.stopped() => {}
        }
        // What hangs on the session is free at once, instead of after its time.
        if let Some(session) = self.told.send_replace(None) {
            let _ = tokio::time::timeout(END_WITHIN, self.end(session)).await;
        }
    }

    async fn end(&self, session: SessionId) {
        let cell = record::cell();
        if self.store.end_session(&cell, session).await.is_ok() {
            // Its record goes with the next sweep; when the process was the last one, that is now.
            let _ = self.store.sweep(tandem_store::Shard::of(&cell)).await;
        }
    }

    async fn keep(&mut self) {
        loop {
            let session = SessionId(wide(&self.chance));
            if let Err(error) = self.register(session).await {
                tracing::warn!(%error, process = %self.process, "cannot register; trying again");
                self.clock.sleep(RETRY).await;
                continue;
            }
            self.told.send_replace(Some(session));
            self.stay(session).await;
            self.told.send_replace(None);
            tracing::warn!(process = %self.process, "the registration was lost; registering anew");
        }
    }

    async fn register(&self, session: SessionId) -> Result<(), Error> {
        let cell = record::cell();
        self.store.open_session(&cell, session, ttl_ms()).await?;
        let commit = Commit {
            tenant: cell,
            id: CommitId(wide(&self.chance)),
            preconditions: vec![Precondition::SessionLives(session)],
            writes: vec![tandem_store::claim(&self.process, &self.record, Until::Session(session))],
            durability: Durability::Local,
            trace: None,
        };
        match self.store.commit(commit).await? {
            Outcome::Committed(_) => Ok(()),
            Outcome::Refused(_) => Err(Error::Unavailable("the session ended at once".into())),
            Outcome::Indeterminate(why) => Err(Error::Unavailable(why)),
        }
    }

    /// Keeps the session alive until it is known to be gone.
    async fn stay(&mut self, session: SessionId) {
        let cell = record::cell();
        loop {
            tokio::select! {
                () = self.clock.sleep(KEEP_EVERY) => {}
                // Nobody that follows ends before this does.
                _ = self.diverged.changed() => {}
            }
            match self.store.keep_alive(&cell, session, ttl_ms()).await {
                Ok(true) => {}
                Ok(false) => return,
                // Shard time stands while the store is away; the session may have outlived it.
                Err(error) => tracing::debug!(%error, "cannot keep the session alive now"),
            }
            // A store that was restored from an older copy may have the session and not the record.
            if let Ok(None) = self.store.get(&cell, Kind::Process, &self.process).await {
                return;
            }
        }
    }
}

fn ttl_ms() -> u32 {
    u32::try_from(SESSION_TTL.as_millis()).unwrap_or(u32::MAX)
}
