//! What else a directory says around a record.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::directory::{DirectorySpec, Station, User, Workgroup};
use crate::id::{StationId, UserId, WorkgroupId};
use crate::number::Number;
use crate::tenant::Config;
use crate::view::{Entry, Numbered as _, Role, TenantView, bare};
use smallvec::SmallVec;

/// Who holds a number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Holder {
    /// A user: extension, DID or Line URI.
    User(UserId),
    /// A station: its own extension.
    Station(StationId),
    /// A workgroup: extension or number.
    Workgroup(WorkgroupId),
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(id) => write!(f, "the user {id}"),
            Self::Station(id) => write!(f, "the station {id}"),
            Self::Workgroup(id) => write!(f, "the workgroup {id}"),
        }
    }
}

/// A tenant's directory, as far as checks ask it.
pub trait Directory {
    /// A user.
    fn user(&self, id: &UserId) -> Option<&User>;
    /// A station.
    fn station(&self, id: &StationId) -> Option<&Station>;
    /// A workgroup.
    fn workgroup(&self, id: &WorkgroupId) -> Option<&Workgroup>;
    /// Whether a number is a published number of a user.
    fn is_did(&self, number: Number, of: &UserId) -> bool;
    /// Everybody who holds a number: by extension, by assignment, by Line URI.
    fn holders(&self, number: Number) -> Vec<Holder>;
    /// Another user who has what `own` alone should have; of several the one whose id sorts first.
    fn other_with(&self, what: &Shared, own: &UserId) -> Option<UserId>;
}

/// A directory document as a directory: what a file says, before it is imported. Of records with one id the last
/// counts.
#[derive(Clone, Debug, Default)]
pub struct Entries<'a> {
    users: BTreeMap<&'a UserId, &'a User>,
    stations: BTreeMap<&'a StationId, &'a Station>,
    workgroups: BTreeMap<&'a WorkgroupId, &'a Workgroup>,
    dids: BTreeSet<(Number, &'a UserId)>,
    holders: BTreeMap<Number, Vec<Holder>>,
    shared: BTreeMap<Shared, BTreeSet<&'a UserId>>,
}

/// What one user alone may have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Shared {
    /// A SIP address, without scheme and in lower case.
    Sip(String),
    /// A name in CIC, in lower case.
    Cic(String),
    /// The number of a Line URI, its extension included.
    Line(Number),
}

impl Shared {
    /// A SIP address, with or without its scheme.
    #[must_use]
    pub fn sip(address: &str) -> Self {
        Self::Sip(bare(address).to_ascii_lowercase())
    }

    /// A name in CIC.
    #[must_use]
    pub fn cic(name: &str) -> Self {
        Self::Cic(name.to_ascii_lowercase())
    }
}

impl<'a> Entries<'a> {
    /// Indexes a document.
    #[must_use]
    pub fn new(config: &Config, spec: &'a DirectorySpec) -> Self {
        let mut entries = Self {
            users: spec.users.iter().map(|u| (&u.id, u)).collect(),
            stations: spec.stations.iter().map(|s| (&s.id, s)).collect(),
            workgroups: spec.workgroups.iter().map(|w| (&w.id, w)).collect(),
            ..Self::default()
        };
        for user in &spec.users {
            user.numbers(config, &mut |number, role| {
                entries.hold(number, Holder::User(user.id.clone()));
                if role == Role::LineUri {
                    entries.share(Shared::Line(number), &user.id);
                }
            });
            user.lync.iter().for_each(|l| entries.share(Shared::sip(&l.sip_address), &user.id));
            user.cic.iter().for_each(|c| entries.share(Shared::cic(&c.user_id), &user.id));
        }
        for station in &spec.stations {
            station.numbers(config, &mut |n, _| entries.hold(n, Holder::Station(station.id.clone())));
        }
        for group in &spec.workgroups {
            group.numbers(config, &mut |n, _| entries.hold(n, Holder::Workgroup(group.id.clone())));
        }
        for assigned in &spec.numbers {
            assigned.numbers(config, &mut |number, _| {
                if let Some(user) = &assigned.user {
                    entries.dids.insert((number, user));
                    entries.hold(number, Holder::User(user.clone()));
                }
                if let Some(workgroup) = &assigned.workgroup {
                    entries.hold(number, Holder::Workgroup(workgroup.clone()));
                }
            });
        }
        entries
    }

