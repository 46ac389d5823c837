//! Callers whom CIC itself has answered: with a greeting, voicemail, the music of a queue; and how they are brought to
//! somebody else.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::audio::description;
use super::call::{Caller, Second};
use super::config::{AttendantProfile, User, Workgroup};
use super::routing::{self, Way};
use super::{Reach, Server, queue};
use crate::media;
use crate::phone;
use crate::place::{CallResult, Conduct, Place};
use crate::seen::AnsweredBy;
use crate::settings::millis;
use crate::ua::{Audio, Early, Incoming, Leg, Placed, Voice, relay};

/// A destination that an attendant or a user's client dials may ring so long.
const RINGS: Duration = Duration::from_secs(60);

/// A caller whom a media server serves.
pub(super) struct Held {
    pub(super) leg: Leg,
    /// Where the caller receives, as the caller said.
    pub(super) description: Bytes,
    /// The media server's port towards the caller.
    pub(super) voice: Voice,
    pub(super) caller: Caller,
}

/// Answers a call with a media server. None: there is none, and the call was refused.
pub(super) async fn hold(
    server: &Server,
    incoming: Incoming,
    caller: Caller,
    device: &str,
    what: &str,
) -> Option<Held> {
    let leg = incoming.leg;
    let media::Answerable::Yes(session) = media::answerable(&incoming.request.body) else {
        leg.refuse(488, "Not Acceptable Here");
        return None;
    };
    let Some((voice, why)) = server.player(device) else {
        leg.seen.because(&format!("{what}: no media server can be had"));
        leg.refuse(503, "No Media Server");
        return None;
    };
    leg.seen.because(&format!("{what}: {why}"));
    voice.port.connect(session.address);
    leg.hears(&voice);
    leg.seen.answered(AnsweredBy::Cic);
    leg.answer(description(&voice, 1));
    Some(Held { leg, description: incoming.request.body, voice, caller })
}

/// A greeting, after which the caller is thanked.
pub(super) async fn voicemail(server: &Server, incoming: Incoming, caller: Caller, device: &str) {
    if let Some(mut held) = hold(server, incoming, caller, device, "voicemail").await {
        greet(server, &mut held).await;
    }
}

/// Plays the greeting. True: the caller has hung up.
async fn greet(server: &Server, held: &mut Held) -> bool {
    let lasts = millis(server.config.greeting_ms);
    phone::converse(&mut held.leg, &held.voice.port, Some(lasts), None).await
}

/// An attendant: a greeting, then wherever the profile sends the caller.
pub(super) async fn attend(
    server: &Server,
    incoming: Incoming,
    caller: Caller,
    device: &str,
    profile: &AttendantProfile,
) {
    let Some(mut held) = hold(server, incoming, caller, device, "attendant").await else { return };
    if greet(server, &mut held).await {
        return;
    }
    let Some(number) = &profile.transfer_to else { return };
    let (way, why) = routing::way(&server.config, number);
    let why = format!("attendant profile {}: {why}", profile.name);
    held.leg.seen.because(&why);
    match way {
        Way::Workgroup(workgroup) => queue::wait(server, held, workgroup).await,
        _ => {
            if let Some(destination) = server.destination(&way) {
                join(server, held, destination, why).await;
            }
        }
    }
}

/// Where a held caller can be brought.
struct Destination<'a> {
    reaches: Vec<Reach<'a>>,
    user: Option<&'a User>,
    rings: Duration,
}

impl Server {
    fn destination<'a>(&'a self, way: &Way<'a>) -> Option<Destination<'a>> {
        match way {
            Way::User(user) => {
                let (station, reaches) = self.station_of(user).ok()?;
                Some(Destination { reaches, user: Some(user), rings: millis(station.ring_timeout_ms()) })
            }
            Way::Out(group, number) => {
                let reaches = self.reach_out(group, number);
                Some(Destination { reaches, user: None, rings: RINGS })
            }
            Way::Workgroup(_) | Way::Attendant(_) | Way::Unknown => None,
        }
    }
}

/// Rings somebody for a held caller and, on the answer, brings them together. Ends the caller's leg when nobody answers.
async fn join(server: &Server, mut held: Held, to: Destination<'_>, why: String) {
    let stays = stays(server, to.user, None, &to.reaches, &held);
    if let Placed::Answered(other, sdp) =
        ring(server, &mut held, to.reaches, to.rings, why, stays.as_ref()).await
    {
        bridge(held, other, sdp, stays).await;
    }
}

