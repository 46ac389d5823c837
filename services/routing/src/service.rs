//! Gathers the facts, asks the domain, keeps what was decided.

use std::ops::Range;
use std::sync::Arc;

use prost::Message as _;
use tandem_cell::Cell;
use tandem_cell::follower::{Guard, Snapshot};
use tandem_domain::id::{Revision, TenantId};
use tandem_domain::number::Number;
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::decision::{Decision, Outcome};
use tandem_domain::routing::trail::{NoTrail, Steps};
use tandem_domain::routing::{decide, plan, render};
use tandem_domain::view::TenantView;
use tandem_proto::routing::v1 as pb;
use tandem_runtime::serve::Deadline;
use tandem_wire::attempt::Attempt;
use tandem_wire::caller::Caller;
use tandem_wire::decision::{Made, Source};
use tandem_wire::page::{self, Key, List, Signer};
use tandem_wire::request::{DecisionFilter, RouteCall};
use tandem_wire::status::{Reason, Refusal};

use crate::config::Config;
use crate::counts::Counts;
use crate::fact::{self, Fact, Index};
use crate::listing::{self, Position};
use crate::ring::Ring;
use crate::told::{Edge, Told};

/// What every handler shares.
#[derive(Clone, Debug)]
pub(crate) struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cell: Cell,
    ring: Ring,
    told: Told,
    counts: Counts,
    signer: Signer,
    /// The process, as decision ids name it.
    process: String,
}

/// How long a caller without a deadline waits for `min_revision`.
pub(crate) const WAIT: std::time::Duration = std::time::Duration::from_secs(5);

