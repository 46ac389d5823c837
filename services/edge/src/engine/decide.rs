//! Where a call goes: the decision, and its carrying out.

use std::sync::Arc;

use tandem_domain::id::TrunkName;
use tandem_domain::routing::attempt::{self, CallAttempt, Method};
use tandem_domain::routing::callback;
use tandem_domain::routing::decide;
use tandem_domain::routing::decision::{Carriage, Decision, Outcome, Reason};
use tandem_domain::routing::trail::{NoTrail, Steps};
use tandem_domain::tenant::AlikeMax;
use tandem_domain::view::TenantView;
use tandem_proto::routing::v1::call_event::Kind;
use tandem_proto::routing::v1::{CallEvent, DecisionFact};
use tandem_sip::message::{Header, Keys, Message};
use tandem_sip::proxy::CallId;
use tandem_sip::time::Now;
use tandem_sip::transaction::Peer;
use tandem_wire::decision::{Made, Source};

use super::Engine;
use super::incoming::Owner;
use crate::attempt::{Said, refer_to};
use crate::call::{Call, DecisionId};
use crate::carry::{Carry, Targets, contacts};
use crate::facts::Alike;
use crate::names::Found;
use crate::seldom::Due;
use crate::trace::{Because, Did, Hop, reasons};

/// What is asked for.
pub(super) struct Question<'a> {
    pub(super) tenant: &'a Arc<TenantView>,
    pub(super) scope: u64,
    pub(super) ingress: &'a TrunkName,
    pub(super) said: &'a Said<'a>,
    pub(super) method: Method,
    pub(super) because: Because,
    pub(super) call_id: &'a str,
    pub(super) sip_method: &'a str,
}

/// A decision with its id, and by what it counts among attempts alike.
pub(super) struct Decided {
    pub(super) decision: Decision,
    pub(super) id: DecisionId,
    pub(super) alike: Option<Alike>,
}

impl Engine {
    /// A new request of a tenant's: decides about it and carries that out.
    pub(super) fn asked(
        &mut self,
        id: CallId,
        message: &Message<'_>,
        keys: &Keys<'_>,
        owner: &Owner,
        peer: Peer,
        now: Now,
    ) {
        let Some(ingress) = &owner.trunk else {
            return self.proxy.answer(id, (403, "Forbidden"), &[], now);
        };
        let said = Said::read(message, keys);
        let question = Question {
            tenant: &owner.tenant,
            scope: owner.scope,
            ingress,
            said: &said,
            method: Method::Invite,
            because: Because::Asked,
            call_id: keys.call_id,
            sip_method: keys.method,
        };
        let is_invite = keys.method == "INVITE";
        let facts =
            attempt::Facts { leaving: self.state.draining && is_invite, ..self.facts(&question, now) };
        let decided = self.decide(&question, facts, now);
        if decided.decision.emergency && is_invite {
            let attempt = said.attempt(ingress.as_str(), Method::Invite);
            if let Some(returns) = callback::returns(&owner.tenant, &attempt) {
                self.state.calls_for_help.note(owner.scope, returns, now);
            }
        }
        let route = match decided.decision.outcome {
            Outcome::Route(route) => route,
            Outcome::Reject(rejection) => {
                self.tell(
                    &owner.tenant,
                    keys.call_id,
                    &decided.id,
                    Kind::Failed,
                    rejection.reason.status(),
                    "",
                );
                return self.reject(id, rejection.reason, now);
            }
        };
        if route.carriage == Carriage::Redirect
            && let Some(contacts) = contacts(&route, said.called)
        {
            self.counters.redirected.up();
            self.watch(owner.scope, &owner.tenant, peer.listener, now);
            return self.proxy.redirect(id, &contacts, now);
        }
        let (tenant, listener) = (owner.tenant.id(), peer.listener);
        let mut call = Call::new(owner.scope, tenant, ingress, listener, keys.call_id, decided.id);
        (call.is_invite, call.is_emergency) = (is_invite, decided.decision.emergency);
        (call.forwards, call.route) = (said.hints.forwards, Some(route));
        self.state.calls.insert(id, Box::new(call));
        self.counters.proxied.up();
        self.count_alike(id, decided.alike.filter(|_| is_invite));
        self.carry_out(id, message, now, true);
    }

    /// The facts for a question.
    pub(super) fn facts(&self, q: &Question<'_>, now: Now) -> attempt::Facts {
        let config = q.tenant.config().map(|c| &**c);
        let live = self.state.live.of(q.scope, config, now, self.clock.unix_micros() / 1_000);
        attempt::Facts { returns: self.state.calls_for_help.of(q.scope, now), ..live }
    }

