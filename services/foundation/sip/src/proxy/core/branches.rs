//! Branches: tried, cancelled, left; and what is sent to both sides.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::message::{Header, Message};
use crate::time::Now;
use crate::transaction::{ClientId, Packet, Peer};
use crate::write::{WriteError, cancel};

use super::super::branch::{After, Branch, Cancel, Cause, Heard, Target};
use super::super::mark::Mark;
use super::super::routing::{self, Onward};
use super::super::{CallId, Config, Hop, Output, forge};
use super::Proxy;
use super::waits::Wait;

impl Proxy {
    /// Answers a call with a response of our own.
    pub(super) fn send_own(
        &mut self,
        id: CallId,
        (status, reason): (u16, &str),
        add: &[(Header, String)],
        now: Now,
    ) {
        let Some(call) = self.calls.get(&id) else { return };
        let (server, from, request) = (call.server, call.upstream.address, Arc::clone(&call.request));
        // A 100 has no tag of ours: it is the next hop that answers.
        let tag = (status > 100).then(|| self.own_tag(id, &request));
        let answer = forge::Answer { status, reason, tag: tag.as_deref(), add };
        if let Some(Ok(bytes)) = self.with(&request, |m| forge::answer(m, from, &answer)) {
            self.layer.respond(server, status, bytes.into(), now);
        }
    }

    /// The same for each answer to one request (RFC 3261 8.2.6.2).
    fn own_tag(&self, id: CallId, request: &[u8]) -> String {
        format!("tdm{:x}", routing::lot(&self.config, "tag", request) ^ id.0)
    }

    /// Refuses a call for want of room.
    fn refuse_for_now(&mut self, id: CallId, now: Now) {
        let lot = self.calls.get(&id).map_or(0, |c| routing::lot(&self.config, "wait", &c.request));
        let seconds = spread(self.config.retry_after, lot);
        self.answer(id, (503, "Service Unavailable"), &[(Header::RetryAfter, seconds.to_string())], now);
    }

    /// Tries the next target, or says that there is none.
    pub(super) fn try_next(&mut self, id: CallId, now: Now) {
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
            strips: target.strip_private,
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

    pub(super) fn forward_onward(&mut self, id: CallId, onward: &Onward, peer: Peer, now: Now) {
        self.open(id, onward, peer, None, now);
    }

    /// Opens a branch: forwards the request to a peer.
    fn open(&mut self, id: CallId, onward: &Onward, peer: Peer, target: Option<&Target>, now: Now) {
        let client = self.layer.reserve();
        let Some(call) = self.calls.get(&id) else { return };
        let (request, upstream, invite, initial, scope) =
            (Arc::clone(&call.request), call.upstream, call.invite, call.initial, call.scope);
        let (record, loop_digest) = (invite && initial, call.loop_digest);
        let parts = Build { client, onward, peer, upstream, target, record, scope, loop_digest };
        // It was parsed when it came, so that it parses.
        let Ok(message) = self.table.parse_datagram(&request) else { return };
        let packet: Packet = match build(&self.config, &message, &parts) {
            Ok(bytes) => bytes.into(),
            Err(refusal) => return self.answer(id, refusal, &[], now),
        };
        if self.layer.request(client, invite, peer, Arc::clone(&packet), now).is_err() {
            return self.refuse_for_now(id, now);
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (at, round) = (call.branches.len(), call.round);
        call.branches.push(Branch {
            client,
            peer,
            tag: target.map_or(u32::MAX, |t| t.tag),
            packet,
            heard: Heard::Nothing,
            rings_until: now + self.config.timer_c,
            cancel: Cancel::No,
            cancel_client: None,
            strips: onward.strips,
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
        let (peer, packet) = (branch.peer, Arc::clone(&branch.packet));
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
            let _ = self.layer.request(own, false, peer, bytes.into(), now);
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
pub(super) struct Build<'a> {
    pub(super) client: ClientId,
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
) -> Result<Vec<u8>, (u16, &'static str)> {
    let hops = message.first(Header::MaxForwards);
    let hops = hops.and_then(|v| std::str::from_utf8(v).ok()?.trim().parse::<u8>().ok()).unwrap_or(71);
    let max_forwards = hops.checked_sub(1).ok_or((483, "Too Many Hops"))?;
    let via = routing::via(config, b.peer.listener, b.client, b.loop_digest);
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
    forge::request(message, &forward).map_err(|error| match error {
        WriteError::TooLarge => (513, "Message Too Large"),
        _ => (500, "Server Internal Error"),
    })
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
