//! What an observer of the wire is shown.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde::Deserialize;

/// How SIP is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Datagrams, one message each.
    Udp,
    /// A stream, messages framed by Content-Length.
    Tcp,
}

impl Transport {
    /// As in a Via: `UDP`, `TCP`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// As in a URI's `transport` parameter.
    pub(crate) fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carried {
    /// A SIP message, whole.
    Sip,
    /// An RTP packet; its transport is always UDP.
    Rtp,
}

/// Which way a packet went, as seen by the element that reports it. What one element sends and another of the same
/// observer receives is reported by both: keep `Sent`, and of `Received` only what came from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// By the element, to the network.
    Sent,
    /// From the network.
    Received,
}

/// One datagram, or one SIP message on a stream. What a cut WAN swallowed is not reported: it was on no wire.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Wall time, microseconds since 1970.
    pub unix_micros: u64,
    /// Who sent it.
    pub from: SocketAddr,
    /// Who was to get it.
    pub to: SocketAddr,
    /// How it was carried.
    pub transport: Transport,
    /// Which way it went.
    pub direction: Direction,
    /// What it is.
    pub carried: Carried,
    /// The payload of UDP or TCP.
    pub bytes: &'a [u8],
}

/// Is called with every packet, on the task that sends or receives it: it must not block.
pub type Observer = Arc<dyn Fn(&Packet<'_>) + Send + Sync>;
