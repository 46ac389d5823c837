//! The one task that takes calls. It owns everything that a call needs (the proxy core, the parse table, a snapshot of
//! the view, the live facts, the UDP sockets), so that there is no lock, and nothing of a call waits for the network
//! but the call itself.
//!
//! ```text
//! bytes ─> message ─> whose? ─> proxy core ─Asked─> decide ─> redirect | targets | refuse
//!                                  │  Exhausted ─> treatment | survivable rule | redirection ─> decide anew
//!                                  └─ Send ─> socket or connection
//! ```

mod alarm;
mod decide;
mod follow;
mod incoming;
mod outgoing;

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_domain::id::TenantId;
use tandem_domain::view::View;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_sip::message::Table;
use tandem_sip::proxy::{CallId, Output, Proxy};
use tandem_sip::time::Now;
use tandem_sip::transaction::{Packet, Peer, Transport};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};

use crate::call::Call;
use crate::config::{Config, ms};
use crate::events::Events;
use crate::facts::{Live, Place};
use crate::listeners::Listeners;
use crate::names::Names;
use crate::returns::CallsForHelp;
use crate::seldom::{self, Seldom};
use crate::stats::Counters;
use crate::tenancy::Scopes;
use crate::trace::SharedObserver;
use crate::transport::{Arrived, Connections};
use alarm::Alarm;

/// A datagram at its largest.
const DATAGRAM_BYTES: usize = 65_535;
/// Datagrams, or other arrivals, taken in one go before what they cause is sent, and time and the feed are looked at.
const BATCH: usize = 32;
/// Packets that wait for a name.
const WAITING_MAX: usize = 1_024;
/// An edge that drains ends when nothing came for so long and no call is being set up: the ACK of a call that was
/// just answered has passed by then.
const QUIET: Duration = Duration::from_secs(1);

/// What the engine decides by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) view: View,
    /// Whether there is a view at all: until then nobody is known.
    pub(crate) ready: bool,
    /// The feed is away.
    pub(crate) away: Option<Away>,
    /// How long the store has been away from upstream, in ms.
    pub(crate) store_stale_ms: u64,
}

/// Since when the feed is away.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Away {
    /// Since then, in this process.
    pub(crate) since: Now,
    /// How old it was then: what was read from disk is older than the process.
    pub(crate) before: Duration,
}

impl Facts {
    /// How old what is decided by is; none: it is kept up to date.
    pub(crate) fn age(&self, now: Now) -> Option<Duration> {
        self.away.map(|away| now.saturating_sub(away.since) + away.before)
    }
}

/// The engine.
pub(crate) struct Engine {
    /// Begins every decision's id.
    pub(crate) id: Arc<str>,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    pub(crate) life: Life,
    pub(crate) proxy: Proxy,
    pub(crate) listeners: Listeners,
    pub(crate) udp: Vec<(u16, UdpSocket)>,
    pub(crate) connections: Connections,
    pub(crate) names: Names,
    pub(crate) arrived: mpsc::Receiver<Arrived>,
    pub(crate) feed: watch::Receiver<Facts>,
    pub(crate) events: Events,
    pub(crate) counters: Arc<Counters>,
    pub(crate) observer: Option<SharedObserver>,
    pub(crate) state: State,
}

/// What the engine remembers.
pub(crate) struct State {
    facts: Facts,
    live: Live,
    calls_for_help: CallsForHelp,
    /// Calls that somebody waits for.
    calls: HashMap<CallId, Box<Call>, foldhash::fast::RandomState>,
    scopes: Scopes,
    /// Calls that wait until CIC has been silent for long enough, and until when.
    holding: Vec<(Now, CallId)>,
    /// Calls whose targets wait for names.
    naming: Vec<CallId>,
    /// In-dialog requests whose next hop waits for a name.
    resolving: Vec<(CallId, Target)>,
    /// Packets whose next hop waits for a name.
    waiting: Vec<(Target, Packet)>,
    /// Which trunk an address of a stream is: a connection that fails names an address only.
    reached: HashMap<SocketAddr, Place>,
    probe_at: Now,
    /// When each CIC was asked last, by scope.
    watched: HashMap<u64, Now>,
    sequence: u64,
    draining: bool,
    last_heard: Now,
    /// Whose dialog a BYE ends that is just passing.
    ending: Option<(TenantId, String)>,
    /// What is told of strangers and of peers who ask for another tenant's domain, by source; and of calls that no
    /// target takes, by tenant.
    strangers_told: Seldom<seldom::Source>,
    foreign_told: Seldom<seldom::Source>,
    unreachable_told: Seldom<TenantId>,
    /// For messages that are read again.
    table: Box<Table>,
    outputs: Vec<Output>,
    /// Datagrams that leave before the engine waits again. Sent together they wake whoever waits for them once.
    leaving: Vec<(Peer, Packet)>,
    next_socket: usize,
}

/// A name that bytes are to go to.
#[derive(Clone, Debug)]
struct Target {
    host: String,
    port: u16,
    transport: Transport,
    listener: u16,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            facts: Facts::default(),
            live: Live::default(),
            calls_for_help: CallsForHelp::default(),
            calls: HashMap::default(),
            scopes: Scopes::default(),
            holding: Vec::new(),
            naming: Vec::new(),
            resolving: Vec::new(),
            waiting: Vec::new(),
            reached: HashMap::new(),
            probe_at: Now::ZERO,
            watched: HashMap::new(),
            sequence: 0,
            draining: false,
            last_heard: Now::ZERO,
            ending: None,
            strangers_told: Seldom::default(),
            foreign_told: Seldom::default(),
            unreachable_told: Seldom::default(),
            table: Box::default(),
            outputs: Vec::new(),
            leaving: Vec::new(),
            next_socket: 0,
        }
    }
}

