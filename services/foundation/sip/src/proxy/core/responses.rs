//! Responses that come in (RFC 3261 16.7).

use crate::message::{Header, Keys, Message, Start};
use crate::time::Now;
use crate::transaction::Packet;
use crate::write;

use super::super::branch::{Cancel, Heard};
use super::super::{CallId, Output, forge, routing};
use super::Proxy;
use super::waits::Wait;

impl Proxy {
    /// A response came. One that matches no transaction of ours, or cannot be read, is dropped.
    pub fn on_response(&mut self, message: &Message<'_>, now: Now) {
        let Start::Response { status, .. } = message.start() else { return };
        let Ok(keys) = Keys::read(message) else { return };
        let Some(branch) = keys.via.branch else { return };
        let Some((client, digest)) = routing::client_of(branch) else { return };
        let Some((id, at)) = self.by_client.get(&client).copied() else { return };
        // The branch must be the one that was sent, with its keyed digest: whoever did not see the request cannot
        // guess it.
        let Some(call) = self.calls.get(&id).filter(|c| c.loop_digest == Some(digest)) else { return };
        let Some(sent) = call.branches.get(at) else { return };
        let (cancel, strips) = (sent.cancel_client, sent.strips);
        if keys.method == "CANCEL" {
            // The response to a CANCEL says nothing of the call (9.1): it ends the CANCEL's transaction.
            if let Some(own) = cancel {
                self.layer.on_response(own, status, now, Packet::default);
                self.collect();
            }
            return;
        }
        let Self { table, read, layer, .. } = self;
        let ack = || {
            let mut bytes = Vec::with_capacity(512);
            *read = None;
            // What we sent we can read, and each response that was read has a To.
            if let Some(Ok(sent)) = sent.packet.as_ref().map(|packet| table.parse_datagram(packet)) {
                let _ = write::ack(&sent, message, &mut bytes);
            }
            bytes.into()
        };
        let deliver = layer.on_response(client, status, now, ack);
        self.collect();
        if !deliver {
            return;
        }
        if status == 100 {
            self.hundred(id, at, now);
        } else {
            self.pass_on(id, at, message, status, strips, now);
        }
        self.collect();
    }

    fn pass_on(&mut self, id: CallId, at: usize, message: &Message<'_>, status: u16, strips: bool, now: Now) {
        self.scratch.clear();
        if forge::response(message, strips, &mut self.scratch).is_err() {
            return;
        }
        let packet = Packet::from(&*self.scratch);
        match status {
            ..=199 => self.provisional(id, at, packet, status, now),
            200..=299 => self.success(id, at, packet, status, now),
            _ => self.failure(id, at, message, packet, now),
        }
    }

