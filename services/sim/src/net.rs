//! Addresses and sockets: what an element speaks through, what a lost WAN swallows, what an observer sees.
//!
//! Every element has an IP address of its own (on one machine: `127.x.y.z`), from which it sends and at which it
//! listens, so that a peer can be known by its address and the sites that signalling and media cross can be told.

mod capture;
mod sockets;
mod wan;

pub use capture::{Carried, Direction, Observer, Packet, Transport};
pub(crate) use sockets::{Incoming, Sockets};
pub use wan::{Network, NetworkError, Wan};
