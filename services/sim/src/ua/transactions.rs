//! Between the wire and the user agent: tandem-sip's transactions, fed with messages and moments.
//!
//! A client transaction is named by the branch of its request, a server transaction by a digest of branch, sent-by and
//! method. What a CANCEL belongs to (RFC 3261 section 9) is known here, for it is hop by hop.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tandem_runtime::clock::Chance;
use tandem_sip::message::Table;
pub(super) use tandem_sip::transaction::{ClientId, ServerId};
use tandem_sip::transaction::{
    Event, Layer, Limits, Packet, Peer, Received, ServerKey, ServerState, Timers, Transport as Carrier,
};
use tandem_sip::write;

use super::leg::Target;
use super::message::Draft;
use super::wire::{self, Message};
use crate::net::Transport;

/// Transactions of one element at once: some hundred calls a second, each remembered for half a minute.
const TRANSACTIONS_MAX: usize = 20_000;
/// What every branch begins with (RFC 3261 section 8.1.1.7).
const MAGIC_COOKIE: &str = "z9hG4bK";

/// What is passed up to the user agent.
pub(super) enum Up {
    /// A request that is new.
    Request { server: ServerId, request: Message, peer: Target },
    /// ACK of a 2xx.
    Ack { request: Message },
    /// CANCEL of an INVITE that has no final response yet; the CANCEL has been answered.
    Cancelled { server: ServerId },
    /// A response to a request of ours; of an INVITE every 2xx.
    Response { client: ClientId, response: Message },
    /// A 2xx of an INVITE whose transaction is gone.
    StrayAnswer { response: Message },
    /// Nothing came (408), or it could not be sent (503).
    Failed { client: ClientId, status: u16 },
    /// Nothing more comes of a request of ours.
    Gone { client: ClientId },
}

/// A request of ours.
struct Asked {
    target: Target,
    bytes: Bytes,
    /// CANCEL is to follow the first provisional response (section 9.1).
    cancel: bool,
    /// The transaction of the CANCEL that was sent.
    cancelled_by: Option<ClientId>,
}

/// See the module.
pub(super) struct Transactions {
    local: SocketAddr,
    chance: Chance,
    /// Begins our branches, so that what others make up names no transaction of ours.
    secret: u64,
    layer: Layer,
    asked: HashMap<ClientId, Asked>,
    sends: Vec<(Target, Bytes)>,
    ups: VecDeque<Up>,
}

impl Transactions {
    pub(super) fn new(local: SocketAddr, chance: Chance) -> Self {
        let limits = Limits { transactions_max: TRANSACTIONS_MAX };
        Self {
            local,
            secret: chance.u64(),
            chance,
            layer: Layer::new(Timers::default(), limits),
            asked: HashMap::new(),
            sends: Vec::new(),
            ups: VecDeque::new(),
        }
    }

    pub(super) fn take_sends(&mut self) -> Vec<(Target, Bytes)> {
        std::mem::take(&mut self.sends)
    }

    pub(super) fn next_up(&mut self) -> Option<Up> {
        self.ups.pop_front()
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.layer.next_deadline()
    }

    /// Retransmissions and ends that are due.
    pub(super) fn tick(&mut self, now: Duration) {
        self.layer.on_time(now);
        self.take_events();
    }

    /// What is of no transaction: an ACK or a 2xx sent again.
    pub(super) fn send(&mut self, target: Target, bytes: Bytes) {
        self.sends.push((target, bytes));
    }

    fn via(&self, transport: Transport, branch: &str) -> String {
        format!("SIP/2.0/{transport} {};branch={branch};rport", self.local)
    }

    fn branch(&self, id: ClientId) -> String {
        format!("{MAGIC_COOKIE}{:016x}{:x}", self.secret, id.0)
    }

    /// Sends a request.
    pub(super) fn request(
        &mut self,
        now: Duration,
        method: &str,
        target: Target,
        mut draft: Draft,
    ) -> ClientId {
        let id = self.layer.reserve();
        draft.via(&self.via(target.transport, &self.branch(id)));
        let bytes = draft.finish();
        if wire::read(&bytes).is_none() {
            // What was dialled makes no URI.
            self.ups.push_back(Up::Failed { client: id, status: 503 });
            return id;
        }
        self.begin(now, id, method == "INVITE", target, bytes);
        id
    }

