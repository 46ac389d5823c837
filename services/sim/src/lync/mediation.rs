//! The Mediation Server: trunks on one side, the Front End on the other, audio between them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::{System, TRUNKING_PEER, Trunk, tcp};
use crate::media;
use crate::number;
use crate::seen::AnsweredBy;
use crate::settings::millis;
use crate::ua::{
    Arrival, Audio, Early, Incoming, Invite, Placed, Timing, Voice, anchor, number_uri, place, relay,
};

/// Takes calls from trunk peers and from the Front End.
pub(super) async fn run(system: Arc<System>, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        let Arrival::Call(incoming) = arrival else { continue };
        let tasks = system.med.element.world.life.tasks.clone();
        tasks.spawn("mediation call", take(Arc::clone(&system), incoming));
    }
}

async fn take(system: Arc<System>, incoming: Incoming) {
    let from = incoming.peer_ip();
    if from == system.fe.ua.address().ip() {
        return to_trunk(&system, incoming).await;
    }
    match system.config.trunk_from(from) {
        Some(trunk) => from_trunk(&system, trunk, incoming).await,
        None => {
            incoming.leg.seen.because("no trunk of the topology has this peer");
            incoming.leg.refuse(403, "Forbidden");
        }
    }
}

/// From a trunk peer: to the Front End, which decides.
async fn from_trunk(system: &System, trunk: &Trunk, incoming: Incoming) {
    let called = number::bare(&incoming.called());
    incoming.leg.seen.because(&format!("trunk {}", trunk.name));
    let extension =
        incoming.request.request_parameter("ext").map(|ext| format!(";ext={ext}")).unwrap_or_default();
    let next = Next {
        uri: number_uri(&format!("{called}{extension}"), system.fe.target()),
        target: system.fe.target(),
        headers: vec![(TRUNKING_PEER, trunk.name.clone())],
        why: format!("trunk {}: to the Front End", trunk.name),
        bypass: trunk.enable_bypass,
        silence: millis(system.config.internal_silence_ms),
        answer: millis(system.config.ring_timeout_ms) * 2,
    };
    pass_on(system, incoming, next).await;
}

/// From the Front End: to the trunk that it names.
async fn to_trunk(system: &System, incoming: Incoming) {
    let named = incoming.request.header(TRUNKING_PEER).unwrap_or_default().to_owned();
    let Some(trunk) = system.config.trunk(&named) else {
        return incoming.leg.refuse(404, "No Such Trunk");
    };
    let called = number::bare(&incoming.called());
    let called = if trunk.remove_plus_from_uri { called.trim_start_matches('+').to_owned() } else { called };
    let target = tcp(trunk.address);
    let caller = incoming.caller();
    let headers = if trunk.forward_pai && number::is_number(&caller) {
        vec![("P-Asserted-Identity", format!("<sip:{caller}@{}>", system.config.sip_domain))]
    } else {
        Vec::new()
    };
    let answer = millis(system.config.ring_timeout_ms) * 2;
    // Without the timer a silent trunk is given up when its INVITE times out (RFC 3261 section 17.1.1.2).
    let silence = if trunk.enable_fast_failover_timer {
        millis(trunk.fast_failover_ms)
    } else {
        Duration::from_secs(32)
    };
    let next = Next {
        uri: number_uri(&called, target),
        target,
        headers,
        why: format!("the Front End names trunk {}", trunk.name),
        bypass: trunk.enable_bypass,
        silence,
        answer,
    };
    pass_on(system, incoming, next).await;
}

/// The second leg.
struct Next {
    uri: String,
    target: crate::ua::Target,
    headers: Vec<(&'static str, String)>,
    why: String,
    bypass: bool,
    silence: Duration,
    answer: Duration,
}

async fn pass_on(system: &System, incoming: Incoming, next: Next) {
    let med = &system.med;
    let caller = incoming.caller();
    let display = incoming.display();
    let mut leg = incoming.leg;
    let offered = incoming.request.body;
    let (audio, sdp, early, near) = if next.bypass {
        (Audio::Through, offered, Early::Through, None)
    } else {
        let (Ok(near), Ok(far)) = (med.element.open_port(), med.element.open_port()) else {
            return leg.refuse(500, "No Port For Audio");
        };
        let sdp = match anchor(&near, &far, &offered) {
            Ok(sdp) => sdp,
            Err(status) => return leg.refuse(status, "Not Acceptable Here"),
        };
        let near = Voice { element: Arc::clone(&med.element), port: near };
        leg.hears(&near);
        let early = Early::Own(super::offer(&near));
        (Audio::Anchored(near.port.clone(), far), sdp, early, Some(near))
    };
    let far = match &audio {
        Audio::Anchored(_, far) => Some(Voice { element: Arc::clone(&med.element), port: far.clone() }),
        Audio::Through => None,
    };
    let invite = Invite {
        target: next.target,
        uri: next.uri,
        display,
        from: format!("sip:{caller}@{};user=phone", med.ua.address()),
        headers: next.headers,
        sdp,
        caller,
        why: next.why,
        for_call_id: leg.call_id().to_owned(),
        voice: far,
    };
    let timing = Timing { no_response: next.silence, only_100: next.silence, answer: next.answer };
    match place(&med.ua, invite, timing, Some(&mut leg), early).await {
        Placed::Answered(mut other, answer) => {
            let answer = match (&audio, &near) {
                (Audio::Anchored(_, far), Some(near)) => {
                    if let Some(session) = media::read(&answer) {
                        far.connect(session.address);
                    }
                    super::offer(near)
                }
                _ => answer,
            };
            leg.seen.answered(AnsweredBy::Nobody);
            leg.answer(answer);
            relay(&mut leg, &mut other, &audio).await;
        }
        Placed::Refused { status, reason, .. } => {
            // A redirect is nothing that the other side of a Mediation Server could follow.
            let status = if status < 400 { 480 } else { status };
            leg.refuse(status, &reason);
        }
        Placed::Silent => leg.refuse(504, "Server Time-out"),
        Placed::NoAnswer => leg.refuse(480, "Temporarily Unavailable"),
        Placed::CallerGone => {}
    }
}
