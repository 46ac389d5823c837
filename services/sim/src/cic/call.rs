//! Calls that go on while they ring: to a user's station, and out by a line group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::audio::{Inserted, description};
use super::config::{LineGroup, Station, User};
use super::routing::{self, MediaReason, Way};
use super::{Origin, Reach, Server, held, queue};
use crate::number;
use crate::seen::AnsweredBy;
use crate::settings::millis;
use crate::ua::{Audio, Early, Incoming, Invite, Leg, Placed, Timing, Voice, place, relay};

/// Only a 100 for so long: the peer's own peer is silent.
const ONLY_100: Duration = Duration::from_secs(10);
/// A call out by a line rings for so long at most.
const OUTBOUND_RINGS: Duration = Duration::from_secs(120);

/// Who calls, as the other side is shown.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) number: String,
    pub(super) display: String,
}

/// What a call to somebody else is placed with.
#[derive(Clone)]
pub(super) struct Second<'a> {
    pub(super) caller: &'a Caller,
    pub(super) sdp: Bytes,
    pub(super) why: String,
    pub(super) for_call_id: &'a str,
    /// The port of a media server behind `sdp`.
    pub(super) voice: Option<Voice>,
    /// How long it may ring.
    pub(super) rings: Duration,
}

/// Takes one call.
pub(super) async fn take(server: Arc<Server>, incoming: Incoming) {
    let Some(origin) = server.origin(&incoming) else {
        incoming.leg.seen.because("no line, station or registered softphone has this address");
        return incoming.leg.refuse(403, "Forbidden");
    };
    let (way, why) = routing::way(&server.config, &incoming.called());
    let from = match origin {
        Origin::Line(line) => format!("line {}", line.name),
        Origin::Station(station, _) => format!("station {}", station.name),
    };
    incoming.leg.seen.because(&format!("{from}: {why}"));
    let caller = caller(&origin, &incoming);
    match way {
        Way::User(user) => server.to_user(incoming, origin, caller, user).await,
        Way::Workgroup(workgroup) => {
            let device = server.location(&origin).to_owned();
            if let Some(held) = held::hold(&server, incoming, caller, &device, "queue").await {
                queue::wait(&server, held, workgroup).await;
            }
        }
        Way::Attendant(profile) => {
            let device = server.location(&origin).to_owned();
            held::attend(&server, incoming, caller, &device, profile).await;
        }
        Way::Out(group, number) => server.out(incoming, origin, caller, group, &number, &why).await,
        Way::Unknown => incoming.leg.refuse(404, "Not Found"),
    }
}

/// A user's own calls show the user's number; others show what they came with.
fn caller(origin: &Origin<'_>, incoming: &Incoming) -> Caller {
    let number = match origin {
        Origin::Station(_, Some(user)) if number::bare(&incoming.caller()) == user.extension => {
            Server::shown_number(user).to_owned()
        }
        _ => incoming.caller(),
    };
    Caller { number, display: incoming.display() }
}

impl Server {
    async fn to_user(&self, mut incoming: Incoming, origin: Origin<'_>, caller: Caller, user: &User) {
        let (station, reaches) = match self.station_of(user) {
            Ok(found) => found,
            Err(why) => return self.untaken(incoming, &origin, caller, user, 480, &why).await,
        };
        let (offer, inserted) =
            self.offer(&incoming, &origin, Some(user), self.config.station_location(station), &reaches);
        let _on_phone = self.agents.on_phone(&user.name);
        let call_id = incoming.leg.call_id().to_owned();
        let second = Second {
            caller: &caller,
            sdp: offer,
            why: format!("user {}: station {}", user.name, station.name),
            for_call_id: &call_id,
            voice: inserted.as_ref().map(|inserted| inserted.far.clone()),
            rings: millis(station.ring_timeout_ms()),
        };
        match self.ring(reaches, second, Some(&mut incoming.leg), Early::Ringing).await {
            Placed::Answered(other, sdp) => connect(incoming.leg, other, sdp, inserted).await,
            Placed::Refused { status, reason, .. } => {
                let status = if status < 400 { 480 } else { status };
                let why = format!("station {} refused: {status} {reason}", station.name);
                self.untaken(incoming, &origin, caller, user, status, &why).await;
            }
            Placed::Silent => {
                let why = format!("station {} cannot be reached", station.name);
                self.untaken(incoming, &origin, caller, user, 480, &why).await;
            }
            Placed::NoAnswer => {
                let why = format!("station {} did not answer", station.name);
                self.untaken(incoming, &origin, caller, user, 480, &why).await;
            }
            Placed::CallerGone => {}
        }
    }

