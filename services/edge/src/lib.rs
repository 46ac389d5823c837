//! Edge: SIP on the wire.
//!
//! A redirect server and stateful proxy for many tenants at once. It decides in its own memory, from a view that a
//! feed keeps: no call waits for the network but for the peers it is for. Cut off from the feed it goes on with the last
//! good one, also after a restart, and says so.
//!
//! ```text
//!            UDP, TCP                                               tandem.routing.v1.EdgeFeed
//!  peers <───────────> engine (one task: proxy core, view, facts) <── view ── feed (one task) <── upstream
//!                        │ └── events of calls ────────────────────────────────> │
//!                        └── names (off the engine)                              └── the last good feed, on disk
//! ```
//!
//! | module | what it is |
//! | --- | --- |
//! | [`config`] | what an edge is told |
//! | `listeners`, `transport` | where it listens; bytes in and out |
//! | `engine` | the one task that takes calls |
//! | `attempt` | from a message to what is asked about it |
//! | `tenancy` | whose a request is; deny by default |
//! | `carry` | from a decision to targets and header lines |
//! | `facts` | what is silent, what is tried already |
//! | `returns` | who called for help, for rescuers that call back |
//! | `names` | names to addresses, off the engine |
//! | `feed`, `events` | what comes from upstream, what goes there |
//! | [`trace`], [`stats`], `metrics` | what it tells of itself |
//!
//! Invariants:
//! - every request belongs to exactly one tenant, or it is refused; nothing a message says of itself selects a tenant
//!   but its Request-URI, and that only where a claim says so;
//! - a tenant's calls go to that tenant's trunks only, also by redirection, treatment or Route;
//! - From, To, Call-ID, CSeq, Contact and body are never changed;
//! - every queue, table and wait has a limit; malformed bytes cost a counter;
//! - time, chance, sockets, names and shutdown are passed in.

mod attempt;
mod call;
mod carry;
pub mod config;
mod engine;
mod events;
mod facts;
mod feed;
mod listeners;
mod metrics;
mod names;
mod returns;
mod seldom;
pub mod stats;
mod tenancy;
pub mod trace;
mod transport;

use std::net::SocketAddr;
use std::sync::Arc;

use tandem_domain::id::ListenerName;
use tandem_domain::view::View;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_sip::proxy::Proxy;
use tandem_sip::transaction::Transport;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use config::{Config, ConfigError, Listener, ms};
use engine::{Engine, Facts, State};
pub use metrics::tell;
pub use names::{Lookup, system_lookup};
use stats::{Counters, Stats};
use transport::{Arrived, Connections};

/// What waits for the engine: messages of streams, connections, names.
const ARRIVED_MAX: usize = 1_024;

/// Where an edge has its tenants from.
pub enum Upstream {
    /// A view that somebody else in this process keeps: every change of it is taken over.
    View(watch::Receiver<View>),
    /// The feed of a routing service. `metadata` goes with the call: a bearer token, where no certificate says who
    /// we are.
    Feed {
        /// Where it is.
        channel: Channel,
        /// What goes with the call.
        metadata: MetadataMap,
        /// What people know it by: its URL.
        name: String,
    },
}

/// By what an edge decides now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// By nothing yet: every source is a stranger.
    Nothing,
    /// By a feed that is there. The store may be away from upstream: then for how many ms.
    Live {
        /// 0: the store is there.
        store_stale_ms: u64,
    },
    /// By the last good feed, for upstream is away.
    LastGood {
        /// How old it is, in ms.
        age_ms: u64,
    },
}

/// What an edge is built from, beside its configuration: everything that a test gives by hand.
pub struct Given {
    /// The life of the process, and the place for tasks.
    pub life: Life,
    /// Time.
    pub clock: Clock,
    /// Chance.
    pub chance: Chance,
    /// Where the tenants come from.
    pub upstream: Upstream,
    /// Bound sockets.
    pub listeners: Vec<Listener>,
    /// How names are looked up.
    pub lookup: Lookup,
    /// Who is told of decisions.
    pub observer: Option<trace::SharedObserver>,
}

/// A running edge.
#[derive(Clone, Debug)]
pub struct Edge {
    id: String,
    counters: Arc<Counters>,
    addresses: Vec<(ListenerName, Transport, SocketAddr)>,
    facts: watch::Receiver<Facts>,
    clock: Clock,
}

impl Edge {
    /// By what it decides now.
    #[must_use]
    pub fn source(&self) -> Source {
        let facts = self.facts.borrow();
        match facts.age(self.clock.monotonic()) {
            _ if !facts.ready => Source::Nothing,
            Some(age) => Source::LastGood { age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX) },
            None => Source::Live { store_stale_ms: facts.store_stale_ms },
        }
    }

    /// Waits until there is something to decide by, from upstream or from disk. Cancel-safe.
    pub async fn ready(&self) {
        let mut facts = self.facts.clone();
        if facts.wait_for(|f| f.ready).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Its id: the beginning of every decision's.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What it has counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Where it listens.
    pub fn addresses(&self) -> impl Iterator<Item = (&ListenerName, Transport, SocketAddr)> {
        self.addresses.iter().map(|(name, transport, address)| (name, *transport, *address))
    }
}