    /// Decides, counts it and tells the observer.
    pub(super) fn decide(&mut self, q: &Question<'_>, mut facts: attempt::Facts, now: Now) -> Decided {
        let attempt = q.said.attempt(q.ingress.as_str(), q.method);
        let (mut decision, mut steps) = self.ask(q.tenant, &attempt, &facts);
        let alike = self.alike(q, &decision);
        if let Some((key, limits)) = &alike {
            let (same, by_number) = self.state.live.alike(key);
            if limits.reached(same, by_number).is_some() {
                (facts.attempts_alike, facts.attempts_by_number) = (same, by_number);
                (decision, steps) = self.ask(q.tenant, &attempt, &facts);
            }
        }
        self.state.sequence += 1;
        let id = DecisionId { edge: Arc::clone(&self.id), number: self.state.sequence };
        self.counters.decisions.up();
        if self.state.facts.away.is_some() {
            self.counters.last_good_decisions.up();
        }
        if let Outcome::Reject(rejection) = &decision.outcome {
            self.counters.refused(rejection.reason);
        }
        self.tell_decided(q, &attempt, &decision, &id, now);
        self.observe(q, &decision, &id, steps, now);
        Decided { decision, id, alike: alike.map(|(key, _)| key) }
    }

    /// Tells upstream what was asked and decided, which then lists it.
    fn tell_decided(
        &self,
        q: &Question<'_>,
        attempt: &CallAttempt<'_>,
        decision: &Decision,
        id: &DecisionId,
        now: Now,
    ) {
        if !self.events.are_wanted() {
            return;
        }
        let (at_us, id, tenant) = (self.clock.unix_micros(), id.to_string(), &q.tenant.id().name);
        let age = self.state.facts.age(now).map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let source = if age.is_some() { Source::LastGood } else { Source::Live };
        let stale_ms = age.unwrap_or(self.state.facts.store_stale_ms);
        let made = Made { tenant, id: &id, source, stale_ms };
        let made = DecisionFact {
            at_us,
            attempt: Some(tandem_wire::attempt::message(attempt, q.call_id)),
            decision: Some(tandem_wire::decision::decision(decision, made)),
        };
        let first = match &decision.outcome {
            Outcome::Route(route) => route.targets.first().map(|t| t.trunk.to_string()),
            Outcome::Reject(_) => None,
        };
        self.events.tell(CallEvent {
            tenant: tenant.to_string(),
            incarnation: q.tenant.id().incarnation.to_string(),
            call_id: q.call_id.to_owned(),
            decision: id,
            at_us,
            kind: Kind::Decided.into(),
            sip_status: 0,
            trunk: first.unwrap_or_default(),
            made: Some(Box::new(made)),
        });
    }

    fn ask(
        &self,
        tenant: &TenantView,
        attempt: &CallAttempt<'_>,
        facts: &attempt::Facts,
    ) -> (Decision, Option<Steps>) {
        if self.observer.as_ref().is_some_and(|o| o.wants_reasons()) {
            let mut steps = Steps::default();
            (decide(tenant, attempt, facts, &mut steps), Some(steps))
        } else {
            (decide(tenant, attempt, facts, &mut NoTrail), None)
        }
    }

    /// By what a routed call counts among attempts alike, and how many it may meet. Emergency calls are exempt; a
    /// redirect, which is not counted, is compared only where there is any to compare it with.
    fn alike(&self, q: &Question<'_>, decision: &Decision) -> Option<(Alike, AlikeMax)> {
        let Outcome::Route(route) = &decision.outcome else { return None };
        let config = q.tenant.config()?;
        let redirects = || route.carriage == Carriage::Redirect && contacts(route, q.said.called).is_some();
        if decision.emergency || !self.state.live.any_alike() && redirects() {
            return None;
        }
        let (ingress, egress) = (config.trunk_named(q.ingress.as_str())?, &route.targets.first()?.trunk);
        Alike::of(q.scope, config, q.said, decision.called, ingress, egress)
    }

    /// Counts a call among attempts alike, and no more under what it counted before.
    pub(super) fn count_alike(&mut self, id: CallId, key: Option<Alike>) {
        let Some(call) = self.state.calls.get_mut(&id) else { return };
        if let Some(before) = call.alike.take() {
            self.state.live.end(&before);
        }
        if let Some(key) = key {
            self.state.live.begin(&key);
            call.alike = Some(key);
        }
    }