impl Engine {
    /// Takes calls until the process stops, or drains and has nothing left to do.
    pub(crate) async fn run(mut self) -> Result<(), Infallible> {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        let mut table = Box::new(Table::new());
        let drain = self.life.drain.clone();
        let (stopped, draining) = (drain.stopped(), drain.draining());
        tokio::pin!(stopped, draining);
        self.state.facts = self.feed.borrow_and_update().clone();
        // Whoever keeps the view may end before us; the last one then stays.
        let mut fed = true;
        let mut alarm = Alarm::new(self.clock.clone());
        loop {
            let now = self.clock.monotonic();
            self.on_time(now);
            self.send_leaving(now);
            self.counters.holds(self.proxy.held());
            if self.is_done(now) {
                return Ok(());
            }
            alarm.set(self.next_deadline().map(coarse));
            tokio::select! {
                () = &mut stopped => return Ok(()),
                () = &mut draining, if !self.state.draining => {
                    self.state.draining = true;
                    self.state.last_heard = now;
                }
                changed = self.feed.changed(), if fed => {
                    fed = changed.is_ok();
                    self.state.facts = self.feed.borrow_and_update().clone();
                }
                Some(arrived) = self.arrived.recv() => {
                    let now = self.clock.monotonic();
                    self.on_arrived(arrived, &mut table, now);
                    for _ in 0..BATCH {
                        let Ok(arrived) = self.arrived.try_recv() else { break };
                        self.on_arrived(arrived, &mut table, now);
                    }
                }
                at = readable(&self.udp, self.state.next_socket) => {
                    self.state.next_socket = at + 1;
                    self.read(at, &mut buffer, &mut table);
                }
                () = alarm.rings() => {}
            }
        }
    }

    /// Reads what a socket holds.
    fn read(&mut self, at: usize, buffer: &mut [u8], table: &mut Table) {
        let now = self.clock.monotonic();
        for _ in 0..BATCH {
            let Some((listener, socket)) = self.udp.get(at) else { return };
            let Ok((count, address)) = socket.try_recv_from(buffer) else { return };
            let peer = Peer { address, transport: Transport::Udp, listener: *listener, connection: 0 };
            self.on_datagram(buffer.get(..count).unwrap_or_default(), peer, table, now);
            self.after(now);
        }
    }

    fn on_arrived(&mut self, arrived: Arrived, table: &mut Table, now: Now) {
        match arrived {
            Arrived::Connection { listener, address, stream } => {
                if !self.connections.accept(listener, address, stream) {
                    self.counters.connections_refused.up();
                }
            }
            Arrived::Message { connection, bytes } => {
                if let Some(peer) = self.connections.peer(connection) {
                    self.on_datagram(&bytes, peer, table, now);
                }
            }
            Arrived::KeepAlive => self.counters.keep_alives.up(),
            Arrived::Malformed => self.counters.malformed.up(),
            Arrived::Closed { connection, made } => {
                if let Some(peer) = self.connections.closed(connection) {
                    self.on_closed(peer, made, now);
                }
            }
            Arrived::Resolved { host, addresses } => self.on_resolved(&host, &addresses, now),
        }
        self.after(now);
    }

    /// Does what is due.
    fn on_time(&mut self, now: Now) {
        if self.proxy.next_deadline().is_some_and(|at| at <= now) {
            self.proxy.on_time(now);
            self.after(now);
        }
        if self.state.holding.iter().any(|(at, _)| *at <= now) {
            self.on_held(now);
            self.after(now);
        }
        if self.state.live.next_due().is_some_and(|at| at <= now) {
            self.counters.silent.add(self.state.live.unanswered(now));
            self.state.probe_at = self.state.probe_at.min(now + ms(self.config.probe_ms));
        }
        if self.state.live.any_silent() && self.state.probe_at <= now {
            self.state.probe_at = now + ms(self.config.probe_ms);
            self.state.live.forget(now);
            self.probe(now);
            self.after(now);
        }
    }

    fn next_deadline(&self) -> Option<Now> {
        let probe = self.state.live.any_silent().then_some(self.state.probe_at);
        let held = self.state.holding.iter().map(|(at, _)| *at).min();
        let quiet = self.state.draining.then(|| self.state.last_heard + QUIET);
        [self.proxy.next_deadline(), self.state.live.next_due(), probe, held, quiet]
            .into_iter()
            .flatten()
            .min()
    }

    fn is_done(&self, now: Now) -> bool {
        self.state.draining && now >= self.state.last_heard + QUIET && self.state.calls.is_empty()
    }
}

/// The next of a hundred moments a second: what falls due between two is done together. An idle engine would wake for
/// each of the transactions that end by themselves, and no timer of SIP is finer.
fn coarse(at: Now) -> Now {
    const STEP: u32 = 10_000_000;
    let past = at.subsec_nanos() % STEP;
    if past == 0 { at } else { at + Duration::from_nanos((STEP - past).into()) }
}

/// Waits until a socket can be read; `from` on, so that no socket starves another.
async fn readable(sockets: &[(u16, UdpSocket)], from: usize) -> usize {
    std::future::poll_fn(|cx| {
        for nth in 0..sockets.len() {
            let at = (from + nth) % sockets.len();
            // An error comes out of the read that follows.
            if sockets.get(at).is_some_and(|(_, s)| s.poll_recv_ready(cx).is_ready()) {
                return std::task::Poll::Ready(at);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
