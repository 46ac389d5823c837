//! Placing a call from an element: what is asked, the hold on the call while it lasts, and what became of it.

use std::sync::Arc;
use std::time::Duration;

use tandem_proto::sim::v1 as proto;
use tokio::sync::{Notify, oneshot, watch};

use crate::settings::millis;

/// How long a call is held after the answer when nothing else is said.
const HOLD: Duration = Duration::from_millis(300);
/// How long a call may ring when nothing else is said.
const RING: Duration = Duration::from_secs(10);

/// A call to place.
///
/// ```
/// use tandem_sim::Place;
/// let call = Place { caller: "+12065550001".to_owned(), ..Place::new("GW", "+14255550101") };
/// assert_eq!(call.element, "GW");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// From which element: the gateway (a caller on the PSTN), a phone, or a CIC user.
    pub element: String,
    /// What is dialled.
    pub called: String,
    /// The caller's number; empty for a phone or user: their own.
    pub caller: String,
    /// How long the call is held after the answer, and again after each change of where its audio goes. None: until
    /// the other side hangs up or [`Ongoing::hang_up`] is called.
    pub hold: Option<Duration>,
    /// How long it may ring.
    pub ring: Duration,
    /// A word that status finds the call by, in this simulator; others know it by the caller's number.
    pub marker: String,
}

impl Place {
    /// A call with the usual times: held for 300 ms, ringing for 10 s at most.
    pub fn new(element: &str, called: &str) -> Self {
        Self {
            element: element.to_owned(),
            called: called.to_owned(),
            caller: String::new(),
            hold: Some(HOLD),
            ring: RING,
            marker: String::new(),
        }
    }

    pub(crate) fn from_proto(request: proto::PlaceCallRequest) -> Self {
        let or = |ms: u32, usual: Duration| if ms == 0 { usual } else { millis(ms) };
        Self {
            element: request.element,
            called: request.called,
            caller: request.caller,
            hold: Some(or(request.hold_ms, HOLD)),
            ring: or(request.ring_ms, RING),
            marker: request.marker,
        }
    }
}

/// What became of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallResult {
    /// Of the leg that was answered, or else of the last one.
    pub call_id: String,
    /// The final status of the INVITE.
    pub status: u16,
    /// Its reason phrase.
    pub reason: String,
    /// From the first INVITE to the final response.
    pub setup: Duration,
    /// Contacts of redirects that were followed.
    pub redirected_to: Vec<String>,
    /// RTP packets that the caller sent.
    pub rtp_sent: u64,
    /// RTP packets that the caller received.
    pub rtp_received: u64,
    /// Whether the other side hung up first.
    pub ended_by_far_end: bool,
}

impl CallResult {
    pub(crate) fn to_proto(&self) -> proto::PlacedCall {
        proto::PlacedCall {
            call_id: self.call_id.clone(),
            status: u32::from(self.status),
            reason: self.reason.clone(),
            setup_ms: u32::try_from(self.setup.as_millis()).unwrap_or(u32::MAX),
            redirected_to: self.redirected_to.clone(),
            rtp_sent: self.rtp_sent,
            rtp_received: self.rtp_received,
            ended_by_far_end: self.ended_by_far_end,
        }
    }
}

/// The hold on a call that was placed. Dropped, the call goes on as it was asked for.
#[derive(Debug)]
pub struct Ongoing {
    hang_up: Arc<Notify>,
    speak: Arc<Notify>,
    answered: watch::Receiver<bool>,
    result: oneshot::Receiver<CallResult>,
}

/// The other end of [`Ongoing`]: what the task that conducts the call holds.
pub(crate) struct Conduct {
    pub(crate) hang_up: Arc<Notify>,
    pub(crate) speak: Arc<Notify>,
    pub(crate) answered: watch::Sender<bool>,
    pub(crate) result: oneshot::Sender<CallResult>,
}

impl Ongoing {
    pub(crate) fn new() -> (Self, Conduct) {
        let hang_up = Arc::new(Notify::new());
        let speak = Arc::new(Notify::new());
        let (answered_tx, answered) = watch::channel(false);
        let (result_tx, result) = oneshot::channel();
        let conduct = Conduct {
            hang_up: Arc::clone(&hang_up),
            speak: Arc::clone(&speak),
            answered: answered_tx,
            result: result_tx,
        };
        (Self { hang_up, speak, answered, result }, conduct)
    }

    /// The caller hangs up, or gives up when nobody has answered.
    pub fn hang_up(&self) {
        self.hang_up.notify_one();
    }

    /// The caller, once answered, talks again: ten more packets to where the audio goes now. For callers who said all
    /// to the music of a queue before anybody came.
    pub fn speak(&self) {
        self.speak.notify_one();
    }

    /// Waits until the call is answered; false when it ended without. Cancel-safe.
    pub async fn answered(&mut self) -> bool {
        self.answered.wait_for(|answered| *answered).await.is_ok()
    }

    /// Waits until the call has ended, and says what became of it. When the simulator ended before: status 0.
    pub async fn result(self) -> CallResult {
        self.result.await.unwrap_or_default()
    }
}
