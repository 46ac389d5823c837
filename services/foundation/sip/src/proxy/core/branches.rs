//! Branches: tried, cancelled, left; and what is sent to both sides.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::message::{Header, Message};
use crate::time::Now;
use crate::transaction::{Packet, Peer, Room};
use crate::write::{Response, WriteError, cancel};

use super::super::branch::{After, Branch, Cancel, Cause, Heard, Target};
use super::super::mark::Mark;
use super::super::routing::{self, Named, Onward};
use super::super::{CallId, Config, Hop, Output, forge};
use super::Proxy;
use super::waits::Wait;

impl Proxy {
    /// Answers a call with a response of our own, with the lines that `add` adds.
    pub(super) fn send_own<F>(&mut self, id: CallId, (status, reason): (u16, &str), now: Now, add: F)
    where
        F: for<'o> FnOnce(Response<'o>) -> Response<'o>,
    {
        let written = self.with_request(id, |request, call, config, out| {
            // A 100 has no tag of ours: it is the next hop that answers.
            let tag = (status > 100).then(|| own_tag(config, id, request));
            let source = Some(call.upstream.address);
            let response = Response::new(request, status, reason, tag.as_deref(), source, out);
            add(response).finish().ok().map(|()| (call.server, Packet::from(&**out)))
        });
        if let Some((server, packet)) = written.flatten() {
            self.layer.respond(server, status, packet, now);
        }
    }

    /// Refuses a call for want of room.
    fn refuse_for_now(&mut self, id: CallId, now: Now) {
        let lot = self.with_request(id, |request, _, config, _| lot_of(config, "wait", request));
        let seconds = spread(self.config.retry_after, lot.unwrap_or(0));
        self.answer(id, (503, "Service Unavailable"), &[(Header::RetryAfter, seconds.to_string())], now);
    }

    /// Tries the next target, or says that there is none.
    pub(super) fn try_next(&mut self, id: CallId, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done) else { return };
        if call.cancelled {
            return self.give_up(id, now);
        }
        let mut targets = std::mem::take(&mut call.targets);
        let Some(target) = targets.get_mut(call.next) else {
            call.targets = targets;
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
            // A target is tried once.
            uri: std::mem::take(&mut target.uri).into(),
            hop: Hop::Peer(target.peer),
            own_routes: 0,
            drop_last_route: false,
            append_route: None,
            strips: target.strip_private,
        };
        self.open(id, &onward, target.peer, Some(target), now);
        if let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done) {
            call.targets = targets;
        }
    }

    fn redirected(&mut self, bytes: &[u8]) -> Cause {
        let contact = self.with(bytes, |m| {
            let value = m.first(crate::message::Header::Contact).and_then(|v| crate::message::list(v).next());
            value.and_then(routing::address).map(str::to_owned)
        });
        contact.flatten().map_or(Cause::Rejected(300), Cause::Redirected)
    }

    pub(super) fn forward_onward(&mut self, id: CallId, onward: &Onward, peer: Peer, now: Now) {
        self.open(id, onward, peer, None, now);
    }

    /// Opens a branch: forwards the request to a peer.
    fn open(&mut self, id: CallId, onward: &Onward, peer: Peer, target: Option<&Target>, now: Now) {
        let client = self.layer.reserve();
        let built = self.with_request(id, |request, call, config, out| {
            let parts = Build {
                named: Named::Client(client),
                onward,
                peer,
                upstream: call.upstream,
                target,
                record: call.invite && call.initial,
                scope: call.scope,
                loop_digest: call.loop_digest.unwrap_or_else(|| routing::loop_digest(config, request)),
            };
            build(config, request, &parts, out)?;
            Ok((Packet::from(&**out), call.invite, call.room, parts.loop_digest))
        });
        let (packet, invite, room, loop_digest) = match built {
            Some(Ok(built)) => built,
            Some(Err(refusal)) => return self.answer(id, refusal, &[], now),
            None => return,
        };
        if self.layer.request_in(room, client, invite, peer, Arc::clone(&packet), now).is_err() {
            return self.refuse_for_now(id, now);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (at, round, rings_until) = (call.branches.len(), call.round, now + self.config.timer_c);
        let patience = target.map(|t| self.waits.set(now + t.no_response, Wait::NoResponse(id, round, at)));
        let timer_c = invite.then(|| self.waits.set(rings_until, Wait::TimerC(id, at)));
        call.loop_digest = Some(loop_digest);
        call.branches.push(Branch {
            client,
            peer,
            tag: target.map_or(u32::MAX, |t| t.tag),
            packet: Some(packet),
            heard: Heard::Nothing,
            rings_until,
            timer_c,
            patience,
            cancel: Cancel::No,
            cancel_client: None,
            strips: onward.strips,
            left: false,
            gone: false,
        });
        self.by_client.insert(client, (id, at));
    }

    /// Cancels a branch: at once if it has heard something, else at its first provisional response (RFC 3261 9.1).
    pub(super) fn cancel_branch(&mut self, id: CallId, at: usize, now: Now) {
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
        let (peer, packet) = (branch.peer, branch.packet.clone().unwrap_or_default());
        self.waits.set(now + self.config.cancel_wait, Wait::Cancelled(id, round, at));
        // The CANCEL has the branch of what it cancels, and a transaction of its own: its response is told apart
        // by its CSeq. Its id is no branch's, so that the INVITE's stays found.
        let own = self.layer.reserve();
        branch.cancel_client = Some(own);
        let client = branch.client;
        // 9.1: what has no final response 64 x T1 after its CANCEL is over.
        self.layer.end_within(client, now);
        let mut bytes = Vec::with_capacity(512);
        if let Some(Ok(())) = self.with(&packet, |m| cancel(m, &mut bytes)) {
            // At the limit of transactions the branch ends by its own time.
            let _ = self.layer.request_in(Room::Reserve, own, false, peer, bytes.into(), now);
        }
        self.collect();
    }

    pub(super) fn cancel_pending(&mut self, id: CallId, now: Now) {
        let count = self.calls.get(&id).map_or(0, |c| c.branches.len());
        (0..count).for_each(|at| self.cancel_branch(id, at, now));
    }

    /// Leaves the branches of a destination that was given up for another: none stays without an end.
    pub(super) fn leave_pending(&mut self, id: CallId, now: Now) {
        if self.calls.get(&id).is_none_or(|c| c.done) {
            return;
        }
        self.cancel_pending(id, now);
        if let Some(call) = self.calls.get_mut(&id) {
            call.branches.iter_mut().for_each(|branch| branch.left = true);
        }
    }

    /// A branch ended without a response that could go up; counts as this status.
    pub(super) fn branch_failed(&mut self, id: CallId, at: usize, status: u16, now: Now) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(branch) = call.branches.get_mut(at) else { return };
        let was_current = branch.is_pending();
        branch.end(status, &mut self.waits);
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
pub(super) struct Build<'a> {
    pub(super) named: Named,
    pub(super) onward: &'a Onward,
    pub(super) peer: Peer,
    pub(super) upstream: Peer,
    pub(super) target: Option<&'a Target>,
    pub(super) record: bool,
    pub(super) scope: u64,
    pub(super) loop_digest: u32,
}

