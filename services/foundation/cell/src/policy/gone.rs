//! Which tenants that no file names are deleted, and which are kept because it is more likely an accident.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use tandem_domain::id::{TenantId, TenantName};

use super::{GONE_FOR, Held};

/// What the directory said when it was read last.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// Why it says nothing that can be relied on: it cannot be read, or a file in it was never understood.
    pub(super) blind: Option<Held>,
    /// Whether any file names a tenant.
    pub(super) any_named: bool,
    /// The tenants whose deletion is meant.
    pub(super) marked: &'a BTreeSet<TenantName>,
}

impl<'a> Seen<'a> {
    pub(super) fn new(
        unreadable: bool,
        obscure: Option<PathBuf>,
        any_named: bool,
        marked: &'a BTreeSet<TenantName>,
    ) -> Self {
        let blind = unreadable.then_some(Held::Unreadable).or(obscure.map(Held::By));
        Self { blind, any_named, marked }
    }

    fn meant(&self, tenant: &TenantId) -> bool {
        self.blind.is_none() && self.marked.contains(&tenant.name)
    }

    /// Why tenants that no file names are kept whatever the time; none: they are not.
    pub(super) fn holds(&self, gone: &BTreeMap<TenantId, Duration>) -> Option<Held> {
        let vanished = gone.keys().filter(|t| !self.meant(t)).count();
        match (&self.blind, vanished) {
            (_, 0) => None,
            (Some(why), _) => Some(why.clone()),
            _ if !self.any_named => Some(Held::NoneNamed),
            (None, 1) => None,
            _ => Some(Held::Several),
        }
    }

    /// Whether a tenant that no file has named since then is deleted now.
    pub(super) fn deletes(
        &self,
        tenant: &TenantId,
        since: Duration,
        held: Option<&Held>,
        now: Duration,
    ) -> bool {
        self.meant(tenant) || (held.is_none() && now.saturating_sub(since) >= GONE_FOR)
    }
}

impl Held {
    /// Says which tenants are kept, and how to delete one.
    pub(super) fn warn(&self, gone: &BTreeMap<TenantId, Duration>) {
        let tenants: Vec<&str> = gone.keys().map(|t| t.name.as_str()).collect();
        tracing::warn!(
            ?tenants,
            "no file names these tenants any more, and they are kept: {self}; to delete one, leave an empty file \
             NAME.{} in its place",
            super::DELETED,
        );
    }
}
