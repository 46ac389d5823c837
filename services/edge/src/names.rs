//! Names of peers to addresses, off the engine: a small cache, a deadline, a limit on what is asked at once.
//!
//! Policy gives every peer a port, so that an address record is all that is asked for (RFC 3263 4.2: a port that is
//! given skips SRV). The machine's resolver says no lifetime: an answer counts for half a minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Tasks;
use tandem_sip::time::Now;
use tokio::sync::mpsc;

use crate::transport::Arrived;

/// How long an answer counts.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How long it counts that there was none.
const NONE_FOR: Duration = Duration::from_secs(3);
/// Names that are kept: those of every trunk of a large cell.
const NAMES_MAX: usize = 8_192;
/// Questions at once: each holds a thread of the machine's resolver.
const ASKED_MAX: usize = 32;

/// Looks a name up: the machine's resolver in a process, a table in a test.
pub type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The machine's own resolver.
#[must_use]
pub fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|a| a.ip()).collect())
        })
    })
}

/// What a name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// This address.
    Address(IpAddr),
    /// None.
    Nothing,
    /// It is being asked; [`Arrived::Resolved`] will say.
    Asked,
}

pub(crate) struct Names {
    kept: HashMap<String, (Option<IpAddr>, Now)>,
    asked: Vec<String>,
    lookup: Lookup,
    within: Duration,
    /// Whether we can reach IPv4 and IPv6.
    reach: (bool, bool),
    clock: Clock,
    tasks: Tasks,
    engine: mpsc::Sender<Arrived>,
}

impl Names {
    pub(crate) fn new(
        lookup: Lookup,
        within: Duration,
        reach: (bool, bool),
        clock: Clock,
        tasks: Tasks,
        engine: mpsc::Sender<Arrived>,
    ) -> Self {
        Self { kept: HashMap::new(), asked: Vec::new(), lookup, within, reach, clock, tasks, engine }
    }

    /// The address of a host, at once if it is one or is known.
    pub(crate) fn find(&mut self, host: &str, now: Now) -> Found {
        if let Some(ip) = literal(host) {
            return Found::Address(ip);
        }
        match self.kept.get(host) {
            Some((found, until)) if *until > now => return found.map_or(Found::Nothing, Found::Address),
            _ => {}
        }
        if !self.is_asked(host) {
            if self.asked.len() >= ASKED_MAX {
                return Found::Nothing;
            }
            self.ask(host.to_owned());
        }
        Found::Asked
    }

    /// Whether a name is being asked.
    pub(crate) fn is_asked(&self, host: &str) -> bool {
        self.asked.iter().any(|a| a == host)
    }

    fn ask(&mut self, host: String) {
        self.asked.push(host.clone());
        let (lookup, engine, clock) = (self.lookup(&host), self.engine.clone(), self.clock.clone());
        let within = self.within;
        self.tasks.spawn("names", async move {
            let addresses = tokio::select! {
                found = lookup => found.unwrap_or_default(),
                () = clock.sleep(within) => Vec::new(),
            };
            let _ = engine.send(Arrived::Resolved { host, addresses }).await;
        });
    }

    fn lookup(&self, host: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        (self.lookup)(host.to_owned())
    }

    /// An answer came: the first address that we can reach counts.
    pub(crate) fn found(&mut self, host: &str, addresses: &[IpAddr], now: Now) -> Option<IpAddr> {
        self.asked.retain(|a| a != host);
        let reaches = |ip: &&IpAddr| if ip.is_ipv4() { self.reach.0 } else { self.reach.1 };
        let first = addresses.iter().find(reaches).copied();
        if self.kept.len() >= NAMES_MAX {
            self.kept.retain(|_, (_, until)| *until > now);
        }
        if self.kept.len() < NAMES_MAX {
            let until = now + if first.is_some() { KEPT_FOR } else { NONE_FOR };
            self.kept.insert(host.to_owned(), (first, until));
        }
        first
    }
}

/// The address that a host is, with the brackets of an IPv6 reference or without.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}
