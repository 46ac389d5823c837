//! Requests that come in.

use smallvec::SmallVec;

use crate::message::{Keys, Message};
use crate::time::Now;
use crate::transaction::{Packet, Peer, Received, Room, ServerId};
use crate::write::Response;

use super::super::branch::{After, Branch, Call};
use super::super::routing::{self, Named, Way};
use super::super::{CallId, Hop, Incoming, Output};
use super::Proxy;
use super::branches::{Build, build};

impl Proxy {
    /// A request came. It was validated, and `keys` were read from it; `scope` is what keeps its sender's transactions
    /// apart from others' (its tenant).
    pub fn on_request(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        scope: u64,
        from: Peer,
        now: Now,
    ) -> Incoming {
        self.on_request_in(Room::Usual, message, keys, scope, from, now)
    }

    /// A call for help came, for which there was no room: it takes the room that is kept for such alone.
    pub fn on_call_for_help(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        scope: u64,
        from: Peer,
        now: Now,
    ) -> Incoming {
        self.on_request_in(Room::Help, message, keys, scope, from, now)
    }

    fn on_request_in(
        &mut self,
        room: Room,
        message: &Message<'_>,
        keys: &Keys<'_>,
        scope: u64,
        from: Peer,
        now: Now,
    ) -> Incoming {
        let (method, uri) = (keys.method, keys.uri);
        // New calls are refused for want of room, never what ends one or belongs to one that stands.
        let ends = room == Room::Usual && (keys.is_in_dialog() || method == "CANCEL");
        let room = if ends { Room::Reserve } else { room };
        if method == "BENOTIFY" {
            // MS-SIP: nobody answers it, so that nobody waits for it: not for us to begin a transaction either.
            self.pass_unanswered(message, uri, scope, from);
            return Incoming::Handled;
        }
        let key = routing::server_key(&self.config, message, keys, method, scope);
        let received = self.layer.on_request_in(room, key, method.as_bytes(), from, now);
        self.collect();
        match received {
            Err(_) => Incoming::Full,
            Ok(Received::Absorbed) => Incoming::Handled,
            Ok(Received::Ack) => {
                self.pass_unanswered(message, uri, scope, from);
                Incoming::Handled
            }
            Ok(Received::New(server)) if method == "CANCEL" => {
                self.cancel(message, keys, scope, server, from, now);
                Incoming::Handled
            }
            Ok(Received::New(server)) => self.new_request(message, keys, scope, (server, from, room), now),
        }
    }

    fn new_request(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        scope: u64,
        (server, upstream, room): (ServerId, Peer, Room),
        now: Now,
    ) -> Incoming {
        let id = CallId::of(server);
        let (method, uri, has_to_tag) = (keys.method, keys.uri, keys.is_in_dialog());
        let way = routing::way(&self.config, message, uri, upstream.listener, scope);
        let call = Call {
            server,
            server_gone: false,
            scope,
            upstream,
            room,
            request: Some(Packet::from(message.bytes())),
            invite: method == "INVITE",
            initial: !has_to_tag,
            loop_digest: None,
            targets: Vec::new(),
            next: 0,
            branches: SmallVec::new(),
            after: After::Stand,
            ringing: false,
            answered: false,
            cancelled: false,
            done: false,
            best: None,
            challenges: Vec::new(),
            ring: None,
            round: 0,
            resolving: None,
        };
        self.calls.insert(id, Box::new(call));
        self.table.copy(message);
        self.read = Some(id);
        let own_text = match way {
            Way::Forged => Some((403, "Forbidden")),
            Way::Nowhere => Some((416, "Unsupported URI Scheme")),
            _ if routing::has_looped(&self.config, message) => Some((482, "Loop Detected")),
            Way::Fresh if has_to_tag => Some((481, "Call/Transaction Does Not Exist")),
            Way::Fresh => None,
            Way::Onward(onward) => {
                if method == "BYE" {
                    self.outputs.push(Output::Ended(id));
                }
                self.onward(id, onward, now);
                return Incoming::Handled;
            }
        };
        match own_text {
            Some(refusal) => {
                self.answer(id, refusal, &[], now);
                Incoming::Handled
            }
            None => Incoming::Asked(id),
        }
    }

    /// Sends a request on by its Route: at once where the next hop is an address, else after it is resolved.
    fn onward(&mut self, id: CallId, onward: routing::Onward, now: Now) {
        match onward.hop {
            Hop::Peer(peer) => self.forward_onward(id, &onward, peer, now),
            Hop::Name { .. } => {
                self.outputs.push(Output::Resolve(id, onward.hop.clone()));
                if let Some(call) = self.calls.get_mut(&id) {
                    call.resolving = Some(onward);
                }
            }
        }
        self.collect();
    }

    /// What gets no answer goes its own way, end to end (RFC 3261 16.11 tells stateless forwarding): an ACK for a 2xx,
    /// a BENOTIFY. Without a Route of ours it goes nowhere.
    fn pass_unanswered(&mut self, message: &Message<'_>, uri: &str, scope: u64, upstream: Peer) {
        let Way::Onward(onward) = routing::way(&self.config, message, uri, upstream.listener, scope) else {
            return;
        };
        let peer = match onward.hop {
            Hop::Peer(peer) => peer,
            // Until the name is resolved only listener and transport matter.
            Hop::Name { transport, listener, .. } => {
                Peer { address: upstream.address, transport, listener, connection: 0 }
            }
        };
        let parts = Build {
            named: Named::unanswered(&self.config, message),
            onward: &onward,
            peer,
            upstream,
            target: None,
            record: false,
            scope,
            loop_digest: routing::loop_digest(&self.config, message),
        };
        self.scratch.clear();
        if build(&self.config, message, &parts, &mut self.scratch).is_ok() {
            let packet = Packet::from(&*self.scratch);
            self.outputs.push(match onward.hop {
                Hop::Peer(peer) => Output::Send(peer, packet),
                hop @ Hop::Name { .. } => Output::SendTo(hop, packet),
            });
        }
    }

    /// RFC 3261 16.10: 200 to the CANCEL, then every pending branch is cancelled. Its own server transaction
    /// absorbs its retransmissions.
    fn cancel(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        scope: u64,
        own: ServerId,
        from: Peer,
        now: Now,
    ) {
        let key = routing::server_key(&self.config, message, keys, "INVITE", scope);
        let call = self.layer.find(key).map(CallId::of);
        let (status, reason) =
            if call.is_some() { (200, "OK") } else { (481, "Call/Transaction Does Not Exist") };
        self.scratch.clear();
        let source = Some(from.address);
        let answer = Response::new(message, status, reason, Some("tdmc"), source, &mut self.scratch);
        if answer.finish().is_ok() {
            self.layer.respond(own, status, Packet::from(&*self.scratch), now);
        }
        let Some(id) = call else { return self.collect() };
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done && !c.answered) else {
            return self.collect();
        };
        call.cancelled = true;
        let pending = call.branches.iter().any(Branch::is_pending);
        self.outputs.push(Output::Cancelled(id));
        if pending {
            self.cancel_pending(id, now);
        } else {
            self.answer(id, (487, "Request Terminated"), &[], now);
        }
        self.collect();
    }
}
