//! What routing counts, told as metrics. Requests of a stream are counted by the batch, decisions by the ring.

use std::sync::atomic::{AtomicU64, Ordering};

use tandem_runtime::metrics::{Labelled, Metrics};

use crate::Services;

/// The counters that nothing else counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) route_call: Counter,
    pub(crate) route_calls: Counter,
    pub(crate) explain_call: Counter,
    pub(crate) list_decisions: Counter,
    /// Decisions that reject.
    pub(crate) rejected: Counter,
    /// Decisions of edges.
    pub(crate) told: Counter,
}

/// Counts. Anybody adds, anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Services {
    /// Tells metrics of decisions, and of the edges that follow the feed.
    pub fn tell(&self, metrics: &Metrics) {
        let (service, edges) = (self.bytes.clone(), self.edges.clone());
        metrics.collect(move |say| {
            let counts = service.counts();
            let asked: [Labelled<'_, u64>; 4] = [
                (&[("method", "RouteCall")], counts.route_call.get()),
                (&[("method", "RouteCalls")], counts.route_calls.get()),
                (&[("method", "ExplainCall")], counts.explain_call.get()),
                (&[("method", "ListDecisions")], counts.list_decisions.get()),
            ];
            say.counter("routing_requests", "Requests; of a stream each counts.", &asked)?;
            let (decided, rejected) = (service.decided(), counts.rejected.get());
            let outcomes: [Labelled<'_, u64>; 2] = [
                (&[("outcome", "routed")], decided.saturating_sub(rejected)),
                (&[("outcome", "rejected")], rejected),
            ];
            say.counter("routing_decisions", "Decisions of this process by outcome.", &outcomes)?;
            let told = "Decisions that edges told of.";
            say.counter("routing_edge_decisions", told, &[(&[], counts.told.get())])?;
            let list = edges.list();
            say.gauge("routing_edges", "Edges that follow the feed.", &[(&[], list.len() as f64)])?;
            let behind = list.iter().map(|e| e.sent.saturating_sub(e.acknowledged)).max().unwrap_or(0);
            let help = "Chunks of the feed that the edge furthest behind has not acknowledged.";
            say.gauge("routing_edge_chunks_behind", help, &[(&[], behind as f64)])?;
            let rejecting = list.iter().filter(|e| e.rejected.is_some()).count();
            say.gauge("routing_edges_rejecting", "Edges that refused a chunk.", &[(&[], rejecting as f64)])
        });
    }
}
