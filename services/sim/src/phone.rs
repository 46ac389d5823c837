//! A telephone, and whoever sits at it: rings, is picked up or not, talks, hangs up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::behaviour::Behaviour;
use crate::element::Element;
use crate::media::{self, Answerable, Flowing, Port};
use crate::place::{CallResult, Conduct, Place};
use crate::seen::AnsweredBy;
use crate::settings::{Answer, Phone, millis};
use crate::ua::{self, Arrival, Early, Event, Incoming, Invite, Leg, Placed, Timing, Ua, Voice};

/// How a call is taken: by a telephone, or by somebody on the PSTN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taking {
    pub(crate) answer: Answer,
    pub(crate) answer_after: Duration,
    pub(crate) hang_up_after: Option<Duration>,
}

impl Taking {
    pub(crate) fn of(phone: &Phone) -> Self {
        Self {
            answer: phone.answer,
            answer_after: millis(phone.answer_after_ms),
            hang_up_after: phone.hang_up_after_ms.map(millis),
        }
    }
}

/// Takes calls as they come, until the element is gone.
pub(crate) async fn run(element: Arc<Element>, taking: Taking, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        if let Arrival::Call(incoming) = arrival {
            let name = format!("{} call", element.name());
            let tasks = element.world.life.tasks.clone();
            tasks.spawn(name, take(Arc::clone(&element), taking, incoming));
        }
    }
}

/// Takes one call.
pub(crate) async fn take(element: Arc<Element>, taking: Taking, incoming: Incoming) {
    let mut leg = incoming.leg;
    if taking.answer == Answer::Busy {
        return leg.refuse(486, "Busy Here");
    }
    let Answerable::Yes(offer) = media::answerable(&incoming.request.body) else {
        return leg.refuse(488, "Not Acceptable Here");
    };
    let port = match element.open_port() {
        Ok(port) => port,
        Err(error) => {
            tracing::error!(element = element.name(), %error, "no port for audio");
            return leg.refuse(500, "No Port For Audio");
        }
    };
    port.connect(offer.address);
    leg.hears(&Voice { element: Arc::clone(&element), port: port.clone() });
    leg.progress(180, None);
    let by = tokio::select! {
        by = pick_up(&element, taking) => by,
        () = cancelled(&mut leg) => return leg.seen.failed(487, "Request Terminated"),
    };
    leg.seen.answered(by);
    leg.answer(media::write(port.local(), 1, offer.flowing.answered()));
    converse(&mut leg, &port, taking.hang_up_after, None).await;
}

/// Waits until the telephone goes off-hook.
async fn pick_up(element: &Element, taking: Taking) -> AnsweredBy {
    let mut told = element.told();
    let nobody = element.behaviour() == Behaviour::Ring;
    let by_itself = async {
        match taking.answer {
            Answer::Auto | Answer::Manual if !nobody => element.world.clock.sleep(taking.answer_after).await,
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        () = by_itself => if taking.answer == Answer::Auto { AnsweredBy::Auto } else { AnsweredBy::Manual },
        // The sender lives in the element, which is borrowed: the channel cannot close.
        _changed = told.changed() => AnsweredBy::Manual,
    }
}

async fn cancelled(leg: &mut Leg) {
    while !matches!(leg.next().await, Event::Cancelled | Event::Ended) {}
}

/// Talks on an answered call until it ends: ten packets after the answer, and ten more whenever the other side moves
/// its audio or `conduct` says so. Hangs up `hang_up_after` the last of these, or when `conduct` says so.
///
/// True: the other side hung up.
pub(crate) async fn converse(
    leg: &mut Leg,
    port: &Port,
    hang_up_after: Option<Duration>,
    conduct: Option<&Conduct>,
) -> bool {
    let clock = leg.clock();
    let mut since = clock.monotonic();
    let mut version = 1;
    port.talk();
    loop {
        tokio::select! {
            event = leg.next() => match event {
                Event::Ended | Event::Cancelled => break true,
                Event::Changed { sdp } => {
                    version += 1;
                    if moved(leg, port, sdp, version) {
                        since = clock.monotonic();
                    }
                }
                _ => {}
            },
            () = wait(hang_up_after.map(|after| clock.sleep_until(since + after))) => break false,
            () = wait(conduct.map(|conduct| conduct.speak.notified())) => port.talk(),
            () = wait(conduct.map(|conduct| conduct.hang_up.notified())) => break false,
        }
    }
}

async fn wait(what: Option<impl Future<Output = ()>>) {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

/// The other side moves its audio, or puts us on hold. True: there is somebody new to talk to.
fn moved(leg: &Leg, port: &Port, sdp: Option<Bytes>, version: u32) -> bool {
    let Some(Answerable::Yes(session)) = sdp.map(|sdp| media::answerable(&sdp)) else {
        leg.refuse_change(488);
        return false;
    };
    port.connect(session.address);
    leg.accept_change(media::write(port.local(), version, session.flowing.answered()));
    let talks = session.flowing == Flowing::SendReceive;
    if talks {
        port.talk();
    }
    talks
}

/// Dials from a telephone. `invite` writes the INVITE, given where the telephone's audio is and its offer.
pub(crate) fn place(
    element: &Arc<Element>,
    ua: &Ua,
    call: Place,
    conduct: Conduct,
    invite: impl FnOnce(Voice, Bytes, &Place) -> Invite + Send + 'static,
) {
    let (element, ua) = (Arc::clone(element), ua.clone());
    let tasks = element.world.life.tasks.clone();
    tasks.spawn(format!("{} dials", element.name()), async move {
        let result = dial(element, &ua, &call, &conduct, invite).await;
        // Whoever asked may have gone.
        let _unheard = conduct.result.send(result);
    });
}

async fn dial(
    element: Arc<Element>,
    ua: &Ua,
    call: &Place,
    conduct: &Conduct,
    invite: impl FnOnce(Voice, Bytes, &Place) -> Invite,
) -> CallResult {
    let failed =
        |status: u16, reason: &str| CallResult { status, reason: reason.to_owned(), ..Default::default() };
    let port = match element.open_port() {
        Ok(port) => port,
        Err(error) => {
            tracing::error!(element = element.name(), %error, "no port for audio");
            return failed(500, "No Port For Audio");
        }
    };
    let clock = ua.clock();
    let began = clock.monotonic();
    let offer = media::write(port.local(), 1, Flowing::SendReceive);
    let invite = invite(Voice { element, port: port.clone() }, offer, call);
    let timing = Timing { no_response: call.ring, only_100: call.ring, answer: call.ring };
    let placed = tokio::select! {
        placed = ua::place(ua, invite, timing, None, Early::Nothing) => placed,
        () = conduct.hang_up.notified() => Placed::CallerGone,
    };
    let setup = clock.monotonic() - began;
    let mut result = match placed {
        Placed::Answered(mut leg, sdp) => {
            let mut result = failed(200, "OK");
            leg.call_id().clone_into(&mut result.call_id);
            conduct.answered.send_replace(true);
            if let Some(session) = media::read(&sdp) {
                port.connect(session.address);
            }
            result.ended_by_far_end = converse(&mut leg, &port, call.hold, Some(conduct)).await;
            (result.rtp_sent, result.rtp_received) = leg.seen.packets();
            result
        }
        Placed::Refused { status, reason, .. } => failed(status, &reason),
        Placed::Silent => failed(408, "No Response"),
        Placed::NoAnswer => failed(487, "No Answer: Caller Gave Up"),
        Placed::CallerGone => failed(487, "Caller Gave Up"),
    };
    result.setup = setup;
    result
}
