//! What must be written so that a tenant is as its document says. Decides; writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_domain::finding::Finding;
use tandem_domain::id::{Incarnation, ListenerName, Revision, TenantId};
use tandem_domain::ingress;
use tandem_domain::record::{IngressClaim, Kind, PolicyRecord, Record, TenantRecord};
use tandem_domain::tenant::Config;
use tandem_domain::view::TenantView;
use tandem_store::{Write, put};

use super::claims::{self, Index};
use super::read::Checked;
use super::{CELL_CHANGED, Settings, State};
use crate::follower::Snapshot;

/// What is to be written for one tenant.
#[derive(Debug)]
pub(super) struct Plan {
    /// The tenant; new if `birth`.
    pub(super) tenant: TenantId,
    /// Whether its birth is to be written.
    pub(super) birth: bool,
    /// Claims to write first.
    pub(super) claims: Vec<(String, Arc<IngressClaim>)>,
    /// The policy, if it is another than the one in force.
    pub(super) policy: Option<Arc<PolicyRecord>>,
    /// Keys of claims to delete last.
    pub(super) release: Vec<String>,
    /// The generation that is in force afterwards.
    pub(super) generation: u64,
    /// The revision before anything is written.
    pub(super) revision: Revision,
}

impl Plan {
    /// Whether anything is to be written.
    pub(super) fn is_empty(&self) -> bool {
        !self.birth && self.claims.is_empty() && self.policy.is_none() && self.release.is_empty()
    }

    /// What is written to `_cell` before the policy.
    pub(super) fn births_and_claims(&self) -> Vec<Write> {
        let birth = self.birth.then(|| {
            let record = TenantRecord { tenant: self.tenant.clone(), deleting: false };
            put(self.tenant.name.as_str(), &Record::Tenant(record))
        });
        let claim =
            |(key, claim): &(String, Arc<IngressClaim>)| put(key, &Record::IngressClaim(Arc::clone(claim)));
        birth.into_iter().chain(self.claims.iter().map(claim)).collect()
    }
}

/// What a document leads to.
#[derive(Debug)]
pub(super) enum Planned {
    /// These writes, maybe none.
    Do(Plan),
    /// It cannot be taken. `contested`: it could, were another's claims released.
    Rejected { findings: Vec<Finding>, contested: bool },
    /// Nothing now.
    Not(State),
}

/// Plans for a document that compiled.
pub(super) fn plan(
    checked: &Checked,
    shown: &Snapshot,
    index: &Index,
    settings: &Settings,
    incarnation: impl FnOnce() -> Incarnation,
) -> Planned {
    let spec = &checked.tenant.spec;
    let born = shown.registry.tenant(&checked.name);
    if born.is_some_and(|t| t.deleting) {
        // Once it is gone the name is free for another.
        return Planned::Not(State::Waiting);
    }
    let before = born.and_then(|t| shown.view.tenant_by_id(&t.tenant)?.policy());
    if before.is_some_and(|p| p.spec.cell != spec.cell) {
        let finding = CELL_CHANGED.at("spec.cell", "it is another than the one that the tenant was born in");
        return Planned::Rejected { findings: vec![finding], contested: false };
    }
    if let (Some(theirs), Some(ours)) = (&spec.cell, &settings.cell)
        && theirs != ours
    {
        return Planned::Not(State::Elsewhere);
    }
    let tenant = born.map_or_else(
        || TenantId { name: checked.name.clone(), incarnation: incarnation() },
        |t| t.tenant.clone(),
    );
    let config = &checked.compiled.config;
    let (claims, release) = match difference(config, &tenant, index, &settings.listeners) {
        Ok(difference) => difference,
        Err(taken) => {
            let findings = taken.iter().map(|c| claims::taken(config, spec, c)).collect();
            return Planned::Rejected { findings, contested: true };
        }
    };
    let old = before.map_or(0, |p| p.generation);
    let policy = before
        .is_none_or(|p| p.spec != *spec)
        .then(|| Arc::new(PolicyRecord { generation: old + 1, spec: spec.clone() }));
    let generation = policy.as_ref().map_or(old, |p| p.generation);
    let revision = shown.view.tenant_by_id(&tenant).map_or(Revision::default(), |t| t.revision());
    Planned::Do(Plan { birth: born.is_none(), tenant, claims, policy, release, generation, revision })
}

/// Plans for tenants that are shown and that the store has lost: as they are shown. Whoever bears a name now keeps it,
/// and what is claimed now stays its owner's.
pub(super) fn lost(shown: &Snapshot, stored: &Snapshot, index: &Index) -> Vec<Plan> {
    let mut claimed: BTreeMap<&TenantId, Claims> = BTreeMap::new();
    let missing = |key: &str| stored.registry.record(Kind::IngressClaim, key).is_none();
    for (key, claim) in shown.registry.claims().filter(|(key, claim)| missing(key) && !index.is_taken(claim))
    {
        claimed.entry(&claim.tenant).or_default().push((key.to_owned(), Arc::clone(claim)));
    }
    let plan = |tenant: &Arc<TenantView>| {
        let born = stored.registry.tenant(&tenant.id().name);
        let theirs = born.is_none_or(|born| born.tenant == *tenant.id());
        let there = stored.view.tenant_by_id(tenant.id()).and_then(|t| t.policy());
        let policy = tenant.policy().filter(|_| theirs && !tenant.is_deleting())?;
        let plan = Plan {
            tenant: tenant.id().clone(),
            birth: born.is_none(),
            claims: claimed.remove(tenant.id()).unwrap_or_default(),
            policy: there.is_none().then(|| Arc::clone(policy)),
            release: Vec::new(),
            generation: policy.generation,
            revision: Revision::default(),
        };
        (!plan.is_empty()).then_some(plan)
    };
    shown.view.tenants().filter_map(plan).collect()
}

/// Plans for a tenant whose document cannot be used: its claims become those of the policy in force.
pub(super) fn keep(
    config: &Config,
    tenant: &TenantId,
    index: &Index,
    listeners: &[ListenerName],
) -> Option<Plan> {
    let (claims, release) = difference(config, tenant, index, listeners).ok()?;
    Some(Plan {
        tenant: tenant.clone(),
        birth: false,
        claims,
        policy: None,
        release,
        generation: 0,
        revision: Revision::default(),
    })
}

type Claims = Vec<(String, Arc<IngressClaim>)>;

/// The claims that a config needs and the tenant does not have, and the keys of those that it has and needs no
/// more; or those that are another's.
fn difference(
    config: &Config,
    tenant: &TenantId,
    index: &Index,
    listeners: &[ListenerName],
) -> Result<(Claims, Vec<String>), Vec<IngressClaim>> {
    let wanted = ingress::claims(config, tenant, listeners);
    let taken: Vec<IngressClaim> = wanted.iter().filter(|c| index.is_taken(c)).cloned().collect();
    if !taken.is_empty() {
        return Err(taken);
    }
    let wanted: BTreeMap<String, IngressClaim> =
        wanted.into_iter().map(|c| (claims::key(&c.what), c)).collect();
    let has: BTreeMap<&String, &Arc<IngressClaim>> = index.of(tenant).collect();
    let release = has.keys().filter(|k| !wanted.contains_key(**k)).map(|k| (*k).clone()).collect();
    let missing = wanted.into_iter().filter(|(k, c)| has.get(k).is_none_or(|h| ***h != *c));
    Ok((missing.map(|(k, c)| (k, Arc::new(c))).collect(), release))
}
