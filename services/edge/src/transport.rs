//! Bytes in and out: UDP sockets that the engine reads and writes itself, TCP connections as tasks of their own.
//!
//! ```text
//!  UDP ──────────── try_recv / try_send ────────────┐
//!  TCP listener ──accept──> Arrived::Connection ──> engine (owns the table of connections)
//!  TCP connection ──framed──> Arrived::Message ───> engine ──queue──> connection
//! ```
//!
//! Every queue has a bound. A connection whose queue is full is closed: its peer does not read, and to wait for it
//! would make every other call wait.

mod connection;
mod table;

pub(crate) use table::Connections;

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

/// What comes to the engine from other tasks.
#[derive(Debug)]
pub(crate) enum Arrived {
    /// A peer connected.
    Connection {
        /// The listener.
        listener: u16,
        /// The peer.
        address: SocketAddr,
        /// Its stream.
        stream: TcpStream,
    },
    /// A connection holds this message.
    Message {
        /// Which.
        connection: u64,
        /// The whole message.
        bytes: Vec<u8>,
    },
    /// A keep-alive was answered.
    KeepAlive,
    /// A connection held bytes that are no message, and is closed.
    Malformed,
    /// A connection is no more; `made`: it had been one.
    Closed {
        /// Which.
        connection: u64,
        /// Whether it was ever made.
        made: bool,
    },
    /// A name was looked up.
    Resolved {
        /// The name.
        host: String,
        /// Its addresses, none if it has none or gave none in time.
        addresses: Vec<IpAddr>,
    },
}