/// The request as it goes on; or the status and reason that it is refused with.
pub(super) fn build(
    config: &Config,
    message: &Message<'_>,
    b: &Build<'_>,
    out: &mut Vec<u8>,
) -> Result<(), (u16, &'static str)> {
    let hops = message.first(Header::MaxForwards);
    let hops = hops.and_then(|v| std::str::from_utf8(v).ok()?.trim().parse::<u8>().ok()).unwrap_or(71);
    let max_forwards = hops.checked_sub(1).ok_or((483, "Too Many Hops"))?;
    let via = routing::via(config, b.peer.listener, b.named, b.loop_digest);
    let mut record_route = SmallVec::<[String; 2]>::new();
    if b.record {
        let mark = Mark { scope: b.scope, strips: b.onward.strips };
        let mark = mark.write(config, message.first(Header::CallId).unwrap_or_default());
        // RFC 5658: two values where the sides differ, the one that faces the callee on top.
        record_route.push(routing::record_route(config, b.peer.listener, &mark));
        if b.peer.listener != b.upstream.listener {
            record_route.push(routing::record_route(config, b.upstream.listener, &mark));
        }
    }
    let forward = forge::Forward {
        uri: &b.onward.uri,
        via: &via,
        source: b.upstream.address,
        record_route: &record_route,
        own_routes: b.onward.own_routes,
        drop_last_route: b.onward.drop_last_route,
        append_route: b.onward.append_route.as_deref(),
        max_forwards,
        target: b.target,
        strips: b.onward.strips,
        stream: b.peer.transport.is_reliable(),
    };
    forge::request(message, &forward, out).map_err(|error| match error {
        WriteError::TooLarge => (513, "Message Too Large"),
        _ => (500, "Server Internal Error"),
    })
}

/// The same for each answer to one request (RFC 3261 8.2.6.2).
fn own_tag(config: &Config, id: CallId, request: &Message<'_>) -> String {
    format!("tdm{:x}", lot_of(config, "tag", request) ^ id.0)
}

fn lot_of(config: &Config, what: &str, request: &Message<'_>) -> u64 {
    let one = |header| request.first(header).unwrap_or_default();
    routing::lot(config, what, &[one(Header::CallId), one(Header::From), one(Header::CSeq), one(Header::Via)])
}

/// Whole seconds, at least one: half of `base` more or less, as the lot falls.
fn spread(base: Duration, lot: u64) -> u64 {
    let base = u64::try_from(base.as_millis()).unwrap_or(u64::MAX / 200);
    // 500 to 1,500 thousandths.
    base.saturating_mul(500 + lot % 1_001).div_ceil(1_000_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_spread_by_half_of_it_and_never_nothing() {
        let spread = |ms, lot| spread(Duration::from_millis(ms), lot);
        assert_eq!((spread(10_000, 0), spread(10_000, 500), spread(10_000, 1_000)), (5, 10, 15));
        assert_eq!((spread(0, 7), spread(900, 0)), (1, 1));
        let all: std::collections::BTreeSet<u64> = (0..2_000).map(|lot| spread(10_000, lot * 7)).collect();
        assert_eq!((all.first(), all.last(), all.len()), (Some(&5), Some(&15), 11));
    }
}
