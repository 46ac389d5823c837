//! What the owners of legs do.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::legs::{LegState, State, Unacknowledged, Use};
use super::{Core, Ua};
use crate::seen::Began;
use crate::ua::dialog::{Dialog, Side};
use crate::ua::leg::{EVENTS_QUEUE, Event, Invite, Leg, LegId};
use crate::ua::message::Draft;

impl Ua {
    /// Places a call. What becomes of it is told by the leg's events.
    pub(crate) fn invite(&self, invite: Invite) -> Leg {
        let target = invite.target;
        let call_id = format!("{}@{}", self.tag(), self.address().ip());
        let seen = self.0.element.log.begin(Began {
            element: self.0.element.name().to_owned(),
            call_id: call_id.clone(),
            request_uri: invite.uri.clone(),
            from: invite.from.clone(),
            caller: invite.caller.clone(),
            peer: target.address,
            local: self.address(),
            transport: target.transport,
            outgoing: true,
            why: invite.why.clone(),
            for_call_id: invite.for_call_id.clone(),
            at_us: u64::try_from(self.world().age().as_micros()).unwrap_or(u64::MAX),
        });
        if let Some(voice) = &invite.voice {
            seen.hears(voice.element.name(), &voice.element.plan.site, &voice.port);
        }
        let display: String = invite.display.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
        let local = if display.is_empty() {
            format!("<{}>", invite.from)
        } else {
            format!("\"{display}\" <{}>", invite.from)
        };
        let mut dialog = Dialog {
            side: Side::Placed,
            call_id: call_id.clone(),
            local_tag: self.tag(),
            remote_tag: None,
            local,
            remote: format!("<{}>", invite.uri),
            local_cseq: 0,
            remote_cseq: 0,
            routes: Vec::new(),
            remote_target: invite.uri,
            origin: target,
            contact: self.contact(target.transport),
        };
        let (mut draft, _) = dialog.request("INVITE", None);
        draft.allowing();
        draft.header("User-Agent", "Tandem-Simulator");
        for (name, value) in &invite.headers {
            draft.header(name, value);
        }
        let (events, rx) = mpsc::channel(EVENTS_QUEUE);
        let mut core = self.core();
        let client = core.transactions.request(self.now(), "INVITE", target, draft.sdp(invite.sdp));
        let state = State::Calling { client, given_up: false };
        let id = core.legs.add(LegState::new(dialog, state, events, seen.clone()));
        core.legs.clients.insert(client, Use::Invite(id));
        self.flush(core);
        Leg { ua: self.clone(), id, call_id, events: rx, seen }
    }

    pub(in crate::ua) fn progress(&self, id: LegId, status: u16, sdp: Option<Bytes>) {
        let mut core = self.core();
        let Some(leg) = core.legs.get(id) else { return };
        let State::Ringing { server, request } = &leg.state else { return };
        let reason = if status == 183 { "Session Progress" } else { "Ringing" };
        let draft = Draft::response(request, status, reason, &leg.dialog.local_tag);
        let bytes = draft.establishing(request, &leg.dialog.contact).sdp(sdp.unwrap_or_default()).finish();
        let server = *server;
        core.transactions.respond(self.now(), server, status, bytes);
        self.flush(core);
    }

    pub(in crate::ua) fn answer(&self, id: LegId, sdp: Bytes) {
        let now = self.now();
        let mut core = self.core();
        let Some(leg) = core.legs.get(id) else { return };
        let State::Ringing { server, request } = std::mem::replace(&mut leg.state, State::Up) else { return };
        let draft = Draft::response(&request, 200, "OK", &leg.dialog.local_tag);
        let bytes = draft.establishing(&request, &leg.dialog.contact).sdp(sdp).finish();
        leg.unacknowledged = Some(Unacknowledged::new(leg.dialog.origin, bytes.clone(), now));
        core.legs.ringing.remove(&server);
        core.transactions.respond(now, server, 200, bytes);
        self.flush(core);
    }

    pub(in crate::ua) fn refuse(&self, id: LegId, status: u16, reason: &str) {
        let mut core = self.core();
        let ringing = core.legs.get(id).is_some_and(|leg| matches!(leg.state, State::Ringing { .. }));
        if !ringing {
            return;
        }
        if let Some(leg) = core.legs.remove(id)
            && let State::Ringing { server, request } = &leg.state
        {
            let bytes = Draft::response(request, status, reason, &leg.dialog.local_tag).finish();
            core.transactions.respond(self.now(), *server, status, bytes);
        }
        self.flush(core);
    }

    pub(in crate::ua) fn end(&self, id: LegId) {
        let mut core = self.core();
        let Some(leg) = core.legs.get(id) else { return };
        match &mut leg.state {
            State::Calling { client, given_up } => {
                *given_up = true;
                let client = *client;
                // For its owner it is over, though the peer may be silent about it for long.
                leg.seen.failed(487, "Cancelled");
                leg.seen.end();
                core.transactions.cancel(self.now(), client);
                self.flush(core);
            }
            State::Ringing { .. } => {
                leg.seen.failed(480, "Temporarily Unavailable");
                drop(core);
                self.refuse(id, 480, "Temporarily Unavailable");
            }
            State::Up => {
                match &mut leg.unacknowledged {
                    // RFC 3261 section 15: the callee sends no BYE before the ACK.
                    Some(waiting) if leg.dialog.side == Side::Taken && leg.changing.is_none() => {
                        waiting.bye = true
                    }
                    _ => self.hang_up(&mut core, id),
                }
                self.flush(core);
            }
        }
    }

    /// BYE.
    pub(super) fn hang_up(&self, core: &mut Core, id: LegId) {
        let Some(mut leg) = core.legs.remove(id) else { return };
        let (bye, target) = leg.dialog.request("BYE", None);
        let client = core.transactions.request(self.now(), "BYE", target, bye);
        core.legs.clients.insert(client, Use::Bye);
        leg.tell(Event::Ended);
    }

    pub(in crate::ua) fn change(&self, id: LegId, sdp: Bytes) {
        let mut core = self.core();
        let Some(leg) = core.legs.get(id) else { return };
        if !matches!(leg.state, State::Up) || leg.change.is_some() || leg.changing.is_some() {
            return leg.tell(Event::ChangeAnswered(Err(491)));
        }
        let (invite, target) = leg.dialog.request("INVITE", None);
        let client = core.transactions.request(self.now(), "INVITE", target, invite.sdp(sdp));
        if let Some(leg) = core.legs.get(id) {
            leg.changing = Some(client);
        }
        core.legs.clients.insert(client, Use::Change(id));
        self.flush(core);
    }

    pub(in crate::ua) fn accept_change(&self, id: LegId, sdp: Bytes) {
        let now = self.now();
        let mut core = self.core();
        let Some(leg) = core.legs.get(id) else { return };
        let Some((server, request)) = leg.change.take() else { return };
        let draft = Draft::response(&request, 200, "OK", &leg.dialog.local_tag);
        let bytes = draft.establishing(&request, &leg.dialog.contact).sdp(sdp).finish();
        leg.unacknowledged = Some(Unacknowledged::new(leg.dialog.origin, bytes.clone(), now));
        core.transactions.respond(now, server, 200, bytes);
        self.flush(core);
    }

    pub(in crate::ua) fn refuse_change(&self, id: LegId, status: u16) {
        let mut core = self.core();
        let Some(leg) = core.legs.get(id) else { return };
        let Some((server, request)) = leg.change.take() else { return };
        self.reply(&mut core, server, &request, status, "Not Acceptable Here");
        self.flush(core);
    }
}
