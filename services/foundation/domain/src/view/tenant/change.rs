//! How a tenant's view comes to be: records loaded at once, or changes applied one by one.

use std::sync::Arc;

use smallvec::SmallVec;

use super::TenantView;
use crate::document::directory::{NumberAssignment, Station, User, Workgroup};
use crate::document::terms::AssignmentKind;
use crate::number::Number;
use crate::number::index::Index;
use crate::record::{Change, Kind, PolicyRecord, Record};
use crate::tenant::{self, Config};
use crate::view::Person;
use crate::view::keyed::{Named, Numbered};
use crate::view::names::{self, Of};
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
                Some((_, Record::User(user))) => {
                    put(&mut self.users, &Arc::new(Person::new(user, None)), &mut names);
                }
                Some((_, Record::Station(station))) => put(&mut self.stations, station, &mut names),
                Some((_, Record::Workgroup(group))) => put(&mut self.workgroups, group, &mut names),
                Some((key, Record::Number(assignment))) => {
                    let Some(key) = Number::parse_canonical(key) else { continue };
                    let slot = self.assignments.insert(Arc::clone(assignment));
                    keys.push(key, slot);
                    names.extend(did(assignment).map(|hash| (hash, slot)));
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
                self.read_people(None);
            }
            (Some(Record::User(user)), _) => self.set_user(user.id.as_str(), Some(user)),
            (None, Kind::User) => self.set_user(&change.key, None),
            (Some(Record::Station(station)), _) => drop(self.set_named(station.id.as_str(), Some(station))),
            (None, Kind::Station) => drop(self.set_named::<Station>(&change.key, None)),
            (Some(Record::Workgroup(group)), _) => drop(self.set_named(group.id.as_str(), Some(group))),
            (None, Kind::Workgroup) => drop(self.set_named::<Workgroup>(&change.key, None)),
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

    /// Reads everybody's numbers anew, as policy says how.
    fn read_people(&mut self, config: Option<&Config>) {
        let read =
            |(slot, person): (u32, &Arc<Person>)| (slot, Arc::new(Person::new(person.record(), config)));
        let people: Vec<(u32, Arc<Person>)> = self.users.iter().map(read).collect();
        people.into_iter().for_each(|(slot, person)| self.users.replace(slot, person));
    }

    /// Reads and indexes every number anew, at once.
    fn index_numbers(&mut self) {
        let Some(config) = self.config.clone() else { return };
        self.read_people(Some(&config));
        let mut pairs = NumberPairs::default();
        for (slot, record) in self.assignments.iter() {
            self.assignment_place(slot, record).into_iter().for_each(|(n, value)| pairs.push(n, value));
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

    fn set_user(&mut self, id: &str, new: Option<&Arc<User>>) {
        let person = new.map(|user| Arc::new(Person::new(user, self.config.as_deref())));
        let Some(user) = self.set_named(id, person.as_ref()) else { return };
        // Came or went: the numbers that are assigned to them lead to them, or to the assignments alone.
        let slots: SmallVec<[u32; 4]> = self.dids_of(id).collect();
        for slot in slots {
            let Some(assignment) = self.assignments.get(slot) else { continue };
            let number = self.assigned(assignment).filter(|n| is_did(*n, assignment));
            let Some(number) = number else { continue };
            let (old, new) = (Role::Assignment.with(slot), Role::Did.with(user));
            let (old, new) = if person.is_some() { (old, new) } else { (new, old) };
            self.numbers.remove(number, old);
            self.numbers.insert(number, new);
        }
    }

    /// Returns the slot of a record that came or went; none: it was there before and is still, or never was.
    fn set_named<T: Named>(&mut self, id: &str, new: Option<&Arc<T>>) -> Option<u32> {
        let values = self.names.get(names::hash(T::OF, &[id]));
        let slots = T::slots(self);
        let slot = values.into_iter().find(|s| slots.get(*s).is_some_and(|r| r.id() == id));
        let old = slot.and_then(|s| slots.get(s)).cloned();
        let (slot, new) = match (slot, new) {
            (None, None) => return None,
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
        let places = |record: Option<&T>| self.places(record, slot);
        let (before, after) = (places(old.as_deref()), places(new));
        self.renumber(before, after);
        (old.is_some() != new.is_some()).then_some(slot)
    }

    fn set_assignment(&mut self, key: &str, new: Option<&Arc<NumberAssignment>>) {
        let Some(key) = Number::parse_canonical(key) else { return };
        let slot = self.assignment_slot(key);
        let old = slot.and_then(|s| self.assignments.get(s)).cloned();
        let before = slot.zip(old.as_ref()).and_then(|(slot, old)| self.assignment_place(slot, old));
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
        let (gone, come) = (old.as_ref().and_then(did), new.and_then(did));
        if gone != come {
            gone.map(|hash| self.names.remove(hash, slot));
            come.map(|hash| self.names.insert(hash, slot));
        }
        let after = new.and_then(|new| self.assignment_place(slot, new));
        self.renumber(before.into_iter().collect(), after.into_iter().collect());
    }

    /// The number of an assignment and what stands there: the user it names, where calls may take it from there.
    fn assignment_place(&self, slot: u32, assignment: &NumberAssignment) -> Option<(Number, u32)> {
        let number = self.assigned(assignment)?;
        let user = || {
            let id = assignment.user.as_ref()?.as_str();
            let values = self.names.get(names::hash(Of::User, &[id]));
            values.into_iter().find(|s| self.users.get(*s).is_some_and(|u| u.id.as_str() == id))
        };
        let user = if is_did(number, assignment) { user() } else { None };
        Some((number, user.map_or(Role::Assignment.with(slot), |user| Role::Did.with(user))))
    }

    /// The numbers of a record and what stands there: its slot.
    fn places<T: Numbered>(&self, record: Option<&T>, slot: u32) -> Places {
        let mut places = Places::new();
        if let (Some(record), Some(config)) = (record, self.config.as_deref()) {
            record.numbers(config, &mut |n, role| places.push((n, role.with(slot))));
        }
        places
    }

    /// Moves what stands at old numbers to new ones. What stays is not touched.
    fn renumber(&mut self, old: Places, new: Places) {
        let delta = Delta { old, new };
        for (number, value) in delta.gone() {
            self.numbers.remove(*number, *value);
        }
        for (number, value) in delta.come() {
            self.numbers.insert(*number, *value);
        }
    }
}

/// Whether a number leads to the user of its assignment: where that can be found again by the number, for it is
/// written as it is kept whatever the dial plan. Numbers with an extension are indexed by hash and compared.
fn is_did(number: Number, assignment: &NumberAssignment) -> bool {
    let kept = assignment.number.starts_with('+') && number.ext().is_empty();
    kept && assignment.kind == AssignmentKind::Did
}

/// Numbers and what stands there.
type Places = SmallVec<[(Number, u32); 4]>;

/// The hash by which the assignments of a user are found.
fn did(assignment: &Arc<NumberAssignment>) -> Option<u64> {
    assignment.user.as_ref().map(|user| names::hash(Of::Did, &[user.as_str()]))
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
