//! Calls: a user agent for each element, whose legs are placed, answered, changed and ended.
//!
//! ```text
//!   gateway, CIC, Mediation, Front End, phones
//!        |  Ua::invite            ^  Arrival
//!        v  Leg::answer, ...      |  Event
//!      Ua ---- dialogs (RFC 3261 section 12), 2xx and their ACK (13), what belongs to which leg
//!        |
//!      tandem-sip ---- syntax and transactions (17)
//!        |
//!      Sockets
//! ```
//!
//! Invariants: a leg ends exactly once, and whoever drops a [`Leg`] ends it (BYE, CANCEL or a refusal, as its state
//! has it); every leg has a record in the log; an element that has its limit of legs refuses with 503.

mod b2b;
mod core;
mod dialog;
mod leg;
mod message;
mod transactions;
pub(crate) mod wire;

use std::net::SocketAddr;

pub(crate) use self::core::{Arrival, Registration, Ua};
pub(crate) use b2b::{Audio, Early, Placed, Timing, anchor, fork, place, relay};
pub(crate) use leg::{Event, Incoming, Invite, Leg, Target, Voice};

use crate::net::Transport;

/// `sip:+14255550100@127.1.0.20:5060;user=phone`.
pub(crate) fn number_uri(number: &str, at: Target) -> String {
    let parameter = match at.transport {
        Transport::Udp => String::new(),
        tcp => format!(";transport={}", tcp.parameter()),
    };
    format!("sip:{number}@{};user=phone{parameter}", at.address)
}

/// Where a URI with an IP address leads; `usual` when it names no transport.
pub(crate) fn uri_target(uri: &str, usual: Transport) -> Option<Target> {
    let (address, transport): (SocketAddr, _) = wire::uri_address(uri)?;
    let transport = match transport.as_deref() {
        Some("tcp") => Transport::Tcp,
        Some("udp") => Transport::Udp,
        _ => usual,
    };
    Some(Target { transport, address })
}
