//! What goes out: packets to sockets and connections, names to addresses first, and the question to a silent CIC.

use std::net::{IpAddr, SocketAddr};

use tandem_domain::document::terms::{Model, Transport as Way, TrunkRole};
use tandem_domain::view::TenantView;
use tandem_sip::message::Header;
use tandem_sip::proxy::{CallId, Hop};
use tandem_sip::time::Now;
use tandem_sip::transaction::{Packet, Peer, Transport};
use tandem_sip::write::Request;

use super::{Engine, Target, WAITING_MAX};
use crate::config::ms;
use crate::facts::Place;
use crate::names::Found;

/// Addresses of streams whose trunk is remembered.
const REACHED_MAX: usize = 4_096;

impl Engine {
    /// Sends a packet, a datagram before the engine waits again. What cannot be sent is told to the proxy core.
    pub(super) fn send(&mut self, peer: Peer, packet: Packet, now: Now) {
        let sent = match peer.transport {
            Transport::Udp => return self.state.leaving.push((peer, packet)),
            Transport::Tcp => match self.listeners.get(peer.listener).map(|l| l.local) {
                Some(local) => self.connections.send(peer, local, packet).is_ok(),
                None => false,
            },
            // No listener speaks it, so that no target has it.
            Transport::Tls => false,
        };
        self.sent(sent, peer, now);
    }

    fn sent(&mut self, sent: bool, peer: Peer, now: Now) {
        if sent {
            self.counters.sent.up();
        } else {
            self.unreachable(peer, now);
        }
    }

    /// Sends the datagrams that are to leave, and those that their failing causes.
    pub(super) fn send_leaving(&mut self, now: Now) {
        while !self.state.leaving.is_empty() {
            let mut leaving = std::mem::take(&mut self.state.leaving);
            for (peer, packet) in leaving.drain(..) {
                let sent = self.send_datagram(peer, &packet);
                self.sent(sent, peer, now);
            }
            self.after(now);
            // The memory is used again.
            leaving.append(&mut self.state.leaving);
            self.state.leaving = leaving;
        }
    }

