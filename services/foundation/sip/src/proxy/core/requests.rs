//! Requests that come in.

use crate::message::{Header, Message, Start};
use crate::time::Now;
use crate::transaction::{Packet, Peer, Received, ServerId, ServerKey};

use super::super::branch::{After, Branch, Call};
use super::super::routing::{self, Way};
use super::super::{CallId, Hop, Incoming, Output, forge};
use super::Proxy;
use super::branches::{Build, build};

impl Proxy {
    /// A request came. It was validated; `scope` is what keeps its sender's transactions apart from others'
    /// (its tenant).
    pub fn on_request(&mut self, message: &Message<'_>, scope: u64, from: Peer, now: Now) -> Incoming {
        let Start::Request { method, uri } = message.start() else { return Incoming::Handled };
        if method == "BENOTIFY" {
            // MS-SIP: nobody answers it, so that nobody waits for it: not for us to begin a transaction either.
            self.pass_unanswered(message, uri, scope, from);
            return Incoming::Handled;
        }
        let key = routing::server_key(&self.config, message, method, scope);
        let received = self.layer.on_request(key, method.as_bytes(), from, now);
        self.collect();
        match received {
            Err(_) => Incoming::Full,
            Ok(Received::Absorbed) => Incoming::Handled,
            Ok(Received::Ack) => {
                self.pass_unanswered(message, uri, scope, from);
                Incoming::Handled
            }
            Ok(Received::New(server)) if method == "CANCEL" => {
                self.cancel(message, scope, server, from, now);
                Incoming::Handled
            }
            Ok(Received::New(server)) => self.new_request(message, (method, uri), scope, (server, from), now),
        }
    }

    fn new_request(
        &mut self,
        message: &Message<'_>,
        (method, uri): (&str, &str),
        scope: u64,
        (server, upstream): (ServerId, Peer),
        now: Now,
    ) -> Incoming {
        self.last += 1;
        let id = CallId(self.last);
        let way = routing::way(&self.config, message, uri, upstream.listener, scope);
        let has_to_tag = message.first(Header::To).and_then(routing::tag).is_some();
        let digest = routing::loop_digest(&self.config, message, uri);
        let call = Call {
            server,
            server_gone: false,
            scope,
            upstream,
            request: Packet::from(message.bytes()),
            invite: method == "INVITE",
            initial: !has_to_tag,
            loop_digest: digest,
            targets: Vec::new(),
            next: 0,
            branches: Vec::new(),
            after: After::Stand,
            ringing: false,
            answered: false,
            cancelled: false,
            done: false,
            best: None,
            challenges: Vec::new(),
            round: 0,
            resolving: None,
        };
        self.calls.insert(id, Box::new(call));
        self.by_server.insert(server, id);
        let own_text = match way {
            Way::Forged => Some((403, "Forbidden")),
            Way::Nowhere => Some((416, "Unsupported URI Scheme")),
            _ if routing::has_looped(message, digest) => Some((482, "Loop Detected")),
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
        match direct(&onward.hop) {
            Some(peer) => self.forward_onward(id, &onward, peer, now),
            None => {
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
        let Hop::Name { listener, transport, .. } = onward.hop.clone() else { return };
        let peer = direct(&onward.hop);
        let client = self.layer.reserve();
        // Until the name is resolved only listener and transport matter.
        let placeholder = Peer { address: upstream.address, transport, listener, connection: 0 };
        let parts = Build {
            client,
            onward: &onward,
            peer: peer.unwrap_or(placeholder),
            upstream,
            target: None,
            record: false,
            scope,
            loop_digest: routing::loop_digest(&self.config, message, uri),
        };
        let Ok(bytes) = build(&self.config, message, &parts) else { return };
        let packet: Packet = bytes.into();
        self.outputs.push(match peer {
            Some(peer) => Output::Send(peer, packet),
            None => Output::SendTo(onward.hop, packet),
        });
    }

    /// RFC 3261 16.10: 200 to the CANCEL, then every pending branch is cancelled. Its own server transaction
    /// absorbs its retransmissions.
    fn cancel(&mut self, message: &Message<'_>, scope: u64, own: ServerId, from: Peer, now: Now) {
        let key: ServerKey = routing::server_key(&self.config, message, "INVITE", scope);
        let call = self.layer.find(key).and_then(|s| self.by_server.get(&s)).copied();
        let (status, reason) =
            if call.is_some() { (200, "OK") } else { (481, "Call/Transaction Does Not Exist") };
        let answer = forge::Answer { status, reason, tag: Some("tdmc"), add: &[] };
        if let Ok(bytes) = forge::answer(message, from.address, &answer) {
            self.layer.respond(own, status, bytes.into(), now);
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

/// The peer of a hop that is an address, with the port that its transport has by itself.
fn direct(hop: &Hop) -> Option<Peer> {
    match hop {
        Hop::Peer(peer) => Some(*peer),
        Hop::Name { host, port, transport, listener } => {
            let ip = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
            let default = if *transport == crate::transaction::Transport::Tls { 5061 } else { 5060 };
            let address = std::net::SocketAddr::new(ip, port.unwrap_or(default));
            Some(Peer { address, transport: *transport, listener: *listener, connection: 0 })
        }
    }
}
