//! What else a directory says around a record.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::directory::{DirectorySpec, Station, User, Workgroup};
use crate::id::{StationId, UserId, WorkgroupId};
use crate::number::Number;
use crate::tenant::Config;
use crate::view::{Entry, TenantView};

use super::numbers::{canonical, line_number, local};

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
            let extension = user.cic.as_ref().and_then(|c| c.extension.as_deref()).and_then(local);
            let line = user.lync.as_ref().and_then(|l| l.line_uri.as_deref()).and_then(line_number);
            entries.hold(extension, || Holder::User(user.id.clone()));
            entries.hold(line, || Holder::User(user.id.clone()));
        }
        for station in &spec.stations {
            let extension = station.extension.as_deref().and_then(local);
            entries.hold(extension, || Holder::Station(station.id.clone()));
        }
        for workgroup in &spec.workgroups {
            let extension = workgroup.extension.as_deref().and_then(local);
            entries.hold(extension, || Holder::Workgroup(workgroup.id.clone()));
        }
        for assigned in &spec.numbers {
            let number = canonical(config, &assigned.number);
            if let Some(user) = &assigned.user {
                entries.dids.extend(number.map(|n| (n, user)));
                entries.hold(number, || Holder::User(user.clone()));
            }
            if let Some(workgroup) = &assigned.workgroup {
                entries.hold(number, || Holder::Workgroup(workgroup.clone()));
            }
        }
        entries
    }

    fn hold(&mut self, number: Option<Number>, holder: impl FnOnce() -> Holder) {
        let Some(number) = number else { return };
        let (holders, holder) = (self.holders.entry(number).or_default(), holder());
        if !holders.contains(&holder) {
            holders.push(holder);
        }
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
        self.entries(number).iter().any(|e| matches!(e, Entry::Assignment(a) if a.user.as_ref() == Some(of)))
    }

    fn holders(&self, number: Number) -> Vec<Holder> {
        let mut holders = Vec::new();
        let mut hold = |holder: Option<Holder>| {
            holders.extend(holder.filter(|h| !holders.contains(h)));
        };
        for entry in self.entries(number) {
            match entry {
                Entry::Extension(user) | Entry::LineUri(user) => hold(Some(Holder::User(user.id.clone()))),
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
}
