//! One tenant as it is now: its policy, compiled, and its directory, indexed. Here is what is asked of it; how it
//! changes is in `change`.

mod ahead;
mod change;

use std::sync::Arc;

pub use ahead::{Ahead, read_ahead};
use smallvec::SmallVec;

use super::Person;
use super::entry::{Conflict, Entries, Entry};
use super::keyed::{self, Numbered};
use super::names::{self, Of};
use super::numbers::{NumberMap, Role};
use super::slots::Slots;
use crate::document::directory::{NumberAssignment, Station, User, Workgroup};
use crate::finding::Finding;
use crate::id::{Revision, TenantId};
use crate::number::index::Index;
use crate::number::{Number, Origin};
use crate::record::PolicyRecord;
use crate::tenant::Config;

/// A tenant as it is now. Lookups reach this tenant's records and no other's.
///
/// A number is looked up in canonical form. What a record holds as a number is made canonical by the tenant's dial
/// plan, so that there are none before there is policy; what is no number is in no index, and the record's own
/// state says so ([`directory`](crate::directory)).
///
/// Its fields stand in the order in which calls read them, so that a call finds them in few lines of the cache.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct TenantView {
    pub(super) id: TenantId,
    pub(super) born: bool,
    pub(super) deleting: bool,
    config: Option<Arc<Config>>,
    revision: Revision,
    numbers: NumberMap,
    pub(super) users: Slots<Person>,
    pub(super) stations: Slots<Station>,
    pub(super) workgroups: Slots<Workgroup>,
    assignments: Slots<NumberAssignment>,
    names: Index,
    keys: NumberMap,
    policy: Option<Arc<PolicyRecord>>,
    refused: Option<Arc<[Finding]>>,
    now: u64,
}

impl TenantView {
    pub(super) fn new(id: TenantId) -> Self {
        Self {
            id,
            born: false,
            deleting: false,
            revision: Revision::default(),
            now: 0,
            policy: None,
            config: None,
            refused: None,
            users: Slots::default(),
            stations: Slots::default(),
            workgroups: Slots::default(),
            assignments: Slots::default(),
            names: Index::default(),
            keys: NumberMap::default(),
            numbers: NumberMap::default(),
        }
    }

    /// Which tenant.
    #[must_use]
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// Whether it is being deleted: nothing new is taken for it, calls still go.
    #[must_use]
    pub fn is_deleting(&self) -> bool {
        self.deleting
    }

