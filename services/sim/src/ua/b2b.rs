//! The two halves of a back-to-back agent: placing the second leg while the first waits, and keeping both together
//! until one ends.

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;

use super::core::Ua;
use super::leg::{Event, Invite, Leg};
use crate::media::{self, Flowing, Port};

/// How long a placed call may stay in each of its states.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Nothing at all came, since the INVITE.
    pub(crate) no_response: Duration,
    /// Only a 100 came, since the INVITE.
    pub(crate) only_100: Duration,
    /// No final response, since the INVITE.
    pub(crate) answer: Duration,
}

/// What became of a placed call.
pub(crate) enum Placed {
    /// Answered: the leg, and where the peer receives.
    Answered(Leg, Bytes),
    /// A final failure.
    Refused { status: u16, reason: String, contacts: Vec<String> },
    /// Nothing at all, or only a 100, in time.
    Silent,
    /// It rang and nobody answered in time.
    NoAnswer,
    /// The first leg ended before.
    CallerGone,
}

/// What the caller is told while a call that is placed for it is under way.
#[derive(Clone, Debug)]
pub(crate) enum Early {
    /// Nothing: the caller has been answered, or there is none.
    Nothing,
    /// 180.
    Ringing,
    /// What the peer says, as it says it.
    Through,
    /// 183 with this: audio comes from here.
    Own(Bytes),
}

/// Places a call and waits for its outcome. `caller` is the leg that it is placed for: it is told what `early` says,
/// and when it ends, the call is cancelled.
pub(crate) async fn place(
    ua: &Ua,
    invite: Invite,
    timing: Timing,
    caller: Option<&mut Leg>,
    early: Early,
) -> Placed {
    fork(ua, vec![invite], timing, caller, early).await
}

/// Places several calls at once, as [`place`]: the first that is answered is kept, the others are cancelled; when all
/// are refused, the best refusal counts (6xx, then the lowest status).
pub(crate) async fn fork(
    ua: &Ua,
    invites: Vec<Invite>,
    timing: Timing,
    mut caller: Option<&mut Leg>,
    early: Early,
) -> Placed {
    let clock = ua.clock();
    let began = clock.monotonic();
    let mut legs: Vec<Leg> = invites.into_iter().map(|invite| ua.invite(invite)).collect();
    let mut refused: Option<(u16, String, Vec<String>)> = None;
    let mut wait = timing.no_response.min(timing.answer);
    let mut rang = false;
    while !legs.is_empty() {
        let (which, event) = tokio::select! {
            next = any(&mut legs) => next,
            () = gone(&mut caller) => {
                fail(&legs, 487, "Request Terminated");
                return Placed::CallerGone;
            }
            () = clock.sleep_until(began + wait) => {
                let (status, reason) = if rang { (487, "No Answer: Cancelled") } else { (408, "No Response") };
                fail(&legs, status, reason);
                return if rang { Placed::NoAnswer } else { Placed::Silent };
            }
        };
        match event {
            Event::Trying if !rang => wait = timing.only_100.min(timing.answer),
            Event::Progress { status, sdp } => {
                (rang, wait) = (true, timing.answer);
                if let Some(caller) = &caller {
                    tell(caller, &early, status, sdp);
                }
            }
            Event::Answered { sdp } => {
                let answered = legs.swap_remove(which);
                fail(&legs, 487, "Answered Elsewhere");
                return Placed::Answered(answered, sdp);
            }
            Event::Refused { status, reason, contacts } => {
                legs.swap_remove(which);
                let better = refused.as_ref().is_none_or(|(best, ..)| rank(status) < rank(*best));
                if better {
                    refused = Some((status, reason, contacts));
                }
            }
            Event::Ended => {
                legs.swap_remove(which);
            }
            _ => {}
        }
    }
    let (status, reason, contacts) =
        refused.unwrap_or_else(|| (480, "Nobody To Call".to_owned(), Vec::new()));
    if status == 408 && !rang { Placed::Silent } else { Placed::Refused { status, reason, contacts } }
}

