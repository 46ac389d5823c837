//! What the store remembers: one enum of record kinds, each with one writer.
//!
//! | kind | writer |
//! | --- | --- |
//! | tenant, policy, ingress claim | the cell crate, in the hands of the operator or of `tandem up` |
//! | user, station, workgroup, number | the station service |
//! | process | each process for itself |
//!
//! Codecs are the store's. A record is what was entered, not what it means: the [`View`](crate::view::View) finds that.

use std::sync::Arc;

use crate::document::directory::{NumberAssignment, Station, User, Workgroup};
use crate::document::policy::TenantSpec;
use crate::id::{ListenerName, Revision, TenantId, TenantName};

/// What kind of record; the number is part of stored keys and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// A tenant's birth and death, in the reserved tenant `_cell`, keyed by its name.
    Tenant = 1,
    /// The compiled source of a tenant's policy; one record, its key is empty.
    Policy = 2,
    /// A user, keyed by its id.
    User = 3,
    /// A station, keyed by its id.
    Station = 4,
    /// A workgroup, keyed by its id.
    Workgroup = 5,
    /// A number assignment, keyed by its canonical number.
    Number = 6,
    /// An ingress claim, in `_cell`, keyed by what is claimed.
    IngressClaim = 7,
    /// A registered process, in `_cell`, keyed by its id.
    Process = 8,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Tenant,
        Self::Policy,
        Self::User,
        Self::Station,
        Self::Workgroup,
        Self::Number,
        Self::IngressClaim,
        Self::Process,
    ];

    /// The kind of a stored number, if this release knows it.
    #[must_use]
    pub fn from_u8(n: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|k| *k as u8 == n)
    }

    /// As metrics and feeds name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Policy => "policy",
            Self::User => "user",
            Self::Station => "station",
            Self::Workgroup => "workgroup",
            Self::Number => "number",
            Self::IngressClaim => "ingress_claim",
            Self::Process => "process",
        }
    }
}

/// A record.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// A tenant's birth.
    Tenant(TenantRecord),
    /// A tenant's policy.
    Policy(Arc<PolicyRecord>),
    /// A user.
    User(Arc<User>),
    /// A station.
    Station(Arc<Station>),
    /// A workgroup.
    Workgroup(Arc<Workgroup>),
    /// A number assignment.
    Number(Arc<NumberAssignment>),
    /// An ingress claim.
    IngressClaim(Arc<IngressClaim>),
    /// A registered process.
    Process(Arc<ProcessRecord>),
}

impl Record {
    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Tenant(_) => Kind::Tenant,
            Self::Policy(_) => Kind::Policy,
            Self::User(_) => Kind::User,
            Self::Station(_) => Kind::Station,
            Self::Workgroup(_) => Kind::Workgroup,
            Self::Number(_) => Kind::Number,
            Self::IngressClaim(_) => Kind::IngressClaim,
            Self::Process(_) => Kind::Process,
        }
    }
}

/// A tenant's birth: which incarnation bears the name now. Lies in `_cell`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantRecord {
    /// The tenant.
    pub tenant: TenantId,
    /// Whether it is being deleted: nothing new is taken for it.
    pub deleting: bool,
}

/// A tenant's policy as it was accepted: it compiled when it was written.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyRecord {
    /// Grows with each accepted change.
    pub generation: u64,
    /// The document's spec.
    pub spec: TenantSpec,
}

/// What a tenant claims for itself alone in its cell, so that an incoming call is its own. First come.
///
/// Two claims collide when one call could fit both (see [`crate::ingress`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IngressClaim {
    /// What is claimed.
    pub what: Claimed,
    /// Whose it is.
    pub tenant: TenantId,
    /// By which of its trunks.
    pub trunk: crate::id::TrunkName,
}

/// What is claimed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Claimed {
    /// Calls from a source network at a listener. With `called` prefixes (canonical form) only those numbers:
    /// the peer is a carrier that tenants share.
    Source {
        /// The listener.
        listener: ListenerName,
        /// The network.
        network: crate::ingress::Network,
        /// The start of the called numbers, canonical; none claims all of them.
        called: Option<String>,
    },
    /// Calls over a connection whose verified client certificate has this name.
    Certificate {
        /// A DNS or URI name, lower case.
        name: String,
        /// As in `Source`.
        called: Option<String>,
    },
    /// Calls to this domain of a Request-URI, lower case, at a listener.
    Domain {
        /// The listener.
        listener: ListenerName,
        /// The domain.
        domain: String,
    },
}

/// A process that serves the cell. Lies in `_cell` under the process's session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessRecord {
    /// Unique in the cell's life: role, host and chance.
    pub id: String,
    /// `routing`, `station`, `edge` and so on.
    pub role: String,
    /// The release.
    pub version: String,
    /// The record formats that it reads: from, to.
    pub formats: (u16, u16),
    /// The listener names, of an edge.
    pub listeners: Vec<ListenerName>,
}

/// A record's place and what it is now; none: it is no more.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// Whose record. `_cell` records carry the reserved tenant.
    pub tenant: TenantId,
    /// What kind.
    pub kind: Kind,
    /// Its key in its kind; see [`Kind`].
    pub key: String,
    /// The record from now on; none: deleted.
    pub record: Option<Record>,
    /// Where in the tenant's shard this is.
    pub revision: Revision,
    /// Microseconds since 1970 as the log has it.
    pub at: u64,
}

/// The reserved tenant of records that cross tenants.
#[must_use]
pub fn cell() -> TenantId {
    // `_` is no letter of a tenant's name, so that no tenant can take this one.
    TenantId { name: TenantName::reserved_cell(), incarnation: crate::id::Incarnation(0) }
}
