//! The records that name a number, as lookups answer them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Person;
use super::numbers::Role;
use crate::document::directory::{NumberAssignment, Station, Workgroup};
use crate::document::terms::AssignmentKind;
use crate::id::{UserId, WorkgroupId};
use crate::number::Number;

/// A record that names a number.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Entry<'v> {
    /// A user, by a DID.
    Did(&'v Person),
    /// Another number assignment: a workgroup's number, an Attendant's, or a DID of somebody who is not known.
    Assignment(&'v Arc<NumberAssignment>),
    /// A user, by the extension of the CIC account.
    Extension(&'v Person),
    /// A workgroup, by its extension.
    Workgroup(&'v Arc<Workgroup>),
    /// A station, by its extension.
    Station(&'v Arc<Station>),
    /// A user, by the Line URI of the Lync account.
    LineUri(&'v Person),
}

/// Whose an entry is. Two of different owners on one side of a number are a conflict.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder<'v> {
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

    pub(super) fn holder(&self) -> Holder<'v> {
        match *self {
            Self::Assignment(a) => match a.kind {
                AssignmentKind::Did => Holder::User(a.user.as_ref().map_or("", UserId::as_str)),
                AssignmentKind::Workgroup => {
                    Holder::Workgroup(a.workgroup.as_ref().map_or("", WorkgroupId::as_str))
                }
                AssignmentKind::Attendant => Holder::Attendant,
            },
            Self::Did(u) | Self::Extension(u) | Self::LineUri(u) => Holder::User(u.id.as_str()),
            Self::Workgroup(w) => Holder::Workgroup(w.id.as_str()),
            Self::Station(s) => Holder::Station(s.id.as_str()),
        }
    }

    /// What orders entries: an assignment before an extension, a user before a workgroup before a station, then
    /// by name, so that of two that collide the same one wins everywhere.
    pub(super) fn rank(&self) -> (Role, Holder<'v>, &'v str) {
        let (role, text) = match *self {
            Self::Did(_) => (Role::Assignment, ""),
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
    pub lync: Option<&'v Person>,
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
