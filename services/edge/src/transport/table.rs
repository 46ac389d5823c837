//! The table of connections: who is connected, how to reach them, how many are too many.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Tasks;
use tandem_sip::transaction::{Packet, Peer, Transport};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::Arrived;
use super::connection::{self, Given};
use crate::config::{Config, ms};

/// Packets that wait for one connection.
const QUEUE_MAX: usize = 256;

/// What the engine knows of a connection.
#[derive(Debug)]
struct Connection {
    peer: Peer,
    queue: mpsc::Sender<Packet>,
}

/// Every connection, in and out.
#[derive(Debug)]
pub(crate) struct Connections {
    by_id: HashMap<u64, Connection>,
    /// The newest connection with an address at a listener: requests use it again.
    by_address: HashMap<(SocketAddr, u16), u64>,
    per_source: HashMap<IpAddr, usize>,
    last: u64,
    limits: Limits,
    clock: Clock,
    tasks: Tasks,
    engine: mpsc::Sender<Arrived>,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    all: usize,
    per_source: usize,
    idle: Duration,
    message: Duration,
    connect: Duration,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotSent {
    /// The connection that it belongs to is gone, or does not read.
    Gone,
    /// No room for another connection.
    Full,
}

impl Connections {
    pub(crate) fn new(config: &Config, clock: Clock, tasks: Tasks, engine: mpsc::Sender<Arrived>) -> Self {
        let limits = Limits {
            all: config.connections_max,
            per_source: config.connections_per_source_max,
            idle: ms(config.connection_idle_ms),
            message: ms(config.message_ms),
            connect: ms(config.connect_ms),
        };
        Self {
            by_id: HashMap::new(),
            by_address: HashMap::new(),
            per_source: HashMap::new(),
            last: 0,
            limits,
            clock,
            tasks,
            engine,
        }
    }

    /// Where the messages of a connection come from.
    pub(crate) fn peer(&self, id: u64) -> Option<Peer> {
        self.by_id.get(&id).map(|c| c.peer)
    }

    /// Takes a connection that a peer made. False: there are too many, and it is closed.
    pub(crate) fn accept(&mut self, listener: u16, address: SocketAddr, stream: TcpStream) -> bool {
        let Some(given) = self.add(listener, address) else { return false };
        self.tasks.spawn(format!("sip tcp {address}"), connection::run(given, stream));
        true
    }

    /// Sends a packet on a connection that there is, or on a new one from `local`.
    ///
    /// # Errors
    /// Why it is not sent.
    pub(crate) fn send(&mut self, peer: Peer, local: SocketAddr, packet: Packet) -> Result<(), NotSent> {
        let known = self.by_id.contains_key(&peer.connection).then_some(peer.connection);
        let id = known.or_else(|| self.by_address.get(&(peer.address, peer.listener)).copied());
        let Some(id) = id else { return self.connect(peer, local, packet) };
        let Some(held) = self.by_id.get(&id) else { return Err(NotSent::Gone) };
        if held.queue.try_send(packet).is_err() {
            // It does not read, or has just ended: without its queue its task ends.
            self.closed(id);
            return Err(NotSent::Gone);
        }
        Ok(())
    }

    fn connect(&mut self, peer: Peer, local: SocketAddr, packet: Packet) -> Result<(), NotSent> {
        let Some(given) = self.add(peer.listener, peer.address) else { return Err(NotSent::Full) };
        let id = given.id;
        // The queue is empty, so that there is room.
        if let Some(held) = self.by_id.get(&id) {
            let _ = held.queue.try_send(packet);
        }
        let within = self.limits.connect;
        self.tasks.spawn(format!("sip tcp {}", peer.address), connection::connect(given, local, within));
        Ok(())
    }

    fn add(&mut self, listener: u16, address: SocketAddr) -> Option<Given> {
        let count = self.per_source.get(&address.ip()).copied().unwrap_or(0);
        if self.by_id.len() >= self.limits.all || count >= self.limits.per_source {
            return None;
        }
        self.last += 1;
        let id = self.last;
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let peer = Peer { address, transport: Transport::Tcp, listener, connection: id };
        self.by_id.insert(id, Connection { peer, queue });
        self.by_address.insert((address, listener), id);
        self.per_source.insert(address.ip(), count + 1);
        Some(Given {
            id,
            peer: address,
            clock: self.clock.clone(),
            idle: self.limits.idle,
            message: self.limits.message,
            queue: receiver,
            engine: self.engine.clone(),
        })
    }

    /// Forgets a connection; answers whom it was with.
    pub(crate) fn closed(&mut self, id: u64) -> Option<Peer> {
        let peer = self.by_id.remove(&id)?.peer;
        let at = (peer.address, peer.listener);
        if self.by_address.get(&at) == Some(&id) {
            self.by_address.remove(&at);
        }
        if let Some(count) = self.per_source.get_mut(&peer.address.ip()) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&peer.address.ip());
            }
        }
        Some(peer)
    }
}
