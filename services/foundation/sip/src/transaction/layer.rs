//! All transactions of one transport user.

use crate::pool::{Numbered, Pool};
use crate::time::{Deadlines, Handle, Now};

use super::client::{Client, ClientId, ClientState, Heard};
use super::server::{Again, Server, ServerId, ServerKey, ServerState};
use super::{Packet, Peer, Timers};

/// How many transactions there may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Client and server transactions together. Each costs about a kilobyte beside its messages, and lives for
    /// half a minute after its end: 200,000 are some 3,000 calls a second.
    pub transactions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { transactions_max: 200_000 }
    }
}

impl Limits {
    /// How many there may be with those that may take the reserve, an eighth more; and for a call for help another.
    const fn of(self, room: Room) -> usize {
        match room {
            Room::Usual => self.transactions_max,
            Room::Reserve => self.transactions_max.saturating_add(self.transactions_max / 8 + 8),
            Room::Help => self.transactions_max.saturating_add(self.transactions_max / 4 + 16),
        }
    }
}

/// Which room a transaction may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Up to [`Limits::transactions_max`].
    Usual,
    /// The reserve beyond it: for what ends calls, and what belongs to one that stands.
    Reserve,
    /// And beyond that, for calls for help alone: a storm of whatever else leaves them their room.
    Help,
}

/// There are as many transactions as there may be: answer 503, statelessly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there are as many transactions as allowed")]
pub struct Full;

/// What happens, in order. The caller sends, and the transaction user hears.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Send these bytes.
    Send(Peer, Packet),
    /// No final response came in time (timers B and F): as a 408.
    TimedOut(ClientId),
    /// A final response other than 2xx was never acknowledged (timer H).
    NeverAcknowledged(ServerId),
    /// The transaction is gone.
    ClientEnded(ClientId),
    /// The transaction is gone.
    ServerEnded(ServerId),
}

/// What an incoming request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    /// New: the transaction user answers it.
    New(ServerId),
    /// One that was dealt with.
    Absorbed,
    /// An ACK that no server transaction takes: for a 2xx, or a stray one. It is the dialog's, end to end.
    Ack,
}

#[derive(Clone, Copy, Debug)]
enum Due {
    Client(ClientId),
    Server(ServerId),
}

/// The transactions of one user.
#[derive(Debug)]
pub struct Layer {
    timers: Timers,
    limits: Limits,
    clients: Numbered<ClientId, Box<Client>>,
    servers: Pool<Server>,
    by_key: Numbered<ServerKey, ServerId>,
    due: Deadlines<Due>,
    last: u64,
    events: Vec<Event>,
}

impl Layer {
    /// No transactions yet.
    #[must_use]
    pub fn new(timers: Timers, limits: Limits) -> Self {
        Self {
            timers,
            limits,
            clients: Numbered::default(),
            servers: Pool::default(),
            by_key: Numbered::default(),
            due: Deadlines::default(),
            last: 0,
            events: Vec::new(),
        }
    }

    /// The timers in force.
    #[must_use]
    pub const fn timers(&self) -> &Timers {
        &self.timers
    }

    /// How many transactions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes what happened since the last time, in exchange for an empty list whose memory is used again.
    pub(crate) fn swap_events(&mut self, events: &mut Vec<Event>) {
        std::mem::swap(&mut self.events, events);
    }

