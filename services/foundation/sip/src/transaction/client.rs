//! Client transactions: RFC 3261 17.1, with the Accepted state of RFC 6026.

use crate::time::{Handle, Now};

use super::{Packet, Peer, Timers};

/// A client transaction. It stands in the branch that its request carries, so that a response finds it by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ClientId(pub u64);

/// Where a client transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientState {
    /// INVITE sent, nothing heard (Calling); or another request sent, nothing heard (Trying).
    Calling,
    /// A provisional response came.
    Proceeding,
    /// A final response came; what comes again is absorbed, or acknowledged again.
    Completed,
    /// A 2xx to INVITE came; each 2xx is handed up (RFC 6026 8.4).
    Accepted,
}

/// What one transaction remembers.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) invite: bool,
    pub(super) state: ClientState,
    pub(super) peer: Peer,
    /// The request, as long as it may be sent again; then the ACK to a final response to INVITE that is not 2xx.
    pub(super) packet: Option<Packet>,
    /// The pause before the next retransmission: timers A and E. None: no more.
    pub(super) resend: Option<(Now, std::time::Duration)>,
    /// When it gives up or is forgotten: timers B, F; then D, K, M.
    pub(super) ends: Option<Now>,
    /// The look that is set.
    pub(super) watched: Option<(Now, Handle)>,
}

/// What a client transaction makes of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// For the transaction user.
    Deliver,
    /// For the transaction user, who must give the ACK that this transaction sends (17.1.1.3).
    DeliverAndAcknowledge,
    /// A final response again: the ACK is sent again.
    AcknowledgeAgain,
    /// Nothing to do.
    Absorb,
}

impl Client {
    pub(super) fn new(invite: bool, peer: Peer, packet: Packet, now: Now, timers: &Timers) -> Self {
        let resend = (!peer.transport.is_reliable()).then(|| (now + timers.t1, timers.t1));
        Self {
            invite,
            state: ClientState::Calling,
            peer,
            packet: Some(packet),
            resend,
            ends: Some(now + timers.long()),
            watched: None,
        }
    }

    /// When something is to be done next.
    pub(super) fn next(&self) -> Option<Now> {
        match (self.resend, self.ends) {
            (Some((a, _)), Some(b)) => Some(a.min(b)),
            (Some((a, _)), None) => Some(a),
            (None, b) => b,
        }
    }

    /// A response with this status came.
    pub(super) fn on_response(&mut self, status: u16, now: Now, timers: &Timers) -> Heard {
        match (self.invite, self.state, status) {
            (_, ClientState::Completed, 300..) if self.invite => Heard::AcknowledgeAgain,
            (_, ClientState::Completed, _) => Heard::Absorb,
            (true, ClientState::Accepted, 200..=299) => Heard::Deliver,
            (_, ClientState::Accepted, _) => Heard::Absorb,
            (true, before, ..=199) => {
                self.state = ClientState::Proceeding;
                // 17.1.1.2: no more retransmissions, and no timer B: Timer C is the proxy's. What has set another end
                // since (9.1: 64 x T1 after a CANCEL) is not undone by what rings on.
                if before == ClientState::Calling {
                    (self.resend, self.ends) = (None, None);
                }
                Heard::Deliver
            }
            (false, _, ..=199) => {
                self.state = ClientState::Proceeding;
                // 17.1.2.2: from now on each T2.
                if let Some((_, pause)) = &mut self.resend {
                    *pause = timers.t2;
                }
                Heard::Deliver
            }
            (true, _, 200..=299) => {
                // RFC 6026 8.4: Timer M.
                (self.state, self.resend, self.packet) = (ClientState::Accepted, None, None);
                self.ends = Some(now + timers.long());
                Heard::Deliver
            }
            (true, ..) => {
                self.state = ClientState::Completed;
                self.resend = None;
                // Timer D: at least 32 s on UDP, nothing on a stream.
                let wait =
                    if self.peer.transport.is_reliable() { std::time::Duration::ZERO } else { timers.long() };
                self.ends = Some(now + wait);
                Heard::DeliverAndAcknowledge
            }
            (false, ..) => {
                (self.state, self.resend, self.packet) = (ClientState::Completed, None, None);
                // Timer K.
                let wait =
                    if self.peer.transport.is_reliable() { std::time::Duration::ZERO } else { timers.t4 };
                self.ends = Some(now + wait);
                Heard::Deliver
            }
        }
    }

    /// Whether its request is to be sent again now; sets the next time: timer A doubles, E doubles up to T2.
    pub(super) fn resend_due(&mut self, now: Now, timers: &Timers) -> bool {
        let Some((at, pause)) = self.resend.filter(|(at, _)| *at <= now) else { return false };
        let next = if self.invite { pause * 2 } else { (pause * 2).min(timers.t2) };
        self.resend = Some((at + next, next));
        true
    }
}
