//! A cell to test with: a real embedded store, time by hand or by the machine, chance from a seed.

use std::sync::Arc;
use std::time::Duration;

use tandem_cell::{Cell, Settings};
use tandem_domain::document::directory::{LyncAccount, User};
use tandem_domain::document::policy::Treatments;
use tandem_domain::document::terms::{CallControl, TelephonyMode};
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName, UserId};
use tandem_domain::record::{self, Record, TenantRecord};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_store::embedded::{Embedded, Place};
use tandem_store::{Commit, Durability, Outcome, Store, Write, put};

/// 2023-11-14, microseconds.
pub(crate) const START: u64 = 1_700_000_000_000_000;
/// Longer than anything here takes.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    pub(crate) cell: Cell,
    pub(crate) life: Life,
}

pub(crate) fn store(place: Place, clock: &Clock, seed: u64) -> Store {
    Store::new(Arc::new(Embedded::open(place, tandem_cell::world(clock, &Chance::seeded(seed))).unwrap()))
}

/// Waits for a condition of the view, with a deadline.
pub(crate) async fn until(cell: &Cell, holds: impl FnMut() -> bool) {
    tokio::time::timeout(SOON, cell.view().until(holds)).await.expect("in time");
}

impl Rig {
    pub(crate) async fn machine() -> Self {
        Self::of(Clock::machine(), Settings::memory("test"), 1).await
    }

    pub(crate) async fn of(clock: Clock, settings: Settings, seed: u64) -> Self {
        let life = Life::new();
        let cell = Cell::open(&life, clock, Chance::seeded(seed), settings).await.unwrap();
        Self::ready(cell, life).await
    }

    pub(crate) async fn join(store: &Store, clock: &Clock, role: &str, seed: u64) -> Self {
        let life = Life::new();
        let settings = Settings::memory(role);
        let cell = Cell::join(&life, clock.clone(), Chance::seeded(seed), store.clone(), settings);
        Self::ready(cell, life).await
    }

    async fn ready(cell: Cell, life: Life) -> Self {
        tokio::time::timeout(SOON, cell.view().synchronised()).await.expect("synchronised");
        tokio::time::timeout(SOON, cell.session().registered()).await.expect("registered");
        Self { cell, life }
    }

    pub(crate) async fn commit(&self, tenant: &TenantId, writes: Vec<Write>) -> Revision {
        let commit = Commit {
            tenant: tenant.clone(),
            id: self.cell.commit_id(),
            preconditions: Vec::new(),
            writes,
            durability: Durability::Replicated,
            trace: None,
        };
        match self.cell.store().commit(commit).await.unwrap() {
            Outcome::Committed(revision) => revision,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn birth(&self, name: &str) -> TenantId {
        let tenant =
            TenantId { name: TenantName::parse(name).unwrap(), incarnation: self.cell.incarnation() };
        let record = Record::Tenant(TenantRecord { tenant: tenant.clone(), deleting: false });
        self.commit(&record::cell(), vec![put(name, &record)]).await;
        until(&self.cell, || self.cell.view().load().view.tenant_by_id(&tenant).is_some()).await;
        tenant
    }

    pub(crate) async fn user(&self, tenant: &TenantId, id: &str) -> Revision {
        self.commit(tenant, vec![put(id, &user(id, "Jane"))]).await
    }

    /// Ends the process in order, and lets go of the store.
    pub(crate) async fn close(self) {
        let store = self.cell.store().clone();
        self.leave().await;
        store.close().await.unwrap();
    }

    /// Ends the process in order.
    pub(crate) async fn leave(self) {
        self.life.shutdown.advance(Phase::Draining);
        tokio::time::timeout(SOON, self.life.tasks.ended()).await.expect("ended");
    }
}

pub(crate) fn user(id: &str, display_name: &str) -> Record {
    Record::User(Arc::new(User {
        id: UserId::parse(id).unwrap(),
        display_name: Some(display_name.to_owned()),
        cic: None,
        lync: Some(LyncAccount {
            sip_address: format!("sip:{id}@example.com"),
            line_uri: None,
            line_server: None,
            telephony: TelephonyMode::Uc,
            source: None,
        }),
        call_control: CallControl::LyncClient,
        phone: None,
        plug_in: false,
        station: None,
        site: None,
        treatments: Treatments::default(),
    }))
}

pub(crate) fn unknown() -> TenantId {
    TenantId { name: TenantName::parse("nobody").unwrap(), incarnation: Incarnation(1) }
}
