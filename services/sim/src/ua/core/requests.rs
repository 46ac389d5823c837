//! What peers ask: calls, changes and ends of calls, questions.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::legs::{LegState, State};
use super::{Arrival, Core, Registration, Ua};
use crate::behaviour::Behaviour;
use crate::seen::Began;
use crate::ua::dialog::Dialog;
use crate::ua::leg::{EVENTS_QUEUE, Event, Incoming, Leg, LegId, Target};
use crate::ua::message::Draft;
use crate::ua::transactions::ServerId;
use crate::ua::wire::Message;

impl Ua {
    /// A request that is neither ACK nor CANCEL nor a retransmission.
    pub(super) fn request(&self, core: &mut Core, server: ServerId, request: Message, peer: Target) {
        let method = request.method().to_owned();
        if let Some(tag) = request.to_tag() {
            let call_id = request.header("Call-ID").unwrap_or_default();
            match core.legs.find(call_id, &tag) {
                Some(id) => self.within(core, id, server, request, &method),
                None => self.reply(core, server, &request, 481, "Call/Transaction Does Not Exist"),
            }
            return;
        }
        match (self.0.element.behaviour(), method.as_str()) {
            (Behaviour::Error(status), "INVITE" | "OPTIONS" | "REGISTER") => {
                if method == "INVITE" {
                    self.record_refused(&request, peer, status, "Told To Fail");
                }
                self.reply(core, server, &request, status, "Told To Fail");
            }
            (_, "INVITE") => self.call(core, server, request, peer),
            (_, "OPTIONS") => self.reply(core, server, &request, 200, "OK"),
            (_, "REGISTER") => {
                let arrival = Arrival::Registration(Registration {
                    request,
                    peer: peer.address,
                    transport: peer.transport,
                    ua: self.clone(),
                    server,
                });
                if let Err(error) = self.0.arrivals.try_send(arrival)
                    && let Arrival::Registration(registration) = error.into_inner()
                {
                    self.reply(core, server, &registration.request, 503, "Busy");
                }
            }
            _ => self.reply(core, server, &request, 405, "Method Not Allowed"),
        }
    }

    /// An INVITE that begins a call.
    fn call(&self, core: &mut Core, server: ServerId, request: Message, peer: Target) {
        self.reply(core, server, &request, 100, "Trying");
        let behaviour = self.0.element.behaviour();
        let place = self.0.arrivals.try_reserve();
        let refusal = match behaviour {
            Behaviour::Busy => Some((486, "Busy Here")),
            _ if core.legs.is_merged(&request) => Some((482, "Loop Detected")),
            _ if core.legs.len() >= self.0.element.plan.calls_max || place.is_err() => {
                Some((503, "Too Many Calls"))
            }
            _ => None,
        };
        if let Some((status, reason)) = refusal {
            self.record_refused(&request, peer, status, reason);
            return self.reply(core, server, &request, status, reason);
        }
        let seen = self.0.element.log.begin(self.began(&request, peer));
        let (events, rx) = mpsc::channel(EVENTS_QUEUE);
        let dialog = Dialog::taken(&request, self.tag(), peer, self.contact(peer.transport));
        let call_id = dialog.call_id.clone();
        let state = State::Ringing { server, request: Box::new(request.clone()) };
        let id = core.legs.add(LegState::new(dialog, state, events, seen.clone()));
        core.legs.ringing.insert(server, id);
        if let (Ok(place), true) = (place, behaviour != Behaviour::Only100) {
            let leg = Leg { ua: self.clone(), id, call_id, events: rx, seen };
            let incoming = Incoming { leg, request, peer: peer.address };
            place.send(Arrival::Call(incoming));
        }
    }