    /// Takes what happened since the last time.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    /// When [`Layer::on_time`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Now> {
        self.due.next()
    }

    /// A number for the branch of the next request: it goes into the request's Via, and is given to
    /// [`Layer::request`] with the bytes.
    pub fn reserve(&mut self) -> ClientId {
        self.last += 1;
        ClientId(self.last)
    }

    /// Sends a request of ours (not an ACK) and starts its transaction.
    ///
    /// # Errors
    /// [`Full`]; nothing is sent.
    pub fn request(
        &mut self,
        id: ClientId,
        invite: bool,
        peer: Peer,
        packet: Packet,
        now: Now,
    ) -> Result<(), Full> {
        self.request_in(Room::Usual, id, invite, peer, packet, now)
    }

    /// The same in this room.
    ///
    /// # Errors
    /// [`Full`]; nothing is sent.
    pub fn request_in(
        &mut self,
        room: Room,
        id: ClientId,
        invite: bool,
        peer: Peer,
        packet: Packet,
        now: Now,
    ) -> Result<(), Full> {
        if self.len() >= self.limits.of(room) {
            return Err(Full);
        }
        let client = Client::new(invite, peer, packet.clone(), now, &self.timers);
        self.clients.insert(id, Box::new(client));
        self.watch(Due::Client(id));
        self.events.push(Event::Send(peer, packet));
        Ok(())
    }

    /// Where a client transaction is; none: it is gone.
    #[must_use]
    pub fn client(&self, id: ClientId) -> Option<ClientState> {
        self.clients.get(&id).map(|c| c.state)
    }

    /// Whom a client transaction talks to.
    #[must_use]
    pub fn client_peer(&self, id: ClientId) -> Option<Peer> {
        self.clients.get(&id).map(|c| c.peer)
    }

    /// Where a server transaction is; none: it is gone.
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<ServerState> {
        self.servers.get(id.0).map(|s| s.state)
    }

    /// The server transaction of a key.
    #[must_use]
    pub fn find(&self, key: ServerKey) -> Option<ServerId> {
        self.by_key.get(&key).copied()
    }

    /// A response to one of our requests came: `id` is read from its top Via's branch. Answers whether the
    /// transaction user is to hear it. A response that matches nothing is dropped (RFC 6026 8.9).
    ///
    /// `ack` gives the ACK of a final response that is not 2xx; it is asked at most once a transaction.
    pub fn on_response(&mut self, id: ClientId, status: u16, now: Now, ack: impl FnOnce() -> Packet) -> bool {
        let Some(client) = self.clients.get_mut(&id) else { return false };
        let heard = client.on_response(status, now, &self.timers);
        let peer = client.peer;
        if heard == Heard::DeliverAndAcknowledge {
            client.packet = Some(ack());
        }
        if matches!(heard, Heard::DeliverAndAcknowledge | Heard::AcknowledgeAgain) {
            self.events.extend(client.packet.clone().map(|packet| Event::Send(peer, packet)));
        }
        if !matches!(heard, Heard::Absorb | Heard::AcknowledgeAgain) {
            self.watch(Due::Client(id));
        }
        matches!(heard, Heard::Deliver | Heard::DeliverAndAcknowledge)
    }

    /// A request came.
    ///
    /// # Errors
    /// [`Full`]: a new one, and there is no room.
    pub fn on_request(
        &mut self,
        key: ServerKey,
        method: &[u8],
        peer: Peer,
        now: Now,
    ) -> Result<Received, Full> {
        self.on_request_in(Room::Usual, key, method, peer, now)
    }

    /// The same in this room.
    ///
    /// # Errors
    /// [`Full`]: a new one, and there is no room.
    pub fn on_request_in(
        &mut self,
        room: Room,
        key: ServerKey,
        method: &[u8],
        peer: Peer,
        now: Now,
    ) -> Result<Received, Full> {
        let ack = method == b"ACK";
        if let Some(id) = self.by_key.get(&key).copied()
            && let Some(server) = self.servers.get_mut(id.0)
        {
            let again = if ack { server.on_ack(now, &self.timers) } else { server.on_retransmission() };
            return Ok(match again {
                Again::Resend => {
                    self.events.extend(server.response.clone().map(|r| Event::Send(server.peer, r)));
                    Received::Absorbed
                }
                Again::Acknowledged => {
                    self.watch(Due::Server(id));
                    Received::Absorbed
                }
                Again::Absorb => Received::Absorbed,
                Again::ForTheDialog => Received::Ack,
            });
        }
        if ack {
            return Ok(Received::Ack);
        }
        if self.len() >= self.limits.of(room) {
            return Err(Full);
        }
        let id = ServerId(self.servers.insert(Server::new(key, method == b"INVITE", peer)));
        self.by_key.insert(key, id);
        Ok(Received::New(id))
    }

    /// Sends a response. Answers false if the transaction is gone, or has answered finally.
    pub fn respond(&mut self, id: ServerId, status: u16, packet: Packet, now: Now) -> bool {
        let Some(server) = self.servers.get_mut(id.0) else { return false };
        if !server.on_send(status, &packet, now, &self.timers) {
            return false;
        }
        let peer = server.peer;
        self.watch(Due::Server(id));
        self.events.push(Event::Send(peer, packet));
        true
    }

    /// Forgets a server transaction that gets no answer (RFC 4320 4.2: silence instead of a late 408).
    pub fn abandon(&mut self, id: ServerId) {
        self.end_server(id);
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Now) {
        while let Some((at, due)) = self.due.due(now) {
            match due {
                Due::Client(id) => self.client_due(id, at, now),
                Due::Server(id) => self.server_due(id, at, now),
            }
        }
    }

    /// Sees to it that a transaction is looked at when it next has something to do, and not before.
    fn watch(&mut self, due: Due) {
        let (next, watched) = match due {
            Due::Client(id) => match self.clients.get_mut(&id) {
                Some(c) => (c.next(), &mut c.watched),
                None => return,
            },
            Due::Server(id) => match self.servers.get_mut(id.0) {
                Some(s) => (s.next(), &mut s.watched),
                None => return,
            },
        };
        if watched.map(|(at, _)| at) != next {
            if let Some((_, handle)) = watched.take() {
                self.due.call_off(handle);
            }
            *watched = next.map(|at| (at, self.due.set(at, due)));
        }
    }

    fn client_due(&mut self, id: ClientId, at: Now, now: Now) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.watched.is_none_or(|(watched, _)| watched != at) {
            // It was called off in its own turn.
            return;
        }
        client.watched = None;
        if client.ends.is_some_and(|at| at <= now) {
            let gave_up = matches!(client.state, ClientState::Calling | ClientState::Proceeding);
            self.clients.remove(&id);
            if gave_up {
                self.events.push(Event::TimedOut(id));
            }
            self.events.push(Event::ClientEnded(id));
            return;
        }
        if client.resend_due(now, &self.timers) {
            self.events.extend(client.packet.clone().map(|packet| Event::Send(client.peer, packet)));
        }
        self.watch(Due::Client(id));
    }

    fn server_due(&mut self, id: ServerId, at: Now, now: Now) {
        let Some(server) = self.servers.get_mut(id.0) else { return };
        if server.watched.is_none_or(|(watched, _)| watched != at) {
            // It was called off in its own turn.
            return;
        }
        server.watched = None;
        if server.ends.is_some_and(|at| at <= now) {
            if server.invite && server.state == ServerState::Completed {
                self.events.push(Event::NeverAcknowledged(id));
            }
            self.end_server(id);
            return;
        }
        if server.resend_due(now, &self.timers) {
            self.events.extend(server.response.clone().map(|r| Event::Send(server.peer, r)));
        }
        self.watch(Due::Server(id));
    }

    fn end_server(&mut self, id: ServerId) {
        if let Some(server) = self.servers.remove(id.0) {
            self.by_key.remove(&server.key);
            self.call_off(server.watched);
            self.events.push(Event::ServerEnded(id));
        }
    }

    /// Forgets a client transaction whose request nobody waits for any more, after giving up on it: the peer
    /// never answered at all. A late response is then a stray one.
    pub fn forget(&mut self, id: ClientId) {
        if let Some(client) = self.clients.remove(&id) {
            self.call_off(client.watched);
            self.events.push(Event::ClientEnded(id));
        }
    }

    fn call_off(&mut self, watched: Option<(Now, Handle)>) {
        if let Some((_, handle)) = watched {
            self.due.call_off(handle);
        }
    }

    /// Ends a client transaction 64 x T1 from now, if nothing else does sooner.
    pub fn end_within(&mut self, id: ClientId, now: Now) {
        let ends = now + self.timers.long();
        if let Some(client) = self.clients.get_mut(&id)
            && client.ends.is_none()
        {
            client.ends = Some(ends);
            self.watch(Due::Client(id));
        }
    }

    /// Sends a request no more, and waits on for what may still come.
    pub fn stop_resending(&mut self, id: ClientId) {
        if let Some(client) = self.clients.get_mut(&id) {
            client.resend = None;
        }
    }

    /// The transport could not send to the peer of a client transaction: as a 503 (RFC 3261 8.1.3.1).
    pub fn on_transport_error(&mut self, id: ClientId) -> bool {
        let waits = self.clients.get(&id).is_some_and(|c| matches!(c.state, ClientState::Calling));
        if waits {
            self.forget(id);
        }
        waits
    }
}
