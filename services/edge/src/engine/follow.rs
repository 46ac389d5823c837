//! What becomes of calls: what the proxy core tells, and what follows when nobody took a call.

use tandem_domain::document::terms::TrunkRole;
use tandem_domain::routing::attempt::{Earlier, Method};
use tandem_domain::routing::decision::Outcome;
use tandem_domain::view::TenantView;
use tandem_proto::routing::v1::CallEvent;
use tandem_proto::routing::v1::call_event::Kind;
use tandem_sip::message::{Keys, Message};
use tandem_sip::proxy::{CallId, Cause, Output};
use tandem_sip::time::Now;

use super::Engine;
use super::decide::Question;
use crate::attempt::Said;
use crate::call::{Call, DecisionId, Diverted, FORWARDS_MAX};
use crate::trace::Because;

impl Engine {
    /// Does what the proxy core wants, until it wants nothing more.
    pub(super) fn after(&mut self, now: Now) {
        let mut outputs = std::mem::take(&mut self.state.outputs);
        loop {
            outputs.extend(self.proxy.drain());
            if outputs.is_empty() {
                break;
            }
            for output in outputs.drain(..) {
                self.follow(output, now);
            }
        }
        self.state.outputs = outputs;
    }

    fn follow(&mut self, output: Output, now: Now) {
        match output {
            Output::Send(peer, packet) => self.send(peer, packet, now),
            Output::SendTo(hop, packet) => self.send_to(hop, packet, now),
            Output::Resolve(id, hop) => self.resolve(id, hop, now),
            Output::Silent(id, _, tag) => self.on_silent(id, tag, now),
            Output::FailedOver(id, tag) => {
                self.counters.failed_over.up();
                self.tell_of(id, Kind::FailedOver, 0, Some(tag));
            }
            Output::Ringing(id, tag) => {
                self.counters.ringing.up();
                self.tell_of(id, Kind::Ringing, 0, Some(tag));
            }
            Output::Answered(id, tag) => {
                self.counters.answered.up();
                self.tell_of(id, Kind::Answered, 0, Some(tag));
                self.over(id);
            }
            Output::Exhausted(id, cause) => self.exhausted(id, cause, now),
            Output::Failed(id, status) => {
                if self.state.calls.contains_key(&id) && status >= 400 {
                    self.counters.failed.up();
                    self.tell_of(id, Kind::Failed, status, None);
                }
                self.over(id);
            }
            Output::Cancelled(id) => {
                self.counters.cancelled.up();
                self.state.holding.retain(|(_, held)| *held != id);
            }
            Output::Ended(_) => self.on_ended(),
            Output::Gone(id) => self.over(id),
        }
    }

    /// Nobody waits for a call any more.
    fn over(&mut self, id: CallId) {
        self.count_alike(id, None);
        self.state.calls.remove(&id);
    }

    fn on_silent(&mut self, id: CallId, tag: u32, now: Now) {
        self.counters.silent.up();
        let Some(tried) = self.state.calls.get(&id).and_then(|c| c.tried(tag)) else { return };
        tracing::info!(tenant = %tried.place.tenant, trunk = %tried.place.trunk, address = %tried.peer.address,
            "silent: it goes last for 30 s");
        let since = now.saturating_sub(tried.no_response);
        self.state.live.silent(&tried.place, tried.peer, since, now);
        self.state.probe_at = self.state.probe_at.min(now + crate::config::ms(self.config.probe_ms));
    }

    /// No target took it: a survivable rule, a redirection or a treatment gives another, or it has failed.
    fn exhausted(&mut self, id: CallId, cause: Cause, now: Now) {
        if cause == Cause::Unreachable && self.survives(id, now) {
            return;
        }
        let Some(call) = self.state.calls.get(&id).filter(|c| c.is_invite) else {
            return self.proxy.give_up(id, now);
        };
        let treatment = &call.treatment;
        let (to, because) = match cause {
            Cause::Busy => (treatment.on_busy.as_deref().map(str::to_owned), Because::Busy),
            Cause::NoAnswer => {
                (treatment.on_no_answer.as_ref().map(|(to, _)| to.to_string()), Because::NoAnswer)
            }
            Cause::Unreachable => {
                (treatment.on_unreachable.as_deref().map(str::to_owned), Because::Unreachable)
            }
            Cause::Redirected(contact) => (Some(contact), Because::Redirected),
            Cause::Rejected(_) => (None, Because::Asked),
        };
        match to {
            Some(_) if call.is_emergency || call.forwards >= FORWARDS_MAX => self.fail(id, because, now),
            Some(to) => self.decide_anew(id, Some(to), because, now),
            // Nothing was tried: the caller's next element may do better.
            None if call.tried.is_empty() && because == Because::Unreachable => {
                self.proxy.answer(id, (503, "Service Unavailable"), &[], now);
            }
            None => self.proxy.give_up(id, now),
        }
    }

