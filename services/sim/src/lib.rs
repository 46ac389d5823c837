//! Simulators: peers that play a PSTN gateway, a CIC server and a Lync system on real sockets.
//!
//! They stand in for the systems that Tandem joins, in its demonstration and in integrators' own tests. Each is
//! configured in its vendor's terms ([`gateway::Config`], [`cic::Config`], [`lync::Config`]), decides by its own
//! rules and knows only what the real system would know; a simulator that shared Tandem's rules would prove nothing,
//! so this crate imports none of them.
//!
//! ```text
//!  gateway            GW                        PSTN callers and parties, routes, failover, 302
//!  cic                CIC, MS, CIC phones       lines, users, stations, dial plan, workgroups, attendant, voicemail
//!  lync               MED, FE, Lync phones      trunks, PSTN usages, voice routes, Line URIs, endpoints
//!    |
//!  element            a name, a site, an address, a behaviour, what it saw
//!    |
//!  ua                 calls: legs on SIP transactions and dialogs (tandem-sip), answered and placed
//!  media              SDP; ten RTP packets each way; bridges
//!    |
//!  net                UDP and TCP at the element's own address; a WAN that can be lost; an observer of the wire
//! ```
//!
//! Invariants:
//!
//! - Gateway, CIC, Mediation Server and Front End are back-to-back agents: a call that goes on has a new Call-ID, new
//!   tags, Max-Forwards 70, and no header that the next leg was not given on purpose.
//! - What a leg's SDP says is true: the address is of the element that sends and receives the audio.
//! - Everything has a limit: calls of an element at once, legs remembered, messages queued.
//! - Time, chance, the WAN and the observer come in with the [`World`]; its life ends every task.
//!
//! What is not played: TLS and SRTP (a Lync system is reached by TCP where the real one insists on TLS), PRACK, REFER,
//! CSTA, DTMF, presence. The channel between CIC and its media server is played within the process; the media server's
//! audio is real.

pub mod behaviour;
pub mod cic;
pub mod cli;
mod element;
pub mod gateway;
pub mod lync;
mod media;
pub mod net;
mod number;
mod phone;
mod place;
mod seen;
mod service;
pub mod settings;
#[cfg(test)]
mod testing;
mod ua;
mod world;

pub use place::{CallResult, Ongoing, Place};
pub use service::{Simulator, SimulatorService, StartError};
pub use world::World;