    fn began(&self, request: &Message, peer: Target) -> Began {
        Began {
            element: self.0.element.name().to_owned(),
            call_id: request.header("Call-ID").unwrap_or_default().to_owned(),
            request_uri: request.uri().to_owned(),
            from: request.header("From").unwrap_or_default().to_owned(),
            caller: request.caller(),
            peer: peer.address,
            local: self.address(),
            transport: peer.transport,
            outgoing: false,
            why: String::new(),
            for_call_id: String::new(),
            at_us: u64::try_from(self.world().age().as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// A call that ended before it was a leg is remembered all the same.
    fn record_refused(&self, request: &Message, peer: Target, status: u16, reason: &str) {
        let seen = self.0.element.log.begin(self.began(request, peer));
        seen.failed(status, reason);
        seen.end();
    }

    /// A request within a call.
    fn within(&self, core: &mut Core, id: LegId, server: ServerId, request: Message, method: &str) {
        let Some(leg) = core.legs.get(id) else { return };
        let number = request.cseq().map_or(0, |(number, _)| number);
        if number < leg.dialog.remote_cseq {
            // RFC 3261 section 12.2.2: out of order.
            return self.reply(core, server, &request, 500, "CSeq Out Of Order");
        }
        leg.dialog.remote_cseq = number;
        match method {
            "INVITE" => self.change_asked(core, id, server, request),
            "UPDATE" if request.body.is_empty() => {
                leg.dialog.refreshed_by(&request);
                self.reply(core, server, &request, 200, "OK");
            }
            "UPDATE" => self.reply(core, server, &request, 488, "Not Acceptable Here"),
            "BYE" => {
                self.reply(core, server, &request, 200, "OK");
                let Some(leg) = core.legs.remove(id) else { return };
                if let State::Ringing { server, request } = &leg.state {
                    leg.seen.failed(487, "Request Terminated");
                    self.reply(core, *server, request, 487, "Request Terminated");
                }
                leg.tell(Event::Ended);
            }
            "INFO" | "OPTIONS" => self.reply(core, server, &request, 200, "OK"),
            _ => self.reply(core, server, &request, 405, "Method Not Allowed"),
        }
    }

    /// A re-INVITE.
    fn change_asked(&self, core: &mut Core, id: LegId, server: ServerId, request: Message) {
        let Some(leg) = core.legs.get(id) else { return };
        if !matches!(leg.state, State::Up) || leg.changing.is_some() || leg.change.is_some() {
            // RFC 3261 section 14.2: one at a time.
            return self.reply(core, server, &request, 491, "Request Pending");
        }
        leg.dialog.refreshed_by(&request);
        let sdp = (!request.body.is_empty()).then(|| request.body.clone());
        leg.change = Some((server, Box::new(request.clone())));
        leg.tell(Event::Changed { sdp });
        self.reply(core, server, &request, 100, "Trying");
    }

    /// ACK of a 2xx.
    pub(super) fn acknowledged(&self, core: &mut Core, request: &Message) {
        let call_id = request.header("Call-ID").unwrap_or_default();
        let Some(id) = request.to_tag().and_then(|tag| core.legs.find(call_id, &tag)) else { return };
        let Some(leg) = core.legs.get(id) else { return };
        let Some(waiting) = leg.unacknowledged.take() else { return };
        leg.tell(Event::Acknowledged);
        if waiting.bye {
            self.hang_up(core, id);
        }
    }

    /// CANCEL of an INVITE that is not yet answered (RFC 3261 section 9.2).
    pub(super) fn cancelled(&self, core: &mut Core, server: ServerId) {
        let Some(id) = core.legs.ringing.get(&server).copied() else { return };
        let Some(leg) = core.legs.remove(id) else { return };
        if let State::Ringing { request, .. } = &leg.state {
            leg.seen.failed(487, "Request Terminated");
            let bytes = Draft::response(request, 487, "Request Terminated", &leg.dialog.local_tag).finish();
            core.transactions.respond(self.now(), server, 487, bytes);
        }
        leg.tell(Event::Cancelled);
    }

    /// A response that begins no dialog.
    pub(super) fn reply(
        &self,
        core: &mut Core,
        server: ServerId,
        request: &Message,
        status: u16,
        reason: &str,
    ) {
        let mut draft = Draft::response(request, status, reason, &self.tag());
        if status == 200 || status == 405 {
            draft.allowing();
        }
        let bytes: Bytes = draft.finish();
        core.transactions.respond(self.now(), server, status, bytes);
    }
}
