//! What else a directory says around a record.

use std::collections::BTreeMap;

use crate::document::directory::{DirectorySpec, Station, User, Workgroup};
use crate::id::{StationId, UserId, WorkgroupId};
use crate::number::Number;
use crate::tenant::Config;

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
    /// The published numbers of a user, in canonical form.
    fn dids(&self, id: &UserId) -> Vec<Number>;
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
    dids: BTreeMap<&'a UserId, Vec<Number>>,
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
                entries.dids.entry(user).or_default().extend(number);
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

    fn dids(&self, id: &UserId) -> Vec<Number> {
        self.dids.get(id).cloned().unwrap_or_default()
    }

    fn holders(&self, number: Number) -> Vec<Holder> {
        self.holders.get(&number).cloned().unwrap_or_default()
    }
}
