//! What a process tells of its store: counts as they are, and each few seconds a look at the servers.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_runtime::drain::Life;
use tandem_runtime::metrics::{Labelled, Metrics, Say};
use tandem_store::{Node, Stats};

use crate::Cell;

/// How often servers are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What was seen of the servers last.
#[derive(Debug, Default)]
struct Seen {
    nodes: Vec<Node>,
    sizes: Option<Stats>,
}

impl Cell {
    /// Tells metrics of the store and of this process's view of it.
    pub fn tell(&self, metrics: &Metrics, life: &Life) {
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let (cell, told) = (self.clone(), Arc::clone(&seen));
        metrics.collect(move |say| {
            let seen = told.lock().unwrap_or_else(PoisonError::into_inner);
            cell.say(say)?;
            say_seen(say, &seen)
        });
        let (cell, ending) = (self.clone(), life.clone());
        life.tasks.spawn("cell metrics", async move {
            let looking = async {
                loop {
                    cell.look(&seen).await;
                    cell.clock().sleep(LOOK_EVERY).await;
                }
            };
            tokio::select! {
                () = looking => {}
                () = crate::last(&ending) => {}
            }
        });
    }

    /// A store that cannot be asked leaves nothing that would pass for what is now.
    async fn look(&self, seen: &Mutex<Seen>) {
        let backend = self.store().backend();
        let nodes = backend.nodes().await.unwrap_or_default();
        let sizes = backend.sizes().await.ok();
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen { nodes, sizes };
    }

    fn say(&self, say: &mut Say<'_>) -> std::fmt::Result {
        let (store, view) = (self.store(), self.view());
        let counts = store.counts();
        let outcomes = counts.outcomes().map(|(outcome, n)| ([("outcome", outcome)], n));
        let all: Vec<Labelled<'_, u64>> = outcomes.iter().map(|(l, n)| (l.as_slice(), *n)).collect();
        say.counter("store_commits", "Commits by how they ended.", &all)?;
        let (sum, buckets) = counts.took();
        say.histogram("store_commit_seconds", "How long commits took.", sum, &buckets)?;
        let shortfalls = store.backend().shortfalls();
        let help = "Commits that no replica had confirmed in time, of those that are to be replicated.";
        say.counter("store_wait_shortfalls", help, &[(&[], shortfalls)])?;
        let resyncs = counts.resyncs().map(|(cause, n)| ([("cause", cause)], n));
        let all: Vec<Labelled<'_, u64>> = resyncs.iter().map(|(l, n)| (l.as_slice(), *n)).collect();
        say.counter("store_resyncs", "Shards that were listed anew, by why.", &all)?;
        let lag = view.lag().as_secs_f64();
        let help =
            "From the last change's commit, by the store's clock, until this process showed it, by its own.";
        say.gauge("store_follower_lag_seconds", help, &[(&[], lag)])?;
        let now = self.clock().unix_micros();
        let stale = view.stale_since().map_or(0, |since| now.saturating_sub(since));
        let stale = Duration::from_micros(stale).as_secs_f64();
        let help = "How long the store has not been readable, or lacks what is shown.";
        say.gauge("store_stale_seconds", help, &[(&[], stale)])?;
        let help = "Tenants that are shown of which the store has lost something.";
        say.gauge("store_lost_tenants", help, &[(&[], view.lost() as f64)])?;
        let synchronised = f64::from(u8::from(view.is_synchronised()));
        say.gauge("store_synchronised", "Whether everything was listed once.", &[(&[], synchronised)])
    }
}

fn say_seen(say: &mut Say<'_>, seen: &Seen) -> std::fmt::Result {
    if let Some(sizes) = &seen.sizes {
        say.gauge("store_records", "Records.", &[(&[], sizes.records as f64)])?;
        say.gauge("store_log_entries", "Entries in all logs.", &[(&[], sizes.log_entries as f64)])?;
        say.gauge("store_log_bytes", "Bytes in all logs.", &[(&[], sizes.log_bytes as f64)])?;
    }
    let ahead: Vec<(&str, f64)> =
        seen.nodes.iter().filter_map(|n| Some((n.at.as_str(), n.ahead_us? as f64 / 1e6))).collect();
    nodes(
        say,
        "store_clock_ahead_seconds",
        "By how much a server's clock is ahead of this process's.",
        &ahead,
    )?;
    let ends = ahead.iter().fold(None, |ends: Option<(f64, f64)>, (_, ahead)| {
        Some(ends.map_or((*ahead, *ahead), |(least, most)| (least.min(*ahead), most.max(*ahead))))
    });
    let skew = ends.map_or(0.0, |(least, most)| most - least);
    say.gauge("store_clock_skew_seconds", "Between the primaries' clocks.", &[(&[], skew)])?;
    let lags: Vec<(&str, f64)> =
        seen.nodes.iter().filter_map(|n| Some((n.at.as_str(), n.lag_s? as f64))).collect();
    nodes(say, "store_replica_lag_seconds", "How long ago a replica was last heard of.", &lags)?;
    let refusing = seen.nodes.iter().filter(|n| !n.refused.is_empty()).count();
    let help = "Primaries that would refuse what must not be lost.";
    say.gauge("store_refusing", help, &[(&[], refusing as f64)])
}

fn nodes(say: &mut Say<'_>, name: &str, help: &str, of: &[(&str, f64)]) -> std::fmt::Result {
    let labels: Vec<_> = of.iter().map(|(at, value)| ([("node", *at)], *value)).collect();
    let all: Vec<Labelled<'_, f64>> = labels.iter().map(|(l, v)| (l.as_slice(), *v)).collect();
    say.gauge(name, help, &all)
}
