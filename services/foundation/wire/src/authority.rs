//! What each RPC asks of its caller: one table, and the gate that holds it.
//!
//! Two questions are asked of every call. May this caller do this? The [`Gate`] answers before the handler, from the
//! table. May it do it *here*? The handler answers with [`Caller::tenant`](crate::caller::Caller::tenant), for it
//! alone has read the message; the table says from which field, and a test that the field is there.
//!
//! Invariant: every method of every service that we define or serve has exactly one rule, and every rule a method.

use http::{Extensions, HeaderMap};
use tandem_runtime::serve::Peer;
use tonic::Status;

use crate::caller::{Callers, Scope};
use crate::status::{Reason, Refusal};

/// What is asked of whoever calls a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing: it tells nothing of any tenant.
    Public,
    /// A caller with this scope.
    Scope(Scope),
    /// A simulator serves it, in a process of its own; it has neither callers nor tenants, and no service of ours
    /// answers it.
    Simulator,
}

/// What a method does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Answers, and changes nothing: may be tried again at will.
    Read,
    /// Changes something: may be tried again under the same request id.
    Write,
}

/// What holds for one method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// As in the request's path: `/tandem.routing.v1.Routing/RouteCall`.
    pub method: &'static str,
    /// What is asked of the caller.
    pub access: Access,
    /// The field of the request that names the tenant, from its root; none: it is about no tenant.
    pub tenant: Option<&'static str>,
    /// What it does.
    pub kind: Kind,
}

const fn read(method: &'static str, scope: Scope, tenant: &'static str) -> Rule {
    Rule { method, access: Access::Scope(scope), tenant: Some(tenant), kind: Kind::Read }
}

const fn write(method: &'static str, scope: Scope, tenant: &'static str) -> Rule {
    Rule { method, access: Access::Scope(scope), tenant: Some(tenant), kind: Kind::Write }
}

const fn public(method: &'static str) -> Rule {
    Rule { method, access: Access::Public, tenant: None, kind: Kind::Read }
}

const fn simulator(method: &'static str, kind: Kind) -> Rule {
    Rule { method, access: Access::Simulator, tenant: None, kind }
}

/// Every rule. What is called most stands first.
pub const RULES: &[Rule] = &[
    read("/tandem.routing.v1.Routing/RouteCall", Scope::RoutingDecide, "parent"),
    read("/tandem.routing.v1.Routing/RouteCalls", Scope::RoutingDecide, "parent"),
    read("/tandem.routing.v1.Routing/ExplainCall", Scope::RoutingExplain, "parent"),
    read("/tandem.routing.v1.Routing/ListDecisions", Scope::RoutingRead, "parent"),
    read("/tandem.routing.v1.EdgeFeed/Follow", Scope::FeedFollow, "hello.tenants"),
    read("/tandem.station.v1.Directory/ResolveUser", Scope::DirectoryRead, "parent"),
    read("/tandem.station.v1.Directory/GetUser", Scope::DirectoryRead, "name"),
    read("/tandem.station.v1.Directory/ListUsers", Scope::DirectoryRead, "parent"),
    read("/tandem.station.v1.Directory/WatchUsers", Scope::DirectoryRead, "parent"),
    write("/tandem.station.v1.Directory/ImportDirectory", Scope::DirectoryWrite, "header.parent"),
    public("/grpc.health.v1.Health/Check"),
    public("/grpc.health.v1.Health/Watch"),
    public("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
    simulator("/tandem.sim.v1.Simulator/GetStatus", Kind::Read),
    simulator("/tandem.sim.v1.Simulator/PlaceCall", Kind::Write),
    simulator("/tandem.sim.v1.Simulator/Reset", Kind::Write),
    simulator("/tandem.sim.v1.Simulator/SetBehaviour", Kind::Write),
];

/// The rule of a method; none: there is no such method.
#[must_use]
pub fn rule(method: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.method == method)
}

/// Stands before every handler. Give [`Gate::check`] to `tandem_runtime::serve::Server::gate`.
#[derive(Clone, Debug)]
pub struct Gate {
    callers: Callers,
}

impl Gate {
    /// A gate for these callers.
    #[must_use]
    pub const fn new(callers: Callers) -> Self {
        Self { callers }
    }

    /// Finds who calls, checks that they may call this, and leaves the [`Caller`](crate::caller::Caller) in the
    /// extensions. Does not block.
    ///
    /// # Errors
    /// `METHOD_UNKNOWN`, `CREDENTIAL_UNKNOWN` or `SCOPE_MISSING`.
    pub fn check(
        &self,
        method: &str,
        headers: &HeaderMap,
        extensions: &mut Extensions,
    ) -> Result<(), Status> {
        self.admit(method, headers, extensions).map_err(Status::from)
    }

    fn admit(&self, method: &str, headers: &HeaderMap, extensions: &mut Extensions) -> Result<(), Refusal> {
        let access = rule(method).map(|rule| rule.access);
        let scope = match access {
            Some(Access::Public) => return Ok(()),
            Some(Access::Scope(scope)) => scope,
            Some(Access::Simulator) | None => {
                return Err(Refusal::new(Reason::MethodUnknown, "there is no such method here"));
            }
        };
        let caller = match extensions.get::<Peer>() {
            Some(peer) => self.callers.identify(peer, headers)?,
            // A server that does not say who is at the other end: nobody on loopback, nobody with a certificate.
            None => {
                tracing::error!("a request reached the gate without a peer: it is not served by our runtime");
                return Err(Refusal::internal());
            }
        };
        if !caller.has(scope) {
            return Err(Refusal::scope_missing(scope.name()));
        }
        extensions.insert(caller);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
