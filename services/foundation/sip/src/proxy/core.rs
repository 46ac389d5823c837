//! The proxy itself: what comes in, what the user says, what time brings.

mod requests;
mod responses;
mod waits;

use std::sync::Arc;
use std::time::Duration;

use crate::message::{Message, Start, Table};
use crate::pool::Numbered;
use crate::time::{Deadlines, Now};
use crate::transaction::{ClientId, Event, Layer, Packet, Peer, ServerId};

use super::branch::{After, Branch, Call, Cancel, Cause, Heard, Target};
use super::routing::{self, Onward};
use super::{CallId, Config, Hop, Output, forge};
use waits::Wait;

/// A redirect server and stateful proxy.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    layer: Layer,
    calls: Numbered<CallId, Box<Call>>,
    by_server: Numbered<ServerId, CallId>,
    by_client: Numbered<ClientId, (CallId, usize)>,
    waits: Deadlines<Wait>,
    last: u64,
    outputs: Vec<Output>,
    table: Box<Table>,
}

impl Proxy {
    /// A proxy that holds nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            layer: Layer::new(config.timers, config.limits),
            config,
            calls: Numbered::default(),
            by_server: Numbered::default(),
            by_client: Numbered::default(),
            waits: Deadlines::default(),
            last: 0,
            outputs: Vec::new(),
            table: Box::default(),
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes what is to be done and told, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Output> {
        self.collect();
        self.outputs.drain(..)
    }

