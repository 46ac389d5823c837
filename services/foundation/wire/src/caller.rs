//! Who calls: a subject, the tenants it may see, and what it may do.
//!
//! ```text
//! bearer token ──────── SHA-256 ─┐
//! client certificate ── SAN ─────┼─▶ the callers file ─▶ Caller ─▶ scope (authority) ─▶ tenant (handler)
//! --dev, on loopback ── metadata ┘
//! ```
//!
//! A [`Caller`] is put into each request's extensions by [`crate::authority::Gate`]; a handler takes it out with
//! [`Caller::of`] and asks [`Caller::tenant`] before it looks at anything of a tenant.
//!
//! Invariants: no method but health and reflection is reached without a caller; a tenant that the caller may not see
//! is answered like one that does not exist, byte for byte; a token is never kept, logged or shown, only its digest.

mod credential;
mod file;

use std::collections::BTreeSet;
use std::sync::Arc;

use tandem_domain::id::TenantName;

use crate::name;
use crate::status::Refusal;

pub use credential::{Callers, DEV_SCOPES, DEV_TENANT, digest};
pub use file::{CallerEntry, CallersDocument, KIND, Table};

macro_rules! scopes {
    ($($(#[$doc:meta])* $name:ident = $print:literal;)+) => {
        /// What a caller may do.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
        #[repr(u8)]
        pub enum Scope { $($(#[$doc])* $name,)+ }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As the callers file writes it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $print,)+ }
            }
        }
    };
}

scopes! {
    /// Ask where a call goes.
    RoutingDecide = "routing.decide";
    /// Ask why, with everything that was considered.
    RoutingExplain = "routing.explain";
    /// Read remembered decisions, which hold the numbers of callers and called.
    RoutingRead = "routing.read";
    /// Follow the feed to edges: all that there is of the tenants.
    FeedFollow = "feed.follow";
    /// Read users and who has which number.
    DirectoryRead = "directory.read";
    /// Import users, stations, workgroups and numbers.
    DirectoryWrite = "directory.write";
}

impl Scope {
    /// The scope of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// Every scope.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    /// Whether it holds a scope.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | (1 << scope as u8)))
    }
}

impl std::fmt::Debug for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(Scope::ALL.iter().filter(|s| self.has(**s)).map(|s| s.name())).finish()
    }
}

/// The tenants that a caller may see.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tenants {
    /// Every tenant of the cell: operators, and edges that serve all.
    All,
    /// These, whether they exist or not.
    These(BTreeSet<TenantName>),
}

/// Who calls. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller(Arc<Inner>);

#[derive(PartialEq, Eq, Debug)]
struct Inner {
    subject: String,
    tenants: Tenants,
    scopes: Scopes,
}

impl Caller {
    /// A caller by the name `subject`, which stands in logs and page tokens.
    #[must_use]
    pub fn new(subject: impl Into<String>, tenants: Tenants, scopes: Scopes) -> Self {
        Self(Arc::new(Inner { subject: subject.into(), tenants, scopes }))
    }

    /// The caller of a request.
    ///
    /// # Errors
    /// `INTERNAL` when nobody was identified: the gate is not in the way, which is a fault of ours.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Refusal> {
        let found = request.extensions().get::<Self>().cloned();
        found.map_or_else(Self::nobody, Ok)
    }

    /// The same of a request that is answered from its bytes.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn within(extensions: &http::Extensions) -> Result<Self, Refusal> {
        extensions.get::<Self>().cloned().map_or_else(Self::nobody, Ok)
    }

    fn nobody() -> Result<Self, Refusal> {
        tracing::error!("a request reached its handler without a caller: the server has no gate");
        Err(Refusal::internal())
    }

    /// What logs and page tokens call it.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// The tenants it may see.
    #[must_use]
    pub fn tenants(&self) -> &Tenants {
        &self.0.tenants
    }

    /// Whether it has a scope.
    #[must_use]
    pub fn has(&self, scope: Scope) -> bool {
        self.0.scopes.has(scope)
    }

    /// Whether it may see a tenant.
    #[must_use]
    pub fn may(&self, tenant: &str) -> bool {
        match &self.0.tenants {
            Tenants::All => true,
            Tenants::These(names) => names.contains(tenant),
        }
    }

    /// Finds the tenant that a request names in its field `field` as `tenants/{tenant}`.
    ///
    /// # Errors
    /// `FIELD_INVALID` when it is no name; `RESOURCE_NOT_FOUND`, in the same bytes, when there is no such tenant and
    /// when the caller may not see it.
    pub fn tenant<'a, T>(
        &self,
        field: &str,
        text: &'a str,
        find: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, Refusal> {
        let tenant = name::parent(field, text)?;
        // Looked up either way: how long the answer takes shall not tell the two apart.
        let found = find(tenant);
        found.filter(|_| self.may(tenant)).ok_or_else(|| Refusal::not_found("Tenant", text))
    }
}

#[cfg(test)]
mod tests;