    /// The policy, compiled. None: there is none yet.
    #[must_use]
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.config.as_ref()
    }

    /// The policy as it was accepted.
    #[must_use]
    pub fn policy(&self) -> Option<&Arc<PolicyRecord>> {
        self.policy.as_ref()
    }

    /// Why the newest policy is not in force, if it is not: this release does not compile what another accepted.
    /// The one before it stays.
    #[must_use]
    pub fn refused(&self) -> Option<&[Finding]> {
        self.refused.as_deref()
    }

    /// The revision of the newest change.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The largest time that the log has shown for the tenant, in microseconds since 1970: what is `now` for rules.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// How many users.
    #[must_use]
    pub fn users_len(&self) -> usize {
        self.users.len()
    }

    /// How many pairs of number and record there are.
    #[must_use]
    pub fn numbers_len(&self) -> usize {
        self.numbers.len()
    }

    /// Every user, in no order that means anything.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.iter().map(|(_, u)| u.record())
    }

    /// Every station, in no order that means anything.
    pub fn stations(&self) -> impl Iterator<Item = &Arc<Station>> {
        self.stations.iter().map(|(_, s)| s)
    }

    /// Every workgroup, in no order that means anything.
    pub fn workgroups(&self) -> impl Iterator<Item = &Arc<Workgroup>> {
        self.workgroups.iter().map(|(_, w)| w)
    }

    /// Every number assignment, in no order that means anything.
    pub fn assignments(&self) -> impl Iterator<Item = &Arc<NumberAssignment>> {
        self.assignments.iter().map(|(_, a)| a)
    }

    /// Every number assignment with the number that it is keyed by, so that the records can be told on. One whose
    /// number has an extension is left out while no policy says how to read it.
    pub fn keyed_assignments(&self) -> impl Iterator<Item = (Number, &Arc<NumberAssignment>)> {
        self.keys.pairs().filter_map(|(number, slot)| {
            let assignment = self.assignments.get(slot)?;
            let config = self.config.as_deref();
            let read = || config.and_then(|c| keyed::number(c, keyed::origin(c, None), &assignment.number));
            Some((number.or_else(read)?, assignment))
        })
    }

    /// A user by id.
    #[must_use]
    pub fn user(&self, id: &str) -> Option<&Arc<User>> {
        self.person(id).map(Person::record)
    }

    /// The same, as calls ask for them.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.named(Of::User, id, &self.users, |u| u.id.as_str() == id).map(|u| &**u)
    }

    /// A user by SIP address, with or without scheme, whatever the case. Of several the one whose id sorts first.
    #[must_use]
    pub fn user_by_sip(&self, address: &str) -> Option<&Arc<User>> {
        self.person_by_sip(address).map(Person::record)
    }

    pub(crate) fn person_by_sip(&self, address: &str) -> Option<&Person> {
        self.people_by_sip(address).min_by(|a, b| a.id.cmp(&b.id))
    }

    /// Every user with a SIP address, in no order that means anything: one, unless somebody entered it twice.
    pub fn users_by_sip<'v>(&'v self, address: &str) -> impl Iterator<Item = &'v Arc<User>> {
        self.people_by_sip(address).map(Person::record)
    }

    fn people_by_sip<'v>(&'v self, address: &str) -> impl Iterator<Item = &'v Person> {
        let address = names::bare(address);
        self.people_by(Of::SipAddress, address, move |u| {
            u.lync.as_ref().is_some_and(|l| names::bare(&l.sip_address).eq_ignore_ascii_case(address))
        })
    }

    /// A user by the name of the CIC account, whatever the case. Of several the one whose id sorts first.
    #[must_use]
    pub fn user_by_cic(&self, name: &str) -> Option<&Arc<User>> {
        self.users_by_cic(name).min_by(|a, b| a.id.cmp(&b.id))
    }

    /// Every user with a name in CIC, in no order that means anything: one, unless somebody entered it twice.
    pub fn users_by_cic<'v>(&'v self, name: &str) -> impl Iterator<Item = &'v Arc<User>> {
        let is = move |u: &User| u.cic.as_ref().is_some_and(|c| c.user_id.eq_ignore_ascii_case(name));
        self.people_by(Of::CicUser, name, is).map(Person::record)
    }

    /// The user whose usual station this is. Of several the one whose id sorts first.
    #[must_use]
    pub fn user_by_station(&self, station: &str) -> Option<&Arc<User>> {
        self.person_by_station(station).map(Person::record)
    }

    pub(crate) fn person_by_station(&self, station: &str) -> Option<&Person> {
        let sits = |u: &User| u.station.as_ref().is_some_and(|s| s.as_str() == station);
        self.people_by(Of::StationOfUser, station, sits).min_by(|a, b| a.id.cmp(&b.id))
    }

    /// A station by id.
    #[must_use]
    pub fn station(&self, id: &str) -> Option<&Arc<Station>> {
        self.named(Of::Station, id, &self.stations, |s| s.id.as_str() == id)
    }

    /// A workgroup by id.
    #[must_use]
    pub fn workgroup(&self, id: &str) -> Option<&Arc<Workgroup>> {
        self.named(Of::Workgroup, id, &self.workgroups, |w| w.id.as_str() == id)
    }

    /// The number assignment that the store keeps under a canonical number.
    #[must_use]
    pub fn assignment(&self, key: &str) -> Option<&Arc<NumberAssignment>> {
        self.assignments.get(self.assignment_slot(Number::parse_canonical(key)?)?)
    }

    /// The assignment that makes a number the DID of [`Entry::Did`].
    pub(crate) fn assignment_of(&self, number: Number) -> Option<&Arc<NumberAssignment>> {
        self.assignments.get(self.assignment_slot(number)?)
    }

    /// Who a number belongs to.
    #[must_use]
    pub fn number(&self, number: Number) -> Entries<'_> {
        let mut found = Entries::default();
        for value in self.numbers.get(number) {
            let Some(entry) = self.entry(number, value) else { continue };
            match entry {
                Entry::LineUri(user) => {
                    if found.lync.is_none_or(|old| user.id < old.id) {
                        found.lync = Some(user);
                    }
                }
                _ => {
                    if found.cic.is_none_or(|old| entry.rank() < old.rank()) {
                        found.cic = Some(entry);
                    }
                }
            }
        }
        found
    }

    /// Every record that names a number: the CIC side first, winners first.
    #[must_use]
    pub fn entries(&self, number: Number) -> SmallVec<[Entry<'_>; 4]> {
        let mut entries: SmallVec<[Entry<'_>; 4]> =
            self.numbers.get(number).into_iter().filter_map(|v| self.entry(number, v)).collect();
        entries.sort_by(|a, b| a.rank().cmp(&b.rank()));
        entries
    }

    /// The numbers that belong to several, in the order of numbers. Walks the whole index.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Conflict<'_>> {
        let mut numbers: Vec<Number> = Vec::new();
        for run in self.numbers.shared() {
            for value in run {
                self.numbers_of(value, |n| numbers.push(n));
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().flat_map(|n| self.conflicts_of(n)).collect()
    }

    /// The conflicts of one number: none, one, or one on either side.
    #[must_use]
    pub fn conflicts_of(&self, number: Number) -> SmallVec<[Conflict<'_>; 2]> {
        let entries = self.entries(number);
        let sides = [true, false].into_iter().map(|cic| {
            let side: SmallVec<[Entry<'_>; 4]> =
                entries.iter().copied().filter(|e| e.is_cic() == cic).collect();
            Conflict { number, entries: side }
        });
        sides.filter(|c| c.entries.iter().any(|e| e.holder() != c.entries[0].holder())).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        let records = self.users.len() + self.stations.len() + self.workgroups.len() + self.assignments.len();
        self.policy.is_none() && records == 0
    }

    fn named<'v, T>(
        &self,
        of: Of,
        name: &str,
        slots: &'v Slots<T>,
        is: impl Fn(&T) -> bool,
    ) -> Option<&'v Arc<T>> {
        let values = self.names.get(names::hash(of, &[name]));
        values.into_iter().filter_map(|slot| slots.get(slot)).find(|r| is(r))
    }

    fn people_by(&self, of: Of, name: &str, is: impl Fn(&User) -> bool) -> impl Iterator<Item = &Person> {
        let values = self.names.get(names::hash(of, &[name]));
        values.into_iter().filter_map(|s| self.users.get(s)).map(|u| &**u).filter(move |u| is(u))
    }

    /// The slots of the assignments that name a user.
    fn dids_of(&self, user: &str) -> impl Iterator<Item = u32> {
        let is = move |a: &NumberAssignment| a.user.as_ref().is_some_and(|u| u.as_str() == user);
        let values = self.names.get(names::hash(Of::Did, &[user]));
        values.into_iter().filter(move |s| self.assignments.get(*s).is_some_and(|a| is(a)))
    }

    /// The number of an assignment.
    fn assigned(&self, assignment: &NumberAssignment) -> Option<Number> {
        keyed::number(self.config.as_deref()?, Origin::default(), &assignment.number)
    }

    fn entry(&self, number: Number, value: u32) -> Option<Entry<'_>> {
        let (slot, role) = Role::split(value);
        // Numbers with an extension are indexed by a hash.
        if !number.ext().is_empty() {
            let mut is = false;
            self.numbers_of(value, |n| is |= n == number);
            if !is {
                return None;
            }
        }
        match role {
            Role::Did => self.users.get(slot).map(|u| Entry::Did(u)),
            Role::Extension => self.users.get(slot).map(|u| Entry::Extension(u)),
            Role::LineUri => self.users.get(slot).map(|u| Entry::LineUri(u)),
            Role::Assignment | Role::Workgroup | Role::Station => self.entry_of_no_user(slot, role),
        }
    }

    /// By itself, or else the compiler reads where each kind's records lie for every call.
    #[inline(never)]
    fn entry_of_no_user(&self, slot: u32, role: Role) -> Option<Entry<'_>> {
        match role {
            Role::Assignment => self.assignments.get(slot).map(Entry::Assignment),
            Role::Workgroup => self.workgroups.get(slot).map(Entry::Workgroup),
            Role::Station => self.stations.get(slot).map(Entry::Station),
            Role::Did | Role::Extension | Role::LineUri => None,
        }
    }

    /// The numbers that the record behind a value has in the value's role, perhaps more.
    fn numbers_of(&self, value: u32, mut take: impl FnMut(Number)) {
        let Some(config) = &self.config else { return };
        let (slot, role) = Role::split(value);
        let assigned = |slot| self.assigned(self.assignments.get(slot)?);
        match role {
            Role::Assignment => return assigned(slot).into_iter().for_each(take),
            Role::Did => {
                let user = self.users.get(slot).map_or("", |u| u.id.as_str());
                return self.dids_of(user).filter_map(assigned).for_each(take);
            }
            Role::Extension | Role::LineUri | Role::Workgroup | Role::Station => {}
        }
        let mut take = |n, r| {
            if r == role {
                take(n);
            }
        };
        match role {
            Role::Assignment | Role::Did => None,
            Role::Extension | Role::LineUri => self.users.get(slot).map(|u| u.numbers(config, &mut take)),
            Role::Workgroup => self.workgroups.get(slot).map(|w| w.numbers(config, &mut take)),
            Role::Station => self.stations.get(slot).map(|s| s.numbers(config, &mut take)),
        };
    }

    fn assignment_slot(&self, key: Number) -> Option<u32> {
        self.keys.get(key).into_iter().find(|slot| self.assignments.get(*slot).is_some())
    }
}
