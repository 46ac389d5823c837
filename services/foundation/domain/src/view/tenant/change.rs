//! How a tenant's view comes to be: records loaded at once, or changes applied one by one.

use std::sync::Arc;

use smallvec::SmallVec;

use super::TenantView;
use crate::document::directory::{NumberAssignment, Station, User, Workgroup};
use crate::number::Number;
use crate::number::index::Index;
use crate::record::{Change, Kind, PolicyRecord, Record};
use crate::tenant;
use crate::view::keyed::{Named, Numbered};
use crate::view::names;
use crate::view::numbers::{NumberMap, NumberPairs, Role};
use crate::view::slots::Slots;

impl TenantView {
    /// Fills a tenant that has nothing yet, as [`TenantView::apply`] change by change would.
    pub(in crate::view) fn load(&mut self, mut changes: Vec<&Change>) {
        // Stable: of the changes of one record the last counts.
        changes.sort_by(|a, b| (a.kind, &*a.key).cmp(&(b.kind, &*b.key)));
        let mut names = Vec::new();
        let mut keys = NumberPairs::default();
        for run in changes.chunk_by(|a, b| (a.kind, &a.key) == (b.kind, &b.key)) {
            for change in run {
                self.revision = self.revision.max(change.revision);
                self.now = self.now.max(change.at);
            }
            match run.last().and_then(|c| c.record.as_ref().map(|r| (&*c.key, r))) {
                Some((_, Record::Policy(_))) => {
                    // In their order, for one that this release refuses leaves the one before in force.
                    run.iter().for_each(|c| self.apply(c));
                }
                Some((_, Record::User(user))) => put(&mut self.users, user, &mut names),
                Some((_, Record::Station(station))) => put(&mut self.stations, station, &mut names),
                Some((_, Record::Workgroup(group))) => put(&mut self.workgroups, group, &mut names),
                Some((key, Record::Number(assignment))) => {
                    let Some(key) = Number::parse_canonical(key) else { continue };
                    keys.push(key, self.assignments.insert(Arc::clone(assignment)));
                }
                None | Some((_, Record::Tenant(_) | Record::IngressClaim(_) | Record::Process(_))) => {}
            }
        }
        self.names = Index::build(names);
        self.keys = keys.build();
        self.index_numbers();
    }

    pub(in crate::view) fn apply(&mut self, change: &Change) {
        self.revision = self.revision.max(change.revision);
        self.now = self.now.max(change.at);
        match (&change.record, change.kind) {
            (Some(Record::Policy(policy)), _) => self.set_policy(policy),
            (None, Kind::Policy) => {
                (self.policy, self.config, self.refused) = (None, None, None);
                self.numbers = NumberMap::default();
            }
            (Some(Record::User(user)), _) => self.set_named(user.id.as_str(), Some(user)),
            (None, Kind::User) => self.set_named::<User>(&change.key, None),
            (Some(Record::Station(station)), _) => self.set_named(station.id.as_str(), Some(station)),
            (None, Kind::Station) => self.set_named::<Station>(&change.key, None),
            (Some(Record::Workgroup(group)), _) => self.set_named(group.id.as_str(), Some(group)),
            (None, Kind::Workgroup) => self.set_named::<Workgroup>(&change.key, None),
            (Some(Record::Number(assignment)), _) => self.set_assignment(&change.key, Some(assignment)),
            (None, Kind::Number) => self.set_assignment(&change.key, None),
            // Of the cell, not of a tenant.
            (Some(Record::Tenant(_) | Record::IngressClaim(_) | Record::Process(_)), _)
            | (None, Kind::Tenant | Kind::IngressClaim | Kind::Process) => {}
        }
    }

    fn set_policy(&mut self, policy: &Arc<PolicyRecord>) {
        self.policy = Some(Arc::clone(policy));
        let new = match tenant::compile(self.id.name.as_str(), &policy.spec) {
            Ok(compiled) => Arc::new(compiled.config),
            Err(findings) => {
                self.refused = Some(findings.into());
                return;
            }
        };
        self.refused = None;
        let alike = self.config.as_ref().is_some_and(|old| {
            old.dial_plan == new.dial_plan
                && old.sites.iter().map(|s| &s.name).eq(new.sites.iter().map(|s| &s.name))
        });
        self.config = Some(new);
        if !alike {
            self.index_numbers();
        }
    }

