//! What the elements of a simulator saw: a record for each leg, kept while it lives and after.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_proto::sim::v1 as proto;

use crate::media::{Flow, Port};
use crate::net::Transport;
use crate::number;

/// Legs that are remembered; the oldest are forgotten first.
const LEGS_MAX: usize = 10_000;
/// Words given to callers; the map is emptied when it is full.
const WORDS_MAX: usize = 10_000;
/// Ports of one leg that are counted: its own, and a media server's.
const PORTS_MAX: usize = 8;

/// Who picked a call up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnsweredBy {
    /// Nobody, or somebody further on.
    Nobody,
    /// A person.
    Manual,
    /// The telephone by itself.
    Auto,
    /// CIC: a greeting, voicemail, music.
    Cic,
}

/// All legs of one simulator, in the order in which they began. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    legs: VecDeque<Seen>,
    /// Words that `PlaceCall` gave to callers.
    words: HashMap<String, String>,
}

/// What is known of a leg when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    pub(crate) element: String,
    pub(crate) call_id: String,
    pub(crate) request_uri: String,
    /// The From URI, or the asserted identity where that names the caller.
    pub(crate) from: String,
    /// The caller's number, by which tests find the call.
    pub(crate) caller: String,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) outgoing: bool,
    pub(crate) why: String,
    pub(crate) for_call_id: String,
    pub(crate) at_us: u64,
}

/// The record of one leg. Cheap to clone; clones are one record.
#[derive(Clone)]
pub(crate) struct Seen(Arc<Mutex<Leg>>);

struct Leg {
    began: Began,
    status: u16,
    reason: String,
    answered: bool,
    answered_by: AnsweredBy,
    ended: bool,
    ports: Vec<Heard>,
}

/// The packets of one port: asked of the port while the leg lives, kept when it has ended.
struct Heard {
    element: String,
    site: String,
    local: SocketAddr,
    port: Option<Port>,
    flows: Vec<Flow>,
}

impl Log {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A leg has begun.
    pub(crate) fn begin(&self, began: Began) -> Seen {
        let seen = Seen(Arc::new(Mutex::new(Leg {
            began,
            status: 0,
            reason: String::new(),
            answered: false,
            answered_by: AnsweredBy::Nobody,
            ended: false,
            ports: Vec::new(),
        })));
        let mut book = self.book();
        if book.legs.len() == LEGS_MAX {
            book.legs.pop_front();
        }
        book.legs.push_back(seen.clone());
        seen
    }

    /// Calls of this caller are found by `word` too.
    pub(crate) fn mark(&self, caller: &str, word: &str) {
        let mut book = self.book();
        if book.words.len() == WORDS_MAX {
            book.words.clear();
        }
        book.words.insert(number::marker(caller), word.to_owned());
    }

    /// Forgets every leg, those that live too.
    pub(crate) fn clear(&self) {
        let mut book = self.book();
        book.legs.clear();
        book.words.clear();
    }

    /// How many legs of an element live.
    pub(crate) fn living(&self, element: &str) -> usize {
        let living = |seen: &&Seen| {
            let leg = seen.leg();
            !leg.ended && leg.began.element == element
        };
        self.book().legs.iter().filter(living).count()
    }

    /// The last `limit` legs that `marker` finds, oldest first; empty: all.
    pub(crate) fn legs(&self, marker: &str, limit: usize) -> Vec<proto::SeenCall> {
        let book = self.book();
        let by_number = number::is_number(&number::bare(marker)).then(|| number::marker(marker));
        let shown = |seen: &Seen| {
            let leg = seen.leg();
            let derived = number::marker(&leg.began.caller);
            let word = book.words.get(&derived);
            let found = marker.is_empty()
                || by_number.as_ref() == Some(&derived)
                || word.is_some_and(|word| word == marker);
            found.then(|| leg.to_proto(word.unwrap_or(&derived)))
        };
        let mut found: Vec<_> = book.legs.iter().rev().filter_map(shown).take(limit).collect();
        found.reverse();
        found
    }
}

