//! Server transactions: RFC 3261 17.2, with the Accepted state of RFC 6026.

use std::time::Duration;

use crate::time::{Handle, Now};

use super::{Packet, Peer, Timers};

/// A server transaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ServerId(pub u64);

/// By what a request finds its server transaction (17.2.3): a digest of branch, sent-by and method (ACK counts as
/// INVITE), or of the RFC 2543 fields where the branch has no magic cookie, with the caller's scope.
///
/// 128 bits of a keyed digest: a sender that does not know the key cannot aim at another's transaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ServerKey(pub u128);

/// Where a server transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerState {
    /// No final response yet. (Trying and Proceeding of non-INVITE are told apart by `response`.)
    Proceeding,
    /// A final response was sent; for INVITE: it was no 2xx, and its ACK has not come.
    Completed,
    /// INVITE: the ACK came.
    Confirmed,
    /// INVITE: a 2xx was sent; retransmissions of the INVITE are absorbed (RFC 6026 8.7).
    Accepted,
}

/// What one transaction remembers.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) key: ServerKey,
    pub(super) invite: bool,
    pub(super) state: ServerState,
    pub(super) peer: Peer,
    /// The last response, sent again when asked again.
    pub(super) response: Option<Packet>,
    /// Timer G.
    pub(super) resend: Option<(Now, Duration)>,
    /// Timers H, I, J, L; and a limit on those that their user never answers.
    pub(super) ends: Option<Now>,
    /// The look that is set.
    pub(super) watched: Option<(Now, Handle)>,
}

/// What a server transaction makes of a request that is its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Again {
    /// The last response is sent again.
    Resend,
    /// It is absorbed.
    Absorb,
    /// An ACK that ends the retransmission of a final response.
    Acknowledged,
    /// An ACK after a 2xx: it is the dialog's, not the transaction's.
    ForTheDialog,
}

impl Server {
    pub(super) fn new(key: ServerKey, invite: bool, peer: Peer) -> Self {
        Self {
            key,
            invite,
            state: ServerState::Proceeding,
            peer,
            response: None,
            resend: None,
            ends: None,
            watched: None,
        }
    }

    pub(super) fn next(&self) -> Option<Now> {
        match (self.resend, self.ends) {
            (Some((a, _)), Some(b)) => Some(a.min(b)),
            (Some((a, _)), None) => Some(a),
            (None, b) => b,
        }
    }

    /// The same request came again.
    pub(super) fn on_retransmission(&self) -> Again {
        match self.state {
            ServerState::Proceeding | ServerState::Completed if self.response.is_some() => Again::Resend,
            _ => Again::Absorb,
        }
    }

    /// An ACK came.
    pub(super) fn on_ack(&mut self, now: Now, timers: &Timers) -> Again {
        match self.state {
            ServerState::Completed => {
                // 17.2.1: Timer I absorbs further ACKs.
                (self.state, self.resend, self.response) = (ServerState::Confirmed, None, None);
                let wait = if self.peer.transport.is_reliable() { Duration::ZERO } else { timers.t4 };
                self.ends = Some(now + wait);
                Again::Acknowledged
            }
            ServerState::Accepted => Again::ForTheDialog,
            ServerState::Proceeding | ServerState::Confirmed => Again::Absorb,
        }
    }

    /// The transaction user responds. Returns whether it is to be sent.
    pub(super) fn on_send(&mut self, status: u16, packet: &Packet, now: Now, timers: &Timers) -> bool {
        let reliable = self.peer.transport.is_reliable();
        match (self.invite, self.state, status) {
            // RFC 6026 7.1: further 2xx are sent on.
            (true, ServerState::Accepted, 200..=299) => return true,
            (_, ServerState::Completed | ServerState::Confirmed | ServerState::Accepted, _) => return false,
            (.., ..=199) => {}
            (true, _, 200..=299) => {
                (self.state, self.ends) = (ServerState::Accepted, Some(now + timers.long()));
                // RFC 6026 7.1: a 2xx is sent again by the user agent, not by the transaction.
                self.response = None;
                return true;
            }
            (true, ..) => {
                self.state = ServerState::Completed;
                self.resend = (!reliable).then(|| (now + timers.t1, timers.t1));
                self.ends = Some(now + timers.long());
            }
            (false, ..) => {
                self.state = ServerState::Completed;
                self.ends = Some(now + if reliable { Duration::ZERO } else { timers.long() });
            }
        }
        self.response = Some(packet.clone());
        true
    }

    /// Whether its final response is to be sent again now: timer G doubles up to T2.
    pub(super) fn resend_due(&mut self, now: Now, timers: &Timers) -> bool {
        let Some((at, pause)) = self.resend.filter(|(at, _)| *at <= now) else { return false };
        let next = (pause * 2).min(timers.t2);
        self.resend = Some((at + next, next));
        true
    }
}
