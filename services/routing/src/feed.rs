//! The feed to edges: all that an edge needs of its tenants, as a snapshot and then as changes.

mod edges;

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tandem_cell::Cell;
use tandem_cell::follower::{Batch, Scope, Snapshot, Subscription, records};
use tandem_domain::id::TenantName;
use tandem_domain::record::{Change, Kind, Record, TenantRecord, cell};
use tandem_domain::view::TenantView;
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::edge_feed_server::EdgeFeed;
use tandem_proto::routing::v1::follow_request::{CallEvents, Message as Up};
use tandem_proto::routing::v1::follow_response::{Beat, Message as Down, SnapshotBegin, SnapshotEnd};
use tandem_runtime::drain::{Drain, Life};
use tandem_wire::caller::Caller;
use tandem_wire::feed::each_chunk;
use tandem_wire::limits::CALL_EVENTS_MAX;
use tandem_wire::request::{self, CallTold, Greeting};
use tandem_wire::status::{Reason, Refusal};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::service::Service;
use crate::told::Edge;
use edges::Seat;
pub use edges::{EdgeStatus, Edges};

/// How often an idle feed says that it is alive. An edge that hears nothing for three of these connects anew.
const BEAT: Duration = Duration::from_secs(5);
/// How long an edge may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(5);
/// When it is worth to come again for what is limited in number.
const AGAIN: Duration = Duration::from_secs(5);
/// How many messages wait for a slow edge; changes beyond wait in its subscription, which is bounded too.
const OUT: usize = 32;

/// The EdgeFeed service as the wire sees it.
#[derive(Debug)]
pub(crate) struct Feed {
    life: Life,
    cell: Cell,
    edges: Edges,
    /// Remembers what edges decided.
    service: Service,
}

