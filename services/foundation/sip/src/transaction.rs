//! Transactions (RFC 3261 17, with RFC 6026), without I/O: messages and moments in, bytes to send and events out.
//!
//! ```text
//!                     transaction user (proxy, user agent)
//!   request() ─┐          ^ Event            │ respond()
//!              v          │                  v
//!        client transactions          server transactions
//!              │ Send     ^ on_response      ^ on_request     │ Send
//!              v          │                  │                v
//!                        the transport that the caller owns
//! ```
//!
//! - Every transaction ends: 64 x T1 after the last thing that could keep it, none is left.
//! - A key carries an opaque `scope` of the caller's (its tenant), so that equal branches of two tenants are two.
//! - There is a limit on the number of transactions; past it a request is refused by name, and an ACK or a
//!   response still finds its own.

mod client;
mod layer;
mod server;

pub use client::{ClientId, ClientState};
pub use layer::{Event, Full, Layer, Limits, Received, Room};
pub use server::{ServerId, ServerKey, ServerState};

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of a message that may be sent again.
pub type Packet = Arc<[u8]>;

/// Where bytes go, or came from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Peer {
    /// The address.
    pub address: SocketAddr,
    /// How.
    pub transport: Transport,
    /// Which listener of the caller: responses leave by the one that the request came in by (RFC 3581 4).
    pub listener: u16,
    /// Which connection, of a stream; 0: any, or a new one.
    pub connection: u64,
}

/// How bytes travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams: they may be lost.
    Udp,
    /// A stream.
    Tcp,
    /// A stream with TLS.
    Tls,
}

impl Transport {
    /// Whether the transport itself sees to retransmission.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// As Via writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }
}

/// The timers of RFC 3261 17.1.1.1, table 4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// An estimate of the round trip.
    pub t1: Duration,
    /// The longest pause between retransmissions of a non-INVITE request or an INVITE response.
    pub t2: Duration,
    /// How long a message stays in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timers {
    /// 64 x T1: timers B, D (on UDP), F, H, J, L, M.
    #[must_use]
    pub fn long(&self) -> Duration {
        self.t1 * 64
    }
}