/// The media server's port towards the other side, when the media server has to stay in the audio.
pub(super) fn stays(
    server: &Server,
    user: Option<&User>,
    workgroup: Option<&Workgroup>,
    reaches: &[Reach<'_>],
    held: &Held,
) -> Option<Voice> {
    let line = server.config.line_from(held.leg.peer().ip());
    server.media_reason(user, workgroup, &[line, reaches.first().map(|reach| reach.line)])?;
    server.beside(&held.voice)
}

/// Rings somebody for a held caller.
pub(super) async fn ring(
    server: &Server,
    held: &mut Held,
    reaches: Vec<Reach<'_>>,
    rings: Duration,
    why: String,
    stays: Option<&Voice>,
) -> Placed {
    let caller = held.caller.clone();
    let call_id = held.leg.call_id().to_owned();
    let sdp = stays.map_or_else(|| held.description.clone(), |far| description(far, 1));
    let second = Second { caller: &caller, sdp, why, for_call_id: &call_id, voice: stays.cloned(), rings };
    server.ring(reaches, second, Some(&mut held.leg), Early::Nothing).await
}

/// Brings a held caller and whoever answered together, until one hangs up: through the media server when it stays, else
/// by a re-INVITE that tells the caller where the other receives.
pub(super) async fn bridge(mut held: Held, mut other: Leg, sdp: Bytes, stays: Option<Voice>) {
    let audio = match &stays {
        Some(far) => {
            if let Some(session) = media::read(&sdp) {
                far.port.connect(session.address);
            }
            Audio::Anchored(held.voice.port.clone(), far.port.clone())
        }
        None => {
            if let Err(status) = held.leg.change(sdp).await {
                held.leg
                    .seen
                    .because(&format!("re-INVITE refused with {status}: the call cannot be connected"));
                return;
            }
            Audio::Through
        }
    };
    relay(&mut held.leg, &mut other, &audio).await;
}

/// A call that a user makes in the CIC client: the user's own station rings first, then the destination.
pub(super) async fn from_client(server: Arc<Server>, call: Place, conduct: Conduct) {
    let clock = server.ua.clock();
    let began = clock.monotonic();
    let mut result = CallResult::default();
    let ends = async {
        conduct.hang_up.notified().await;
    };
    let made = async {
        match own_station(&server, &call).await {
            Ok(held) => {
                held.leg.call_id().clone_into(&mut result.call_id);
                destination_of_client(&server, &call, held, &conduct, &mut result, began).await;
            }
            Err((status, reason)) => (result.status, result.reason) = (status, reason),
        }
    };
    tokio::select! {
        () = made => {}
        () = ends => {}
    }
    if result.setup.is_zero() {
        result.setup = clock.monotonic() - began;
    }
    // Whoever asked may have gone.
    let _unheard = conduct.result.send(result);
}

/// Rings the user's own station, whose audio is then at a media server.
async fn own_station(server: &Server, call: &Place) -> Result<Held, (u16, String)> {
    let user = server.config.user(&call.element).ok_or((404, "No Such User".to_owned()))?;
    let (station, reaches) = server.station_of(user).map_err(|why| (480, why))?;
    let location = server.config.station_location(station);
    let (voice, _) = server.player(location).ok_or((503, "No Media Server".to_owned()))?;
    let shown = if call.caller.is_empty() { Server::shown_number(user) } else { &call.caller };
    let caller = Caller { number: shown.to_owned(), display: user.name.clone() };
    let second = Second {
        caller: &caller,
        sdp: description(&voice, 1),
        why: format!("CIC client of {}: own station {} first", user.name, station.name),
        for_call_id: "",
        voice: Some(voice.clone()),
        rings: millis(station.ring_timeout_ms()),
    };
    match server.ring(reaches, second, None, Early::Nothing).await {
        Placed::Answered(leg, sdp) => {
            if let Some(session) = media::read(&sdp) {
                voice.port.connect(session.address);
            }
            Ok(Held { leg, description: sdp, voice, caller })
        }
        Placed::Refused { status, reason, .. } => Err((status, reason)),
        Placed::Silent => Err((408, "Own Station Unreachable".to_owned())),
        Placed::NoAnswer | Placed::CallerGone => Err((480, "Own Station Not Answered".to_owned())),
    }
}

async fn destination_of_client(
    server: &Server,
    call: &Place,
    mut held: Held,
    conduct: &Conduct,
    result: &mut CallResult,
    began: Duration,
) {
    let (way, why) = routing::way(&server.config, &call.called);
    let Some(to) = server.destination(&way) else {
        (result.status, result.reason) = (404, why);
        return;
    };
    let user = server.config.user(&call.element);
    let stays = stays(server, user, None, &to.reaches, &held);
    let placed = ring(server, &mut held, to.reaches, to.rings.min(call.ring), why, stays.as_ref()).await;
    let clock = server.ua.clock();
    result.setup = clock.monotonic() - began;
    (result.status, result.reason) = match placed {
        Placed::Answered(other, sdp) => {
            conduct.answered.send_replace(true);
            let hold = async {
                match call.hold {
                    Some(hold) => clock.sleep(hold).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = bridge(held, other, sdp, stays) => result.ended_by_far_end = true,
                () = hold => {}
            }
            (200, "OK".to_owned())
        }
        Placed::Refused { status, reason, .. } => (status, reason),
        Placed::Silent => (408, "No Response".to_owned()),
        Placed::NoAnswer => (480, "No Answer".to_owned()),
        Placed::CallerGone => (487, "Caller Gave Up".to_owned()),
    };
}