impl Service {
    pub(crate) fn new(cell: Cell, config: &Config) -> Self {
        let key = config.page_key.unwrap_or_else(|| {
            let mut bytes = [0; 32];
            cell.chance().fill(&mut bytes);
            bytes
        });
        let process = cell.session().process().to_owned();
        let ring = Ring::new(config.decisions_max);
        let told = Told::new(config.edge_decisions_bytes_max);
        let counts = Counts::default();
        Self(Arc::new(Inner { cell, ring, told, counts, signer: Signer::new(Key::new(key), None), process }))
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// How many decisions this process has made.
    pub(crate) fn decided(&self) -> u64 {
        self.0.ring.taken()
    }

    /// The facts now.
    ///
    /// # Errors
    /// `VIEW_NOT_READY` until they were read once.
    pub(crate) fn snapshot(&self) -> Result<Guard<Arc<Snapshot>>, Refusal> {
        let view = self.0.cell.view();
        if !view.is_synchronised() {
            let message = "the view is not synchronised yet; ask another replica";
            return Err(Refusal::new(Reason::ViewNotReady, message));
        }
        Ok(view.load())
    }

    /// The tenant that a request names, as its caller may see it, if the view has reached the revision that it asks
    /// for at least. None: not yet.
    pub(crate) fn tenant_now(
        &self,
        caller: &Caller,
        parent: &str,
        min_revision: u64,
    ) -> Result<Option<Arc<TenantView>>, Refusal> {
        let snapshot = self.snapshot()?;
        let tenant = find(caller, parent, &snapshot)?;
        if min_revision == 0 {
            return Ok(Some(Arc::clone(tenant)));
        }
        if self.0.cell.view().reached(tenant.id()).0 < min_revision {
            return Ok(None);
        }
        // What was reached is in the snapshot that is loaded after that, not in the one before.
        find(caller, parent, &*self.snapshot()?).map(|tenant| Some(Arc::clone(tenant)))
    }

    /// The same, waiting for the revision within the deadline.
    pub(crate) async fn tenant(
        &self,
        caller: &Caller,
        parent: &str,
        min_revision: u64,
        deadline: Option<Deadline>,
    ) -> Result<Arc<TenantView>, Refusal> {
        if let Some(tenant) = self.tenant_now(caller, parent, min_revision)? {
            return Ok(tenant);
        }
        let view = self.0.cell.view();
        let id = find(caller, parent, &*self.snapshot()?)?.id().clone();
        // A tenth of what is left is kept, so that the caller hears why before its own patience ends.
        let left = deadline.map_or(WAIT, |d| d.remaining());
        let until = tokio::time::Instant::now() + left.mul_f32(0.9);
        let waited = view.wait_for(&id, Revision(min_revision), until).await;
        let snapshot = waited.map_err(|late| Refusal::new(Reason::RevisionNotReached, late.to_string()))?;
        find(caller, parent, &snapshot).cloned()
    }

    fn stale_ms(&self, now_us: u64) -> u64 {
        self.0.cell.view().stale_since().map_or(0, |since| now_us.saturating_sub(since) / 1000)
    }

    /// Microseconds since 1970.
    pub(crate) fn now_us(&self) -> u64 {
        self.0.cell.clock().unix_micros()
    }

    /// Decides one call and keeps the decision. `write` puts the answer where it belongs and says which part of it
    /// is the decision.
    pub(crate) fn route(
        &self,
        tenant: &TenantView,
        call: &RouteCall<'_>,
        now_us: u64,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>, &Decision, Made<'_>) -> Range<usize>,
    ) -> Result<(), Refusal> {
        let attempt = call.attempt()?;
        let facts = Facts { now_ms: now_us / 1000, ..call.facts()? };
        let decided = decide(tenant, attempt.call(), &facts, &mut NoTrail);
        let sequence = self.0.ring.take();
        let mut id = String::with_capacity(self.0.process.len() + 21);
        id.push_str(&self.0.process);
        id.push('-');
        id.push_str(itoa::Buffer::new().format(sequence));
        let made = Made {
            tenant: &tenant.id().name,
            id: &id,
            source: Source::Live,
            stale_ms: self.stale_ms(now_us),
        };
        let place = write(out, &decided, made);
        let index = Index {
            at_us: now_us,
            tenant: tenant.id().incarnation,
            called: decided.called,
            call_id: fact::hash(attempt.call_id()),
            routed: matches!(decided.outcome, Outcome::Route(_)),
        };
        if !index.routed {
            self.0.counts.rejected.add(1);
        }
        let decision = out.get(place).unwrap_or_default();
        self.0.ring.fill(sequence, index, call.attempt_bytes(), decision);
        Ok(())
    }

    /// Keeps a decision that an edge made of a tenant's call.
    pub(crate) fn remember(&self, edge: &Edge, tenant: &TenantId, fact: &pb::DecisionFact) {
        let (Some(attempt), Some(decision)) = (&fact.attempt, &fact.decision) else { return };
        // An edge whose clock is ahead would stay the newest for as long.
        let at_us = fact.at_us.min(self.0.cell.clock().unix_micros());
        let index = Index {
            at_us,
            tenant: tenant.incarnation,
            called: Number::parse_canonical(&decision.called),
            call_id: fact::hash(&attempt.call_id),
            routed: matches!(decision.outcome, Some(pb::decision::Outcome::Route(_))),
        };
        self.0.counts.told.add(1);
        let fact = Fact::of(index, &attempt.encode_to_vec(), &decision.encode_to_vec(), Vec::new());
        self.0.told.keep(edge, at_us, fact);
    }

    /// The whole expected way of one call, with every rule that was considered. Kept nowhere.
    pub(crate) async fn explain(
        &self,
        caller: &Caller,
        request: pb::ExplainCallRequest,
        deadline: Option<Deadline>,
    ) -> Result<pb::Explanation, Refusal> {
        self.0.counts.explain_call.add(1);
        let attempt = Attempt::read(request.attempt.as_ref())?;
        let assumed = tandem_wire::plan::read_assumptions(request.assume)?;
        let tenant = self.tenant(caller, &request.parent, request.min_revision, deadline).await?;
        let now_us = self.0.cell.clock().unix_micros();
        let facts = Facts { now_ms: now_us / 1000, ..assumed };
        tandem_wire::plan::known(&facts, &tenant)?;
        let mut trail = Steps::default();
        let decided = decide(&tenant, attempt.call(), &facts, &mut trail);
        let whole = plan::plan(&tenant, attempt.call(), &facts, &mut trail);
        let text = render::explanation(&decided, &whole, &trail);
        let made = Made {
            tenant: &tenant.id().name,
            id: "explained",
            source: Source::Live,
            stale_ms: self.stale_ms(now_us),
        };
        let message = tandem_wire::decision::decision(&decided, made);
        Ok(tandem_wire::plan::explanation(message, &whole, &trail, text))
    }

    /// Decisions of a tenant that this process remembers.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        request: pb::ListDecisionsRequest,
    ) -> Result<pb::ListDecisionsResponse, Refusal> {
        self.0.counts.list_decisions.add(1);
        let size = page::size(request.page_size)?;
        let filter = DecisionFilter::read(&request)?;
        let tenant = self.tenant(caller, &request.parent, 0, None).await?;
        let parts = filter.parts();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let list = List {
            tenant: tenant.id(),
            caller: caller.subject(),
            method: "/tandem.routing.v1.Routing/ListDecisions",
            filter: &parts,
        };
        let position = self.0.signer.read(list, &request.page_token)?;
        let from = position.and_then(|p| Position::read(&p)).unwrap_or_else(|| Position::start(&self.0.ring));
        // One more than is asked for, of each: whether there is a next page.
        let made = self.0.ring.list(tenant.id(), &filter, from.made, size + 1).await;
        let told = self.0.told.list(tenant.id(), &filter, from.told, size + 1).await;
        let (decisions, next) = listing::page(made, told, from, size);
        let next_page_token = next.map(|at| self.0.signer.sign(list, &at.bytes())).unwrap_or_default();
        Ok(pb::ListDecisionsResponse { decisions, next_page_token })
    }
}

/// The tenant that a request names, as its caller may see it.
pub(crate) fn find<'s>(
    caller: &Caller,
    parent: &str,
    snapshot: &'s Snapshot,
) -> Result<&'s Arc<TenantView>, Refusal> {
    let found = caller.tenant("parent", parent, |name| snapshot.view.tenant(name));
    found.map_err(|refusal| {
        let is_known = refusal.reason() != Reason::ResourceNotFound || !snapshot.is_unborn();
        if is_known { refusal } else { Refusal::no_tenant_yet() }
    })
}
