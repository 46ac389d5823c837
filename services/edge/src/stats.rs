//! What an edge counts: kept as atomics by its one task, read as a plain struct by anybody.

use std::sync::atomic::{AtomicU64, Ordering};

use tandem_domain::routing::decision::Reason;

macro_rules! counters {
    ($(#[doc = $doc:literal] $name:ident,)+) => {
        /// What an edge has counted since it began.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Stats {
            $(#[doc = $doc] pub $name: u64,)+
            /// Calls that were refused, by the reason's name, those with none left out.
            pub refused: Vec<(&'static str, u64)>,
            /// Calls and SIP transactions that are held now.
            pub held: (u64, u64),
        }

        impl Stats {
            /// Each counter by name, with what it counts.
            pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> + use<> {
                [$((stringify!($name), $doc.trim_ascii(), self.$name),)+].into_iter()
            }
        }

        /// The counters themselves.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
            refused: Vec<Counter>,
            held: [AtomicU64; 2],
        }

        impl Counters {
            pub(crate) fn new() -> Self {
                Self {
                    $($name: Counter::default(),)+
                    refused: Reason::ALL.iter().map(|_| Counter::default()).collect(),
                    held: Default::default(),
                }
            }

            pub(crate) fn read(&self) -> Stats {
                let refused = Reason::ALL.iter().zip(&self.refused);
                let refused = refused.map(|(r, c)| (r.name(), c.get())).filter(|(_, n)| *n > 0);
                let [calls, transactions] = [&self.held[0], &self.held[1]].map(|n| n.load(Ordering::Relaxed));
                Stats { $($name: self.$name.get(),)+ refused: refused.collect(), held: (calls, transactions) }
            }
        }
    };
}

counters! {
    /// Messages that came, requests and responses.
    received,
    /// Messages that went.
    sent,
    /// Datagrams that the machine had no room to send: retransmission mends it.
    unsent,
    /// Keep-alives.
    keep_alives,
    /// Bytes that were no SIP message.
    malformed,
    /// Requests that SIP itself refuses: no syntax, too many hops, an extension that nobody has.
    invalid,
    /// Requests from sources that no tenant has claimed.
    strangers,
    /// Requests from one tenant's peer for another's domain.
    foreign_domains,
    /// Requests that were refused because there was no room.
    overloaded,
    /// New calls that were refused because the process is leaving.
    drained,
    /// OPTIONS to the edge itself.
    options,
    /// Decisions, refusals included.
    decisions,
    /// Decisions from the last good feed, because the feed was away.
    last_good_decisions,
    /// Calls that were redirected.
    redirected,
    /// Calls that were sent on.
    proxied,
    /// Calls that rang.
    ringing,
    /// Calls that were answered.
    answered,
    /// Calls that failed.
    failed,
    /// Calls that their caller cancelled.
    cancelled,
    /// Dialogs that ended.
    ended,
    /// Targets that were left for the next one.
    failed_over,
    /// Addresses that were silent.
    silent,
    /// Calls to which a treatment was applied.
    treated,
    /// Calls that were decided anew by a survivable rule.
    survived,
    /// Transfers that toll policy refused.
    transfers_refused,
    /// Names that had no address in time.
    unresolved,
    /// Connections that were refused because there were too many.
    connections_refused,
    /// Connections that could not be made.
    connections_failed,
    /// Events of calls that were dropped because upstream was away or slow.
    events_dropped,
    /// Chunks of the feed that were refused.
    chunks_refused,
}

/// Counts. One task adds, anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn up(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// So many calls and transactions are held now.
    pub(crate) fn holds(&self, (calls, transactions): (usize, usize)) {
        self.held[0].store(calls as u64, Ordering::Relaxed);
        self.held[1].store(transactions as u64, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        let at = Reason::ALL.iter().position(|r| *r == reason);
        if let Some(counter) = at.and_then(|at| self.refused.get(at)) {
            counter.up();
        }
    }
}
