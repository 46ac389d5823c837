//! The proxy itself: what comes in, what the user says, what time brings.

mod branches;
mod requests;
mod responses;
mod said;
mod waits;

use crate::message::{Message, Start, Table};
use crate::pool::Numbered;
use crate::time::{Deadlines, Now};
use crate::transaction::{ClientId, Event, Layer, Packet, ServerId};

use super::branch::Call;
use super::{CallId, Config, Output, routing};
pub(super) use waits::Wait;

/// A redirect server and stateful proxy.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
    layer: Layer,
    calls: Numbered<CallId, Box<Call>>,
    by_client: Numbered<ClientId, (CallId, usize)>,
    waits: Deadlines<Wait>,
    outputs: Vec<Output>,
    /// Of the bytes that were read last; of which call's request, where they were one.
    table: Box<Table>,
    read: Option<CallId>,
    /// Memory that is used again: what the transactions did, and bytes that are written.
    events: Vec<Event>,
    scratch: Vec<u8>,
}

impl Proxy {
    /// A proxy that holds nothing.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            layer: Layer::new(config.timers, config.limits),
            config,
            calls: Numbered::default(),
            by_client: Numbered::default(),
            waits: Deadlines::default(),
            outputs: Vec::new(),
            table: Box::default(),
            read: None,
            events: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Takes what is to be done and told, in order.
    pub fn drain(&mut self) -> std::vec::Drain<'_, Output> {
        self.collect();
        self.outputs.drain(..)
    }

    /// When [`Proxy::on_time`] wants to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Now> {
        [self.layer.next_deadline(), self.waits.next()].into_iter().flatten().min()
    }

    /// How many calls and transactions are held.
    #[must_use]
    pub fn held(&self) -> (usize, usize) {
        (self.calls.len(), self.layer.len())
    }

    /// The request of a call, as it came; none: the call is answered, or gone.
    #[must_use]
    pub fn request(&self, call: CallId) -> Option<Packet> {
        self.calls.get(&call).and_then(|c| c.request.clone())
    }

    /// Whose dialog a request says to be in, by the mark in its Route: the scope that it began with. None: no Route of
    /// ours, or one that is not this dialog's. For who must know a request's scope before [`Proxy::on_request`].
    #[must_use]
    pub fn scope_of(&self, message: &Message<'_>) -> Option<u64> {
        match message.start() {
            Start::Request { uri, .. } => routing::scope(&self.config, message, uri),
            Start::Response { .. } => None,
        }
    }

    /// How many of a call's attempts have no final response yet.
    #[must_use]
    pub fn is_unanswered(&self, call: CallId) -> bool {
        self.calls.get(&call).is_some_and(|c| !c.answered && !c.done)
    }

    /// Does what is due.
    pub fn on_time(&mut self, now: Now) {
        while let Some((_, wait)) = self.waits.due(now) {
            self.on_wait(wait, now);
        }
        self.layer.on_time(now);
        self.collect_at(now);
    }

    /// Moves what the transactions did into the outputs.
    fn collect(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        self.layer.swap_events(&mut events);
        for event in events.drain(..) {
            match event {
                Event::Send(peer, packet) => self.outputs.push(Output::Send(peer, packet)),
                Event::ClientEnded(id) => self.client_ended(id),
                Event::ServerEnded(id) => self.server_ended(id),
                // Handled where time passes; a missing ACK changes nothing for a proxy.
                Event::TimedOut(_) | Event::NeverAcknowledged(_) => {}
            }
        }
        self.events = events;
    }

    /// As [`Proxy::collect`], where time-outs are heard, too.
    fn collect_at(&mut self, now: Now) {
        let mut events = Vec::new();
        self.layer.swap_events(&mut events);
        for event in events {
            match event {
                Event::Send(peer, packet) => self.outputs.push(Output::Send(peer, packet)),
                Event::TimedOut(id) => self.on_timeout(id, now),
                Event::ClientEnded(id) => self.client_ended(id),
                Event::ServerEnded(id) => self.server_ended(id),
                Event::NeverAcknowledged(_) => {}
            }
        }
        self.collect();
    }

    fn client_ended(&mut self, id: ClientId) {
        let Some((call_id, at)) = self.by_client.remove(&id) else { return };
        if let Some(branch) = self.calls.get_mut(&call_id).and_then(|c| c.branches.get_mut(at)) {
            branch.gone = true;
        }
        self.sweep(call_id);
    }

    fn server_ended(&mut self, id: ServerId) {
        let call_id = CallId::of(id);
        if let Some(call) = self.calls.get_mut(&call_id) {
            call.server_gone = true;
        }
        self.sweep(call_id);
    }

    /// Forgets a call whose transactions are all gone.
    fn sweep(&mut self, call_id: CallId) {
        let over = |c: &Call| c.server_gone && c.branches.iter().all(|b| b.gone);
        if self.calls.get(&call_id).is_some_and(|c| over(c)) {
            self.calls.remove(&call_id);
            self.outputs.push(Output::Gone(call_id));
        }
    }

    /// Forgets an answered call whose request went nowhere: nothing more can come of it.
    fn sweep_answered(&mut self, call_id: CallId) {
        if self.calls.get(&call_id).is_some_and(|c| c.done && c.branches.is_empty()) {
            self.calls.remove(&call_id);
            self.outputs.push(Output::Gone(call_id));
        }
    }

    /// Parses bytes of our own keeping. They were parsed before, so that they parse.
    fn with<R>(&mut self, bytes: &[u8], read: impl FnOnce(&Message<'_>) -> R) -> Option<R> {
        self.read = None;
        self.table.parse_datagram(bytes).ok().map(|m| read(&m))
    }

    /// Reads a call's request, unless it was the last that was read; none: it is answered, or gone.
    fn with_request<R>(
        &mut self,
        id: CallId,
        read: impl FnOnce(&Message<'_>, &Call, &Config, &mut Vec<u8>) -> R,
    ) -> Option<R> {
        let call = self.calls.get(&id)?;
        let request = call.request.as_ref()?;
        if self.read != Some(id) {
            self.read = None;
            self.table.parse_datagram(request).ok()?;
            self.read = Some(id);
        }
        self.scratch.clear();
        Some(read(&self.table.of(request), call, &self.config, &mut self.scratch))
    }
}