impl Feed {
    pub(crate) fn new(life: Life, cell: Cell, edges: Edges, service: Service) -> Self {
        Self { life, cell, edges, service }
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
        if !self.cell.view().is_synchronised() {
            let words = "the view is not synchronised yet; ask another replica";
            return Err(Refusal::new(Reason::ViewNotReady, words).into());
        }
        let mut up = request.into_inner();
        let hello = self.hello(&mut up).await?;
        if self.cell.is_shared() && self.cell.view().load().is_unborn() {
            // An edge that was told that nobody is there would forget its last good feed.
            return Err(Refusal::no_tenant_yet().into());
        }
        for tenant in &hello.tenants {
            let known = |t: &str| self.cell.view().load().view.tenant(t).map(|_| ());
            caller.tenant("hello.tenants", &tandem_wire::name::tenant(tenant), known)?;
        }
        let (out, answers) = mpsc::channel(OUT);
        let (seat, over) = self
            .edges
            .enter(caller.subject(), &hello)
            .ok_or_else(|| Refusal::quota("edges", "as many edges as this process serves", Some(AGAIN)))?;
        let serving = Serving {
            serves: Arc::new(Serves { caller, only: hello.tenants.iter().cloned().collect() }),
            edge: hello.edge,
            cell: self.cell.clone(),
            service: self.service.clone(),
            seat: Arc::new(seat),
            drain: self.life.drain.clone(),
            out,
            nonce: 0,
        };
        self.life.tasks.spawn("edge feed", serving.run(up, over));
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

impl Feed {
    /// The first message, which says who is there.
    async fn hello(&self, up: &mut Streaming<pb::FollowRequest>) -> Result<Greeting, Status> {
        let first = tokio::select! {
            first = up.message() => first?,
            () = self.cell.clock().sleep(HELLO_WITHIN) => {
                let words = "`hello` did not come within 5 s; send it first, and at once";
                return Err(Refusal::new(Reason::DeadlineExceeded, words).into());
            }
        };
        match first.and_then(|m| m.message) {
            Some(Up::Hello(hello)) => Ok(request::read_hello(hello).map_err(Refusal::from)?),
            _ => Err(Refusal::new(Reason::FieldInvalid, "the first message must be `hello`").into()),
        }
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

    /// What a change is to this edge, if it is its business: of `_cell` only births and claims of its tenants are.
    /// `claims` are the keys of the claims that it knows.
    fn change(&self, change: &Change, claims: &mut BTreeSet<String>) -> Option<Change> {
        if change.tenant != cell() {
            return self.tenant(&change.tenant.name).then(|| change.clone());
        }
        match (&change.record, change.kind) {
            (Some(Record::Tenant(t)), _) => self.tenant(&t.tenant.name).then(|| change.clone()),
            (None, Kind::Tenant) => {
                TenantName::parse(&change.key).is_ok_and(|t| self.tenant(&t)).then(|| change.clone())
            }
            (Some(Record::IngressClaim(claim)), _) if self.tenant(&claim.tenant.name) => {
                claims.insert(change.key.clone());
                Some(change.clone())
            }
            // Gone, or another's now, which is the same to it.
            (_, Kind::IngressClaim) => {
                claims.remove(&change.key).then(|| Change { record: None, ..change.clone() })
            }
            _ => None,
        }
    }
}

/// One edge that is being served.
struct Serving {
    serves: Arc<Serves>,
    edge: String,
    cell: Cell,
    service: Service,
    seat: Arc<Seat>,
    drain: Drain,
    out: mpsc::Sender<Result<pb::FollowResponse, Status>>,
    nonce: u64,
}

/// The edge went away, or this process is leaving.
struct Over;

impl Serving {
    async fn run(mut self, mut up: Streaming<pb::FollowRequest>, taken_over: oneshot::Receiver<()>) {
        let (drain, edge, out) = (self.drain.clone(), self.edge.clone(), self.out.clone());
        let ear = Ear {
            serves: Arc::clone(&self.serves),
            edge: Edge { caller: self.serves.caller.subject().into(), id: edge.as_str().into() },
            cell: self.cell.clone(),
            service: self.service.clone(),
            seat: Arc::clone(&self.seat),
        };
        let heard = async {
            while let Ok(Some(message)) = up.message().await {
                ear.hear(message.message);
            }
        };
        tokio::select! {
            () = heard => {}
            _ = async { while self.serve().await.is_ok() {} } => {}
            _ = taken_over => {
                let words = "another stream of this edge has taken over; give each edge an id of its own";
                // If nobody reads it, the edge will not either.
                let _ = out.try_send(Err(Refusal::new(Reason::Conflict, words).into()));
            }
            () = drain.draining() => {}
        }
        tracing::info!(edge, "edge left the feed");
    }

    /// A snapshot, then changes, until the edge falls too far behind.
    async fn serve(&mut self) -> Result<(), Over> {
        let (snapshot, mut changes) = self.cell.view().subscribe(Scope::Cell);
        let serves = Arc::clone(&self.serves);
        let known = snapshot.registry.claims().filter(|(_, c)| serves.tenant(&c.tenant.name));
        let mut claims: BTreeSet<String> = known.map(|(key, _)| key.to_owned()).collect();
        self.say(Down::SnapshotBegin(SnapshotBegin {})).await?;
        self.send(listing(&serves, &snapshot), None).await?;
        self.nonce += 1;
        self.say(Down::SnapshotEnd(SnapshotEnd { nonce: self.nonce })).await?;
        drop(snapshot);
        self.follow(&mut changes, &mut claims).await
    }

    async fn follow(
        &mut self,
        changes: &mut Subscription,
        claims: &mut BTreeSet<String>,
    ) -> Result<(), Over> {
        let clock = self.cell.clock().clone();
        loop {
            tokio::select! {
                batch = changes.next() => match batch {
                    Ok(batch) => self.batch(&batch, claims).await?,
                    // Too slow, or the view was made anew: begin again.
                    Err(_) => return Ok(()),
                },
                () = clock.sleep(BEAT) => self.beat().await?,
            }
        }
    }

    async fn batch(&mut self, batch: &Batch, claims: &mut BTreeSet<String>) -> Result<(), Over> {
        let mine: Vec<Change> = batch.changes.iter().filter_map(|c| self.serves.change(c, claims)).collect();
        self.send(mine, batch.trace.as_deref()).await
    }

    async fn beat(&mut self) -> Result<(), Over> {
        let now = self.cell.clock().unix_micros();
        let stale = self.cell.view().stale_since().map_or(0, |since| now.saturating_sub(since) / 1000);
        self.say(Down::Beat(Beat { store_stale_ms: stale })).await
    }

    /// Sends changes, a chunk at a time as the edge takes them.
    async fn send(
        &mut self,
        changes: impl IntoIterator<Item = Change>,
        trace: Option<&str>,
    ) -> Result<(), Over> {
        for mut chunk in each_chunk(changes) {
            self.nonce += 1;
            chunk.nonce = self.nonce;
            chunk.traceparent = trace.unwrap_or_default().to_owned();
            self.say(Down::Chunk(chunk)).await?;
            self.seat.with(|status| status.sent = self.nonce);
        }
        Ok(())
    }

    async fn say(&self, message: Down) -> Result<(), Over> {
        self.out.send(Ok(pb::FollowResponse { message: Some(message) })).await.map_err(|_| Over)
    }
}

/// Everything that an edge needs of a snapshot, each made when it is asked for: births first, so that nothing comes
/// before its tenant.
fn listing<'s>(serves: &'s Serves, snapshot: &'s Snapshot) -> impl Iterator<Item = Change> + 's {
    let mine = move || snapshot.view.tenants().filter(|t| serves.tenant(&t.id().name));
    let births = mine().map(|tenant| {
        let birth = TenantRecord { tenant: tenant.id().clone(), deleting: tenant.is_deleting() };
        of_cell(tenant, Kind::Tenant, tenant.id().name.to_string(), Record::Tenant(birth))
    });
    let claims = snapshot.registry.claims().filter(|(_, c)| serves.tenant(&c.tenant.name));
    let claims = claims.filter_map(|(key, claim)| {
        let tenant = snapshot.view.tenant_by_id(&claim.tenant)?;
        Some(of_cell(tenant, Kind::IngressClaim, key.to_owned(), Record::IngressClaim(Arc::clone(claim))))
    });
    births.chain(claims).chain(mine().flat_map(|tenant| directory(tenant)))
}

fn of_cell(tenant: &TenantView, kind: Kind, key: String, record: Record) -> Change {
    Change { tenant: cell(), kind, key, record: Some(record), revision: tenant.revision(), at: tenant.now() }
}

/// A tenant's policy and directory as changes.
fn directory(tenant: &TenantView) -> impl Iterator<Item = Change> {
    records(tenant).map(|(kind, key, record)| Change {
        tenant: tenant.id().clone(),
        kind,
        key,
        record: Some(record),
        revision: tenant.revision(),
        at: tenant.now(),
    })
}

/// Hears what an edge tells.
struct Ear {
    serves: Arc<Serves>,
    edge: Edge,
    cell: Cell,
    service: Service,
    seat: Arc<Seat>,
}

impl Ear {
    fn hear(&self, message: Option<Up>) {
        match message {
            Some(Up::Acknowledgement(ack)) if request::check_acknowledgement(&ack).is_ok() => {
                if ack.rejected.is_empty() {
                    self.seat.with(|status| status.acknowledged = status.acknowledged.max(ack.nonce));
                } else {
                    let (edge, nonce, reason) = (&*self.edge.id, ack.nonce, &ack.rejected);
                    tracing::warn!(edge, nonce, reason, "edge refused a change; it keeps what it had");
                    self.seat.with(|status| status.rejected = Some(ack.rejected));
                }
            }
            Some(Up::Calls(calls)) => self.calls(calls),
            _ => tracing::warn!(edge = &*self.edge.id, "edge sent a message that is not understood; skipped"),
        }
    }

    /// Events of calls, each for itself: one that cannot be read takes no other with it.
    fn calls(&self, calls: CallEvents) {
        let (mut told, mut skipped, mut why) = (0, 0_u64, None);
        let many = calls.events.len().saturating_sub(CALL_EVENTS_MAX);
        if many > 0 {
            tracing::warn!(
                edge = &*self.edge.id,
                many,
                "edge told of more calls at once than are taken; these were skipped"
            );
        }
        for event in calls.events.into_iter().take(CALL_EVENTS_MAX) {
            match request::read_call_event(event) {
                Ok(event) => {
                    told += 1;
                    self.remember(&event);
                }
                Err(violations) => {
                    skipped += 1;
                    why.get_or_insert(violations);
                }
            }
        }
        if let Some(why) = why {
            tracing::warn!(edge = &*self.edge.id, skipped, %why, "edge told of calls what cannot be read; the others were taken");
        }
        self.seat.with(|status| {
            status.events.0 += told;
            status.events.1 = status.events.1.max(calls.dropped);
        });
    }

    /// Keeps a decision of a tenant that the edge serves: of another it has nothing to tell.
    fn remember(&self, event: &CallTold) {
        let Some(fact) = event.made.as_ref().filter(|_| self.serves.tenant(&event.tenant.name)) else {
            return;
        };
        // Of one that is no more, whoever bears its name now hears nothing.
        if self.cell.view().load().view.tenant_by_id(&event.tenant).is_some() {
            self.service.remember(&self.edge, &event.tenant, fact);
        }
    }
}
