//! What peers answer.

use super::legs::{LegState, State, Use};
use super::{Core, Ua};
use crate::ua::leg::{Event, LegId};
use crate::ua::transactions::ClientId;
use crate::ua::wire::Message;

impl Ua {
    /// A response to a request of ours.
    pub(super) fn response(&self, core: &mut Core, client: ClientId, response: &Message) {
        let status = response.status();
        let used = match core.legs.clients.get(&client) {
            Some(used) => *used,
            None => return,
        };
        if status >= 300 || (status >= 200 && used == Use::Bye) {
            core.legs.clients.remove(&client);
        }
        match used {
            Use::Invite(id) => self.invite_answered(core, id, response),
            Use::Change(id) => self.change_answered(core, id, response),
            Use::Bye => {}
        }
    }

    fn invite_answered(&self, core: &mut Core, id: LegId, response: &Message) {
        let status = response.status();
        let Some(leg) = core.legs.get(id) else { return };
        match status {
            100 => leg.tell(Event::Trying),
            101..200 => {
                let sdp = (!response.body.is_empty()).then(|| response.body.clone());
                leg.tell(Event::Progress { status, sdp });
            }
            200..300 => self.up(core, id, response),
            _ => {
                let reason = response.reason().to_owned();
                let contacts = if status < 400 { response.contacts() } else { Vec::new() };
                self.over(core, id, status, reason, contacts);
            }
        }
    }

    /// 2xx: the dialog is established, and acknowledged.
    fn up(&self, core: &mut Core, id: LegId, response: &Message) {
        let Some(leg) = core.legs.get(id) else { return };
        let State::Calling { given_up, .. } = leg.state else {
            return self.answered_again(core, id, response);
        };
        leg.dialog.established_by(response);
        leg.state = State::Up;
        let number = response.cseq().map_or(1, |(number, _)| number);
        self.acknowledge(core, id, number);
        // The use is kept: another 2xx may come by this transaction (RFC 6026 section 7.2).
        let Some(leg) = core.legs.get(id) else { return };
        if given_up {
            // RFC 3261 section 9.1: the answer was quicker than the CANCEL.
            return self.hang_up(core, id);
        }
        leg.seen.answered(crate::seen::AnsweredBy::Nobody);
        leg.tell(Event::Answered { sdp: response.body.clone() });
    }

    /// A 2xx for an INVITE that has had one: the same again, or another branch of a fork, which is ended.
    fn answered_again(&self, core: &mut Core, id: LegId, response: &Message) {
        let Some(leg) = core.legs.get(id) else { return };
        let number = response.cseq().map_or(1, |(number, _)| number);
        if leg.dialog.remote_tag == response.to_tag() {
            if let Some((_, target, bytes)) = leg.ack.clone().filter(|(of, ..)| *of == number) {
                core.transactions.send(target, bytes);
            }
            return;
        }
        let mut other = leg.dialog.clone();
        other.established_by(response);
        let (ack, target) = other.request("ACK", Some(number));
        core.transactions.send_ack(target, ack);
        let (bye, target) = other.request("BYE", None);
        let client = core.transactions.request(self.now(), "BYE", target, bye);
        core.legs.clients.insert(client, Use::Bye);
    }

    fn acknowledge(&self, core: &mut Core, id: LegId, number: u32) {
        let Some(leg) = core.legs.get(id) else { return };
        let (ack, target) = leg.dialog.request("ACK", Some(number));
        let bytes = core.transactions.send_ack(target, ack);
        if let Some(leg) = core.legs.get(id) {
            leg.ack = Some((number, target, bytes));
        }
    }

    /// A 2xx that belongs to no transaction any more: the peer did not get our ACK.
    pub(super) fn stray_answer(&self, core: &mut Core, response: &Message) {
        let call_id = response.header("Call-ID").unwrap_or_default();
        let Some(id) = response.sender_tag().and_then(|tag| core.legs.find(call_id, &tag)) else { return };
        self.answered_again(core, id, response);
    }

    fn change_answered(&self, core: &mut Core, id: LegId, response: &Message) {
        let status = response.status();
        if status < 200 {
            return;
        }
        let Some(leg) = core.legs.get(id) else { return };
        if leg.changing.take().is_none() {
            return self.answered_again(core, id, response);
        }
        if status < 300 {
            leg.dialog.refreshed_by(response);
            let number = response.cseq().map_or(1, |(number, _)| number);
            self.acknowledge(core, id, number);
            if let Some(leg) = core.legs.get(id) {
                leg.tell(Event::ChangeAnswered(Ok(response.body.clone())));
            }
            return;
        }
        leg.tell(Event::ChangeAnswered(Err(status)));
        if status == 408 || status == 481 {
            // RFC 3261 section 12.2.1.2: the dialog is lost.
            self.lost(core, id);
        }
    }

    /// A request of ours that nobody answered (408), or that could not be sent (503).
    pub(super) fn failed(&self, core: &mut Core, client: ClientId, status: u16) {
        match core.legs.clients.remove(&client) {
            Some(Use::Invite(id)) => {
                // To whoever decides what is tried next both are the same: nothing came back.
                let reason = if status == 503 { "Unreachable" } else { "No Response" };
                self.over(core, id, 408, reason.to_owned(), Vec::new());
            }
            Some(Use::Change(id)) => {
                if let Some(leg) = core.legs.get(id) {
                    leg.changing = None;
                    leg.tell(Event::ChangeAnswered(Err(status)));
                }
                self.lost(core, id);
            }
            Some(Use::Bye) | None => {}
        }
    }

    /// A placed call ended without an answer.
    fn over(&self, core: &mut Core, id: LegId, status: u16, reason: String, contacts: Vec<String>) {
        let calling = |leg: &mut LegState| matches!(leg.state, State::Calling { .. });
        if !core.legs.get(id).is_some_and(calling) {
            return;
        }
        if let Some(leg) = core.legs.remove(id) {
            leg.seen.failed(status, &reason);
            leg.tell(Event::Refused { status, reason, contacts });
        }
    }

    fn lost(&self, core: &mut Core, id: LegId) {
        if let Some(leg) = core.legs.remove(id) {
            leg.tell(Event::Ended);
        }
    }
}