    fn hold(&mut self, number: Number, holder: Holder) {
        let holders = self.holders.entry(number).or_default();
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }

    fn share(&mut self, what: Shared, user: &'a UserId) {
        self.shared.entry(what).or_default().insert(user);
    }
}

impl Directory for Entries<'_> {
    fn user(&self, id: &UserId) -> Option<&User> {
        self.users.get(id).copied()
    }

    fn station(&self, id: &StationId) -> Option<&Station> {
        self.stations.get(id).copied()
    }

    fn workgroup(&self, id: &WorkgroupId) -> Option<&Workgroup> {
        self.workgroups.get(id).copied()
    }

    fn is_did(&self, number: Number, of: &UserId) -> bool {
        self.dids.contains(&(number, of))
    }

    fn holders(&self, number: Number) -> Vec<Holder> {
        self.holders.get(&number).cloned().unwrap_or_default()
    }

    fn other_with(&self, what: &Shared, own: &UserId) -> Option<UserId> {
        self.shared.get(what)?.iter().find(|id| **id != own).map(|id| (*id).clone())
    }
}

impl Directory for TenantView {
    fn user(&self, id: &UserId) -> Option<&User> {
        Self::user(self, id.as_str()).map(|u| &**u)
    }

    fn station(&self, id: &StationId) -> Option<&Station> {
        Self::station(self, id.as_str()).map(|s| &**s)
    }

    fn workgroup(&self, id: &WorkgroupId) -> Option<&Workgroup> {
        Self::workgroup(self, id.as_str()).map(|w| &**w)
    }

    fn is_did(&self, number: Number, of: &UserId) -> bool {
        self.entries(number).iter().any(|e| match e {
            Entry::Did(user) => user.id == *of,
            Entry::Assignment(a) => a.user.as_ref() == Some(of),
            _ => false,
        })
    }

    fn holders(&self, number: Number) -> Vec<Holder> {
        let mut holders = Vec::new();
        let mut hold = |holder: Option<Holder>| {
            holders.extend(holder.filter(|h| !holders.contains(h)));
        };
        for entry in self.entries(number) {
            match entry {
                Entry::Did(user) | Entry::Extension(user) | Entry::LineUri(user) => {
                    hold(Some(Holder::User(user.id.clone())));
                }
                Entry::Station(station) => hold(Some(Holder::Station(station.id.clone()))),
                Entry::Workgroup(workgroup) => hold(Some(Holder::Workgroup(workgroup.id.clone()))),
                Entry::Assignment(a) => {
                    hold(a.user.clone().map(Holder::User));
                    hold(a.workgroup.clone().map(Holder::Workgroup));
                }
            }
        }
        holders
    }

    fn other_with(&self, what: &Shared, own: &UserId) -> Option<UserId> {
        let others: SmallVec<[&UserId; 4]> = match what {
            Shared::Sip(address) => self.users_by_sip(address).map(|u| &u.id).collect(),
            Shared::Cic(name) => self.users_by_cic(name).map(|u| &u.id).collect(),
            Shared::Line(number) => {
                let line = |e: &Entry<'_>| matches!(e, Entry::LineUri(_));
                let lines = self.entries(*number).into_iter().filter(line);
                lines
                    .filter_map(|e| match e {
                        Entry::LineUri(user) => Some(&user.id),
                        _ => None,
                    })
                    .collect()
            }
        };
        others.into_iter().filter(|id| *id != own).min().cloned()
    }
}
