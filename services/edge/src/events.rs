//! What became of calls, on its way upstream: bounded, the oldest dropped first, drops counted.

use std::collections::VecDeque;
use std::sync::Arc;

use prost::Message as _;
use tandem_proto::routing::v1::follow_request::CallEvents;
use tandem_proto::routing::v1::{CallEvent, DecisionFact};
use tandem_wire::limits::{
    CALL_EVENTS_BYTES, CALL_EVENTS_MAX, CALL_ID_BYTES_MAX, DECISION_BYTES_MAX, HISTORY_INDEX_BYTES_MAX,
    URI_BYTES_MAX,
};
use tokio::sync::mpsc;

use crate::stats::Counters;

/// Events that wait while upstream is away or slow.
pub(crate) const EVENTS_MAX: usize = 4_096;

/// The engine's end.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    /// None: nobody wants them.
    sender: Option<mpsc::Sender<CallEvent>>,
    counters: Arc<Counters>,
}

/// The feed's end: it takes events whether it is connected or not, and keeps the newest.
#[derive(Debug)]
pub(crate) struct Outbox {
    receiver: mpsc::Receiver<CallEvent>,
    waiting: VecDeque<CallEvent>,
    dropped: u64,
    counters: Arc<Counters>,
}

pub(crate) fn events(counters: Arc<Counters>) -> (Events, Outbox) {
    let (sender, receiver) = mpsc::channel(EVENTS_MAX);
    let outbox = Outbox { receiver, waiting: VecDeque::new(), dropped: 0, counters: Arc::clone(&counters) };
    (Events { sender: Some(sender), counters }, outbox)
}

/// Where there is no upstream to tell.
pub(crate) fn nobodys(counters: Arc<Counters>) -> Events {
    Events { sender: None, counters }
}

impl Events {
    /// Whether anybody wants them: if not, none need be composed.
    pub(crate) fn are_wanted(&self) -> bool {
        self.sender.is_some()
    }

    /// Says what became of a call. Never waits.
    pub(crate) fn tell(&self, mut event: CallEvent) {
        let Some(sender) = &self.sender else { return };
        clean(&mut event.call_id, CALL_ID_BYTES_MAX);
        if let Some(attempt) = event.made.as_mut().and_then(|made| made.attempt.as_mut()) {
            let uris =
                [&mut attempt.called, &mut attempt.caller, &mut attempt.asserted, &mut attempt.forwarded_by];
            uris.into_iter().for_each(|uri| clean(uri, URI_BYTES_MAX));
            clean(&mut attempt.call_id, CALL_ID_BYTES_MAX);
            clean(&mut attempt.history_index, HISTORY_INDEX_BYTES_MAX);
        }
        // What happened is told also where what was decided is too large to be listed.
        let large = |made: &mut Box<DecisionFact>| {
            made.decision.as_ref().is_some_and(|decision| decision.encoded_len() > DECISION_BYTES_MAX)
        };
        event.made.take_if(large);
        if sender.try_send(event).is_err() {
            self.counters.events_dropped.up();
        }
    }
}

/// Makes what a peer sent what upstream takes: one line, not too long. Call-IDs that begin alike and were cut are still
/// told apart by their decisions.
fn clean(text: &mut String, max: usize) {
    text.retain(|c| !c.is_control());
    let end = (0..=text.len().min(max)).rev().find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    // It may wait for hours, with thousands of others.
    text.shrink_to_fit();
}

impl Outbox {
    /// Waits until there is an event, and takes it in. Cancel-safe. False: the engine is gone.
    pub(crate) async fn fill(&mut self) -> bool {
        let Some(event) = self.receiver.recv().await else { return false };
        self.keep(event);
        while let Ok(event) = self.receiver.try_recv() {
            self.keep(event);
        }
        true
    }

    fn keep(&mut self, event: CallEvent) {
        if self.waiting.len() >= EVENTS_MAX {
            self.waiting.pop_front();
            self.dropped += 1;
            self.counters.events_dropped.up();
        }
        self.waiting.push_back(event);
    }

