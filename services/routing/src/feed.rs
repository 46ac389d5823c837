//! The feed to edges: all that an edge needs of its tenants, as a snapshot and then as changes.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::Stream;
use tandem_cell::Cell;
use tandem_cell::follower::{Batch, Scope, Snapshot, Subscription};
use tandem_domain::id::TenantName;
use tandem_domain::record::{Change, Kind, Record, TenantRecord, cell};
use tandem_domain::view::TenantView;
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::edge_feed_server::EdgeFeed;
use tandem_proto::routing::v1::follow_request::Message as Up;
use tandem_proto::routing::v1::follow_response::{Beat, Message as Down, SnapshotBegin, SnapshotEnd};
use tandem_runtime::drain::{Drain, Life};
use tandem_wire::caller::Caller;
use tandem_wire::request::{self, Greeting};
use tandem_wire::status::{Reason, Refusal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

/// How often an idle feed says that it is alive. An edge that hears nothing for three of these connects anew.
const BEAT: Duration = Duration::from_secs(5);
/// How many messages wait for a slow edge; changes beyond wait in its subscription, which is bounded too.
const OUT: usize = 32;

/// An edge that follows the feed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeStatus {
    /// Its id.
    pub edge: String,
    /// Its release.
    pub version: String,
    /// Its listeners.
    pub listeners: Vec<String>,
    /// The last chunk that it runs.
    pub acknowledged: u64,
    /// The last chunk that it was sent.
    pub sent: u64,
    /// Why it could not take the last chunk that it refused, if any.
    pub rejected: Option<String>,
    /// Events of calls that it told, and that it dropped before it could.
    pub events: (u64, u64),
}

/// The edges that follow the feed now, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Edges(Arc<Mutex<BTreeMap<String, EdgeStatus>>>);

impl Edges {
    /// Who follows now.
    #[must_use]
    pub fn list(&self) -> Vec<EdgeStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn with(&self, edge: &str, change: impl FnOnce(&mut EdgeStatus)) {
        if let Some(status) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(edge) {
            change(status);
        }
    }

