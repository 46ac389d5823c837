//! A PSTN gateway: callers on the PSTN who reach the tenant's systems, and parties there who are reached.
//!
//! ```text
//! PSTN caller --> GW --Tel-to-IP route--> IP groups in order     next on silence, a bare 100, or a configured cause
//! PSTN party  <-- GW <--IP-to-Tel-------- known IP groups        an emergency number is answered by the rescue
//! ```
//!
//! Invariants: the next IP group is tried only before anything rang, and only for the reasons that
//! `alternative_routing` names; a redirect is followed at most [`REDIRECTS_MAX`] times; an INVITE from no IP group is
//! refused unless the configuration takes strangers.

mod config;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use config::{AlternativeRouting, Config, IpGroup, NumberForm, Party, Route};

use crate::World;
use crate::element::{Element, Kind, Member, Plan};
use crate::media::{self, Flowing, Port};
use crate::phone::{self, Taking};
use crate::place::{CallResult, Conduct, Place};
use crate::service::{PlaceError, Placer, Simulator, StartError};
use crate::settings::{Answer, millis};
use crate::ua::{
    Arrival, Early, Incoming, Invite, Placed, Target, Timing, Ua, Voice, number_uri, place, uri_target,
};

/// Redirects that one call follows.
pub const REDIRECTS_MAX: usize = 5;

/// Starts gateways.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Starts a gateway; it lives until the world's life ends.
    ///
    /// # Errors
    ///
    /// When its address cannot be had.
    pub fn start(config: Config, world: &World) -> Result<Simulator, StartError> {
        let log = crate::seen::Log::default();
        let plan = Plan {
            name: config.name.clone(),
            kind: Kind::Gateway,
            site: config.site.clone(),
            media: Some(config.media_address.unwrap_or(config.address.ip())),
            interval: millis(config.packet_interval_ms),
            calls_max: config.calls_max,
        };
        let element = Element::new(plan, world, &log);
        let (ua, arrivals) = Ua::start(&element, config.address, "address")?;
        let members = vec![Member { element: Arc::clone(&element), ua: Some(ua.clone()) }];
        let shared = Arc::new(Shared { config, element, ua });
        world.life.tasks.spawn("gateway", take_calls(Arc::clone(&shared), arrivals));
        Ok(Simulator::new("gateway", members, log, world, shared))
    }
}

struct Shared {
    config: Config,
    element: Arc<Element>,
    ua: Ua,
}

async fn take_calls(shared: Arc<Shared>, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        if let Arrival::Call(incoming) = arrival {
            take_call(&shared, incoming);
        }
    }
}

/// A call from the tenant to the PSTN.
fn take_call(shared: &Shared, incoming: Incoming) {
    let config = &shared.config;
    let called = crate::number::bare(&incoming.called());
    let peer = config.peer(incoming.peer_ip());
    if peer.is_none() && !config.accept_unknown_peers {
        incoming.leg.seen.because("no IP group has this address");
        return incoming.leg.refuse(403, "Forbidden");
    }
    let at_once = Taking { answer: Answer::Auto, answer_after: Duration::ZERO, hang_up_after: None };
    let (taking, why) = if config.is_emergency(&called) {
        (at_once, format!("emergency number {called}: the rescue answers"))
    } else if let Some(party) = config.party(&called) {
        let taking = Taking {
            answer: party.answer,
            answer_after: millis(party.answer_after_ms),
            hang_up_after: party.hang_up_after_ms.map(millis),
        };
        (taking, format!("IP-to-Tel party {}", party.prefix))
    } else if config.ip_to_tel_parties.is_empty() {
        (at_once, "the PSTN".to_owned())
    } else {
        incoming.leg.seen.because("no IP-to-Tel party has this number");
        return incoming.leg.refuse(404, "Not Found");
    };
    incoming.leg.seen.because(&why);
    let element = Arc::clone(&shared.element);
    element.world.life.tasks.clone().spawn("gateway call", phone::take(element, taking, incoming));
}

impl Placer for Shared {
    fn place(self: Arc<Self>, call: Place, conduct: Conduct) -> Result<(), PlaceError> {
        if call.element != self.config.name {
            return Err(PlaceError::Element(call.element));
        }
        if call.caller.is_empty() {
            return Err(PlaceError::Caller);
        }
        let tasks = self.element.world.life.tasks.clone();
        tasks.spawn("gateway call", async move {
            let result = self.call_in(&call, &conduct).await;
            // Whoever asked may have gone.
            let _unheard = conduct.result.send(result);
        });
        Ok(())
    }
}

/// A way that a call may take: an IP group of the route, or the Contact of a redirect.
struct Attempt {
    target: Target,
    uri: String,
    from: String,
    why: String,
}

/// How a call to one attempt ended without an answer.
struct Failed {
    status: u16,
    reason: String,
}