    /// The next message for upstream, if there is anything to tell.
    pub(crate) fn take(&mut self) -> Option<CallEvents> {
        if self.waiting.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fits = |event: &&CallEvent| {
            bytes += event.encoded_len();
            bytes <= CALL_EVENTS_BYTES
        };
        // One alone is far smaller.
        let count = self.waiting.iter().take(CALL_EVENTS_MAX).take_while(fits).count().max(1);
        let events = self.waiting.drain(..count).collect();
        Some(CallEvents { events, dropped: std::mem::take(&mut self.dropped) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_proto::routing::v1 as pb;

    /// Upstream refuses a message that holds one such.
    #[tokio::test]
    async fn a_call_id_of_any_length_is_told() {
        let (events, mut outbox) = events(Arc::new(Counters::new()));
        for call_id in
            ["short".to_owned(), "x".repeat(300), format!("{}\u{e9}", "y".repeat(255)), "a\u{85}b".into()]
        {
            let long = "x".repeat(600);
            let attempt = pb::CallAttempt {
                ingress: Some(pb::call_attempt::Ingress::Trunk("gateway".into())),
                called: format!("sip:a\u{85}{long}"),
                caller: long.clone(),
                asserted: long.clone(),
                history_index: long.clone(),
                forwarded_by: long,
                call_id: call_id.clone(),
                ..pb::CallAttempt::default()
            };
            let decision =
                pb::Decision { name: "tenants/acme/decisions/e-1".into(), ..pb::Decision::default() };
            let made = pb::DecisionFact { at_us: 1, attempt: Some(attempt), decision: Some(decision) };
            events.tell(CallEvent { call_id, made: Some(Box::new(made)), ..of_acme() });
        }
        assert!(outbox.fill().await);
        let calls = outbox.take().unwrap();
        for event in &calls.events {
            tandem_wire::request::read_call_event(event.clone()).unwrap();
        }
        let ids: Vec<&str> = calls.events.iter().map(|e| e.call_id.as_str()).collect();
        assert_eq!(ids, ["short", &"x".repeat(256), &"y".repeat(255), "ab"]);
    }

    fn of_acme() -> CallEvent {
        let incarnation = "7".repeat(32);
        CallEvent { tenant: "acme".into(), incarnation, decision: "e-1".into(), ..CallEvent::default() }
    }

    /// Upstream refuses an event with a larger one.
    #[tokio::test]
    async fn a_decision_that_is_too_large_is_told_of_without_itself() {
        let (events, mut outbox) = events(Arc::new(Counters::new()));
        for bytes in [10, DECISION_BYTES_MAX] {
            let decision = pb::Decision { called: "1".repeat(bytes), ..pb::Decision::default() };
            let made = pb::DecisionFact { decision: Some(decision), ..pb::DecisionFact::default() };
            events.tell(CallEvent { made: Some(Box::new(made)), ..of_acme() });
        }
        assert!(outbox.fill().await);
        let told = outbox.take().unwrap().events;
        assert_eq!(told.iter().map(|event| event.made.is_some()).collect::<Vec<_>>(), [true, false]);
    }

    #[tokio::test]
    async fn the_oldest_go_first_and_are_counted() {
        let counters = Arc::new(Counters::new());
        let (events, mut outbox) = events(Arc::clone(&counters));
        let tell = |at| events.tell(CallEvent { at_us: at, ..CallEvent::default() });
        (0..4_096).for_each(tell);
        assert!(outbox.fill().await);
        (4_096..4_100).for_each(tell);
        assert!(outbox.fill().await);
        let first = outbox.take().unwrap();
        assert_eq!((first.events.len(), first.dropped, first.events[0].at_us), (1_024, 4, 4));
        let more: Vec<_> = std::iter::from_fn(|| outbox.take()).collect();
        assert_eq!(more.iter().map(|m| m.events.len()).sum::<usize>(), 3_072);
        assert_eq!(
            (more.last().unwrap().events.last().unwrap().at_us, counters.events_dropped.get()),
            (4_099, 4)
        );
    }
}
