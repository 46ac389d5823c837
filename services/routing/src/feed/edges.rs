//! The edges that follow the feed now.
//!
//! An edge is known by its caller and its id: what one caller's edges are called touches no other's. An edge that
//! comes again takes over, for its stream before may be one whose loss nobody has noticed yet; the one before ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_wire::request::Greeting;
use tokio::sync::oneshot;

/// An edge that follows the feed now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeStatus {
    /// Who calls for it.
    pub caller: String,
    /// Its id.
    pub edge: String,
    /// Its release.
    pub version: String,
    /// Its listeners.
    pub listeners: Vec<String>,
    /// The last chunk that it runs.
    pub acknowledged: u64,
    /// The last chunk that it was sent.
    pub sent: u64,
    /// Why it could not take the last chunk that it refused, if any.
    pub rejected: Option<String>,
    /// Events of calls that it told, and that it dropped before it could.
    pub events: (u64, u64),
}

/// The edges that follow the feed now. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Edges(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    entered: Mutex<Entered>,
}

#[derive(Debug, Default)]
struct Entered {
    streams: u64,
    by_name: BTreeMap<(String, String), Entry>,
}

#[derive(Debug)]
struct Entry {
    stream: u64,
    status: EdgeStatus,
    /// Dropped, it ends the stream.
    _stays: oneshot::Sender<()>,
}

/// The place of one stream among the edges. It is free when this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    edges: Edges,
    name: (String, String),
    stream: u64,
}

impl Edges {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Inner { max, entered: Mutex::default() }))
    }

    /// Who follows now, in the order of callers and ids.
    #[must_use]
    pub fn list(&self) -> Vec<EdgeStatus> {
        self.lock().by_name.values().map(|entry| entry.status.clone()).collect()
    }

    /// Takes a place, and what tells that it was taken over. None: there are as many edges as are served.
    pub(super) fn enter(&self, caller: &str, greeting: &Greeting) -> Option<(Seat, oneshot::Receiver<()>)> {
        let name = (caller.to_owned(), greeting.edge.clone());
        let mut entered = self.lock();
        if entered.by_name.len() >= self.0.max && !entered.by_name.contains_key(&name) {
            return None;
        }
        entered.streams += 1;
        let stream = entered.streams;
        let status = EdgeStatus {
            caller: caller.to_owned(),
            edge: greeting.edge.clone(),
            version: greeting.version.clone(),
            listeners: greeting.listeners.iter().map(ToString::to_string).collect(),
            acknowledged: 0,
            sent: 0,
            rejected: None,
            events: (0, 0),
        };
        let (stays, over) = oneshot::channel();
        entered.by_name.insert(name.clone(), Entry { stream, status, _stays: stays });
        Some((Seat { edges: self.clone(), name, stream }, over))
    }

    fn lock(&self) -> MutexGuard<'_, Entered> {
        // What the lock guards stays whole through a panic: each change of it is one insert or remove.
        self.0.entered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Changes what is known of the edge, unless another stream has taken its place.
    pub(super) fn with(&self, change: impl FnOnce(&mut EdgeStatus)) {
        let mut entered = self.edges.lock();
        if let Some(entry) = entered.by_name.get_mut(&self.name).filter(|e| e.stream == self.stream) {
            change(&mut entry.status);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut entered = self.edges.lock();
        if entered.by_name.get(&self.name).is_some_and(|e| e.stream == self.stream) {
            entered.by_name.remove(&self.name);
        }
    }
}
