//! Dialogs (RFC 3261 section 12): what a leg must remember to write the next request of its call.

use super::leg::Target;
use super::message::Draft;
use super::wire::{self, Message};

/// Which side of the INVITE a leg is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It placed the call.
    Placed,
    /// It took the call.
    Taken,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) side: Side,
    pub(super) call_id: String,
    pub(super) local_tag: String,
    /// None until a response (or for a taken call the request) named it.
    pub(super) remote_tag: Option<String>,
    /// From or To of ours, without the tag: `"Ann" <sip:...>`.
    pub(super) local: String,
    /// That of the peer.
    pub(super) remote: String,
    /// The last CSeq number that we sent.
    pub(super) local_cseq: u32,
    /// The last CSeq number that came; requests below it are out of order (12.2.2).
    pub(super) remote_cseq: u32,
    /// Routes, first to be visited first (12.1.1, 12.1.2).
    pub(super) routes: Vec<String>,
    /// The peer's Contact: the Request-URI of requests within the dialog.
    pub(super) remote_target: String,
    /// Where the first request went or came from: what is left when a URI names no address.
    pub(super) origin: Target,
    /// Our Contact.
    pub(super) contact: String,
}

impl Dialog {
    /// Of a call that came in (12.1.1).
    pub(super) fn taken(request: &Message, local_tag: String, origin: Target, contact: String) -> Self {
        Self {
            side: Side::Taken,
            call_id: request.header("Call-ID").unwrap_or_default().to_owned(),
            local_tag,
            remote_tag: request.sender_tag(),
            local: request.header("To").unwrap_or_default().to_owned(),
            remote: wire::without_tag(request.header("From").unwrap_or_default()),
            local_cseq: 0,
            remote_cseq: request.cseq().map_or(0, |(number, _)| number),
            routes: request.list("Record-Route"),
            remote_target: request.contact().unwrap_or_default(),
            origin,
            contact,
        }
    }

    /// Takes over what a response to our INVITE says of the peer (12.1.2): its tag, its Contact, the way to it.
    pub(super) fn established_by(&mut self, response: &Message) {
        self.remote_tag = response.to_tag();
        self.routes = response.list("Record-Route");
        self.routes.reverse();
        self.refreshed_by(response);
    }

    /// Takes over the peer's Contact (12.2): only target refreshes, INVITE and UPDATE, bring one that counts.
    pub(super) fn refreshed_by(&mut self, message: &Message) {
        if let Some(contact) = message.contact() {
            self.remote_target = contact;
        }
    }

    /// A request within the dialog (12.2.1.1). `cseq`: none for the next number; an ACK has that of its INVITE.
    pub(super) fn request(&mut self, method: &'static str, cseq: Option<u32>) -> (Draft, Target) {
        let number = cseq.unwrap_or_else(|| {
            self.local_cseq += 1;
            self.local_cseq
        });
        let mut draft = Draft::request(method, &self.remote_target);
        for route in &self.routes {
            draft.header("Route", route);
        }
        draft.header("From", &format!("{};tag={}", self.local, self.local_tag));
        match &self.remote_tag {
            Some(tag) => draft.header("To", &format!("{};tag={tag}", self.remote)),
            None => draft.header("To", &self.remote),
        }
        draft.header("Call-ID", &self.call_id);
        draft.header("CSeq", &format!("{number} {method}"));
        draft.header("Contact", &self.contact);
        (draft, self.next_hop())
    }

    /// Where requests within the dialog go: the first route, else the peer's Contact. A URI without an IP address is
    /// not looked up: the request goes where the first one did.
    fn next_hop(&self) -> Target {
        let uri = self.routes.first().map_or(self.remote_target.as_str(), String::as_str);
        super::uri_target(uri, self.origin.transport).unwrap_or(self.origin)
    }
}