    /// When [`Proxy::on_time`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Now> {
        [self.layer.next_deadline(), self.waits.next()].into_iter().flatten().min()
    }

    /// How many calls and transactions are held.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.calls.len(), self.layer.len())
    }

    /// The request of a call, as it came; none: the call is gone.
    #[must_use]
    pub fn request(&self, call: CallId) -> Option<Packet> {
        self.calls.get(&call).map(|c| Arc::clone(&c.request))
    }

    /// How many of a call's attempts have no final response yet.
    #[must_use]
    pub fn is_unanswered(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| !c.answered && !c.done)
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Now) {
        while let Some((_, wait)) = self.waits.due(now) {
            self.on_wait(wait, now);
        }
        self.layer.on_time(now);
        self.collect_at(now);
    }

    /// Moves what the transactions did into the outputs.
    fn collect(&mut self) {
        let events: Vec<Event> = self.layer.drain().collect();
        for event in events {
            match event {
                Event::Send(peer, packet) => self.outputs.push(Output::Send(peer, packet)),
                Event::ClientEnded(id) => self.client_ended(id),
                Event::ServerEnded(id) => self.server_ended(id),
                // Handled where time passes; a missing ACK changes nothing for a proxy.
                Event::TimedOut(_) | Event::NeverAcknowledged(_) => {}
            }
        }
    }

    /// As [`Proxy::collect`], where time-outs are heard, too.
    fn collect_at(&mut self, now: Now) {
        let events: Vec<Event> = self.layer.drain().collect();
        for event in events {
            match event {
                Event::Send(peer, packet) => self.outputs.push(Output::Send(peer, packet)),
                Event::TimedOut(id) => self.on_timeout(id, now),
                Event::ClientEnded(id) => self.client_ended(id),
                Event::ServerEnded(id) => self.server_ended(id),
                Event::NeverAcknowledged(_) => {}
            }
        }
        self.collect();
    }

    fn client_ended(&mut self, id: ClientId) {
        let Some((call_id, at)) = self.by_client.remove(&id) else { return };
        if let Some(branch) = self.calls.get_mut(&call_id).and_then(|c| c.branches.get_mut(at)) {
            branch.gone = true;
        }
        self.sweep(call_id);
    }

    fn server_ended(&mut self, id: ServerId) {
        let Some(call_id) = self.by_server.remove(&id) else { return };
        if let Some(call) = self.calls.get_mut(&call_id) {
            call.server_gone = true;
        }
        self.sweep(call_id);
    }

    /// Forgets a call whose transactions are all gone.
    fn sweep(&mut self, call_id: CallId) {
        let over = |c: &Call| c.server_gone && c.branches.iter().all(|b| b.gone);
        if self.calls.get(&call_id).is_some_and(|c| over(c)) {
            self.calls.remove(&call_id);
            self.outputs.push(Output::Gone(call_id));
        }
    }

    /// Parses bytes of our own keeping. They were parsed before, so that they parse.
    fn with<R>(&mut self, bytes: &[u8], read: impl FnOnce(&Message<'_>) -> R) -> Option<R> {
        self.table.parse_datagram(bytes).ok().map(|m| read(&m))
    }

    // === impl Proxy: what the user says ===

    /// Sends a call to these targets, in order. For an INVITE a 100 goes to the caller at once. `ring`: how long
    /// it may ring before it is `NoAnswer`. Said again after [`Output::Exhausted`], it tries another destination on
    /// the same request. Without targets it is exhausted at once.
    pub fn route(&mut self, id: CallId, targets: Vec<Target>, ring: Option<Duration>, now: Now) {
        self.leave_pending(id, now);
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done) else { return };
        call.round += 1;
        (call.targets, call.next, call.after) = (targets, 0, After::Stand);
        (call.best, call.challenges) = (None, Vec::new());
        let (round, invite) = (call.round, call.invite);
        if let Some(ring) = ring {
            self.waits.set(now + ring, Wait::NoAnswer(id, round));
        }
        if invite && round == 1 {
            self.send_own(id, 100, "100 Trying", &[], now);
        }
        self.try_next(id, now);
    }

    /// Answers a call with a 302 and these contacts, in order; each is a URI, printable ASCII.
    pub fn redirect(&mut self, id: CallId, contacts: &[String], now: Now) {
        let total = contacts.len();
        // RFC 3261 20.10: q tells the order; 1.0 at most, three digits.
        let q = |at: usize| 1.0 - (at as f64) / (total.max(1) as f64 + 1.0);
        let lines: Vec<String> =
            contacts.iter().enumerate().map(|(at, c)| format!("Contact: <{c}>;q={:.3}", q(at))).collect();
        self.answer(id, 302, "302 Moved Temporarily", &lines, now);
    }

    /// Answers a call finally; `line` is the status line without version. Pending branches are cancelled.
    pub fn answer(&mut self, id: CallId, status: u16, line: &str, add: &[String], now: Now) {
        self.send_own(id, status, line, add, now);
        if let Some(call) = self.calls.get_mut(&id) {
            call.done = true;
            if status >= 300 {
                self.outputs.push(Output::Failed(id, status));
            }
        }
        self.cancel_pending(id, now);
    }

    /// No other destination: the best response that came goes to the caller.
    pub fn give_up(&mut self, id: CallId, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done) else { return };
        let (server, invite, cancelled, after) = (call.server, call.invite, call.cancelled, call.after);
        let challenges = std::mem::take(&mut call.challenges);
        match call.best.take() {
            // A transaction that failed by silence is not answered late (RFC 4320 4.2).
            None if !invite => {
                call.done = true;
                self.layer.abandon(server);
            }
            None if cancelled => self.answer(id, 487, "487 Request Terminated", &[], now),
            None if after == After::NoAnswer => self.answer(id, 480, "480 Temporarily Unavailable", &[], now),
            None => self.answer(id, 408, "408 Request Timeout", &[], now),
            // RFC 3261 16.7 step 6: a 503 says nothing of this proxy.
            Some((503, _)) => self.answer(id, 500, "500 Server Internal Error", &[], now),
            Some((status, bytes)) => {
                call.done = true;
                let bytes = if matches!(status, 401 | 407) && challenges.len() > 1 {
                    let merged = self.with(&bytes, |m| forge::challenged(m, &challenges));
                    merged.unwrap_or(bytes)
                } else {
                    bytes
                };
                self.layer.respond(server, status, bytes.into(), now);
                self.outputs.push(Output::Failed(id, status));
                self.cancel_pending(id, now);
            }
        }
    }

    /// The name that [`Output::Resolve`] asked for. None: it has no address.
    pub fn resolved(&mut self, id: CallId, peer: Option<Peer>, now: Now) {
        // Cancelled meanwhile, it goes nowhere.
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done) else { return };
        let Some(onward) = call.resolving.take() else { return };
        match peer {
            Some(peer) => self.forward_onward(id, &onward, peer, now),
            None => self.answer(
                id,
                503,
                "503 Service Unavailable",
                &["Reason: SIP;cause=503;text=\"no address\"".into()],
                now,
            ),
        }
    }

    /// Bytes could not be sent to a peer: its waiting branches have failed (RFC 3261 16.9).
    pub fn on_transport_error(&mut self, peer: Peer, now: Now) {
        let mut failed: Vec<ClientId> = self
            .by_client
            .keys()
            .copied()
            .filter(|id| {
                self.layer
                    .client_peer(*id)
                    .is_some_and(|p| p.address == peer.address && p.transport == peer.transport)
            })
            .collect();
        failed.sort_unstable();
        for id in failed {
            let place = self.by_client.get(&id).copied();
            if self.layer.on_transport_error(id)
                && let Some((call, at)) = place
            {
                self.branch_failed(call, at, 503, now);
            }
        }
        self.collect();
    }

    // === impl Proxy: branches ===

    fn send_own(&mut self, id: CallId, status: u16, line: &str, add: &[String], now: Now) {
        let Some(call) = self.calls.get(&id) else { return };
        let (server, upstream, request) = (call.server, call.upstream, Arc::clone(&call.request));
        let tag = if status > 100 {
            format!("tdm{:x}", routing::cookie(&self.config, id.0, &request))
        } else {
            String::new()
        };
        let bytes = self.with(&request, |m| forge::answer(m, upstream, line, &tag, add));
        if let Some(bytes) = bytes {
            self.layer.respond(server, status, bytes.into(), now);
        }
    }

    /// Tries the next target, or says that there is none.
    fn try_next(&mut self, id: CallId, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done) else { return };
        if call.cancelled {
            return self.give_up(id, now);
        }
        let Some(target) = call.targets.get(call.next).cloned() else {
            let cause = match (call.after, call.best.clone()) {
                (After::NoAnswer, _) => Cause::NoAnswer,
                (_, Some((300..=399, bytes))) => self.redirected(&bytes),
                (_, Some((status, _))) => Cause::of(status),
                (_, None) => Cause::Unreachable,
            };
            return self.outputs.push(Output::Exhausted(id, cause));
        };
        call.next += 1;
        let onward = Onward {
            uri: target.uri.clone().into(),
            hop: Hop::Peer(target.peer),
            own_routes: 0,
            drop_last_route: false,
            append_route: None,
        };
        self.open(id, &onward, target.peer, Some(&target), now);
    }

    fn redirected(&mut self, bytes: &[u8]) -> Cause {
        let contact = self.with(bytes, |m| {
            let value = m.first(crate::message::Header::Contact).and_then(|v| crate::message::list(v).next());
            value.and_then(routing::address).map(str::to_owned)
        });
        contact.flatten().map_or(Cause::Rejected(300), Cause::Redirected)
    }

    fn forward_onward(&mut self, id: CallId, onward: &Onward, peer: Peer, now: Now) {
        self.open(id, onward, peer, None, now);
    }

    /// Opens a branch: forwards the request to a peer.
    fn open(&mut self, id: CallId, onward: &Onward, peer: Peer, target: Option<&Target>, now: Now) {
        let client = self.layer.reserve();
        let Some(call) = self.calls.get(&id) else { return };
        let (request, upstream, invite, initial, scope) =
            (Arc::clone(&call.request), call.upstream, call.invite, call.initial, call.scope);
        let config = self.config.clone();
        let built = self.with(&request, |m| {
            build(
                &config,
                m,
                &Build { client, onward, peer, upstream, target, record: invite && initial, scope },
            )
        });
        let Some(Ok(bytes)) = built else {
            return self.answer(id, 483, "483 Too Many Hops", &[], now);
        };
        let packet: Packet = bytes.into();
        if self.layer.request(client, invite, peer, Arc::clone(&packet), now).is_err() {
            return self.answer(id, 503, "503 Service Unavailable", &["Retry-After: 5".into()], now);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (at, round) = (call.branches.len(), call.round);
        call.branches.push(Branch {
            client,
            peer,
            tag: target.map_or(u32::MAX, |t| t.tag),
            packet,
            heard: Heard::Nothing,
            cancel: Cancel::No,
            cancel_client: None,
            left: false,
            gone: false,
        });
        self.by_client.insert(client, (id, at));
        if let Some(target) = target {
            self.waits.set(now + target.no_response, Wait::NoResponse(id, round, at));
        }
        if invite {
            self.waits.set(now + self.config.timer_c, Wait::TimerC(id, at));
        }
    }

    /// Cancels a branch: at once if it has heard something, else at its first provisional response (RFC 3261 9.1).
    fn cancel_branch(&mut self, id: CallId, at: usize, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| c.invite) else { return };
        let round = call.round;
        let Some(branch) = call.branches.get_mut(at) else { return };
        if matches!(branch.heard, Heard::Final(_)) || branch.gone || branch.cancel == Cancel::Sent {
            return;
        }
        if branch.heard == Heard::Nothing {
            branch.cancel = Cancel::AtProvisional;
            return;
        }
        branch.cancel = Cancel::Sent;
        let (peer, packet) = (branch.peer, Arc::clone(&branch.packet));
        self.waits.set(now + self.config.cancel_wait, Wait::Cancelled(id, round, at));
        // The CANCEL has the branch of what it cancels, and a transaction of its own: its response is told apart
        // by its CSeq. Its id is no branch's, so that the INVITE's stays found.
        let own = self.layer.reserve();
        branch.cancel_client = Some(own);
        let client = branch.client;
        // 9.1: what has no final response 64 x T1 after its CANCEL is over.
        self.layer.end_within(client, now);
        let Some(bytes) = self.with(&packet, |m| forge::follow_up(m, "CANCEL", None)) else { return };
        // At the limit of transactions the branch ends by its own time.
        let _ = self.layer.request(own, false, peer, bytes.into(), now);
        self.collect();
    }

    fn cancel_pending(&mut self, id: CallId, now: Now) {
        let count = self.calls.get(&id).map_or(0, |c| c.branches.len());
        (0..count).for_each(|at| self.cancel_branch(id, at, now));
    }

    /// Leaves the branches of a destination that was given up for another: none stays without an end.
    fn leave_pending(&mut self, id: CallId, now: Now) {
        if self.calls.get(&id).is_none_or(|c| c.done) {
            return;
        }
        self.cancel_pending(id, now);
        if let Some(call) = self.calls.get_mut(&id) {
            call.branches.iter_mut().for_each(|branch| branch.left = true);
        }
    }

    /// A branch ended without a response that could go up; counts as this status.
    fn branch_failed(&mut self, id: CallId, at: usize, status: u16, now: Now) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(branch) = call.branches.get_mut(at) else { return };
        let was_current = branch.is_pending();
        branch.heard = Heard::Final(status);
        if !was_current || call.done || call.answered {
            return;
        }
        if call.targets.is_empty() && !call.cancelled {
            // A request that went by its Route has no other way.
            return self.give_up(id, now);
        }
        self.try_next(id, now);
    }
}

