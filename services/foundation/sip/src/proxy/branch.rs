//! A call's targets and the branches that try them.

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;

use crate::message::Header;
use crate::time::{Deadlines, Handle, Now};
use crate::transaction::{ClientId, Packet, Peer, Room, ServerId};

use super::core::Wait;

/// One address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What the user knows it by: comes back in [`Output`](super::Output).
    pub tag: u32,
    /// The Request-URI to write; printable ASCII without blanks.
    pub uri: Box<str>,
    /// Where it is; the listener is the one that it is reached by.
    pub peer: Peer,
    /// Headers to leave out.
    pub remove: Arc<[Header]>,
    /// Headers to leave out that [`Header`] does not list, by name in any case.
    pub remove_named: &'static [&'static str],
    /// Header lines to add, each `Name: value` without line end.
    pub add: Arc<[String]>,
    /// Whether the caller and this peer do not trust each other: private headers (`X-...`, `ms-...`, `P-...`, Diversion,
    /// History-Info, Remote-Party-ID) are left out both ways, for as long as the dialog lasts. `add` is not.
    pub strip_private: bool,
    /// Silence longer than this is failure.
    pub no_response: Duration,
    /// Nothing but a 100 for longer than this is failure.
    pub only_100: Duration,
    /// Final responses after which the next target is tried.
    pub retry_on: SmallVec<[u16; 8]>,
}

/// Why no target took a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// 486 or 600.
    Busy,
    /// It rang for as long as the user allowed.
    NoAnswer,
    /// Silence, or a status that says that it cannot be reached (408, 480, 5xx).
    Unreachable,
    /// 3xx, with the first contact's URI.
    Redirected(String),
    /// Anything else, which is the callee's own word.
    Rejected(u16),
}

impl Cause {
    pub(super) fn of(status: u16) -> Self {
        match status {
            486 | 600 => Self::Busy,
            408 | 480 | 500..=599 => Self::Unreachable,
            _ => Self::Rejected(status),
        }
    }
}

/// What a branch has heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub(super) enum Heard {
    Nothing,
    Hundred,
    Provisional,
    Final(u16),
}

/// One try of one target.
#[derive(Debug)]
pub(super) struct Branch {
    pub(super) client: ClientId,
    pub(super) peer: Peer,
    pub(super) tag: u32,
    /// The request as it was forwarded, until its final response: CANCEL and ACK are made from it.
    pub(super) packet: Option<Packet>,
    pub(super) heard: Heard,
    /// Until when it may ring (Timer C), and the look that is set.
    pub(super) rings_until: Now,
    pub(super) timer_c: Option<Handle>,
    /// How long its trunk is patient with silence, or with nothing but a 100.
    pub(super) patience: Option<Handle>,
    /// A CANCEL was sent, or is to be sent at the first provisional response (RFC 3261 9.1).
    pub(super) cancel: Cancel,
    /// The CANCEL's own transaction: its responses carry the same branch.
    pub(super) cancel_client: Option<ClientId>,
    /// Private headers of its responses go no further.
    pub(super) strips: bool,
    /// It was left behind: only its 2xx still matters.
    pub(super) left: bool,
    pub(super) gone: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cancel {
    No,
    AtProvisional,
    Sent,
}

impl Branch {
    /// A final response came: nothing is waited for any more, and nothing made from its request.
    pub(super) fn end(&mut self, status: u16, waits: &mut Deadlines<Wait>) {
        (self.heard, self.packet) = (Heard::Final(status), None);
        for handle in self.patience.take().into_iter().chain(self.timer_c.take()) {
            waits.call_off(handle);
        }
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.left && !matches!(self.heard, Heard::Final(_))
    }
}

/// What is to happen when the branch that was cancelled has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum After {
    /// Its final response stands.
    Stand,
    /// The next target is tried.
    Next,
    /// The call was not answered in time.
    NoAnswer,
}

/// A request and all that became of it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) server: ServerId,
    pub(super) server_gone: bool,
    pub(super) scope: u64,
    pub(super) upstream: Peer,
    /// Which room its transactions may take.
    pub(super) room: Room,
    /// The request as it came, until it is answered.
    pub(super) request: Option<Packet>,
    pub(super) invite: bool,
    /// Whether it starts a dialog: Record-Route is added.
    pub(super) initial: bool,
    /// Tells a loop from a spiral; in the branch of each of its requests, and none before the first.
    pub(super) loop_digest: Option<u32>,
    pub(super) targets: Vec<Target>,
    pub(super) next: usize,
    /// Most calls are taken where they are tried first.
    pub(super) branches: SmallVec<[Branch; 1]>,
    pub(super) after: After,
    pub(super) ringing: bool,
    pub(super) answered: bool,
    pub(super) cancelled: bool,
    pub(super) done: bool,
    /// The best final response so far: its status and bytes, our Via taken off.
    pub(super) best: Option<(u16, Packet)>,
    /// Challenges of every 401 and 407 (RFC 3261 16.7 step 7).
    pub(super) challenges: Vec<Vec<u8>>,
    /// How long it may ring.
    pub(super) ring: Option<Handle>,
    /// How often [`super::Proxy::route`] was called: timers of an earlier round do not count.
    pub(super) round: u32,
    /// The next hop's request, while its name is resolved.
    pub(super) resolving: Option<super::routing::Onward>,
}

impl Call {
    pub(super) fn current(&mut self) -> Option<&mut Branch> {
        self.branches.last_mut().filter(|b| b.is_pending())
    }

    /// It was answered: what only an answer needed is let go.
    pub(super) fn finish(&mut self, waits: &mut Deadlines<Wait>) {
        self.done = true;
        self.ring.take().into_iter().for_each(|handle| waits.call_off(handle));
        (self.request, self.best, self.resolving) = (None, None, None);
        (self.targets, self.challenges) = (Vec::new(), Vec::new());
    }

    /// Takes a final response if it is better than what there was (RFC 3261 16.7 step 6): 6xx first, then the
    /// lowest class; in 4xx those that tell the caller how to do better.
    pub(super) fn offer(&mut self, status: u16, bytes: Packet) {
        let rank = |s: u16| match s {
            600..=699 => 0,
            401 | 407 | 415 | 420 | 484 => 10 * (s / 100) + 1,
            _ => 10 * (s / 100) + 5,
        };
        if self.best.as_ref().is_none_or(|(best, _)| rank(status) <= rank(*best)) {
            self.best = Some((status, bytes));
        }
    }
}