    /// The station that calls to a user ring and the ways to it, or why there is none.
    pub(super) fn station_of<'a>(&'a self, user: &User) -> Result<(&'a Station, Vec<Reach<'a>>), String> {
        if let Some(status) = self.agents.status(&user.name).filter(|status| status.do_not_disturb) {
            return Err(format!("user {} is in status {}", user.name, status.name));
        }
        let station = user.default_station.as_deref().and_then(|name| self.config.station(name));
        let Some(station) = station else { return Err(format!("user {} has no station", user.name)) };
        let reaches = self.reach(station);
        if reaches.is_empty() {
            return Err(format!("station {} is not registered", station.name));
        }
        Ok((station, reaches))
    }

    /// Nobody takes it: voicemail, or a refusal.
    async fn untaken(
        &self,
        incoming: Incoming,
        origin: &Origin<'_>,
        caller: Caller,
        user: &User,
        status: u16,
        why: &str,
    ) {
        incoming.leg.seen.because(why);
        if user.voicemail.unwrap_or(self.config.voicemail) {
            let device = self.location(origin).to_owned();
            held::voicemail(self, incoming, caller, &device).await;
        } else {
            let reason = if status == 486 { "Busy Here" } else { "Temporarily Unavailable" };
            incoming.leg.refuse(status, reason);
        }
    }

    /// Out by a line group: a call to the PSTN, or a tandem to Lync.
    async fn out(
        &self,
        mut incoming: Incoming,
        origin: Origin<'_>,
        caller: Caller,
        group: &LineGroup,
        number: &str,
        why: &str,
    ) {
        let reaches = self.reach_out(group, number);
        let user = match origin {
            Origin::Station(_, user) => user,
            Origin::Line(_) => None,
        };
        let to =
            reaches.first().map_or(self.config.site.as_str(), |reach| self.config.line_location(reach.line));
        let (offer, inserted) = self.offer(&incoming, &origin, user, to, &reaches);
        let call_id = incoming.leg.call_id().to_owned();
        let second = Second {
            caller: &caller,
            sdp: offer,
            why: why.to_owned(),
            for_call_id: &call_id,
            voice: inserted.as_ref().map(|inserted| inserted.far.clone()),
            rings: OUTBOUND_RINGS,
        };
        let early = match &inserted {
            Some(inserted) => Early::Own(description(&inserted.near, 1)),
            None => Early::Through,
        };
        match self.ring(reaches, second, Some(&mut incoming.leg), early).await {
            Placed::Answered(other, sdp) => connect(incoming.leg, other, sdp, inserted).await,
            Placed::Refused { status, reason, .. } => {
                incoming.leg.refuse(if status < 400 { 480 } else { status }, &reason);
            }
            Placed::Silent => incoming.leg.refuse(504, "Server Time-out"),
            Placed::NoAnswer => incoming.leg.refuse(480, "Temporarily Unavailable"),
            Placed::CallerGone => {}
        }
    }

    /// The ways out of a line group: each line in order, of each its proxies in order.
    pub(super) fn reach_out(&self, group: &LineGroup, number: &str) -> Vec<Reach<'_>> {
        let lines = group.lines.iter().filter_map(|name| self.config.line(name));
        lines.flat_map(|line| self.dial(line, number)).collect()
    }

    /// The offer to whoever is called: the caller's own, or that of a media server which has to be in the audio.
    fn offer(
        &self,
        incoming: &Incoming,
        origin: &Origin<'_>,
        user: Option<&User>,
        to: &str,
        reaches: &[Reach<'_>],
    ) -> (Bytes, Option<Inserted>) {
        let body = &incoming.request.body;
        let from_line = match origin {
            Origin::Line(line) => Some(*line),
            Origin::Station(station, _) => self.config.line(&station.line),
        };
        let Some(reason) =
            self.media_reason(user, None, &[from_line, reaches.first().map(|reach| reach.line)])
        else {
            return (body.clone(), None);
        };
        let word = match reason {
            MediaReason::Recorded => "recorded",
            MediaReason::AlwaysIn => "audio path always-in",
        };
        match self.insert(self.location(origin), to, body) {
            Some((inserted, offer)) => {
                incoming.leg.seen.because(&format!("{word}: {}", inserted.why));
                incoming.leg.hears(&inserted.near);
                (offer, Some(inserted))
            }
            None => {
                incoming
                    .leg
                    .seen
                    .because(&format!("{word}, but no media server can be had: goes on without"));
                (body.clone(), None)
            }
        }
    }

    /// Places a call by the first way that responds: the next proxy when one is silent, the next line when the response
    /// is one of the line's retry codes.
    pub(super) async fn ring(
        &self,
        reaches: Vec<Reach<'_>>,
        second: Second<'_>,
        mut caller: Option<&mut Leg>,
        early: Early,
    ) -> Placed {
        let mut outcome = Placed::Silent;
        let mut given_up: Option<&str> = None;
        for reach in reaches {
            if given_up == Some(reach.line.name.as_str()) {
                continue;
            }
            let timing = Timing {
                no_response: millis(reach.line.no_response_ms),
                only_100: ONLY_100,
                answer: second.rings,
            };
            let invite = self.second_leg(&reach, second.clone());
            outcome = place(&self.ua, invite, timing, caller.as_deref_mut(), early.clone()).await;
            match &outcome {
                Placed::Silent => {}
                Placed::Refused { status, .. } if reach.line.retry_codes.contains(status) => {
                    given_up = Some(&reach.line.name);
                }
                _ => return outcome,
            }
        }
        outcome
    }

    fn second_leg(&self, reach: &Reach<'_>, second: Second<'_>) -> Invite {
        let number = reach.line.write_number(&second.caller.number);
        Invite {
            target: reach.target,
            uri: reach.uri.clone(),
            display: second.caller.display.clone(),
            from: format!("sip:{number}@{}", self.ua.address()),
            headers: Vec::new(),
            sdp: second.sdp,
            caller: second.caller.number.clone(),
            why: format!("{}, line {}", second.why, reach.line.name),
            for_call_id: second.for_call_id.to_owned(),
            voice: second.voice,
        }
    }
}

/// The other side answered: the caller is, too.
async fn connect(mut leg: Leg, mut other: Leg, sdp: Bytes, inserted: Option<Inserted>) {
    let (audio, answer) = match &inserted {
        Some(inserted) => {
            if let Some(session) = crate::media::read(&sdp) {
                inserted.far.port.connect(session.address);
            }
            (inserted.audio(), description(&inserted.near, 1))
        }
        None => (Audio::Through, sdp),
    };
    leg.seen.answered(AnsweredBy::Nobody);
    leg.answer(answer);
    relay(&mut leg, &mut other, &audio).await;
}