/// Builds an edge and starts it on the life's tasks.
///
/// # Errors
/// What is wrong with the configuration or a listener.
pub fn build(mut config: Config, given: Given) -> Result<Edge, ConfigError> {
    config.check_id()?;
    let Given { life, clock, chance, upstream, listeners, lookup, observer } = given;
    if config.id.is_empty() {
        config.id = format!("edge-{:08x}", chance.u64() as u32);
    }
    let (listeners, sockets) = listeners::listeners(listeners)?;
    let proxy = proxy(&config, &listeners, &chance)?;

    let counters = Arc::new(Counters::new());
    let (engine_in, arrived) = mpsc::channel(ARRIVED_MAX);
    let (facts, follows) = watch::channel(Facts::default());
    let events = match upstream {
        Upstream::View(view) => {
            keep(&life, view, facts);
            events::nobodys(Arc::clone(&counters))
        }
        Upstream::Feed { channel, metadata, name } => {
            let (events, outbox) = events::events(Arc::clone(&counters));
            follow(feed::Given {
                channel,
                metadata,
                name,
                config: config.clone(),
                listeners: listeners.names(),
                clock: clock.clone(),
                chance: chance.clone(),
                facts,
                outbox,
                counters: Arc::clone(&counters),
                life: life.clone(),
            })?;
            events
        }
    };
    for (listener, socket) in sockets.tcp {
        let accept = accept(life.clone(), clock.clone(), listener, socket, engine_in.clone());
        life.tasks.spawn("sip accept", accept);
    }
    let edge = Edge {
        id: config.id.clone(),
        counters: Arc::clone(&counters),
        addresses: listeners.iter().map(|l| (l.name.clone(), l.transport, l.local)).collect(),
        facts: follows.clone(),
        clock: clock.clone(),
    };
    let connections = Connections::new(&config, clock.clone(), life.tasks.clone(), engine_in.clone());
    let within = ms(config.resolve_ms);
    let names =
        names::Names::new(lookup, within, listeners.reach(), clock.clone(), life.tasks.clone(), engine_in);
    let engine = Engine {
        state: State::new(),
        id: config.id.as_str().into(),
        proxy,
        config,
        clock,
        chance,
        life: life.clone(),
        listeners,
        udp: sockets.udp,
        connections,
        names,
        arrived,
        feed: follows,
        events,
        counters,
        observer,
    };
    life.tasks.critical("edge", engine.run());
    Ok(edge)
}

/// Follows the feed of a routing service.
fn follow(given: feed::Given) -> Result<(), ConfigError> {
    let life = given.life.clone();
    let path = given.config.last_good.clone().unwrap_or_default();
    let feed = feed::Feed::new(given).map_err(|source| ConfigError::LastGood { path, source })?;
    life.tasks.spawn("edge feed", feed.run(life.drain.clone()));
    Ok(())
}

/// The proxy core, with its key from the configuration or from chance.
fn proxy(config: &Config, listeners: &listeners::Listeners, chance: &Chance) -> Result<Proxy, ConfigError> {
    let mut key = [0; 16];
    chance.fill(&mut key);
    let key = config.key()?.unwrap_or(key);
    let mut proxy = tandem_sip::proxy::Config::new(listeners.for_proxy(), key);
    proxy.limits.transactions_max = config.transactions_max;
    proxy.retry_after = ms(config.retry_after_ms);
    Ok(Proxy::new(proxy))
}

/// Takes over a view that somebody else keeps.
fn keep(life: &Life, mut view: watch::Receiver<View>, facts: watch::Sender<Facts>) {
    let first = view.borrow_and_update().clone();
    facts.send_replace(Facts { view: first, ready: true, ..Facts::default() });
    let drain = life.drain.clone();
    life.tasks.spawn("edge view", async move {
        loop {
            tokio::select! {
                changed = view.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let view = view.borrow_and_update().clone();
                    facts.send_replace(Facts { view, ready: true, ..Facts::default() });
                }
                () = facts.closed() => break,
                () = drain.stopped() => break,
            }
        }
    });
}

/// Accepts connections, and hands them to the engine.
async fn accept(life: Life, clock: Clock, listener: u16, socket: TcpListener, engine: mpsc::Sender<Arrived>) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = engine.closed() => return,
            () = life.drain.stopped() => return,
        };
        match accepted {
            Ok((stream, address)) => {
                if engine.send(Arrived::Connection { listener, address, stream }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: those that wait are taken when there is one again.
                tracing::warn!(%error, "cannot accept a connection");
                clock.sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
