//! Tenants that the store has lost, and that are shown as they were until they are written again.
//!
//! A store that was emptied, or an older copy that took its place, lacks tenants that nobody deleted. To show that would
//! be to say that nobody is there. So what it lacks of a tenant is kept: all of it until its policy is there again (by
//! the writer of policy), its directory until something of it is (by the station service, or an import). What the store
//! holds meanwhile is followed beside it ([`super::ViewFollower::stored`]): who writes plans by that.
//!
//! A tenant, or a whole directory, that was deleted while a follower saw another history is taken for lost as well: it
//! is shown for longer than it is, or written again. The other mistake would be worse.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_domain::id::{TenantId, TenantName};
use tandem_domain::record::{self, Change, Kind, Record, TenantRecord};
use tandem_domain::view::TenantView;
use tandem_store::Shard;

use super::{Snapshot, records};

/// What of a tenant the store lacks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Lost {
    /// Every user, station, workgroup and number.
    Directory,
    /// Its policy, or its name.
    Policy,
}

/// What a store lacks of a tenant that is shown; none: it has it, or something of it.
pub(super) fn lost(tenant: &TenantView, stored: &Snapshot) -> Option<Lost> {
    // What the store says is being deleted is to go, wherever the rest of it is by now.
    let going = |t: &&TenantRecord| t.deleting && t.tenant == *tenant.id();
    if stored.registry.tenant(&tenant.id().name).is_some_and(|t| going(&t)) {
        return None;
    }
    let name = tenant.id().name.as_str();
    let Some(there) = stored.view.tenant(name).filter(|t| t.policy().is_some()) else {
        return Some(Lost::Policy);
    };
    // Another incarnation owes nothing to the one before.
    let same = there.id() == tenant.id();
    (same && has_directory(tenant) && !has_directory(there)).then_some(Lost::Directory)
}

fn has_directory(tenant: &TenantView) -> bool {
    records(tenant).any(|(kind, ..)| kind != Kind::Policy)
}

/// The tenants that are kept.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<TenantName, Lost>);

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether what is shown of a shard is not what the store holds of it: where its log stands says nothing of it.
    pub(super) fn holds(&self, shard: Shard, shown: &Snapshot) -> bool {
        self.0.keys().any(|name| shown.registry.tenant(name).is_some_and(|t| Shard::of(&t.tenant) == shard))
    }

    /// Keeps what a shard of another history lacks.
    pub(super) fn look(&mut self, shard: Shard, shown: &Snapshot, stored: &Snapshot) {
        let concerned = |t: &&Arc<TenantView>| shard == Shard::CELL || Shard::of(t.id()) == shard;
        for tenant in shown.view.tenants().filter(concerned) {
            // What has no policy decides nothing, and what is being deleted is to go.
            if tenant.policy().is_none() || tenant.is_deleting() {
                continue;
            }
            if let Some(lost) = lost(tenant, stored) {
                self.0.insert(tenant.id().name.clone(), lost);
            }
        }
    }

    /// What is shown of some changes that the store has made: those of no kept tenant, and of kept ones what brings
    /// them to where the store has them again.
    pub(super) fn let_through<C>(
        &mut self,
        changes: Vec<(Change, C)>,
        shown: &Snapshot,
        stored: &Snapshot,
    ) -> Vec<(Change, Option<C>)> {
        let mut touched = BTreeSet::new();
        let mut through = Vec::new();
        for (change, with) in changes {
            match self.of(&change, shown) {
                Some(name) => drop(touched.insert(name)),
                None => through.push((change, Some(with))),
            }
        }
        for name in touched {
            through.extend(self.bring(&name, shown, stored).into_iter().map(|change| (change, None)));
        }
        through
    }

    /// The kept tenant that a change is of.
    fn of(&self, change: &Change, shown: &Snapshot) -> Option<TenantName> {
        let name = match (&change.record, change.kind) {
            (Some(Record::Tenant(record)), _) => record.tenant.name.clone(),
            (None, Kind::Tenant) => TenantName::parse(&change.key).ok()?,
            (Some(Record::IngressClaim(claim)), _) => claim.tenant.name.clone(),
            (None, Kind::IngressClaim) => match shown.registry.record(Kind::IngressClaim, &change.key) {
                Some(Record::IngressClaim(claim)) => claim.tenant.name.clone(),
                _ => return None,
            },
            (_, Kind::Process) => return None,
            _ => change.tenant.name.clone(),
        };
        self.0.contains_key(&name).then_some(name)
    }

    /// The changes that show of a kept tenant what the store has of it again; it is kept no more when that is all.
    fn bring(&mut self, name: &TenantName, shown: &Snapshot, stored: &Snapshot) -> Vec<Change> {
        let (Some(was), Some(tenant)) = (self.0.get(name).copied(), shown.view.tenant(name.as_str())) else {
            self.0.remove(name);
            return Vec::new();
        };
        // What the log deletes of one whose policy was there again is deleted.
        match lost(tenant, stored).map(|now| now.min(was)) {
            Some(Lost::Policy) => return Vec::new(),
            Some(Lost::Directory) => drop(self.0.insert(name.clone(), Lost::Directory)),
            None => drop(self.0.remove(name)),
        }
        let directory = !self.0.contains_key(name);
        if stored.view.tenant(name.as_str()).is_none() {
            self.0.remove(name);
        }
        differences(tenant, shown, stored, directory)
    }
}

