//! The legs of one user agent and the states they are in.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::seen::Seen;
use crate::ua::dialog::Dialog;
use crate::ua::leg::{Event, LegId, Target};
use crate::ua::transactions::{ClientId, ServerId};
use crate::ua::wire::Message;

/// RFC 3261 section 17.1.1.1: T1, the estimate of a round trip, and T2, the longest interval of a retransmission.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// Where a leg stands.
pub(super) enum State {
    /// Placed, no final response yet. `given_up`: CANCEL was asked for.
    Calling { client: ClientId, given_up: bool },
    /// Taken, no final response yet.
    Ringing { server: ServerId, request: Box<Message> },
    /// Answered.
    Up,
}

/// A 2xx of ours whose ACK has not come: sent again by the user agent, on every transport (RFC 3261 section 13.3.1.4).
pub(super) struct Unacknowledged {
    pub(super) target: Target,
    pub(super) bytes: Bytes,
    pub(super) again: Duration,
    interval: Duration,
    until: Duration,
    /// The owner has hung up meanwhile: BYE follows the ACK (section 15).
    pub(super) bye: bool,
}

impl Unacknowledged {
    pub(super) fn new(target: Target, bytes: Bytes, now: Duration) -> Self {
        Self { target, bytes, again: now + T1, interval: T1, until: now + T1 * 64, bye: false }
    }
}

/// A leg.
pub(super) struct LegState {
    pub(super) dialog: Dialog,
    pub(super) state: State,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) seen: Seen,
    pub(super) unacknowledged: Option<Unacknowledged>,
    /// The ACK of the 2xx that answered us, and of which CSeq, to be sent again when that comes again.
    pub(super) ack: Option<(u32, Target, Bytes)>,
    /// The peer's re-INVITE that waits for our answer.
    pub(super) change: Option<(ServerId, Box<Message>)>,
    /// Our re-INVITE that waits for the peer's.
    pub(super) changing: Option<ClientId>,
}

/// What a client transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    Invite(LegId),
    Change(LegId),
    /// BYE: nobody waits for its answer.
    Bye,
}

/// See the module.
#[derive(Default)]
pub(super) struct Legs {
    next: u64,
    legs: HashMap<LegId, LegState>,
    by_dialog: HashMap<(String, String), LegId>,
    /// What each client transaction is for, until it is gone.
    pub(super) clients: HashMap<ClientId, Use>,
    pub(super) ringing: HashMap<ServerId, LegId>,
}

impl Legs {
    pub(super) fn add(&mut self, leg: LegState) -> LegId {
        self.next += 1;
        let id = LegId(self.next);
        let key = (leg.dialog.call_id.clone(), leg.dialog.local_tag.clone());
        self.by_dialog.insert(key, id);
        self.legs.insert(id, leg);
        id
    }

    pub(super) fn get(&mut self, id: LegId) -> Option<&mut LegState> {
        self.legs.get_mut(&id)
    }

    pub(super) fn find(&self, call_id: &str, local_tag: &str) -> Option<LegId> {
        self.by_dialog.get(&(call_id.to_owned(), local_tag.to_owned())).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether this INVITE already rings here by another way (RFC 3261 section 8.2.2.2).
    pub(super) fn is_merged(&self, request: &Message) -> bool {
        let call_id = request.header("Call-ID").unwrap_or_default();
        let tag = request.sender_tag();
        let number = request.cseq().map_or(0, |(number, _)| number);
        self.ringing.values().filter_map(|id| self.legs.get(id)).any(|leg| {
            leg.dialog.call_id == call_id && leg.dialog.remote_tag == tag && leg.dialog.remote_cseq == number
        })
    }

    /// The leg is over: nothing belongs to it any more.
    pub(super) fn remove(&mut self, id: LegId) -> Option<LegState> {
        let leg = self.legs.remove(&id)?;
        self.by_dialog.remove(&(leg.dialog.call_id.clone(), leg.dialog.local_tag.clone()));
        if let State::Ringing { server, .. } = leg.state {
            self.ringing.remove(&server);
        }
        leg.seen.end();
        Some(leg)
    }

    /// A client transaction is gone.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.clients.remove(&client);
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.legs.values().filter_map(|leg| leg.unacknowledged.as_ref()).map(|waiting| waiting.again).min()
    }

    /// What is to be sent again, and the legs whose ACK never came.
    pub(super) fn tick(&mut self, now: Duration) -> (Vec<(Target, Bytes)>, Vec<LegId>) {
        let (mut again, mut lost) = (Vec::new(), Vec::new());
        for (id, leg) in &mut self.legs {
            let Some(waiting) = leg.unacknowledged.as_mut().filter(|waiting| waiting.again <= now) else {
                continue;
            };
            if now >= waiting.until {
                leg.unacknowledged = None;
                lost.push(*id);
                continue;
            }
            again.push((waiting.target, waiting.bytes.clone()));
            waiting.interval = (waiting.interval * 2).min(T2);
            waiting.again = now + waiting.interval;
        }
        (again, lost)
    }
}

impl LegState {
    pub(super) fn new(dialog: Dialog, state: State, events: mpsc::Sender<Event>, seen: Seen) -> Self {
        Self { dialog, state, events, seen, unacknowledged: None, ack: None, change: None, changing: None }
    }

    /// Tells the owner. An owner who is gone hears nothing: its leg ends by itself.
    pub(super) fn tell(&self, event: Event) {
        if let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) {
            tracing::warn!(call_id = %self.dialog.call_id, ?event, "event lost: the leg's owner does not keep up");
        }
    }
}
