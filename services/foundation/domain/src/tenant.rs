//! A tenant's policy, compiled: what [`decide`](crate::routing) reads on the way of a call.
//!
//! ```text
//! TenantSpec --compile--> Compiled { config, warnings }      or every violation at once
//!                             │
//!                             ├─> topology   components by site, links, crossings
//!                             └─> setup      what the vendors' administrators must set
//! ```
//!
//! Invariants:
//! - a [`Config`] exists only if its document had no error, so that nothing here can dangle: every [`TrunkIx`]
//!   and [`SiteIx`] points at something, every number is canonical, every default is filled in;
//! - site 0 is the cloud; every other site is a customer's premises;
//! - reading it allocates nothing and clones at most an `Arc`.

pub mod checks;
mod compile;
mod config;
pub mod setup;
mod tables;
pub mod topology;

pub use compile::{RESERVED, compile, compile_document};
pub use config::{
    Address, AlikeMax, Config, DialStrings, Features, Identity, Ingress, Limits, LyncSettings, Media,
    MediaSelection, Places, RetryOn, Site, SiteEmergency, SiteIx, Survivable, TollRule, Treatments, Trunk,
    TrunkIx, Trunks,
};
pub use tables::{DialPlan, DialRule, ExplicitRoute, Prefix, Range, Ranges, RoleSet, Routes, SiteSet};

pub use setup::{Setup, setup};
pub use topology::{Topology, topology};

pub use crate::finding::Finding as Violation;

/// A policy that compiled.
#[derive(Clone, PartialEq, Debug)]
pub struct Compiled {
    /// What decisions read.
    pub config: Config,
    /// What works, but hardly as meant.
    pub warnings: Vec<Violation>,
}

#[cfg(test)]
pub(crate) mod tests;