/// What must change in `shown` so that it shows a tenant's name, claims and policy as stored, and its directory too if
/// that is asked for.
fn differences(tenant: &TenantView, shown: &Snapshot, stored: &Snapshot, directory: bool) -> Vec<Change> {
    let (old, name) = (tenant.id(), &tenant.id().name);
    let there = stored.view.tenant(name.as_str());
    let (revision, at) = there.map_or((tenant.revision(), tenant.now()), |t| (t.revision(), t.now()));
    let change = |tenant: &TenantId, kind, key: &str, record| Change {
        tenant: tenant.clone(),
        kind,
        key: key.to_owned(),
        record,
        revision,
        at,
    };
    let cell = record::cell();
    let mut all = Vec::new();
    for (key, _) in shown.registry.claims_of(old) {
        let now = stored.registry.record(Kind::IngressClaim, key);
        if now != shown.registry.record(Kind::IngressClaim, key) {
            all.push(change(&cell, Kind::IngressClaim, key, now));
        }
    }
    let birth = stored.registry.record(Kind::Tenant, name.as_str());
    if birth != shown.registry.record(Kind::Tenant, name.as_str()) {
        all.push(change(&cell, Kind::Tenant, name.as_str(), birth));
    }
    let Some(there) = there else { return all };
    for (key, claim) in stored.registry.claims_of(there.id()) {
        if shown.registry.record(Kind::IngressClaim, key).is_none() {
            all.push(change(&cell, Kind::IngressClaim, key, Some(Record::IngressClaim(Arc::clone(claim)))));
        }
    }
    let wanted = |kind| kind == Kind::Policy || directory;
    let mut before: BTreeMap<(Kind, String), Record> = match there.id() == old {
        true => records(tenant).map(|(kind, key, record)| ((kind, key), record)).collect(),
        false => BTreeMap::new(),
    };
    let mut come = Vec::new();
    for (kind, key, record) in records(there).filter(|(kind, ..)| wanted(*kind)) {
        let at = (kind, key);
        if before.remove(&at).as_ref() != Some(&record) {
            come.push(change(there.id(), kind, &at.1, Some(record)));
        }
    }
    let gone = before.into_keys().filter(|(kind, _)| wanted(*kind));
    all.extend(gone.map(|(kind, key)| change(old, kind, &key, None)));
    all.extend(come);
    all
}