    fn enter(&self, greeting: &Greeting) {
        let status = EdgeStatus {
            edge: greeting.edge.clone(),
            version: greeting.version.clone(),
            listeners: greeting.listeners.iter().map(ToString::to_string).collect(),
            acknowledged: 0,
            sent: 0,
            rejected: None,
            events: (0, 0),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(greeting.edge.clone(), status);
    }

    fn leave(&self, edge: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(edge);
    }
}

/// The EdgeFeed service as the wire sees it.
#[derive(Debug)]
pub(crate) struct Feed {
    life: Life,
    cell: Cell,
    edges: Edges,
}

impl Feed {
    pub(crate) fn new(life: Life, cell: Cell, edges: Edges) -> Self {
        Self { life, cell, edges }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<pb::FollowResponse, Status>> + Send>>;

#[tonic::async_trait]
impl EdgeFeed for Feed {
    type FollowStream = Answers;

    async fn follow(
        &self,
        request: Request<Streaming<pb::FollowRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let caller = Caller::of(&request)?;
        let mut up = request.into_inner();
        let hello = match up.message().await?.and_then(|m| m.message) {
            Some(Up::Hello(hello)) => request::read_hello(hello).map_err(Refusal::from)?,
            _ => return Err(Refusal::new(Reason::FieldInvalid, "the first message must be `hello`").into()),
        };
        for tenant in &hello.tenants {
            let known = |t: &str| self.cell.view().load().view.tenant(t).map(|_| ());
            caller.tenant("hello.tenants", &tandem_wire::name::tenant(tenant), known)?;
        }
        self.cell.view().synchronised().await;
        let (out, answers) = mpsc::channel(OUT);
        self.edges.enter(&hello);
        let serving = Serving {
            serves: Serves { caller, only: hello.tenants.iter().cloned().collect() },
            edge: hello.edge,
            cell: self.cell.clone(),
            edges: self.edges.clone(),
            drain: self.life.drain.clone(),
            out,
            nonce: 0,
        };
        self.life.tasks.spawn("edge feed", serving.run(up));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

/// Which tenants an edge is told of.
struct Serves {
    caller: Caller,
    /// None named: all that the caller may see.
    only: BTreeSet<TenantName>,
}

impl Serves {
    fn tenant(&self, name: &TenantName) -> bool {
        self.caller.may(name.as_str()) && (self.only.is_empty() || self.only.contains(name))
    }

    /// Whether a change is this edge's business. Of `_cell` only births and claims of its tenants are.
    fn change(&self, change: &Change, gone: &BTreeMap<String, TenantName>) -> bool {
        if change.tenant != cell() {
            return self.tenant(&change.tenant.name);
        }
        match (&change.record, change.kind) {
            (Some(Record::Tenant(t)), _) => self.tenant(&t.tenant.name),
            (Some(Record::IngressClaim(c)), _) => self.tenant(&c.tenant.name),
            (None, Kind::Tenant) => TenantName::parse(&change.key).is_ok_and(|t| self.tenant(&t)),
            // Whose claim it was is known from when it was made.
            (None, Kind::IngressClaim) => gone.get(&change.key).is_some_and(|t| self.tenant(t)),
            _ => false,
        }
    }
}

/// One edge that is being served.
struct Serving {
    serves: Serves,
    edge: String,
    cell: Cell,
    edges: Edges,
    drain: Drain,
    out: mpsc::Sender<Result<pb::FollowResponse, Status>>,
    nonce: u64,
}

/// The edge went away, or this process is leaving.
struct Over;

impl Serving {
    async fn run(mut self, mut up: Streaming<pb::FollowRequest>) {
        let (drain, edges, edge) = (self.drain.clone(), self.edges.clone(), self.edge.clone());
        let heard = async {
            while let Ok(Some(message)) = up.message().await {
                hear(&edges, &edge, message.message);
            }
        };
        tokio::select! {
            () = heard => {}
            _ = async { while self.serve().await.is_ok() {} } => {}
            () = drain.draining() => {}
        }
        edges.leave(&edge);
        tracing::info!(edge, "edge left the feed");
    }

    /// A snapshot, then changes, until the edge falls too far behind.
    async fn serve(&mut self) -> Result<(), Over> {
        let (snapshot, mut changes) = self.cell.view().subscribe(Scope::Cell);
        let mut claims: BTreeMap<String, TenantName> =
            snapshot.registry.claims().map(|(key, c)| (key.to_owned(), c.tenant.name.clone())).collect();
        self.say(Down::SnapshotBegin(SnapshotBegin {})).await?;
        let listed = self.listing(&snapshot);
        self.send(&listed, None).await?;
        self.nonce += 1;
        self.say(Down::SnapshotEnd(SnapshotEnd { nonce: self.nonce })).await?;
        drop((snapshot, listed));
        self.follow(&mut changes, &mut claims).await
    }

    async fn follow(
        &mut self,
        changes: &mut Subscription,
        claims: &mut BTreeMap<String, TenantName>,
    ) -> Result<(), Over> {
        loop {
            match tokio::time::timeout(BEAT, changes.next()).await {
                Ok(Ok(batch)) => self.batch(&batch, claims).await?,
                // Too slow, or the view was made anew: begin again.
                Ok(Err(_)) => return Ok(()),
                Err(_) => self.beat().await?,
            }
        }
    }

    async fn batch(&mut self, batch: &Batch, claims: &mut BTreeMap<String, TenantName>) -> Result<(), Over> {
        let mine: Vec<Change> =
            batch.changes.iter().filter(|c| self.serves.change(c, claims)).cloned().collect();
        for change in batch.changes.iter().filter(|c| c.kind == Kind::IngressClaim) {
            match &change.record {
                Some(Record::IngressClaim(claim)) => {
                    claims.insert(change.key.clone(), claim.tenant.name.clone());
                }
                _ => drop(claims.remove(&change.key)),
            }
        }
        self.send(&mine, batch.trace.as_deref()).await
    }

    async fn beat(&mut self) -> Result<(), Over> {
        let now = self.cell.clock().unix_micros();
        let stale = self.cell.view().stale_since().map_or(0, |since| now.saturating_sub(since) / 1000);
        self.say(Down::Beat(Beat { store_stale_ms: stale })).await
    }

    async fn send(&mut self, changes: &[Change], trace: Option<&str>) -> Result<(), Over> {
        for mut chunk in tandem_wire::feed::chunks(changes) {
            self.nonce += 1;
            chunk.nonce = self.nonce;
            chunk.traceparent = trace.unwrap_or_default().to_owned();
            self.say(Down::Chunk(chunk)).await?;
        }
        let sent = self.nonce;
        self.edges.with(&self.edge, |status| status.sent = sent);
        Ok(())
    }

    async fn say(&self, message: Down) -> Result<(), Over> {
        self.out.send(Ok(pb::FollowResponse { message: Some(message) })).await.map_err(|_| Over)
    }

    /// Everything that the edge needs of a snapshot: births first, so that nothing comes before its tenant.
    fn listing(&self, snapshot: &Snapshot) -> Vec<Change> {
        let mut changes = Vec::new();
        let mine = || snapshot.view.tenants().filter(|t| self.serves.tenant(&t.id().name));
        for tenant in mine() {
            let birth = TenantRecord { tenant: tenant.id().clone(), deleting: tenant.is_deleting() };
            let key = tenant.id().name.to_string();
            changes.push(of_cell(tenant, Kind::Tenant, key, Record::Tenant(birth)));
        }
        for (key, claim) in snapshot.registry.claims().filter(|(_, c)| self.serves.tenant(&c.tenant.name)) {
            if let Some(tenant) = snapshot.view.tenant_by_id(&claim.tenant) {
                let record = Record::IngressClaim(Arc::clone(claim));
                changes.push(of_cell(tenant, Kind::IngressClaim, key.to_owned(), record));
            }
        }
        mine().for_each(|tenant| directory(tenant, &mut changes));
        changes
    }
}

fn of_cell(tenant: &TenantView, kind: Kind, key: String, record: Record) -> Change {
    Change { tenant: cell(), kind, key, record: Some(record), revision: tenant.revision(), at: tenant.now() }
}

/// A tenant's policy and directory as changes.
fn directory(tenant: &TenantView, changes: &mut Vec<Change>) {
    let mut add = |kind: Kind, key: String, record: Record| {
        changes.push(Change {
            tenant: tenant.id().clone(),
            kind,
            key,
            record: Some(record),
            revision: tenant.revision(),
            at: tenant.now(),
        });
    };
    if let Some(policy) = tenant.policy() {
        add(Kind::Policy, String::new(), Record::Policy(Arc::clone(policy)));
    }
    for user in tenant.users() {
        add(Kind::User, user.id.to_string(), Record::User(Arc::clone(user)));
    }
    for station in tenant.stations() {
        add(Kind::Station, station.id.to_string(), Record::Station(Arc::clone(station)));
    }
    for workgroup in tenant.workgroups() {
        add(Kind::Workgroup, workgroup.id.to_string(), Record::Workgroup(Arc::clone(workgroup)));
    }
    for (key, number) in tenant.keyed_assignments() {
        add(Kind::Number, key.to_string(), Record::Number(Arc::clone(number)));
    }
}

/// What an edge tells.
fn hear(edges: &Edges, edge: &str, message: Option<Up>) {
    match message {
        Some(Up::Acknowledgement(ack)) if request::check_acknowledgement(&ack).is_ok() => {
            if ack.rejected.is_empty() {
                edges.with(edge, |status| status.acknowledged = status.acknowledged.max(ack.nonce));
            } else {
                tracing::warn!(
                    edge,
                    nonce = ack.nonce,
                    reason = ack.rejected,
                    "edge refused a change; it keeps what it had"
                );
                edges.with(edge, |status| status.rejected = Some(ack.rejected));
            }
        }
        Some(Up::Calls(calls)) if request::check_call_events(&calls).is_ok() => {
            let (told, dropped) = (calls.events.len() as u64, calls.dropped);
            edges.with(edge, |status| {
                status.events.0 += told;
                status.events.1 = status.events.1.max(dropped);
            });
        }
        _ => tracing::warn!(edge, "edge sent a message that is not understood; skipped"),
    }
}
