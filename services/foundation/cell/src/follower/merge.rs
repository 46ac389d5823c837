//! A shard that was listed anew, compared with what was known to be stored of it.

use std::collections::HashSet;
use std::sync::Arc;

use tandem_domain::id::{Revision, TenantId};
use tandem_domain::record::{self, Change, Kind, Record};
use tandem_domain::view::TenantView;
use tandem_store::Shard;

use super::Snapshot;

/// What must change in a snapshot so that it shows exactly `listed` of a shard: deletions first, then what is new
/// or differs. `at` is the listing's time.
///
/// Records of a tenant that nobody bore yet are not looked for: they are reached by nobody, and what is listed
/// replaces them.
pub(super) fn differences(
    shown: &Snapshot,
    shard: Shard,
    listed: Vec<Change>,
    at: u64,
) -> impl Iterator<Item = Change> {
    let kept: HashSet<(&TenantId, Kind, &str)> =
        listed.iter().map(|c| (&c.tenant, c.kind, c.key.as_str())).collect();
    let newest = listed.iter().map(|c| c.revision).max().unwrap_or(Revision(0));
    let mut gone = Vec::new();
    let mut look = |tenant: &TenantId, kind: Kind, key: &str| {
        if !kept.contains(&(tenant, kind, key)) {
            let (tenant, key) = (tenant.clone(), key.to_owned());
            gone.push(Change { tenant, kind, key, record: None, revision: newest, at });
        }
    };
    let cell = record::cell();
    if Shard::of(&cell) == shard {
        shown.registry.keys().for_each(|(kind, key)| look(&cell, kind, key));
    }
    for tenant in shown.view.tenants().filter(|t| Shard::of(t.id()) == shard) {
        keys(tenant, |kind, key| look(tenant.id(), kind, key));
    }
    drop(kept);
    let come: Vec<Change> = listed.into_iter().filter(|c| shown_record(shown, c) != c.record).collect();
    gone.into_iter().chain(come)
}

/// Every record that a tenant has, its policy first.
pub(crate) fn keys(tenant: &TenantView, mut look: impl FnMut(Kind, &str)) {
    if tenant.policy().is_some() {
        look(Kind::Policy, "");
    }
    tenant.users().for_each(|u| look(Kind::User, u.id.as_str()));
    tenant.stations().for_each(|s| look(Kind::Station, s.id.as_str()));
    tenant.workgroups().for_each(|w| look(Kind::Workgroup, w.id.as_str()));
    tenant.assignments().for_each(|n| look(Kind::Number, &n.number));
}

/// Every record that a tenant has, its policy first, with the key that the store keeps it under.
pub fn records(tenant: &TenantView) -> impl Iterator<Item = (Kind, String, Record)> {
    let policy = tenant.policy().map(|p| (Kind::Policy, String::new(), Record::Policy(Arc::clone(p))));
    let users = tenant.users().map(|u| (Kind::User, u.id.to_string(), Record::User(Arc::clone(u))));
    let stations =
        tenant.stations().map(|s| (Kind::Station, s.id.to_string(), Record::Station(Arc::clone(s))));
    let workgroups =
        tenant.workgroups().map(|w| (Kind::Workgroup, w.id.to_string(), Record::Workgroup(Arc::clone(w))));
    let numbers = tenant
        .keyed_assignments()
        .map(|(key, number)| (Kind::Number, key.to_string(), Record::Number(Arc::clone(number))));
    policy.into_iter().chain(users).chain(stations).chain(workgroups).chain(numbers)
}

fn shown_record(shown: &Snapshot, change: &Change) -> Option<Record> {
    if change.tenant == record::cell() {
        return shown.registry.record(change.kind, &change.key);
    }
    shown_of(shown.view.tenant_by_id(&change.tenant)?, change.kind, &change.key)
}

/// A tenant's record, if it is there.
pub(crate) fn shown_of(tenant: &TenantView, kind: Kind, key: &str) -> Option<Record> {
    match kind {
        Kind::Policy => tenant.policy().map(|p| Record::Policy(Arc::clone(p))),
        Kind::User => tenant.user(key).map(|u| Record::User(Arc::clone(u))),
        Kind::Station => tenant.station(key).map(|s| Record::Station(Arc::clone(s))),
        Kind::Workgroup => tenant.workgroup(key).map(|w| Record::Workgroup(Arc::clone(w))),
        Kind::Number => tenant.assignment(key).map(|n| Record::Number(Arc::clone(n))),
        Kind::Tenant | Kind::IngressClaim | Kind::Process => None,
    }
}

/// A tenant's records of a kind, in the order of their keys.
pub(crate) fn of_tenant(tenant: &TenantView, kind: Kind) -> Vec<Record> {
    let mut found: Vec<Record> = match kind {
        Kind::Policy => tenant.policy().cloned().map(Record::Policy).into_iter().collect(),
        Kind::User => tenant.users().cloned().map(Record::User).collect(),
        Kind::Station => tenant.stations().cloned().map(Record::Station).collect(),
        Kind::Workgroup => tenant.workgroups().cloned().map(Record::Workgroup).collect(),
        Kind::Number => tenant.assignments().cloned().map(Record::Number).collect(),
        Kind::Tenant | Kind::IngressClaim | Kind::Process => Vec::new(),
    };
    found.sort_unstable_by(|a, b| key(a).cmp(key(b)));
    found
}

fn key(record: &Record) -> &str {
    match record {
        Record::User(user) => user.id.as_str(),
        Record::Station(station) => station.id.as_str(),
        Record::Workgroup(workgroup) => workgroup.id.as_str(),
        Record::Number(number) => &number.number,
        Record::Policy(_) | Record::Tenant(_) | Record::IngressClaim(_) | Record::Process(_) => "",
    }
}
