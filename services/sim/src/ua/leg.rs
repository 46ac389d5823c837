//! A leg: one call as one element has it, from INVITE to BYE.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tandem_runtime::clock::Clock;
use tokio::sync::mpsc;

use super::core::Ua;
use super::wire::Message;
use crate::element::Element;
use crate::media::Port;
use crate::net::Transport;
use crate::seen::Seen;

/// Events of one leg that wait to be taken. A leg whose owner is so far behind is ended.
pub(super) const EVENTS_QUEUE: usize = 64;

/// Names a leg within its [`Ua`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LegId(pub(super) u64);

/// Where a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// How.
    pub(crate) transport: Transport,
    /// Where.
    pub(crate) address: SocketAddr,
}

/// What happens on a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Placed: 100 came, or anything that says the peer lives.
    Trying,
    /// Placed: 101 to 199. Several dialogs may be early at once; the 200 decides.
    Progress {
        /// 180, 183, ...
        status: u16,
        /// Early media: where the peer would receive.
        sdp: Option<Bytes>,
    },
    /// Placed: 2xx, acknowledged.
    Answered {
        /// Where the peer receives.
        sdp: Bytes,
    },
    /// Placed: a final failure. The leg has ended.
    Refused {
        /// 300 to 699; 408 also when nothing came or the peer could not be reached.
        status: u16,
        /// As the peer wrote it.
        reason: String,
        /// Of a redirect, in order: URIs.
        contacts: Vec<String>,
    },
    /// Taken: the caller gave up before the answer. The leg has ended.
    Cancelled,
    /// Taken: the ACK of our answer came.
    Acknowledged,
    /// A re-INVITE came, and waits for [`Leg::accept_change`] or [`Leg::refuse_change`].
    Changed {
        /// Where the peer wants to receive from now on; none: it wants to know where we do.
        sdp: Option<Bytes>,
    },
    /// Our re-INVITE was answered: by SDP, or with a status.
    ChangeAnswered(Result<Bytes, u16>),
    /// The call is over: BYE came, or the dialog was lost.
    Ended,
}

/// A call to place.
#[derive(Clone)]
pub(crate) struct Invite {
    /// Where it is sent.
    pub(crate) target: Target,
    /// The Request-URI.
    pub(crate) uri: String,
    /// From: display name and URI.
    pub(crate) display: String,
    pub(crate) from: String,
    /// Headers that the next leg is given on purpose.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The offer.
    pub(crate) sdp: Bytes,
    /// The caller's number, by which status finds the call.
    pub(crate) caller: String,
    /// Which rule sent it.
    pub(crate) why: String,
    /// The Call-ID of the leg that caused it.
    pub(crate) for_call_id: String,
    /// Where the offer's audio is, when it is here: counted with the leg.
    pub(crate) voice: Option<Voice>,
}

/// A port and the element whose it is.
#[derive(Clone)]
pub(crate) struct Voice {
    pub(crate) element: Arc<Element>,
    pub(crate) port: Port,
}

/// A call that came in.
pub(crate) struct Incoming {
    /// To answer it by.
    pub(crate) leg: Leg,
    /// The INVITE.
    pub(crate) request: Message,
    /// Whom it came from; for TCP the far end of the connection.
    pub(crate) peer: SocketAddr,
}

impl Incoming {
    /// The address of whom it came from.
    pub(crate) fn peer_ip(&self) -> IpAddr {
        self.peer.ip()
    }

    /// The user part of the Request-URI: the number that is called.
    pub(crate) fn called(&self) -> String {
        self.request.request_user().unwrap_or_default()
    }

    /// The caller's number as this element believes it: asserted, else From.
    pub(crate) fn caller(&self) -> String {
        self.request.caller()
    }

    /// The name that the caller shows.
    pub(crate) fn display(&self) -> String {
        self.request.display().unwrap_or_default()
    }
}

/// The hold on a leg. Dropped, it ends the leg in the way its state has it: BYE, CANCEL, or a refusal with 480.
pub(crate) struct Leg {
    pub(super) ua: Ua,
    pub(super) id: LegId,
    pub(super) call_id: String,
    pub(super) events: mpsc::Receiver<Event>,
    /// Its record.
    pub(crate) seen: Seen,
}

impl Leg {
    /// Whom it goes to or came from.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.seen.peer()
    }

    /// Its Call-ID.
    pub(crate) fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The clock that its timers run by.
    pub(crate) fn clock(&self) -> Clock {
        self.ua.clock()
    }

    /// The leg has audio here.
    pub(crate) fn hears(&self, voice: &Voice) {
        self.seen.hears(voice.element.name(), &voice.element.plan.site, &voice.port);
    }

    /// The next event; [`Event::Ended`] for ever once the leg is over. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Event {
        self.events.recv().await.unwrap_or(Event::Ended)
    }

    /// Taken: 101 to 199.
    pub(crate) fn progress(&self, status: u16, sdp: Option<Bytes>) {
        self.ua.progress(self.id, status, sdp);
    }

    /// Taken: 200 with where we receive.
    pub(crate) fn answer(&self, sdp: Bytes) {
        self.ua.answer(self.id, sdp);
    }

    /// Taken: a final failure.
    pub(crate) fn refuse(&self, status: u16, reason: &str) {
        self.seen.failed(status, reason);
        self.ua.refuse(self.id, status, reason);
    }

    /// Ends it: BYE when answered, CANCEL when placed and not yet answered, 480 when taken and not yet answered.
    pub(crate) fn end(&self) {
        self.ua.end(self.id);
    }

    /// Answers a re-INVITE with where we receive.
    pub(crate) fn accept_change(&self, sdp: Bytes) {
        self.ua.accept_change(self.id, sdp);
    }

    /// Refuses a re-INVITE; the call goes on as it was (RFC 3261 section 14.2).
    pub(crate) fn refuse_change(&self, status: u16) {
        self.ua.refuse_change(self.id, status);
    }

    /// Sends a re-INVITE that offers `sdp`, and waits for its answer. What else happens meanwhile: a re-INVITE of the
    /// peer is refused with 491 (RFC 3261 section 14.2), the end of the call is an error.
    ///
    /// # Errors
    ///
    /// The status with which it was refused; 481 when the call is over.
    pub(crate) async fn change(&mut self, sdp: Bytes) -> Result<Bytes, u16> {
        self.ua.change(self.id, sdp);
        loop {
            match self.events.recv().await {
                Some(Event::ChangeAnswered(result)) => return result,
                Some(Event::Changed { .. }) => self.refuse_change(491),
                Some(Event::Ended) | None => {
                    self.events.close();
                    return Err(481);
                }
                Some(_) => {}
            }
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.ua.end(self.id);
    }
}