    fn begin(&mut self, now: Duration, id: ClientId, invite: bool, target: Target, bytes: Bytes) {
        let packet: Packet = bytes.as_ref().into();
        if self.layer.request(id, invite, peer_of(target), packet, now).is_err() {
            self.ups.push_back(Up::Failed { client: id, status: 503 });
            return;
        }
        self.asked.insert(id, Asked { target, bytes, cancel: false, cancelled_by: None });
        self.take_events();
    }

    /// The ACK of a 2xx: a request of its own that has no response (section 13.2.2.4). As sent, to be sent again.
    pub(super) fn send_ack(&mut self, target: Target, mut draft: Draft) -> Bytes {
        let branch = format!("{MAGIC_COOKIE}{:016x}", self.chance.u64());
        draft.via(&self.via(target.transport, &branch));
        let bytes = draft.finish();
        self.sends.push((target, bytes.clone()));
        bytes
    }

    /// Cancels an INVITE, as soon as a provisional response allows it.
    pub(super) fn cancel(&mut self, now: Duration, client: ClientId) {
        use tandem_sip::transaction::ClientState;
        let state = self.layer.client(client);
        let Some(asked) = self.asked.get_mut(&client) else { return };
        match state {
            Some(ClientState::Calling) => asked.cancel = true,
            Some(ClientState::Proceeding) if asked.cancelled_by.is_none() => {
                let id = self.layer.reserve();
                asked.cancelled_by = Some(id);
                let target = asked.target;
                if let Some(bytes) = cancel_of(&asked.bytes) {
                    self.begin(now, id, false, target, bytes);
                }
                // Section 9.1: a peer that then says nothing is waited for no longer than 64 x T1.
                self.layer.end_within(client, now);
            }
            _ => {}
        }
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, now: Duration, server: ServerId, status: u16, bytes: Bytes) {
        self.layer.respond(server, status, bytes.as_ref().into(), now);
        self.take_events();
    }

    /// A message came.
    pub(super) fn receive(&mut self, now: Duration, peer: Target, bytes: &Bytes) {
        match wire::read(bytes) {
            Some(mut message) if message.is_request() => {
                message.stamp(peer.address);
                self.receive_request(now, peer, message);
            }
            Some(message) => self.receive_response(now, message, bytes),
            None => tracing::debug!(peer = %peer.address, "not a SIP message"),
        }
        self.take_events();
    }

    fn receive_request(&mut self, now: Duration, peer: Target, request: Message) {
        let Some((branch, sent_by)) = request.branch() else { return };
        let key = |method: &str| self.key(&branch, &sent_by, method);
        let own = key(if request.method() == "ACK" { "INVITE" } else { request.method() });
        let of_invite = key("INVITE");
        match self.layer.on_request(own, request.method().as_bytes(), peer_of(peer), now) {
            Ok(Received::New(server)) if request.method() == "CANCEL" => {
                self.receive_cancel(now, server, of_invite, &request);
            }
            Ok(Received::New(server)) => self.ups.push_back(Up::Request { server, request, peer }),
            Ok(Received::Ack) => self.ups.push_back(Up::Ack { request }),
            Ok(Received::Absorbed) => {}
            Err(full) => tracing::warn!(element = %self.local, %full, "request dropped"),
        }
    }

    fn receive_cancel(&mut self, now: Duration, cancel: ServerId, key: ServerKey, request: &Message) {
        let invite = self.layer.find(key);
        let (status, reason) =
            if invite.is_some() { (200, "OK") } else { (481, "Call/Transaction Does Not Exist") };
        let tag = format!("{:016x}", self.chance.u64());
        let bytes = Draft::response(request, status, reason, &tag).finish();
        self.layer.respond(cancel, status, bytes.as_ref().into(), now);
        if let Some(server) = invite
            && self.layer.server(server) == Some(ServerState::Proceeding)
        {
            self.ups.push_back(Up::Cancelled { server });
        }
    }