    fn hundred(&mut self, id: CallId, at: usize, now: Now) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (round, only_100) = (call.round, call.targets.get(call.next.wrapping_sub(1)).map(|t| t.only_100));
        let Some(branch) = call.branches.get_mut(at) else { return };
        if branch.heard == Heard::Nothing {
            branch.heard = Heard::Hundred;
            branch.patience.take().into_iter().for_each(|handle| self.waits.call_off(handle));
            branch.patience = only_100.map(|wait| self.waits.set(now + wait, Wait::Only100(id, round, at)));
        }
        self.cancel_if_wanted(id, at, now);
    }

    /// A CANCEL that waited for a provisional response goes out now.
    fn cancel_if_wanted(&mut self, id: CallId, at: usize, now: Now) {
        let branch = self.calls.get(&id).and_then(|c| c.branches.get(at));
        if branch.is_some_and(|b| b.cancel == Cancel::AtProvisional) {
            self.cancel_branch(id, at, now);
        }
    }

    fn provisional(&mut self, id: CallId, at: usize, packet: Packet, status: u16, now: Now) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (server, first) = (call.server, !call.ringing);
        let Some(branch) = call.branches.get_mut(at) else { return };
        if !matches!(branch.heard, Heard::Final(_)) {
            branch.heard = Heard::Provisional;
        }
        branch.patience.take().into_iter().for_each(|handle| self.waits.call_off(handle));
        // 16.7 step 2: Timer C starts again.
        branch.rings_until = now + self.config.timer_c;
        let (left, tag) = (branch.left, branch.tag);
        self.cancel_if_wanted(id, at, now);
        if left {
            return;
        }
        if first {
            if let Some(call) = self.calls.get_mut(&id) {
                call.ringing = true;
            }
            self.outputs.push(Output::Ringing(id, tag));
        }
        self.layer.respond(server, status, packet, now);
    }

    /// A 2xx goes up at once, whichever branch it comes from; the others are cancelled.
    fn success(&mut self, id: CallId, at: usize, packet: Packet, status: u16, now: Now) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (server, upstream, invite, first) = (call.server, call.upstream, call.invite, !call.answered);
        let failed_before = call.done && first;
        call.answered = true;
        let Some(branch) = call.branches.get_mut(at) else { return };
        branch.end(status, &mut self.waits);
        let tag = branch.tag;
        if failed_before {
            // The server transaction has answered otherwise, or is gone: a 2xx to an INVITE goes up all the same,
            // without it (16.7 step 5); the caller acknowledges it and hangs up. To another request nothing comes
            // late (RFC 4320 4.2), or it could answer the same request come again.
            if invite {
                self.outputs.push(Output::Send(upstream, packet));
            }
            return;
        }
        call.finish(&mut self.waits);
        if !self.layer.respond(server, status, Packet::clone(&packet), now) && invite {
            self.outputs.push(Output::Send(upstream, packet));
        }
        if first && invite {
            self.outputs.push(Output::Answered(id, tag));
            self.cancel_others(id, at, now);
        }
    }

    fn cancel_others(&mut self, id: CallId, at: usize, now: Now) {
        let count = self.calls.get(&id).map_or(0, |c| c.branches.len());
        (0..count).filter(|other| *other != at).for_each(|other| self.cancel_branch(id, other, now));
    }

    fn failure(&mut self, id: CallId, at: usize, message: &Message<'_>, packet: Packet, now: Now) {
        let Start::Response { status, .. } = message.start() else { return };
        let Some(call) = self.calls.get_mut(&id) else { return };
        let (after, done) = (call.after, call.done || call.answered);
        let by_target = !call.targets.is_empty();
        let retry = call.targets.get(call.next.wrapping_sub(1)).is_some_and(|t| t.retry_on.contains(&status));
        let Some(branch) = call.branches.get_mut(at) else { return };
        let (current, heard, tag) = (branch.is_pending(), branch.heard, branch.tag);
        let asked_to_end = branch.cancel == Cancel::Sent;
        branch.end(status, &mut self.waits);
        if !current || done {
            return;
        }
        let challenge = |h: Header| matches!(h, Header::WwwAuthenticate | Header::ProxyAuthenticate);
        if matches!(status, 401 | 407) {
            let lines = message.lines().iter().filter(|l| challenge(l.header));
            call.challenges.extend(lines.map(|l| message.whole(*l).to_vec()));
        }
        // What a branch says to our own CANCEL is no answer for a caller who did not cancel.
        if !asked_to_end || call.cancelled {
            call.offer(status, packet);
        }
        if asked_to_end {
            return self.after_cancel(id, after, tag, now);
        }
        let more = call.next < call.targets.len();
        match status {
            _ if !by_target => self.give_up(id, now),
            // 16.7 step 5: nothing new is tried after a 6xx.
            600.. => {
                call.next = call.targets.len();
                self.try_next(id, now);
            }
            // Only before any 101 to 199, and only for the codes that the trunk names.
            _ if retry && more && heard < Heard::Provisional => {
                self.outputs.push(Output::FailedOver(id, tag));
                self.try_next(id, now);
            }
            _ => {
                call.next = call.targets.len();
                self.try_next(id, now);
            }
        }
    }
}
