//! The core of a redirect server and stateful proxy (RFC 3261 16), without I/O and without opinion: where a new
//! call goes is its user's to say.
//!
//! ```text
//!  request ──> server transaction ──> Asked(call) ──────────────> user: decides
//!                                      <── route(targets) | answer(status) ──┘
//!          one branch at a time:  target 1 ──silence, only 100, retry code──> target 2 ──> ...
//!                                      │ exhausted: busy, no answer, unreachable, redirected
//!                                      └──> Exhausted(call) ──> user: route(other targets) | give_up
//!  in-dialog requests, ACK, CANCEL: by Route and Request-URI, nobody is asked
//! ```
//!
//! - From, To, Call-ID, CSeq, Contact and body are forwarded as they came, and unknown headers too.
//! - Trunk failover happens only before any 101 to 199; a treatment also after one.
//! - A 2xx is forwarded whenever it comes, also from a branch that was given up.
//! - A request that is not new is forwarded only if its Route carries this proxy's own mark: it is no open relay.
//!   The mark says whose dialog it is, also to a proxy that was started since, with the same key.
//! - Private headers stop between two sides that do not trust each other: in requests and responses, in all of a dialog.

mod branch;
mod core;
mod forge;
mod mark;
mod routing;

pub use self::core::Proxy;
pub use branch::{Cause, Target};

use std::sync::Arc;
use std::time::Duration;

use crate::transaction::{Limits, Packet, Peer, ServerId, Timers, Transport};

/// A call attempt that the proxy holds, from its request to its last transaction's end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

impl CallId {
    /// A call has the number of its request's transaction.
    const fn of(server: ServerId) -> Self {
        Self(server.0)
    }
}

/// Where the proxy listens; its number is its place in [`Config::listeners`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How.
    pub transport: Transport,
    /// The host that goes into Via and Record-Route; an IPv6 address in brackets.
    pub host: Arc<str>,
    /// The port that goes there.
    pub port: u16,
}

/// What a proxy is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listeners: Vec<Listener>,
    /// Keys the marks in Record-Route and the digests of transactions; from chance, kept over restarts and shared by
    /// edges that serve one another's dialogs.
    pub key: [u8; 16],
    /// Transaction timers.
    pub timers: Timers,
    /// Transaction limits.
    pub limits: Limits,
    /// Timer C (RFC 3261 16.6 step 11): how long an INVITE may ring. More than 3 minutes.
    pub timer_c: Duration,
    /// How long a cancelled branch may take for its final response before it is left behind.
    pub cancel_wait: Duration,
    /// How long a caller is asked to wait by a 503 of the proxy's own, in whole seconds, at least one. Each call is told
    /// half of it more or less, by a digest under `key`, so that those who are refused together do not return together.
    pub retry_after: Duration,
}

impl Config {
    /// The standard's own times.
    #[must_use]
    pub fn new(listeners: Vec<Listener>, key: [u8; 16]) -> Self {
        Self {
            listeners,
            key,
            timers: Timers::default(),
            limits: Limits::default(),
            timer_c: Duration::from_secs(185),
            cancel_wait: Duration::from_secs(2),
            retry_after: Duration::from_secs(5),
        }
    }
}

/// Where bytes are to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hop {
    /// An address.
    Peer(Peer),
    /// A name that is to be resolved first (RFC 3263), from a listener.
    Name {
        /// The host.
        host: String,
        /// The port, if one was given.
        port: Option<u16>,
        /// How.
        transport: Transport,
        /// From which listener.
        listener: u16,
    },
}

/// What the proxy wants or tells, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send these bytes.
    Send(Peer, Packet),
    /// Send these bytes, which no transaction keeps (an ACK), after resolving the name.
    SendTo(Hop, Packet),
    /// Resolve the name for this call's request, and say [`Proxy::resolved`].
    Resolve(CallId, Hop),
    /// An address was silent for as long as its trunk allows: it should go last for a while.
    Silent(CallId, Peer, u32),
    /// A branch was left for the next target. The number is the target's tag.
    FailedOver(CallId, u32),
    /// It rings, or has early media.
    Ringing(CallId, u32),
    /// It was answered.
    Answered(CallId, u32),
    /// No target took it: say [`Proxy::route`] for another destination, or [`Proxy::give_up`].
    Exhausted(CallId, Cause),
    /// A final response other than 2xx went to the caller.
    Failed(CallId, u16),
    /// The caller cancelled.
    Cancelled(CallId),
    /// A dialog's BYE passed.
    Ended(CallId),
    /// Nothing of the call is left.
    Gone(CallId),
}

/// What an incoming request is to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// The proxy sees to it.
    Handled,
    /// A new request outside of a dialog: [`Proxy::route`], [`Proxy::redirect`] or [`Proxy::answer`] it.
    Asked(CallId),
    /// No room for another transaction: answer 503 statelessly, or nothing.
    Full,
}
