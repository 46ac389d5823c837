//! The Front End: takes what the Mediation Server and the clients bring, decides by users and voice routes, rings
//! endpoints, goes out by trunks. Audio does not pass it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::voice::{self, Decision, Way};
use super::{System, TRUNKING_PEER, Trunk, User};
use crate::number;
use crate::seen::AnsweredBy;
use crate::settings::millis;
use crate::ua::{
    Arrival, Audio, Early, Incoming, Invite, Leg, Placed, Target, Timing, fork, number_uri, place, relay,
};

/// After one of these another trunk of the route is tried: the peer is out of service, not the callee.
const NEXT_TRUNK: [u16; 5] = [408, 500, 502, 503, 504];

/// Takes calls from the Mediation Server and from endpoints.
pub(super) async fn run(system: Arc<System>, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        match arrival {
            Arrival::Call(incoming) => {
                let tasks = system.fe.element.world.life.tasks.clone();
                tasks.spawn("front end call", take(Arc::clone(&system), incoming));
            }
            // Clients sign in by means that are not played: their endpoints are configuration.
            Arrival::Registration(registration) => registration.answer(403, "Forbidden", &[]),
        }
    }
}

async fn take(system: Arc<System>, incoming: Incoming) {
    let from = incoming.peer_ip();
    let config = &system.config;
    let called = called(&incoming);
    let decision = if from == system.med.ua.address().ip() {
        let named = incoming.request.header(TRUNKING_PEER).unwrap_or_default();
        match config.trunk(named) {
            Some(trunk) => voice::from_trunk(config, trunk, &called),
            None => return incoming.leg.refuse(404, "No Such Trunk"),
        }
    } else if let Some(endpoint) = system.phone_at(from) {
        voice::from_client(config, voice::user_at(config, endpoint), &called)
    } else {
        incoming.leg.seen.because("neither the Mediation Server nor an endpoint has this address");
        return incoming.leg.refuse(403, "Forbidden");
    };
    incoming.leg.seen.because(&decision.why);
    let Decision { way, why } = decision;
    match way {
        Way::Ring(user) => ring(&system, incoming, user, why).await,
        Way::Out(trunks, number) => out(&system, incoming, &trunks, &number, &why).await,
        Way::Refuse(status, reason) => incoming.leg.refuse(status, reason),
    }
}

/// A number, or a SIP address of our domain, with the `;ext=` that tells users of one number apart.
fn called(incoming: &Incoming) -> String {
    let user = incoming.called();
    if number::is_number(&number::bare(&user)) {
        let extension = incoming.request.request_parameter("ext");
        return match extension {
            Some(extension) if !user.contains(";ext=") => format!("{user};ext={extension}"),
            _ => user,
        };
    }
    incoming.request.uri().to_owned()
}

/// All endpoints of a user, at once.
async fn ring(system: &System, incoming: Incoming, user: &User, why: String) {
    let phones = user.endpoints.iter().filter_map(|name| system.phones.get(name));
    let uri = |phone: &super::Side| {
        let address = user.sip_address.trim_start_matches("sip:");
        let name = address.split('@').next().unwrap_or_default();
        format!("sip:{name}@{};transport=tcp", phone.ua.address())
    };
    let invites: Vec<Invite> = phones
        .map(|phone| invite(system, &incoming, phone.target(), uri(phone), Vec::new(), why.clone()))
        .collect();
    let answer = millis(system.config.ring_timeout_ms);
    let silence = millis(system.config.internal_silence_ms);
    let timing = Timing { no_response: silence, only_100: answer, answer };
    let mut leg = incoming.leg;
    let placed = fork(&system.fe.ua, invites, timing, Some(&mut leg), Early::Ringing).await;
    finish(leg, placed).await;
}

/// The trunks of a route, one after the other, each by the Mediation Server.
async fn out(system: &System, mut incoming: Incoming, trunks: &[&Trunk], number: &str, why: &str) {
    let target = system.med.target();
    for (i, trunk) in trunks.iter().enumerate() {
        let headers = vec![(TRUNKING_PEER, trunk.name.clone())];
        let why = format!("{why}, trunk {}", trunk.name);
        let invite = invite(system, &incoming, target, number_uri(number, target), headers, why);
        let answer = millis(system.config.ring_timeout_ms) * 2;
        // The Mediation Server watches the trunk by its fast failover timer; here only its own silence counts.
        let silence = millis(system.config.internal_silence_ms);
        let timing = Timing { no_response: silence, only_100: answer, answer };
        let placed = place(&system.fe.ua, invite, timing, Some(&mut incoming.leg), Early::Through).await;
        let last = i + 1 == trunks.len();
        match placed {
            Placed::Refused { status, .. } if NEXT_TRUNK.contains(&status) && !last => {}
            Placed::Silent if !last => {}
            placed => return finish(incoming.leg, placed).await,
        }
    }
}

fn invite(
    system: &System,
    incoming: &Incoming,
    target: Target,
    uri: String,
    headers: Vec<(&'static str, String)>,
    why: String,
) -> Invite {
    let caller = incoming.caller();
    let sdp: Bytes = incoming.request.body.clone();
    Invite {
        target,
        uri,
        display: incoming.display(),
        from: format!("sip:{caller}@{};user=phone", system.config.sip_domain),
        headers,
        sdp,
        caller,
        why,
        for_call_id: incoming.leg.call_id().to_owned(),
        voice: None,
    }
}

async fn finish(mut leg: Leg, placed: Placed) {
    match placed {
        Placed::Answered(mut other, sdp) => {
            leg.seen.answered(AnsweredBy::Nobody);
            leg.answer(sdp);
            relay(&mut leg, &mut other, &Audio::Through).await;
        }
        Placed::Refused { status, reason, .. } => {
            leg.refuse(if status < 400 { 480 } else { status }, &reason)
        }
        Placed::Silent => leg.refuse(480, "Temporarily Unavailable"),
        Placed::NoAnswer => leg.refuse(480, "Temporarily Unavailable"),
        Placed::CallerGone => {}
    }
}