/// What a forwarded request is built from.
struct Build<'a> {
    client: ClientId,
    onward: &'a Onward,
    peer: Peer,
    upstream: Peer,
    target: Option<&'a Target>,
    record: bool,
    scope: u64,
}

/// The request as it goes on; an error if it has gone too far.
fn build(config: &Config, message: &Message<'_>, b: &Build<'_>) -> Result<Vec<u8>, ()> {
    let Start::Request { uri, .. } = message.start() else { return Err(()) };
    let hops = message.first(crate::message::Header::MaxForwards);
    let hops = hops.and_then(|v| std::str::from_utf8(v).ok()?.trim().parse::<u8>().ok()).unwrap_or(71);
    let max_forwards = hops.checked_sub(1).ok_or(())?;
    let digest = routing::loop_digest(config, message, uri);
    let via = routing::via(config, b.peer.listener, b.client, digest);
    let mut record_route = Vec::new();
    if b.record {
        let call_id = message.first(crate::message::Header::CallId).unwrap_or_default();
        let cookie = routing::cookie(config, b.scope, call_id);
        // RFC 5658: two values where the sides differ, the one that faces the callee on top.
        record_route.push(routing::record_route(config, b.peer.listener, cookie));
        if b.peer.listener != b.upstream.listener {
            record_route.push(routing::record_route(config, b.upstream.listener, cookie));
        }
    }
    Ok(forge::request(
        message,
        &forge::Forward {
            uri: &b.onward.uri,
            via: &via,
            top_via: &forge::top_via(message, b.upstream.address),
            record_route: &record_route,
            own_routes: b.onward.own_routes,
            drop_last_route: b.onward.drop_last_route,
            append_route: b.onward.append_route.as_deref(),
            max_forwards,
            remove: b.target.map(|t| &*t.remove).unwrap_or_default(),
            strip_private: b.target.is_some_and(|t| t.strip_private),
            add: b.target.map(|t| &*t.add).unwrap_or_default(),
            stream: b.peer.transport.is_reliable(),
        },
    ))
}
