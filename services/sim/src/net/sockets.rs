//! The sockets of one element: a UDP socket and a TCP listener on one address, and the connections in use.
//!
//! Invariants: everything sent leaves from the element's own IP address; a message is swallowed whole or not at all,
//! so that a stream stays framed when the WAN is lost and comes back; a peer that sends what cannot be framed loses
//! its connection; queues are bounded, and what does not fit is lost as on a network.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tandem_runtime::listen::{self, Bind};
use tandem_sip::message::{Framed, StreamFramer, Table};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::mpsc;

use super::{Carried, Direction, Packet, Transport};
use crate::World;

/// Messages that wait for the element: more than a second of the load that a simulator is made for.
const INCOMING_QUEUE: usize = 1024;
/// Messages that wait for one connection to take them.
const CONNECTION_QUEUE: usize = 256;
/// Connections of one element at once.
const CONNECTIONS_MAX: usize = 1024;
/// Bytes of one read from a connection.
const READ_BYTES: usize = 8 * 1024;
/// After an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Attempts to find a port that is free for UDP and TCP alike, when the machine chooses.
const PORT_ATTEMPTS: usize = 20;

/// What the network brings.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// One SIP message, whole.
    Message {
        /// How it came.
        transport: Transport,
        /// Who sent it. For TCP the far end of the connection, by which an answer goes back.
        peer: SocketAddr,
        /// As it came.
        bytes: Bytes,
    },
    /// No connection to `peer` could be made, or it was lost with messages unsent.
    Unreachable {
        /// Whom it was for.
        peer: SocketAddr,
    },
}

/// See the module.
pub(crate) struct Sockets {
    name: String,
    local: SocketAddr,
    world: World,
    udp: UdpSocket,
    connections: Mutex<HashMap<SocketAddr, mpsc::Sender<Bytes>>>,
    incoming: mpsc::Sender<Incoming>,
    down: AtomicBool,
    received: AtomicU64,
    sent: AtomicU64,
}