    fn send_datagram(&self, peer: Peer, packet: &[u8]) -> bool {
        let Some((_, socket)) = self.udp.iter().find(|(listener, _)| *listener == peer.listener) else {
            return false;
        };
        match socket.try_send_to(packet, peer.address) {
            Ok(_) => true,
            // The machine's buffer is full: as if the network had lost it, and mended alike.
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                self.counters.unsent.up();
                true
            }
            Err(error) => {
                tracing::debug!(peer = %peer.address, %error, "not sent");
                false
            }
        }
    }

    /// Nothing reaches a peer: its waiting branches have failed, and it goes last for a while.
    pub(super) fn unreachable(&mut self, peer: Peer, now: Now) {
        if let Some(place) = self.state.reached.get(&peer.address) {
            self.counters.silent.up();
            self.state.live.silent(place, peer, now, now);
        }
        self.proxy.on_transport_error(peer, now);
    }

    /// A connection is no more.
    pub(super) fn on_closed(&mut self, peer: Peer, made: bool, now: Now) {
        if made {
            // What was asked on it gets no answer there.
            self.proxy.on_transport_error(peer, now);
        } else {
            self.counters.connections_failed.up();
            self.unreachable(peer, now);
        }
    }

    /// Remembers which trunks these targets are, for a failing connection names an address only.
    pub(super) fn remember_reached(&mut self, id: CallId) {
        let Some(call) = self.state.calls.get(&id) else { return };
        if self.state.reached.len() >= REACHED_MAX {
            self.state.reached.clear();
        }
        for tried in call.tried.iter().filter(|t| t.peer.transport.is_reliable()) {
            self.state.reached.insert(tried.peer.address, tried.place.clone());
        }
    }

    /// Sends a packet to a name.
    pub(super) fn send_to(&mut self, hop: Hop, packet: Packet, now: Now) {
        match self.find(hop, now) {
            Sought::Peer(peer) => self.send(peer, packet, now),
            Sought::Asked(target) if self.state.waiting.len() < WAITING_MAX => {
                self.state.waiting.push((target, packet));
            }
            Sought::Asked(_) | Sought::Nothing => self.counters.unresolved.up(),
        }
    }

    /// Finds the next hop of an in-dialog request.
    pub(super) fn resolve(&mut self, id: CallId, hop: Hop, now: Now) {
        match self.find(hop, now) {
            Sought::Peer(peer) => self.proxy.resolved(id, Some(peer), now),
            Sought::Asked(target) if self.state.resolving.len() < WAITING_MAX => {
                self.state.resolving.push((id, target));
            }
            Sought::Asked(_) | Sought::Nothing => {
                self.counters.unresolved.up();
                self.proxy.resolved(id, None, now);
            }
        }
    }

    fn find(&mut self, hop: Hop, now: Now) -> Sought {
        let (host, port, transport, listener) = match hop {
            Hop::Peer(peer) => return Sought::Peer(peer),
            Hop::Name { host, port, transport, listener } => (host, port, transport, listener),
        };
        let usual = if transport == Transport::Tls { 5061 } else { 5060 };
        let target = Target { host, port: port.unwrap_or(usual), transport, listener };
        match self.names.find(&target.host, now) {
            Found::Address(ip) => self.peer(&target, ip).map_or(Sought::Nothing, Sought::Peer),
            Found::Nothing => Sought::Nothing,
            Found::Asked => Sought::Asked(target),
        }
    }

    /// The peer of a name's address: by the listener that the dialog's Route names, if it speaks the transport.
    fn peer(&self, target: &Target, ip: IpAddr) -> Option<Peer> {
        let named = self.listeners.name(target.listener);
        let listener = named.and_then(|name| self.listeners.named(name, target.transport, ip));
        let listener = listener.or_else(|| self.listeners.any(target.transport, ip))?;
        let address = SocketAddr::new(ip, target.port);
        Some(Peer { address, transport: target.transport, listener, connection: 0 })
    }

    /// A name was looked up: what waited for it goes on.
    pub(super) fn on_resolved(&mut self, host: &str, addresses: &[IpAddr], now: Now) {
        let first = self.names.found(host, addresses, now);
        if first.is_none() {
            self.counters.unresolved.up();
        }
        let (found, left) =
            std::mem::take(&mut self.state.waiting).into_iter().partition(|(target, _)| target.host == host);
        self.state.waiting = left;
        let found: Vec<(Target, Packet)> = found;
        for (target, packet) in found {
            if let Some(peer) = first.and_then(|ip| self.peer(&target, ip)) {
                self.send(peer, packet, now);
            }
        }
        let (found, left) = std::mem::take(&mut self.state.resolving)
            .into_iter()
            .partition(|(_, target)| target.host == host);
        self.state.resolving = left;
        let found: Vec<(CallId, Target)> = found;
        for (id, target) in found {
            let peer = first.and_then(|ip| self.peer(&target, ip));
            self.proxy.resolved(id, peer, now);
        }
        self.on_named(now);
    }

    /// Asks every silent CIC whether it is back: no call goes there meanwhile that could find out.
    pub(super) fn probe(&mut self, now: Now) {
        let peers: Vec<Peer> = self.state.live.silent_cics().collect();
        peers.into_iter().for_each(|peer| self.ask_alive(peer, now));
    }

    /// Asks the CICs of a tenant in local control whether they live: where calls are redirected, nothing else shows
    /// when the survivable rules hold.
    pub(super) fn watch(&mut self, scope: u64, tenant: &TenantView, listener: u16, now: Now) {
        let Some(config) = tenant.config().filter(|c| c.model == Model::LocalControl) else { return };
        if self.state.watched.get(&scope).is_some_and(|at| now < *at + ms(self.config.probe_ms)) {
            return;
        }
        if self.state.watched.len() >= REACHED_MAX {
            self.state.watched.clear();
        }
        self.state.watched.insert(scope, now);
        for trunk in config.trunks_of(TrunkRole::Cic).map(|ix| config.trunk(ix)) {
            let transport = match trunk.transport {
                Way::Udp | Way::UdpOrTcp => Transport::Udp,
                Way::Tcp => Transport::Tcp,
                Way::Tls => continue,
            };
            for address in &trunk.addresses {
                let Found::Address(ip) = self.names.find(&address.host, now) else { continue };
                let target =
                    Target { host: address.host.to_string(), port: address.port, transport, listener };
                let Some(peer) = self.peer(&target, ip) else { continue };
                let place = Place {
                    scope,
                    tenant: tenant.id().clone(),
                    trunk: trunk.name.clone(),
                    role: trunk.role,
                    host: address.host.clone(),
                    port: address.port,
                };
                let due = now + ms(trunk.no_response_ms);
                if self.state.live.ask(&place, peer, now, due) {
                    self.ask_alive(peer, now);
                }
            }
        }
    }

    fn ask_alive(&mut self, peer: Peer, now: Now) {
        let Some(listener) = self.listeners.get(peer.listener) else { return };
        let (host, port, way) = (&listener.host, listener.port, peer.transport.name());
        let mark = self.chance.u64();
        let mut out = Vec::with_capacity(384);
        let written = Request::new("OPTIONS", format_args!("sip:{}", peer.address), &mut out)
            .line(Header::Via, format_args!("SIP/2.0/{way} {host}:{port};branch=z9hG4bKask{mark:x};rport"))
            .line(Header::From, format_args!("<sip:{host}:{port}>;tag={mark:x}"))
            .line(Header::To, format_args!("<sip:{}>", peer.address))
            .line(Header::CallId, format_args!("{mark:016x}@{host}"))
            .line(Header::CSeq, "1 OPTIONS")
            .line(Header::MaxForwards, 0)
            .finish();
        if written.is_ok() {
            self.send(peer, out.into(), now);
        }
    }

    /// How many seconds a caller is asked to wait: spread, so that those whom we refuse together do not return together.
    pub(super) fn retry_after(&self) -> String {
        let wait = self.chance.jitter(ms(self.config.retry_after_ms), 50);
        // Whole seconds, at least one: zero would mean at once.
        (wait.as_millis().div_ceil(1_000)).max(1).to_string()
    }
}

/// Where a name leads.
enum Sought {
    Peer(Peer),
    Asked(Target),
    Nothing,
}
