//! What the user says of a call.

use std::time::Duration;

use crate::message::Header;
use crate::time::Now;
use crate::transaction::{ClientId, Packet, Peer};
use crate::write::Response;

use super::super::branch::{After, Target};
use super::super::{CallId, forge};
use super::waits::Wait;
use super::{Output, Proxy};

impl Proxy {
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
        call.ring.take().into_iter().for_each(|handle| self.waits.call_off(handle));
        call.ring = ring.map(|ring| self.waits.set(now + ring, Wait::NoAnswer(id, round)));
        if invite && round == 1 {
            self.send_own(id, (100, "Trying"), now, |response| response);
        }
        self.try_next(id, now);
    }

    /// Answers a call with a 302 and these contacts, in order; each is a URI, printable ASCII.
    pub fn redirect(&mut self, id: CallId, contacts: &[&str], now: Now) {
        // RFC 3261 20.10: q tells the order; 1.0 at most, three digits.
        let parts = contacts.len() + 1;
        self.finish(id, (302, "Moved Temporarily"), now, |mut response| {
            for (at, contact) in contacts.iter().enumerate() {
                let q = (1_000 * (parts - at) + parts / 2) / parts;
                let value = format_args!("<{contact}>;q={}.{:03}", q / 1_000, q % 1_000);
                response = response.line(Header::Contact, value);
            }
            response
        });
    }

    /// Answers a call finally, with status and reason phrase, and these lines. Pending branches are cancelled.
    pub fn answer(&mut self, id: CallId, line: (u16, &str), add: &[(Header, String)], now: Now) {
        self.finish(id, line, now, |mut response| {
            for (header, value) in add {
                response = response.line(*header, value);
            }
            response
        });
    }

    fn finish<F>(&mut self, id: CallId, (status, reason): (u16, &str), now: Now, add: F)
    where
        F: for<'o> FnOnce(Response<'o>) -> Response<'o>,
    {
        self.send_own(id, (status, reason), now, add);
        if let Some(call) = self.calls.get_mut(&id) {
            call.finish(&mut self.waits);
            if status >= 300 {
                self.outputs.push(Output::Failed(id, status));
            }
        }
        self.cancel_pending(id, now);
        self.sweep_answered(id);
    }

    /// No other destination: the best response that came goes to the caller.
    pub fn give_up(&mut self, id: CallId, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done) else { return };
        let (server, invite, cancelled, after) = (call.server, call.invite, call.cancelled, call.after);
        let challenges = std::mem::take(&mut call.challenges);
        match call.best.take() {
            // A transaction that failed by silence is not answered late (RFC 4320 4.2).
            None if !invite => {
                call.finish(&mut self.waits);
                self.layer.abandon(server);
            }
            None if cancelled => self.answer(id, (487, "Request Terminated"), &[], now),
            None if after == After::NoAnswer => self.answer(id, (480, "Temporarily Unavailable"), &[], now),
            None => self.answer(id, (408, "Request Timeout"), &[], now),
            // RFC 3261 16.7 step 6: a 503 says nothing of this proxy.
            Some((503, _)) => self.answer(id, (500, "Server Internal Error"), &[], now),
            Some((status, bytes)) => {
                call.finish(&mut self.waits);
                let merged = if matches!(status, 401 | 407) && challenges.len() > 1 {
                    self.with(&bytes, |m| forge::challenged(m, &challenges)).and_then(Result::ok)
                } else {
                    None
                };
                self.layer.respond(server, status, merged.map_or(bytes, Packet::from), now);
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
            None => {
                let reason = (Header::Reason, "SIP;cause=503;text=\"no address\"".to_owned());
                self.answer(id, (503, "Service Unavailable"), &[reason], now);
            }
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
}