impl Sockets {
    /// Binds `address` for UDP and TCP and begins to read. `flag` names the setting in errors.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub(crate) fn bind(
        name: &str,
        address: SocketAddr,
        flag: &str,
        world: &World,
    ) -> Result<(Arc<Self>, mpsc::Receiver<Incoming>), listen::Error> {
        let (udp, tcp) = bind_both(address, flag)?;
        let local = udp.local_addr().unwrap_or(address);
        let (incoming, rx) = mpsc::channel(INCOMING_QUEUE);
        let sockets = Arc::new(Self {
            name: name.to_owned(),
            local,
            world: world.clone(),
            udp,
            connections: Mutex::default(),
            incoming,
            down: AtomicBool::new(false),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let tasks = &world.life.tasks;
        tasks.spawn(format!("{name} udp"), Arc::clone(&sockets).read_datagrams());
        tasks.spawn(format!("{name} tcp"), Arc::clone(&sockets).accept(tcp));
        Ok((sockets, rx))
    }

    /// Where it listens, the port resolved.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Messages received and sent.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }

    /// As if the machine were off (`true`): nothing is heard or said, connections are closed.
    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
        if down {
            self.connections.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    /// Sends one message. Never waits: what the network cannot take is lost, and a TCP peer that cannot be reached
    /// is reported as [`Incoming::Unreachable`].
    pub(crate) fn send(self: &Arc<Self>, transport: Transport, to: SocketAddr, bytes: Bytes) {
        if self.swallows(to) {
            return;
        }
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.observe(transport, Direction::Sent, to, &bytes);
        match transport {
            Transport::Udp => {
                // Straight to the kernel: the runtime's own view of a young socket is that it cannot send yet.
                if let Err(error) = SockRef::from(&self.udp).send_to(&bytes, &to.into()) {
                    tracing::debug!(element = %self.name, %to, %error, "datagram not sent");
                }
            }
            Transport::Tcp => self.send_by_stream(to, bytes),
        }
    }

    fn send_by_stream(self: &Arc<Self>, to: SocketAddr, bytes: Bytes) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match connections.get(&to).map(|connection| connection.try_send(bytes.clone())) {
            Some(Ok(())) => return,
            Some(Err(mpsc::error::TrySendError::Full(_))) => return,
            Some(Err(mpsc::error::TrySendError::Closed(bytes))) => bytes,
            None => bytes,
        };
        if connections.len() >= CONNECTIONS_MAX {
            self.report_unreachable(to);
            return;
        }
        let (tx, rx) = mpsc::channel(CONNECTION_QUEUE);
        // The queue is new, so the first message fits.
        let _fits = tx.try_send(bytes);
        connections.insert(to, tx);
        drop(connections);
        self.world.life.tasks.spawn(format!("{} tcp to {to}", self.name), Arc::clone(self).connect(to, rx));
    }

    async fn connect(self: Arc<Self>, to: SocketAddr, rx: mpsc::Receiver<Bytes>) {
        match self.open(to).await {
            Ok(stream) => self.run(stream, to, rx).await,
            Err(error) => {
                tracing::debug!(element = %self.name, %to, %error, "no connection");
                self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&to);
                self.report_unreachable(to);
            }
        }
    }

    /// Opens a connection from the element's own address: peers know it by that.
    async fn open(&self, to: SocketAddr) -> std::io::Result<TcpStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.bind(SocketAddr::new(self.local.ip(), 0))?;
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, peer)) = listener.accept().await else {
                // Out of descriptors, most likely: others may close theirs meanwhile.
                self.world.clock.sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
            if self.down.load(Ordering::Relaxed) || connections.len() >= CONNECTIONS_MAX {
                continue;
            }
            let _best_effort = stream.set_nodelay(true);
            let (tx, rx) = mpsc::channel(CONNECTION_QUEUE);
            connections.insert(peer, tx);
            drop(connections);
            let name = format!("{} tcp from {peer}", self.name);
            self.world.life.tasks.spawn(name, Arc::clone(&self).run(stream, peer, rx));
        }
    }

    /// Reads and writes one connection until either end closes it.
    async fn run(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, mut rx: mpsc::Receiver<Bytes>) {
        let (mut reader, mut writer) = stream.into_split();
        let mut framer = StreamFramer::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            tokio::select! {
                read = reader.read(&mut buffer) => {
                    let Some(length) = read.ok().filter(|length| *length > 0) else { break };
                    framer.push(&buffer[..length]);
                    let mut pings = 0;
                    if !self.drain_frames(peer, &mut framer, &mut pings) {
                        break;
                    }
                    // RFC 5626 section 4.4.1: a double CRLF asks whether we live.
                    if pings > 0 && writer.write_all(b"\r\n").await.is_err() {
                        break;
                    }
                }
                bytes = rx.recv() => {
                    let Some(bytes) = bytes else { break };
                    if writer.write_all(&bytes).await.is_err() {
                        self.report_unreachable(peer);
                        break;
                    }
                }
            }
        }
        // A closed queue marks this connection's own entry; a newer connection to the same peer stays.
        rx.close();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.get(&peer).is_some_and(mpsc::Sender::is_closed) {
            connections.remove(&peer);
        }
    }

    /// Hands on every whole message that the stream has brought. False: it cannot be framed any more.
    fn drain_frames(&self, peer: SocketAddr, framer: &mut StreamFramer, pings: &mut usize) -> bool {
        let mut table = Table::new();
        loop {
            match framer.next(&mut table) {
                Ok(Some(Framed::Message(message))) => {
                    self.hand_on(Transport::Tcp, peer, Bytes::copy_from_slice(message.bytes()));
                }
                Ok(Some(Framed::Ping)) => *pings += 1,
                Ok(None) => return true,
                Err(error) => {
                    tracing::debug!(element = %self.name, %peer, %error, "stream closed");
                    return false;
                }
            }
        }
    }

    async fn read_datagrams(self: Arc<Self>) {
        let mut buffer = vec![0; 65_536];
        loop {
            match self.udp.recv_from(&mut buffer).await {
                Ok((length, peer)) => {
                    self.hand_on(Transport::Udp, peer, Bytes::copy_from_slice(&buffer[..length]));
                }
                // An ICMP answer to what we sent: the peer's port is closed, which is its silence.
                Err(error) => tracing::debug!(element = %self.name, %error, "datagram not read"),
            }
        }
    }

    fn hand_on(&self, transport: Transport, peer: SocketAddr, bytes: Bytes) {
        if self.swallows(peer) {
            return;
        }
        self.received.fetch_add(1, Ordering::Relaxed);
        self.observe(transport, Direction::Received, peer, &bytes);
        if self.incoming.try_send(Incoming::Message { transport, peer, bytes }).is_err() {
            tracing::warn!(element = %self.name, %peer, "message lost: the element does not keep up");
        }
    }

    fn report_unreachable(&self, peer: SocketAddr) {
        if self.incoming.try_send(Incoming::Unreachable { peer }).is_err() {
            tracing::warn!(element = %self.name, %peer, "failure lost: the element does not keep up");
        }
    }

    fn swallows(&self, peer: SocketAddr) -> bool {
        self.down.load(Ordering::Relaxed) || self.world.wan.parts(self.local.ip(), peer.ip())
    }

    fn observe(&self, transport: Transport, direction: Direction, peer: SocketAddr, bytes: &[u8]) {
        let (from, to) = match direction {
            Direction::Sent => (self.local, peer),
            Direction::Received => (peer, self.local),
        };
        self.world.observe(&Packet {
            unix_micros: self.world.clock.unix_micros(),
            from,
            to,
            transport,
            direction,
            carried: Carried::Sip,
            bytes,
        });
    }
}

/// One port for both; when the machine chooses it, until one is free for both.
fn bind_both(address: SocketAddr, flag: &str) -> Result<(UdpSocket, TcpListener), listen::Error> {
    let mut attempt = 0;
    loop {
        let udp = Bind::new(address, flag).udp()?;
        let chosen = udp.local_addr().unwrap_or(address);
        match Bind::new(chosen, flag).tcp() {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(error) if address.port() != 0 || attempt == PORT_ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
    }
}
