//! One tenant as it is now: its policy, compiled, and its directory, indexed.

use std::sync::Arc;

use smallvec::SmallVec;

use super::names::{self, Of};
use super::numbers::{NumberMap, NumberPairs, Role};
use super::slots::Slots;
use crate::document::directory::{NumberAssignment, Station, User, Workgroup};
use crate::document::terms::AssignmentKind;
use crate::finding::Finding;
use crate::id::{Revision, SiteName, TenantId, UserId, WorkgroupId};
use crate::number::index::Index;
use crate::number::{Number, Origin, canonical, parse};
use crate::record::{Change, Kind, PolicyRecord, Record};
use crate::tenant::{self, Config};

/// A tenant as it is now. Lookups reach this tenant's records and no other's.
///
/// A number is looked up in canonical form. What a record holds as a number is made canonical by the tenant's dial
/// plan, so that there are none before there is policy; what is no number is in no index, and the record's own
/// state says so ([`directory`](crate::directory)).
#[derive(Clone, Debug)]
pub struct TenantView {
    pub(super) id: TenantId,
    pub(super) born: bool,
    pub(super) deleting: bool,
    revision: Revision,
    now: u64,
    policy: Option<Arc<PolicyRecord>>,
    config: Option<Arc<Config>>,
    refused: Option<Arc<[Finding]>>,
    users: Slots<User>,
    stations: Slots<Station>,
    workgroups: Slots<Workgroup>,
    assignments: Slots<NumberAssignment>,
    names: Index,
    keys: NumberMap,
    numbers: NumberMap,
}

/// A record that names a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Entry<'v> {
    /// A number assignment: a DID, a workgroup's number or an Attendant's.
    Assignment(&'v Arc<NumberAssignment>),
    /// A user, by the extension of the CIC account.
    Extension(&'v Arc<User>),
    /// A workgroup, by its extension.
    Workgroup(&'v Arc<Workgroup>),
    /// A station, by its extension.
    Station(&'v Arc<Station>),
    /// A user, by the Line URI of the Lync account.
    LineUri(&'v Arc<User>),
}

/// Whose an entry is. Two of different owners on one side of a number are a conflict.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Holder<'v> {
    User(&'v str),
    Workgroup(&'v str),
    Station(&'v str),
    Attendant,
}

impl<'v> Entry<'v> {
    /// Whether it is on the CIC side; else it is on the Lync side.
    #[must_use]
    pub fn is_cic(&self) -> bool {
        !matches!(self, Self::LineUri(_))
    }

    fn holder(&self) -> Holder<'v> {
        match *self {
            Self::Assignment(a) => match a.kind {
                AssignmentKind::Did => Holder::User(a.user.as_ref().map_or("", UserId::as_str)),
                AssignmentKind::Workgroup => {
                    Holder::Workgroup(a.workgroup.as_ref().map_or("", WorkgroupId::as_str))
                }
                AssignmentKind::Attendant => Holder::Attendant,
            },
            Self::Extension(u) | Self::LineUri(u) => Holder::User(u.id.as_str()),
            Self::Workgroup(w) => Holder::Workgroup(w.id.as_str()),
            Self::Station(s) => Holder::Station(s.id.as_str()),
        }
    }

    /// What orders entries: an assignment before an extension, a user before a workgroup before a station, then
    /// by name, so that of two that collide the same one wins everywhere.
    fn rank(&self) -> (Role, Holder<'v>, &'v str) {
        let (role, text) = match *self {
            Self::Assignment(a) => (Role::Assignment, a.number.as_str()),
            Self::Extension(_) => (Role::Extension, ""),
            Self::Workgroup(_) => (Role::Workgroup, ""),
            Self::Station(_) => (Role::Station, ""),
            Self::LineUri(_) => (Role::LineUri, ""),
        };
        (role, self.holder(), text)
    }
}

/// Who a number belongs to, on either side: domain rules 3.1 says which side wins.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Entries<'v> {
    /// The CIC side; never [`Entry::LineUri`].
    pub cic: Option<Entry<'v>>,
    /// The Lync side: the user whose Line URI it is.
    pub lync: Option<&'v Arc<User>>,
}

impl Entries<'_> {
    /// Whether nobody names the number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cic.is_none() && self.lync.is_none()
    }
}

/// Entries of one number on one side that belong to different owners; the first wins.
#[derive(Clone, PartialEq, Debug)]
pub struct Conflict<'v> {
    /// The number.
    pub number: Number,
    /// At least two, the winner first.
    pub entries: SmallVec<[Entry<'v>; 4]>,
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
        self.users.iter().map(|(_, u)| u)
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
            let read = || config.and_then(|c| self::number(c, origin(c, None), &assignment.number));
            Some((number.or_else(read)?, assignment))
        })
    }

    /// A user by id.
    #[must_use]
    pub fn user(&self, id: &str) -> Option<&Arc<User>> {
        self.named(Of::User, id, &self.users, |u| u.id.as_str() == id)
    }

    /// A user by SIP address, with or without scheme, whatever the case. Of several the one whose id sorts first.
    #[must_use]
    pub fn user_by_sip(&self, address: &str) -> Option<&Arc<User>> {
        let address = names::bare(address);
        self.user_by(Of::SipAddress, address, |u| {
            u.lync.as_ref().is_some_and(|l| names::bare(&l.sip_address).eq_ignore_ascii_case(address))
        })
    }

    /// A user by the name of the CIC account, whatever the case. Of several the one whose id sorts first.
    #[must_use]
    pub fn user_by_cic(&self, name: &str) -> Option<&Arc<User>> {
        self.user_by(Of::CicUser, name, |u| {
            u.cic.as_ref().is_some_and(|c| c.user_id.eq_ignore_ascii_case(name))
        })
    }

    /// The user whose usual station this is. Of several the one whose id sorts first.
    #[must_use]
    pub fn user_by_station(&self, station: &str) -> Option<&Arc<User>> {
        self.user_by(Of::StationOfUser, station, |u| {
            u.station.as_ref().is_some_and(|s| s.as_str() == station)
        })
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

    fn user_by(&self, of: Of, name: &str, is: impl Fn(&User) -> bool) -> Option<&Arc<User>> {
        let values = self.names.get(names::hash(of, &[name]));
        values.into_iter().filter_map(|s| self.users.get(s)).filter(|u| is(u)).min_by(|a, b| a.id.cmp(&b.id))
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
            Role::Assignment => self.assignments.get(slot).map(Entry::Assignment),
            Role::Extension => self.users.get(slot).map(Entry::Extension),
            Role::Workgroup => self.workgroups.get(slot).map(Entry::Workgroup),
            Role::Station => self.stations.get(slot).map(Entry::Station),
            Role::LineUri => self.users.get(slot).map(Entry::LineUri),
        }
    }

    /// The numbers that the record behind a value has in the value's role.
    fn numbers_of(&self, value: u32, mut take: impl FnMut(Number)) {
        let Some(config) = &self.config else { return };
        let (slot, role) = Role::split(value);
        let mut take = |n, r| {
            if r == role {
                take(n);
            }
        };
        match role {
            Role::Assignment => self.assignments.get(slot).map(|a| a.numbers(config, &mut take)),
            Role::Extension | Role::LineUri => self.users.get(slot).map(|u| u.numbers(config, &mut take)),
            Role::Workgroup => self.workgroups.get(slot).map(|w| w.numbers(config, &mut take)),
            Role::Station => self.stations.get(slot).map(|s| s.numbers(config, &mut take)),
        };
    }

    fn assignment_slot(&self, key: Number) -> Option<u32> {
        self.keys.get(key).into_iter().find(|slot| self.assignments.get(*slot).is_some())
    }

    /// Fills a tenant that has nothing yet, as [`TenantView::apply`] change by change would.
    pub(super) fn load(&mut self, mut changes: Vec<&Change>) {
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

    pub(super) fn apply(&mut self, change: &Change) {
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

/// A record of the directory that has numbers.
trait Numbered {
    /// Calls `take` with each number that the record has, once for each role.
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role));
}

