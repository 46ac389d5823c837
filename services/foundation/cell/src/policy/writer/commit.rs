//! What is planned, written: claims, then policy, then releases, each commit under the lease.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use tandem_domain::id::{Revision, TenantId, TenantName};
use tandem_domain::record::{self, Kind, Record};
use tandem_store::{Commit, Durability, Outcome, WRITES_MAX, Write, delete, put};
use tokio::time::Instant;

use super::{Stop, Writer};
use crate::policy::State;
use crate::policy::plan::Plan;

/// How long the view may take to show what was committed before everything is begun anew.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// Commits under way at once: they share one sync of the store.
const AT_ONCE: usize = 64;
/// How often a commit whose outcome is not known is asked again.
const DOUBTS: usize = 5;

impl Writer {
    pub(super) fn overlay(&mut self, plan: &Plan) {
        for (key, claim) in &plan.claims {
            self.index.insert(key.clone(), Arc::clone(claim));
        }
    }

    /// Claims, then commits, then releases.
    pub(super) async fn carry_out(&mut self, plans: Vec<Plan>) -> Result<Vec<(TenantName, State)>, Stop> {
        if plans.is_empty() {
            return Ok(Vec::new());
        }
        plans.iter().for_each(|p| self.overlay(p));
        self.write_cell(plans.iter().flat_map(Plan::births_and_claims).collect()).await?;
        let mut states = Vec::with_capacity(plans.len());
        for some in plans.chunks(AT_ONCE) {
            states.extend(try_join_all(some.iter().map(|plan| self.write_policy(plan))).await?);
        }
        self.release(plans.into_iter().flat_map(|p| p.release).collect()).await?;
        Ok(states)
    }

    async fn write_policy(&self, plan: &Plan) -> Result<(TenantName, State), Stop> {
        let mut revision = plan.revision;
        if let Some(policy) = &plan.policy {
            let record = Record::Policy(Arc::clone(policy));
            revision = self.commit(&plan.tenant, vec![put("", &record)]).await?;
        }
        Ok((plan.tenant.name.clone(), State::InForce { generation: plan.generation, revision }))
    }

    pub(super) async fn release(&mut self, keys: Vec<String>) -> Result<(), Stop> {
        // A claim may have become another tenant's meanwhile.
        self.write_cell(keys.iter().map(|k| delete(Kind::IngressClaim, k)).collect()).await?;
        keys.iter().for_each(|k| self.index.remove(k));
        Ok(())
    }

    /// Writes to `_cell`, in commits of what one may hold.
    async fn write_cell(&self, writes: Vec<Write>) -> Result<(), Stop> {
        for writes in writes.chunks(WRITES_MAX) {
            self.commit(&record::cell(), writes.to_vec()).await?;
        }
        Ok(())
    }

    /// One commit under the lease, shown by the view when this returns.
    pub(super) async fn commit(&self, tenant: &TenantId, writes: Vec<Write>) -> Result<Revision, Stop> {
        let commit = Commit {
            tenant: tenant.clone(),
            id: self.cell.commit_id(),
            preconditions: vec![self.lease.fence()],
            writes,
            durability: Durability::Replicated,
            trace: None,
        };
        for _ in 0..DOUBTS {
            match self.cell.store().commit(commit.clone()).await? {
                Outcome::Committed(revision) => {
                    let shown = self.cell.view().wait_for(tenant, revision, Instant::now() + SHOWN_WITHIN);
                    shown.await.map_err(|late| Stop::Later(late.to_string()))?;
                    return Ok(revision);
                }
                Outcome::Refused(_) => return Err(Stop::Lost),
                Outcome::Indeterminate(why) => tracing::debug!(%why, "asking what became of a commit"),
            }
        }
        Err(Stop::Later("the outcome of a commit is not known".to_owned()))
    }
}