/// RFC 3261 section 16.7 step 6: 6xx first, then the lowest.
fn rank(status: u16) -> (bool, u16) {
    (status < 600, status)
}

fn fail(legs: &[Leg], status: u16, reason: &str) {
    for leg in legs {
        leg.seen.failed(status, reason);
    }
}

fn tell(caller: &Leg, early: &Early, status: u16, sdp: Option<Bytes>) {
    match early {
        Early::Nothing => {}
        Early::Ringing => caller.progress(180, None),
        Early::Through => caller.progress(status, sdp),
        Early::Own(own) => caller.progress(183, Some(own.clone())),
    }
}

/// The next event of any of `legs`, and of which.
async fn any(legs: &mut [Leg]) -> (usize, Event) {
    std::future::poll_fn(|context| {
        for (which, leg) in legs.iter_mut().enumerate() {
            if let Poll::Ready(event) = leg.events.poll_recv(context) {
                return Poll::Ready((which, event.unwrap_or(Event::Ended)));
            }
        }
        Poll::Pending
    })
    .await
}

/// Waits until the caller gave up; a caller who is in a queue may meanwhile ask for other media, and is asked to
/// wait.
async fn gone(caller: &mut Option<&mut Leg>) {
    let Some(leg) = caller else { return std::future::pending().await };
    loop {
        match leg.next().await {
            Event::Cancelled | Event::Ended => return,
            Event::Changed { .. } => leg.refuse_change(491),
            _ => {}
        }
    }
}

/// How a back-to-back agent treats audio.
#[derive(Clone)]
pub(crate) enum Audio {
    /// SDP goes through: the two sides send to each other.
    Through,
    /// Audio passes through these bridged ports: SDP stays here.
    Anchored(Port, Port),
}

/// Which leg ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ender {
    First,
    Second,
}

/// Keeps two answered legs together until one ends; then ends the other.
pub(crate) async fn relay(first: &mut Leg, second: &mut Leg, audio: &Audio) -> Ender {
    let mut version = 1;
    loop {
        tokio::select! {
            event = first.next() => match event {
                Event::Ended | Event::Cancelled => {
                    second.end();
                    return Ender::First;
                }
                Event::Changed { sdp } => {
                    version += 1;
                    let port = match audio { Audio::Anchored(port, _) => Some(port), Audio::Through => None };
                    change(first, second, sdp, port, version).await;
                }
                _ => {}
            },
            event = second.next() => match event {
                Event::Ended | Event::Cancelled => {
                    first.end();
                    return Ender::Second;
                }
                Event::Changed { sdp } => {
                    version += 1;
                    let port = match audio { Audio::Anchored(_, port) => Some(port), Audio::Through => None };
                    change(second, first, sdp, port, version).await;
                }
                _ => {}
            },
        }
    }
}

/// `asking` wants its audio elsewhere: answered here when the audio is anchored, else asked of the other side.
async fn change(asking: &mut Leg, other: &mut Leg, sdp: Option<Bytes>, port: Option<&Port>, version: u32) {
    let Some(sdp) = sdp else { return asking.refuse_change(488) };
    match port {
        Some(port) => match media::answerable(&sdp) {
            media::Answerable::Yes(session) => {
                port.connect(session.address);
                asking.accept_change(media::write(port.local(), version, session.flowing.answered()));
            }
            media::Answerable::No => asking.refuse_change(488),
        },
        None => match other.change(sdp).await {
            Ok(answer) => asking.accept_change(answer),
            Err(status) => asking.refuse_change(status),
        },
    }
}

/// Two ports of one element, bridged: `first` towards who offered `sdp`, the second towards somebody yet unknown.
pub(crate) fn anchor(first: &Port, second: &Port, sdp: &[u8]) -> Result<Bytes, u16> {
    let media::Answerable::Yes(session) = media::answerable(sdp) else { return Err(488) };
    first.connect(session.address);
    Port::bridge(first, second);
    Ok(media::write(second.local(), 1, Flowing::SendReceive))
}