    /// Indexes every number anew, at once.
    fn index_numbers(&mut self) {
        let Some(config) = self.config.clone() else { return };
        let mut pairs = NumberPairs::default();
        for (slot, record) in self.assignments.iter() {
            record.numbers(&config, &mut |n, role: Role| pairs.push(n, role.with(slot)));
        }
        for (slot, record) in self.users.iter() {
            record.numbers(&config, &mut |n, role: Role| pairs.push(n, role.with(slot)));
        }
        for (slot, record) in self.workgroups.iter() {
            record.numbers(&config, &mut |n, role: Role| pairs.push(n, role.with(slot)));
        }
        for (slot, record) in self.stations.iter() {
            record.numbers(&config, &mut |n, role: Role| pairs.push(n, role.with(slot)));
        }
        self.numbers = pairs.build();
    }

    fn set_named<T: Named>(&mut self, id: &str, new: Option<&Arc<T>>) {
        let values = self.names.get(names::hash(T::OF, &[id]));
        let slots = T::slots(self);
        let slot = values.into_iter().find(|s| slots.get(*s).is_some_and(|r| r.id() == id));
        let old = slot.and_then(|s| slots.get(s)).cloned();
        let (slot, new) = match (slot, new) {
            (None, None) => return,
            (Some(slot), Some(new)) => {
                slots.replace(slot, Arc::clone(new));
                (slot, Some(&**new))
            }
            (None, Some(new)) => (slots.insert(Arc::clone(new)), Some(&**new)),
            (Some(slot), None) => {
                slots.remove(slot);
                (slot, None)
            }
        };
        let mut names: Delta<u64> = Delta::default();
        old.iter().for_each(|r| r.names(&mut |h| names.old.push(h)));
        new.iter().for_each(|r| r.names(&mut |h| names.new.push(h)));
        for hash in names.gone() {
            self.names.remove(*hash, slot);
        }
        for hash in names.come() {
            self.names.insert(*hash, slot);
        }
        self.renumber(old.as_deref(), new, slot);
    }

    fn set_assignment(&mut self, key: &str, new: Option<&Arc<NumberAssignment>>) {
        let Some(key) = Number::parse_canonical(key) else { return };
        let slot = self.assignment_slot(key);
        let old = slot.and_then(|s| self.assignments.get(s)).cloned();
        let slot = match (slot, new) {
            (None, None) => return,
            (Some(slot), Some(new)) => {
                self.assignments.replace(slot, Arc::clone(new));
                slot
            }
            (None, Some(new)) => {
                let slot = self.assignments.insert(Arc::clone(new));
                self.keys.insert(key, slot);
                slot
            }
            (Some(slot), None) => {
                self.assignments.remove(slot);
                self.keys.remove(key, slot);
                slot
            }
        };
        self.renumber(old.as_deref(), new.map(|n| &**n), slot);
    }

    /// Moves a record's slot from its old numbers to its new ones. Numbers that stay are not touched.
    fn renumber<T: Numbered>(&mut self, old: Option<&T>, new: Option<&T>, slot: u32) {
        let Some(config) = self.config.clone() else { return };
        let mut delta: Delta<(Number, Role)> = Delta::default();
        old.iter().for_each(|r| r.numbers(&config, &mut |n, role| delta.old.push((n, role))));
        new.iter().for_each(|r| r.numbers(&config, &mut |n, role| delta.new.push((n, role))));
        let numbers = &mut self.numbers;
        for (number, role) in delta.gone() {
            numbers.remove(*number, role.with(slot));
        }
        for (number, role) in delta.come() {
            numbers.insert(*number, role.with(slot));
        }
    }
}

/// Puts a record that is not there yet in a slot, and its names with it.
fn put<T: Named>(slots: &mut Slots<T>, record: &Arc<T>, names: &mut Vec<(u64, u32)>) {
    let slot = slots.insert(Arc::clone(record));
    record.names(&mut |hash| names.push((hash, slot)));
}

/// What a record had and what it has, to touch only what differs.
struct Delta<T> {
    old: SmallVec<[T; 4]>,
    new: SmallVec<[T; 4]>,
}

impl<T> Default for Delta<T> {
    fn default() -> Self {
        Self { old: SmallVec::new(), new: SmallVec::new() }
    }
}

impl<T: PartialEq> Delta<T> {
    fn gone(&self) -> impl Iterator<Item = &T> {
        self.old.iter().filter(|t| !self.new.contains(t))
    }

    fn come(&self) -> impl Iterator<Item = &T> {
        self.new.iter().filter(|t| !self.old.contains(t))
    }
}