    /// Decides a call anew that no CIC took, if the survivable rules hold now; or has it wait until they do, once.
    fn survives(&mut self, id: CallId, now: Now) -> bool {
        let Some(call) = self.state.calls.get(&id) else { return false };
        if call.has_waited || !call.is_invite || call.survivable || !to_cic(call) {
            return false;
        }
        let Some(at) = self.until_survivable(call, now) else { return false };
        if let Some(call) = self.state.calls.get_mut(&id) {
            call.has_waited = true;
        }
        if at <= now {
            self.decide_anew(id, None, Because::CicSilent, now);
        } else {
            self.state.holding.push((at, id));
        }
        true
    }

    /// Ends a call that was to go elsewhere and may not. A redirection is not passed up: the caller would follow it
    /// past the policy that has just refused it.
    fn fail(&mut self, id: CallId, because: Because, now: Now) {
        match because {
            Because::Redirected => self.proxy.answer(id, (480, "Temporarily Unavailable"), &[], now),
            _ => self.proxy.give_up(id, now),
        }
    }

    /// From when on the survivable rules hold for a call that no CIC took; none: they never do, as long as things
    /// are as they are.
    fn until_survivable(&self, call: &Call, now: Now) -> Option<Now> {
        let tenant = self.state.facts.view.tenant_by_id(&call.tenant)?;
        let config = tenant.config()?;
        if config.model != tandem_domain::document::terms::Model::LocalControl {
            return None;
        }
        let silent = self.state.live.cic_silent(call.scope, config, now)?;
        let needed = u32::from(config.survivable.cic_silent_seconds);
        Some(now + std::time::Duration::from_secs(u64::from(needed.saturating_sub(silent))))
    }

    /// The time of calls has come that waited until CIC had been silent for long enough.
    pub(super) fn on_held(&mut self, now: Now) {
        let (due, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.state.holding).into_iter().partition(|(at, _)| *at <= now);
        self.state.holding = left;
        for (_, id) in due {
            self.decide_anew(id, None, Because::CicSilent, now);
        }
    }

    /// A name was looked up: the calls that waited for it go on if they wait for no other.
    pub(super) fn on_named(&mut self, now: Now) {
        let waiting = std::mem::take(&mut self.state.naming);
        for id in waiting {
            let route = self.state.calls.get(&id).and_then(|c| c.route.as_ref());
            let Some(route) = route else { continue };
            if !route.targets.iter().any(|t| self.names.is_asked(&t.host)) {
                self.with_request(id, |engine, message, _| engine.carry_out(id, message, now, false));
            } else {
                self.state.naming.push(id);
            }
        }
    }

    /// Reads a call's request again.
    fn with_request(&mut self, id: CallId, read: impl FnOnce(&mut Self, &Message<'_>, &Keys<'_>)) {
        let Some(packet) = self.proxy.request(id) else { return };
        let mut table = std::mem::take(&mut self.state.table);
        // It was read before, so that it can be read.
        if let Ok(message) = table.parse_datagram(&packet)
            && let Ok(keys) = Keys::read(&message)
        {
            read(self, &message, &keys);
        }
        self.state.table = table;
    }

    /// Decides anew about a call: as the called user's forwarding to `to`, under the same policy; or, without, the
    /// same call once more now that CIC is known to be silent.
    fn decide_anew(&mut self, id: CallId, to: Option<String>, because: Because, now: Now) {
        self.with_request(id, |engine, message, keys| {
            engine.decide_again(id, message, keys, to, because, now);
        });
    }

