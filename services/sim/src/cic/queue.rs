//! A workgroup's queue: music until an agent is there, a station call to the agent, the next one when that one does not
//! answer.

use super::Server;
use super::config::Workgroup;
use super::held::{self, Held};
use crate::settings::millis;
use crate::ua::{Event, Placed};

/// Keeps a caller until an agent has taken the call and it is over, the caller hangs up, or `queue_timeout_ms` is past.
pub(super) async fn wait(server: &Server, mut held: Held, workgroup: &Workgroup) {
    let clock = server.ua.clock();
    let deadline = clock.monotonic() + millis(server.config.queue_timeout_ms);
    let mut changes = server.agents.changes();
    held.voice.port.talk();
    loop {
        changes.mark_unchanged();
        let Some((name, why, on_phone)) = server.agents.take(workgroup) else {
            tokio::select! {
                // The sender lives in the server, which is borrowed: the channel cannot close.
                _changed = changes.changed() => continue,
                () = gone(&mut held) => return held.leg.seen.because("the caller gave up in the queue"),
                () = clock.sleep_until(deadline) => {
                    return held.leg.seen.because("nobody took the call: queue timeout");
                }
            }
        };
        let Some(user) = server.config.user(&name) else { return };
        let (station, reaches) = match server.station_of(user) {
            Ok(found) => found,
            Err(why) => {
                held.leg.seen.because(&why);
                server.agents.not_answering(&name);
                continue;
            }
        };
        let why = format!("workgroup {}: {why}, station {}", workgroup.name, station.name);
        let stays = held::stays(server, Some(user), Some(workgroup), &reaches, &held);
        let rings = millis(station.ring_timeout_ms());
        match held::ring(server, &mut held, reaches, rings, why, stays.as_ref()).await {
            Placed::Answered(other, sdp) => {
                held.leg.seen.because(&format!("agent {name} answered"));
                held::bridge(held, other, sdp, stays).await;
                drop(on_phone);
                return;
            }
            Placed::CallerGone => return held.leg.seen.because("the caller gave up in the queue"),
            Placed::Refused { .. } | Placed::Silent | Placed::NoAnswer => {
                held.leg.seen.because(&format!("agent {name} did not answer: ACD - Agent Not Answering"));
                server.agents.not_answering(&name);
                drop(on_phone);
            }
        }
    }
}

async fn gone(held: &mut Held) {
    loop {
        match held.leg.next().await {
            Event::Ended | Event::Cancelled => return,
            Event::Changed { .. } => held.leg.refuse_change(491),
            _ => {}
        }
    }
}