impl Seen {
    fn leg(&self) -> MutexGuard<'_, Leg> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The final response of the INVITE.
    pub(crate) fn answered(&self, by: AnsweredBy) {
        let mut leg = self.leg();
        (leg.status, leg.answered, leg.answered_by) = (200, true, by);
        "OK".clone_into(&mut leg.reason);
    }

    /// The final response of the INVITE, when it failed.
    pub(crate) fn failed(&self, status: u16, reason: &str) {
        let mut leg = self.leg();
        if leg.status == 0 {
            leg.status = status;
            reason.clone_into(&mut leg.reason);
        }
    }

    /// Which rule decided.
    pub(crate) fn because(&self, why: &str) {
        let mut leg = self.leg();
        if leg.began.why.is_empty() {
            why.clone_into(&mut leg.began.why);
        } else if leg.began.why.len() < 1024 {
            leg.began.why.push_str("; ");
            leg.began.why.push_str(why);
        }
    }

    /// The leg has audio at this port of `element`, which stands at `site`.
    pub(crate) fn hears(&self, element: &str, site: &str, port: &Port) {
        let mut leg = self.leg();
        let local = port.local();
        if leg.ports.len() < PORTS_MAX && !leg.ports.iter().any(|heard| heard.local == local) {
            let (element, site) = (element.to_owned(), site.to_owned());
            leg.ports.push(Heard { element, site, local, port: Some(port.clone()), flows: Vec::new() });
        }
    }

    /// The leg is over; what its ports counted is kept, the ports are not.
    pub(crate) fn end(&self) {
        let mut leg = self.leg();
        leg.ended = true;
        for heard in &mut leg.ports {
            if let Some(port) = heard.port.take() {
                heard.flows = port.flows();
            }
        }
    }

    /// Whom the leg goes to or came from.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.leg().began.peer
    }

    /// Packets sent and received at the leg's ports.
    pub(crate) fn packets(&self) -> (u64, u64) {
        self.leg().packets()
    }
}

impl Leg {
    fn flows(&self) -> impl Iterator<Item = (&Heard, Flow)> {
        self.ports.iter().flat_map(|heard| {
            let flows = heard.port.as_ref().map_or_else(|| heard.flows.clone(), Port::flows);
            flows.into_iter().map(move |flow| (heard, flow))
        })
    }

    fn packets(&self) -> (u64, u64) {
        self.flows().fold((0, 0), |(sent, received), (_, flow)| (sent + flow.sent, received + flow.received))
    }

    fn to_proto(&self, marker: &str) -> proto::SeenCall {
        let began = &self.began;
        let media: Vec<_> = self.flows().map(|(heard, flow)| flow_to_proto(heard, &flow)).collect();
        let (rtp_sent, rtp_received) = self.packets();
        let last = media.iter().rev().find(|flow| flow.sent > 0).or(media.last());
        proto::SeenCall {
            element: began.element.clone(),
            call_id: began.call_id.clone(),
            request_uri: began.request_uri.clone(),
            from: began.from.clone(),
            peer: began.peer.to_string(),
            outgoing: began.outgoing,
            status: u32::from(self.status),
            answered_by: match self.answered_by {
                AnsweredBy::Nobody => "none",
                AnsweredBy::Manual => "manual",
                AnsweredBy::Auto => "auto",
                AnsweredBy::Cic => "cic",
            }
            .to_owned(),
            rtp_received,
            rtp_sent,
            rtp_peer: last.map(|flow| flow.peer.clone()).unwrap_or_default(),
            at_us: began.at_us,
            marker: marker.to_owned(),
            ended: self.ended,
            why: began.why.clone(),
            reason: self.reason.clone(),
            local: began.local.to_string(),
            transport: began.transport.as_str().to_owned(),
            for_call_id: began.for_call_id.clone(),
            media,
            answered: self.answered,
        }
    }
}

fn flow_to_proto(heard: &Heard, flow: &Flow) -> proto::MediaFlow {
    proto::MediaFlow {
        element: heard.element.clone(),
        site: heard.site.clone(),
        local: heard.local.to_string(),
        peer: flow.peer.to_string(),
        sent: flow.sent,
        received: flow.received,
    }
}