    fn decide_again(
        &mut self,
        id: CallId,
        message: &Message<'_>,
        keys: &Keys<'_>,
        to: Option<String>,
        because: Because,
        now: Now,
    ) {
        let Some(call) = self.state.calls.get(&id) else { return };
        let view = &self.state.facts.view;
        let Some(tenant) = view.tenant_by_id(&call.tenant).cloned() else {
            return self.proxy.give_up(id, now);
        };
        let before = call.destination.clone();
        let diverted = call.diverted.clone();
        let mut said = Said::read(message, keys);
        let told = said.hints.forwards;
        let chain: Vec<Earlier<'_>> =
            diverted.iter().map(|d| Earlier { by: d.by.as_str(), retargeted: d.why }).collect();
        if let Some((before, (last, earlier))) = before.as_ref().zip(chain.split_last()) {
            said.called = before;
            said.hints.forwarded_by = Some(last.by);
            said.hints.retargeted = last.retargeted;
            said.hints.forwards = call.forwards;
            said.hints.earlier = earlier;
        }
        let was = said.called;
        let mut method = if before.is_some() { Method::Redirect } else { Method::Invite };
        if let Some(to) = &to {
            said.called = to;
            said.hints.forwarded_by = Some(was);
            said.hints.retargeted = because.retargeted();
            said.hints.forwards = call.forwards.saturating_add(1);
            said.hints.earlier = &chain;
            method = Method::Redirect;
        }
        said.hints.diversions = said.hints.forwards.saturating_sub(told);
        let (scope, ingress) = (call.scope, call.ingress.clone());
        let question = Question {
            tenant: &tenant,
            scope,
            ingress: &ingress,
            said: &said,
            method,
            because,
            call_id: keys.call_id,
            sip_method: keys.method,
        };
        // It is not alike to itself.
        self.count_alike(id, None);
        let facts = self.facts(&question, now);
        let decided = self.decide(&question, facts, now);
        let route = match decided.decision.outcome {
            Outcome::Route(route) => route,
            Outcome::Reject(r) if matches!(because, Because::Redirected | Because::CicSilent) => {
                return self.reject(id, r.reason, now);
            }
            Outcome::Reject(_) => return self.proxy.give_up(id, now),
        };
        if because == Because::CicSilent && route.survivable {
            self.counters.survived.up();
        } else if because != Because::CicSilent {
            self.counters.treated.up();
        }
        let trunk = route.targets.first().map_or("", |t| t.trunk.as_str());
        self.tell(&tenant, keys.call_id, &decided.id, Kind::Treated, 0, trunk);
        let Some(call) = self.state.calls.get_mut(&id) else { return };
        if let Some(to) = to.clone() {
            call.diverted.push(Diverted { by: was.to_owned(), why: because.retargeted() });
            call.destination = Some(to);
            call.forwards = call.forwards.saturating_add(1);
        }
        call.decision = decided.id;
        call.route = Some(route);
        self.count_alike(id, decided.alike);
        self.carry_out(id, message, now, true);
    }

    fn on_ended(&mut self) {
        let Some((tenant, call_id)) = self.state.ending.take() else { return };
        self.counters.ended.up();
        self.events.tell(CallEvent {
            tenant: tenant.name.to_string(),
            incarnation: tenant.incarnation.to_string(),
            call_id,
            at_us: self.clock.unix_micros(),
            kind: Kind::Ended.into(),
            ..CallEvent::default()
        });
    }

    /// Says what became of a call that we hold.
    fn tell_of(&self, id: CallId, kind: Kind, status: u16, tag: Option<u32>) {
        if !self.events.are_wanted() {
            return;
        }
        let Some(call) = self.state.calls.get(&id).filter(|c| c.is_invite) else { return };
        let trunk = tag.and_then(|tag| call.trunk(tag)).map(ToString::to_string);
        self.events.tell(CallEvent {
            tenant: call.tenant.name.to_string(),
            incarnation: call.tenant.incarnation.to_string(),
            call_id: call.call_id.to_string(),
            decision: call.decision.to_string(),
            at_us: self.clock.unix_micros(),
            kind: kind.into(),
            sip_status: u32::from(status),
            trunk: trunk.unwrap_or_default(),
            made: None,
        });
    }

    /// Says what was decided about a request.
    pub(super) fn tell(
        &self,
        tenant: &TenantView,
        call_id: &str,
        decision: &DecisionId,
        kind: Kind,
        status: u16,
        trunk: &str,
    ) {
        if !self.events.are_wanted() {
            return;
        }
        self.events.tell(CallEvent {
            tenant: tenant.id().name.to_string(),
            incarnation: tenant.id().incarnation.to_string(),
            call_id: call_id.to_owned(),
            decision: decision.to_string(),
            at_us: self.clock.unix_micros(),
            kind: kind.into(),
            sip_status: u32::from(status),
            trunk: trunk.to_owned(),
            made: None,
        });
    }
}

/// Whether a call was tried at CIC and nowhere else.
fn to_cic(call: &Call) -> bool {
    !call.tried.is_empty() && call.tried.iter().all(|t| t.place.role == TrunkRole::Cic)
}