    fn observe(
        &self,
        q: &Question<'_>,
        decision: &Decision,
        id: &DecisionId,
        steps: Option<Steps>,
        now: Now,
    ) {
        let Some(observer) = &self.observer else { return };
        let (did, target, survivable) = match &decision.outcome {
            Outcome::Reject(r) => (Did::Reject(r.reason.name(), r.reason.status()), None, false),
            Outcome::Route(route) => {
                let first = route.targets.first().map(|t| format!("{} {}:{}", t.trunk, t.host, t.port));
                let redirects = q.because == Because::Asked
                    && route.carriage == Carriage::Redirect
                    && contacts(route, q.said.called).is_some();
                let count = route.targets.len();
                let did = if redirects { Did::Redirect(count) } else { Did::Proxy(count) };
                (did, first, route.survivable)
            }
        };
        let age = self.state.facts.age(now);
        observer.decided(&Hop {
            tenant: q.tenant.id().name.clone(),
            call_id: q.call_id.to_owned(),
            method: q.sip_method.to_owned(),
            ingress: q.ingress.clone(),
            called: q.said.called.to_owned(),
            decision: format!("tenants/{}/decisions/{id}", q.tenant.id().name),
            revision: decision.revision,
            did,
            because: q.because,
            last_good_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            survivable,
            target,
            reasons: steps.as_ref().map(reasons).unwrap_or_default(),
        });
    }

    /// Answers a call with a rejection.
    pub(super) fn reject(&mut self, id: CallId, reason: Reason, now: Now) {
        let status = reason.status();
        let mut lines = Vec::new();
        if reason == Reason::Leaving {
            self.counters.drained.up();
            lines.push((Header::RetryAfter, self.retry_after()));
        }
        self.proxy.answer(id, (status, phrase(status)), &lines, now);
    }

    /// Sends a call to its targets, once all their names are addresses. `may_wait`: it has not waited for them yet.
    pub(super) fn carry_out(&mut self, id: CallId, message: &Message<'_>, now: Now, may_wait: bool) {
        let Some(call) = self.state.calls.get_mut(&id) else { return };
        let Some(route) = call.route.take() else { return };
        let tenant = self.state.facts.view.tenant_by_id(&call.tenant);
        let Some(config) = tenant.and_then(|t| t.config()) else {
            // The tenant is gone, or its policy was taken away, while names were looked up.
            return self.reject(id, Reason::NoPolicy, now);
        };
        let mut asked = false;
        for target in &route.targets {
            asked |= self.names.find(&target.host, now) == Found::Asked;
        }
        if asked && may_wait {
            call.route = Some(route);
            return self.state.naming.push(id);
        }
        let Some(ingress) = config.trunk_named(call.ingress.as_str()) else {
            return self.reject(id, Reason::UnknownTrunk, now);
        };
        let carry = Carry {
            config,
            ingress,
            listener: call.listener,
            listeners: &self.listeners,
            message,
            decision: &call.decision,
            scope: call.scope,
            tenant: &call.tenant,
        };
        let names = &mut self.names;
        let Targets { targets, tried, left } = carry.targets(&route, |host| match names.find(host, now) {
            Found::Address(ip) => Some(ip),
            Found::Nothing | Found::Asked => None,
        });
        let ring = route.treatment.on_no_answer.as_ref();
        let ring = ring.map(|(_, seconds)| std::time::Duration::from_secs(u64::from(*seconds)));
        (call.tried, call.treatment, call.survivable) = (tried, route.treatment, route.survivable);
        let ring = ring.filter(|_| call.is_invite);
        if targets.is_empty()
            && let Some(Due { more, others }) = self.state.unreachable_told.due(call.tenant.clone(), now)
        {
            let left = left.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            tracing::warn!(tenant = %call.tenant.name, call_id = &*call.call_id, more, others, "a call has no target that can be tried: {left}");
        }
        self.remember_reached(id);
        self.proxy.route(id, targets, ring, now);
    }

    /// Whether a REFER may name its target: toll policy holds for it as for a call.
    pub(super) fn may_transfer(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        owner: &Owner,
        now: Now,
    ) -> bool {
        let Some(target) = refer_to(message) else { return true };
        // Whoever no trunk names is trusted with nothing.
        let Some(ingress) = &owner.trunk else { return false };
        let mut said = Said::read(message, keys);
        said.called = target;
        // RFC 3891 in a Refer-To: an attended transfer, which joins two calls that were allowed.
        said.hints.replaces |= target.contains("Replaces=");
        let question = Question {
            tenant: &owner.tenant,
            scope: owner.scope,
            ingress,
            said: &said,
            method: Method::Refer,
            because: Because::Transfer,
            call_id: keys.call_id,
            sip_method: keys.method,
        };
        let facts = self.facts(&question, now);
        let decided = self.decide(&question, facts, now);
        !matches!(
            decided.decision.outcome,
            Outcome::Reject(ref r) if matches!(r.reason, Reason::Toll | Reason::NoForwarder | Reason::RefusedByRoute)
        )
    }
}

/// The reason phrase of a status that a decision answers with.
pub(super) const fn phrase(status: u16) -> &'static str {
    match status {
        403 => "Forbidden",
        404 => "Not Found",
        414 => "Request-URI Too Long",
        480 => "Temporarily Unavailable",
        482 => "Loop Detected",
        484 => "Address Incomplete",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        _ => "Call Not Possible",
    }
}