/// A record of the directory that has an id and other names.
trait Named: Numbered {
    /// What its id is.
    const OF: Of;

    fn id(&self) -> &str;

    /// Calls `take` with the hash of each name, the id's among them.
    fn names(&self, take: &mut impl FnMut(u64));

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self>
    where
        Self: Sized;
}

fn origin(config: &Config, site: Option<&SiteName>) -> Origin {
    Origin { trunk: None, site: site.and_then(|s| config.site_named(s.as_str())) }
}

fn number(config: &Config, origin: Origin, text: &str) -> Option<Number> {
    canonical(config, origin, &parse(text).ok()?).ok()
}

impl Numbered for NumberAssignment {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        if let Some(n) = number(config, Origin::default(), &self.number) {
            take(n, Role::Assignment);
        }
    }
}

/// An extension is unique in the tenant: it is found as anybody dials it, and as its own site does.
fn extension(
    config: &Config,
    text: Option<&String>,
    site: Option<&SiteName>,
    role: Role,
    take: &mut impl FnMut(Number, Role),
) {
    let Some(text) = text else { return };
    let everywhere = number(config, Origin::default(), text);
    everywhere.into_iter().for_each(|n| take(n, role));
    let origin = origin(config, site);
    if origin.site.is_some() {
        let here = number(config, origin, text).filter(|n| Some(*n) != everywhere);
        here.into_iter().for_each(|n| take(n, role));
    }
}

impl Numbered for User {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        let cic = self.cic.as_ref().and_then(|c| c.extension.as_ref());
        extension(config, cic, self.site.as_ref(), Role::Extension, take);
        let line = self.lync.as_ref().and_then(|l| l.line_uri.as_ref());
        let origin = origin(config, self.site.as_ref());
        if let Some(n) = line.and_then(|l| number(config, origin, l)) {
            take(n, Role::LineUri);
        }
    }
}

impl Numbered for Station {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        extension(config, self.extension.as_ref(), self.site.as_ref(), Role::Station, take);
    }
}

impl Numbered for Workgroup {
    fn numbers(&self, config: &Config, take: &mut impl FnMut(Number, Role)) {
        extension(config, self.extension.as_ref(), None, Role::Workgroup, take);
    }
}

impl Named for User {
    const OF: Of = Of::User;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self, take: &mut impl FnMut(u64)) {
        take(names::hash(Of::User, &[self.id.as_str()]));
        if let Some(lync) = &self.lync {
            take(names::hash(Of::SipAddress, &[names::bare(&lync.sip_address)]));
        }
        if let Some(cic) = &self.cic {
            take(names::hash(Of::CicUser, &[&cic.user_id]));
        }
        if let Some(station) = &self.station {
            take(names::hash(Of::StationOfUser, &[station.as_str()]));
        }
    }

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self> {
        &mut tenant.users
    }
}

impl Named for Station {
    const OF: Of = Of::Station;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self, take: &mut impl FnMut(u64)) {
        take(names::hash(Of::Station, &[self.id.as_str()]));
    }

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self> {
        &mut tenant.stations
    }
}

impl Named for Workgroup {
    const OF: Of = Of::Workgroup;

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn names(&self, take: &mut impl FnMut(u64)) {
        take(names::hash(Of::Workgroup, &[self.id.as_str()]));
    }

    fn slots(tenant: &mut TenantView) -> &mut Slots<Self> {
        &mut tenant.workgroups
    }
}
