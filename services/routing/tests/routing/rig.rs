//! A routing service over a real store, behind the real gate, on an in-memory pipe.

use std::sync::Arc;
use std::time::Duration;

use tandem_cell::{Cell, Settings};
use tandem_domain::document::directory::{DirectoryDocument, NumberAssignment, User};
use tandem_domain::document::policy::TenantDocument;
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};
use tandem_domain::record::{self, PolicyRecord, Record, TenantRecord};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::routing_client::RoutingClient;
use tandem_routing::{Config, build};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::document::{Limits, Source};
use tandem_runtime::drain::Life;
use tandem_runtime::serve::{Server, pipe};
use tandem_servers::on::Backing;
use tandem_store::{Commit, Durability, Outcome, Write, put};
use tandem_wire::authority::Gate;
use tandem_wire::caller::{Callers, Table, digest};
use tonic::transport::Channel;

pub(crate) const SOON: Duration = Duration::from_secs(20);
/// 2023-11-14, microseconds.
pub(crate) const START: u64 = 1_700_000_000_000_000;

pub(crate) struct Rig {
    pub(crate) life: Life,
    pub(crate) cell: Cell,
    pub(crate) channel: Channel,
    pub(crate) edges: tandem_routing::Edges,
    _backing: Backing,
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(1) }
}

/// Of a small ring, on the machine's clock.
pub(crate) async fn rig() -> Rig {
    rig_of(Clock::machine()).await
}

pub(crate) async fn rig_of(clock: Clock) -> Rig {
    let (life, chance) = (Life::new(), Chance::seeded(1));
    let backing = crate::ON.start();
    let settings = Settings { home: backing.home(), ..Settings::memory("test") };
    let cell = Cell::open(&life, clock, chance.clone(), settings).await.unwrap();
    cell.view().synchronised().await;
    serving(life, chance, cell, backing)
}

/// A service whose view is not synchronised, and will not be: its store is closed.
pub(crate) async fn not_synchronised() -> Rig {
    let (life, chance, clock) = (Life::new(), Chance::seeded(1), Clock::machine());
    let backing = crate::ON.start();
    let store = backing.open(tandem_cell::world(&clock, &chance)).await.unwrap();
    store.close().await.unwrap();
    let cell = Cell::join(&life, clock, chance.clone(), store, Settings::memory("test"));
    serving(life, chance, cell, backing)
}

/// Two who may see brandt, and one of them the other tenant as well; without a token, whoever the metadata says.
fn callers() -> Callers {
    let entry = |subject: &str, tenants: &str| {
        let token = digest(subject);
        let scopes = "routing.decide, feed.follow";
        format!(
            "  - {{subject: {subject}, tenants: [{tenants}], scopes: [{scopes}], tokenDigests: [\"{token}\"]}}\n"
        )
    };
    let (one, two) = (entry("one", "brandt"), entry("two", "brandt, other"));
    let text = format!("apiVersion: tandem.dev/v1\nkind: Callers\ncallers:\n{one}{two}");
    Callers::new(Table::read(&Source::new("callers.yaml", text, Limits::POLICY).unwrap()).unwrap()).dev()
}

fn serving(life: Life, chance: Chance, cell: Cell, backing: Backing) -> Rig {
    let config =
        Config { decisions_max: 8, edge_decisions_bytes_max: 4096, page_key: Some([7; 32]), edges_max: 2 };
    let services = build(&life, &cell, &config);
    let gate = Gate::new(callers());
    let (channel, listener) = pipe();
    let edges = services.edges.clone();
    services
        .serve(Server::new("test", life.clone(), chance))
        .descriptors(tandem_proto::DESCRIPTORS)
        .gate(move |method, headers, extensions| gate.check(method, headers, extensions))
        .pipe(listener)
        .start()
        .unwrap();
    Rig { life, cell, channel, edges, _backing: backing }
}

impl Rig {
    pub(crate) async fn write(&self, tenant: &TenantId, writes: Vec<Write>) -> Revision {
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

    /// Brandt of the examples: on-premises, Lync first.
    pub(crate) async fn brandt(&self, name: &str) -> Revision {
        let id = tenant(name);
        let born = Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false });
        self.write(&record::cell(), vec![put(name, &born)]).await;
        let policy: TenantDocument =
            serde_saphyr::from_str(include_str!("../../../../examples/tenants/brandt.yaml")).unwrap();
        let policy = Record::Policy(Arc::new(PolicyRecord { generation: 1, spec: policy.spec }));
        let directory: DirectoryDocument =
            serde_saphyr::from_str(include_str!("../../../../examples/directories/brandt.yaml")).unwrap();
        let mut writes = vec![put("", &policy)];
        writes.extend(directory.spec.users.into_iter().map(|u| put_user(&u)));
        writes.extend(directory.spec.numbers.into_iter().map(|n| put_number(&n)));
        let workgroups = directory.spec.workgroups.into_iter();
        writes.extend(workgroups.map(|w| put(&w.id.to_string(), &Record::Workgroup(Arc::new(w)))));
        let stations = directory.spec.stations.into_iter();
        writes.extend(stations.map(|s| put(&s.id.to_string(), &Record::Station(Arc::new(s)))));
        let revision = self.write(&id, writes).await;
        // Birth and policy lie in two shards: both are to be seen.
        let seen = || self.cell.view().load().view.tenant(name).is_some_and(|t| t.config().is_some());
        eventually(seen).await;
        revision
    }

    pub(crate) fn client(&self) -> RoutingClient<Channel> {
        RoutingClient::new(self.channel.clone())
    }

    pub(crate) async fn explain(
        &self,
        call: pb::RouteCallRequest,
        assume: Option<pb::Assumptions>,
    ) -> pb::Explanation {
        let pb::RouteCallRequest { parent, attempt, min_revision, .. } = call;
        let request = pb::ExplainCallRequest { parent, attempt, assume, min_revision };
        self.client().explain_call(request).await.unwrap().into_inner()
    }

    pub(crate) async fn route(&self, request: pb::RouteCallRequest) -> Result<pb::Decision, tonic::Status> {
        self.client().route_call(request).await.map(tonic::Response::into_inner)
    }
}

pub(crate) fn put_user(user: &User) -> Write {
    put(user.id.as_str(), &Record::User(Arc::new(user.clone())))
}

pub(crate) fn put_number(number: &NumberAssignment) -> Write {
    put(&number.number, &Record::Number(Arc::new(number.clone())))
}

pub(crate) fn call(tenant: &str, called: &str, min_revision: Revision) -> pb::RouteCallRequest {
    let attempt = pb::CallAttempt {
        ingress: Some(pb::call_attempt::Ingress::Trunk("gateway".into())),
        called: called.into(),
        caller: "+4989999123".into(),
        call_id: format!("{called}@test"),
        ..pb::CallAttempt::default()
    };
    pb::RouteCallRequest {
        parent: format!("tenants/{tenant}"),
        attempt: Some(attempt),
        min_revision: min_revision.0,
        ..pb::RouteCallRequest::default()
    }
}

pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("in time");
}
