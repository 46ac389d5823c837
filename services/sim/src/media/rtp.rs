//! A port for RTP (RFC 3550): sends ten packets to where the other side said it receives, counts what comes, and
//! relays when it is one half of a bridge.
//!
//! ```text
//! caller  --->  [ port A ] ===bridge=== [ port B ]  --->  agent       a media server, or a Mediation Server
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use socket2::SockRef;
use tandem_runtime::listen::{self, Bind};
use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

use crate::World;
use crate::net::{Carried, Direction, Packet, Transport};

/// Packets that a talker sends to each address it is connected to: enough to see the way, few enough to tell apart.
pub(crate) const TALK_PACKETS: u16 = 10;
/// G.711 at 8 kHz: 20 ms of audio (RFC 3551 section 4.2).
const SAMPLES: usize = 160;
/// The byte of silence in mu-law.
const SILENCE: u8 = 0xff;
/// Addresses that one port counts apart. Real peers change a few times in a call.
const FLOWS_MAX: usize = 32;

/// Why a port could not be had.
pub(crate) type PortError = listen::Error;

/// Packets exchanged with one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Packets sent there.
    pub(crate) sent: u64,
    /// Packets that came from there.
    pub(crate) received: u64,
}

/// See the module. Cheap to clone; clones are one port. It is closed when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Port(Arc<Inner>);

struct Inner {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    world: World,
    interval: Duration,
    state: Mutex<State>,
    /// Counts [`Port::talk`], so that an earlier talk ends when a later one begins.
    talks: AtomicU64,
    reader: Mutex<Option<AbortHandle>>,
}

#[derive(Default)]
struct State {
    remote: Option<SocketAddr>,
    bridged: Option<Weak<Inner>>,
    flows: Vec<Flow>,
}

impl Port {
    /// Opens a port on `address`, its number chosen by the machine. `interval` lies between two packets of a talk.
    ///
    /// # Errors
    ///
    /// When the address is not of this machine or no port is free.
    pub(crate) fn open(address: IpAddr, interval: Duration, world: &World) -> Result<Self, PortError> {
        let socket = Bind::new(SocketAddr::new(address, 0), "media_address").udp()?;
        let local = socket.local_addr().unwrap_or_else(|_| SocketAddr::new(address, 0));
        let socket = Arc::new(socket);
        let inner = Arc::new(Inner {
            socket: Arc::clone(&socket),
            local,
            world: world.clone(),
            interval,
            state: Mutex::default(),
            talks: AtomicU64::new(0),
            reader: Mutex::default(),
        });
        let reader = world.life.tasks.spawn(format!("rtp {local}"), read(socket, Arc::downgrade(&inner)));
        *inner.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
        Ok(Self(inner))
    }

    /// Where it receives.
    pub(crate) fn local(&self) -> SocketAddr {
        self.0.local
    }

    /// Where it sends from now on.
    pub(crate) fn connect(&self, remote: SocketAddr) {
        self.0.state().remote = Some(remote);
    }

    /// Begins to send ten packets to where it is connected, in place of what it was sending.
    pub(crate) fn talk(&self) {
        let talk = self.0.talks.fetch_add(1, Ordering::Relaxed) + 1;
        let weak = Arc::downgrade(&self.0);
        self.0.world.life.tasks.spawn(format!("rtp talk {}", self.0.local), talk_on(weak, talk));
    }

    /// What comes to one goes out of the other, from now on. Replaces earlier bridges of both.
    pub(crate) fn bridge(one: &Self, other: &Self) {
        one.0.state().bridged = Some(Arc::downgrade(&other.0));
        other.0.state().bridged = Some(Arc::downgrade(&one.0));
    }

    /// Packets by address, in order of first appearance.
    pub(crate) fn flows(&self) -> Vec<Flow> {
        self.0.state().flows.clone()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, packet: &[u8]) {
        let Some(remote) = self.state().remote else { return };
        // Straight to the kernel: the runtime's own view of a young socket is that it cannot send yet.
        let sent = || SockRef::from(&*self.socket).send_to(packet, &remote.into());
        if self.world.wan.parts(self.local.ip(), remote.ip()) || sent().is_err() {
            return;
        }
        self.observe(Direction::Sent, remote, packet);
        self.state().count(remote, |flow| flow.sent += 1);
    }

    fn received(&self, peer: SocketAddr, packet: &[u8]) {
        if self.world.wan.parts(self.local.ip(), peer.ip()) {
            return;
        }
        self.observe(Direction::Received, peer, packet);
        let mut state = self.state();
        state.count(peer, |flow| flow.received += 1);
        let bridged = state.bridged.as_ref().and_then(Weak::upgrade);
        drop(state);
        if let Some(other) = bridged {
            other.send(packet);
        }
    }

    fn observe(&self, direction: Direction, peer: SocketAddr, bytes: &[u8]) {
        let (from, to) = match direction {
            Direction::Sent => (self.local, peer),
            Direction::Received => (peer, self.local),
        };
        self.world.observe(&Packet {
            unix_micros: self.world.clock.unix_micros(),
            from,
            to,
            transport: Transport::Udp,
            direction,
            carried: Carried::Rtp,
            bytes,
        });
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            reader.abort();
        }
    }
}

impl State {
    fn count(&mut self, peer: SocketAddr, change: impl FnOnce(&mut Flow)) {
        if let Some(flow) = self.flows.iter_mut().find(|flow| flow.peer == peer) {
            change(flow);
        } else if self.flows.len() < FLOWS_MAX {
            let mut flow = Flow { peer, sent: 0, received: 0 };
            change(&mut flow);
            self.flows.push(flow);
        }
    }
}

async fn read(socket: Arc<UdpSocket>, port: Weak<Inner>) {
    let mut buffer = vec![0; 2048];
    loop {
        let read = socket.recv_from(&mut buffer).await;
        let Some(port) = port.upgrade() else { return };
        match read {
            Ok((length, peer)) => port.received(peer, &buffer[..length]),
            // An ICMP answer to what was sent: the other side has closed its port.
            Err(error) => tracing::debug!(local = %port.local, %error, "rtp not read"),
        }
    }
}

async fn talk_on(port: Weak<Inner>, talk: u64) {
    let Some((clock, interval, source)) = port.upgrade().map(|port| {
        let source = port.world.chance.u64() as u32;
        (port.world.clock.clone(), port.interval, source)
    }) else {
        return;
    };
    for number in 0..TALK_PACKETS {
        let Some(port) = port.upgrade() else { return };
        if port.talks.load(Ordering::Relaxed) != talk {
            return;
        }
        port.send(&packet(number, source));
        drop(port);
        clock.sleep(interval).await;
    }
}

/// RFC 3550 section 5.1: version 2, PCMU, the marker on the first packet of a talk.
fn packet(number: u16, source: u32) -> [u8; 12 + SAMPLES] {
    let mut packet = [SILENCE; 12 + SAMPLES];
    packet[0] = 0x80;
    packet[1] = if number == 0 { 0x80 } else { 0 };
    packet[2..4].copy_from_slice(&number.to_be_bytes());
    packet[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&source.to_be_bytes());
    packet
}

#[cfg(test)]
mod tests;