    fn receive_response(&mut self, now: Duration, response: Message, bytes: &Bytes) {
        let Some(invite_or_own) = response.branch().and_then(|(branch, _)| self.client_of(&branch)) else {
            return;
        };
        let named = if response.method() == "CANCEL" {
            self.asked.get(&invite_or_own).and_then(|asked| asked.cancelled_by)
        } else {
            Some(invite_or_own)
        };
        let Some(client) = named else { return };
        let status = response.status();
        let request = self.asked.get(&client).map(|asked| asked.bytes.clone());
        let ack = || request.and_then(|request| ack_of(&request, bytes)).unwrap_or_default();
        let heard = self.layer.on_response(client, status, now, || ack().as_ref().into());
        if heard {
            if status < 200 && self.asked.get(&client).is_some_and(|asked| asked.cancel) {
                self.cancel(now, client);
            }
            self.ups.push_back(Up::Response { client, response });
        } else if (200..300).contains(&status)
            && response.method() == "INVITE"
            && self.layer.client(client).is_none()
        {
            self.ups.push_back(Up::StrayAnswer { response });
        }
    }

    /// The transaction that a branch of ours names.
    fn client_of(&self, branch: &str) -> Option<ClientId> {
        let rest = branch.strip_prefix(MAGIC_COOKIE)?.strip_prefix(&format!("{:016x}", self.secret))?;
        u64::from_str_radix(rest, 16).ok().map(ClientId)
    }

    /// By what a request finds its transaction (section 17.2.3).
    fn key(&self, branch: &str, sent_by: &str, method: &str) -> ServerKey {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (self.secret, salt, branch, sent_by.to_ascii_lowercase(), method).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        ServerKey(half(1) << 64 | half(2))
    }

    /// No connection to `peer` could be made.
    pub(super) fn unreachable(&mut self, peer: SocketAddr) {
        let lost: Vec<_> =
            self.asked.iter().filter(|(_, asked)| asked.target.address == peer).map(|(id, _)| *id).collect();
        for client in lost {
            if self.layer.on_transport_error(client) {
                self.ups.push_back(Up::Failed { client, status: 503 });
            }
        }
        self.take_events();
    }

    fn take_events(&mut self) {
        for event in self.layer.drain() {
            match event {
                Event::Send(peer, packet) => {
                    let transport = match peer.transport {
                        Carrier::Udp => Transport::Udp,
                        Carrier::Tcp | Carrier::Tls => Transport::Tcp,
                    };
                    let target = Target { transport, address: peer.address };
                    self.sends.push((target, Bytes::copy_from_slice(&packet)));
                }
                Event::TimedOut(client) => self.ups.push_back(Up::Failed { client, status: 408 }),
                Event::ClientEnded(client) => {
                    self.asked.remove(&client);
                    self.ups.push_back(Up::Gone { client });
                }
                Event::NeverAcknowledged(_) | Event::ServerEnded(_) => {}
            }
        }
    }
}

fn peer_of(target: Target) -> Peer {
    let transport = match target.transport {
        Transport::Udp => Carrier::Udp,
        Transport::Tcp => Carrier::Tcp,
    };
    Peer { address: target.address, transport, listener: 0, connection: 0 }
}

/// The CANCEL of an INVITE (section 9.1).
fn cancel_of(invite: &Bytes) -> Option<Bytes> {
    let mut table = Table::new();
    let invite = table.parse_datagram(invite).ok()?;
    let mut out = Vec::new();
    write::cancel(&invite, &mut out).ok()?;
    Some(Bytes::from(out))
}

/// The ACK of a failure goes the way of its INVITE (section 17.1.1.3).
fn ack_of(invite: &Bytes, response: &Bytes) -> Option<Bytes> {
    let (mut table, mut other) = (Table::new(), Table::new());
    let invite = table.parse_datagram(invite).ok()?;
    let response = other.parse_datagram(response).ok()?;
    let mut out = Vec::new();
    write::ack(&invite, &response, &mut out).ok()?;
    Some(Bytes::from(out))
}