impl Shared {
    /// A caller on the PSTN.
    async fn call_in(&self, call: &Place, conduct: &Conduct) -> CallResult {
        let mut result = CallResult::default();
        let clock = self.ua.clock();
        let began = clock.monotonic();
        let deadline = began + call.ring;
        let Some((route, groups)) = self.config.route(&call.called) else {
            (result.status, result.reason) = (404, "No Route".to_owned());
            return result;
        };
        let why = |group: &IpGroup| {
            let prefix = Some(route.destination_prefix.as_str()).filter(|prefix| !prefix.is_empty());
            format!("Tel-to-IP route {}, IP group {}", prefix.unwrap_or("for every number"), group.name)
        };
        let mut attempts: VecDeque<Attempt> =
            groups.into_iter().map(|group| self.attempt(call, group, why(group))).collect();
        let port = match self.element.open_port() {
            Ok(port) => port,
            Err(error) => {
                tracing::error!(element = self.element.name(), %error, "no port for audio");
                (result.status, result.reason) = (500, "No Port For Audio".to_owned());
                return result;
            }
        };
        while let Some(attempt) = attempts.pop_front() {
            let left = deadline.saturating_sub(clock.monotonic());
            let placed = tokio::select! {
                placed = self.offer(call, &attempt, &port, left) => placed,
                () = conduct.hang_up.notified() => Placed::CallerGone,
            };
            let failed = match placed {
                Placed::Answered(mut leg, sdp) => {
                    result.setup = clock.monotonic() - began;
                    leg.call_id().clone_into(&mut result.call_id);
                    (result.status, result.reason) = (200, "OK".to_owned());
                    conduct.answered.send_replace(true);
                    if let Some(session) = media::read(&sdp) {
                        port.connect(session.address);
                    }
                    result.ended_by_far_end =
                        phone::converse(&mut leg, &port, call.hold, Some(conduct)).await;
                    (result.rtp_sent, result.rtp_received) = leg.seen.packets();
                    return result;
                }
                Placed::Refused { status, contacts, .. } if self.redirects(status, &contacts, &result) => {
                    self.follow(&mut attempts, &attempt, &contacts, &mut result);
                    continue;
                }
                Placed::Refused { status, reason, .. } => Failed { status, reason },
                Placed::Silent => Failed { status: 408, reason: "No Response".to_owned() },
                Placed::NoAnswer => Failed { status: 487, reason: "No Answer: Caller Gave Up".to_owned() },
                Placed::CallerGone => Failed { status: 487, reason: "Caller Gave Up".to_owned() },
            };
            result.setup = clock.monotonic() - began;
            let next =
                failed.status == 408 || self.config.alternative_routing.causes.contains(&failed.status);
            (result.status, result.reason) = (failed.status, failed.reason);
            if !next || clock.monotonic() >= deadline {
                break;
            }
        }
        result
    }

    fn attempt(&self, call: &Place, group: &IpGroup, why: String) -> Attempt {
        let called = self.config.write_number(&call.called, group.number_form);
        let caller = self.config.write_number(&call.caller, group.number_form);
        let target = Target { transport: group.transport, address: group.address };
        let own = self.ua.address();
        Attempt {
            target,
            uri: number_uri(&called, target),
            from: format!("sip:{caller}@{own};user=phone"),
            why,
        }
    }

    async fn offer(&self, call: &Place, attempt: &Attempt, port: &Port, left: Duration) -> Placed {
        let routing = &self.config.alternative_routing;
        let invite = Invite {
            target: attempt.target,
            uri: attempt.uri.clone(),
            display: String::new(),
            from: attempt.from.clone(),
            headers: Vec::new(),
            sdp: media::write(port.local(), 1, Flowing::SendReceive),
            caller: call.caller.clone(),
            why: attempt.why.clone(),
            for_call_id: String::new(),
            voice: Some(Voice { element: Arc::clone(&self.element), port: port.clone() }),
        };
        let timing = Timing {
            no_response: millis(routing.no_response_ms),
            only_100: millis(routing.only_100_ms),
            answer: left,
        };
        place(&self.ua, invite, timing, None, Early::Nothing).await
    }

    fn redirects(&self, status: u16, contacts: &[String], result: &CallResult) -> bool {
        (300..400).contains(&status)
            && self.config.follow_redirects
            && !contacts.is_empty()
            && result.redirected_to.len() < REDIRECTS_MAX
    }

    /// The Contacts of a redirect take the place of what was still to be tried (RFC 3261 section 8.1.3.4).
    fn follow(
        &self,
        attempts: &mut VecDeque<Attempt>,
        redirected: &Attempt,
        contacts: &[String],
        result: &mut CallResult,
    ) {
        attempts.clear();
        for contact in contacts.iter().take(REDIRECTS_MAX) {
            let Some(target) = uri_target(contact, redirected.target.transport) else { continue };
            result.redirected_to.push(contact.clone());
            attempts.push_back(Attempt {
                target,
                uri: contact.clone(),
                from: redirected.from.clone(),
                why: format!("redirected by {} to {contact}", redirected.target.address),
            });
        }
    }
}
