//! What edges count, told as metrics.

use tandem_runtime::metrics::{Labelled, Metrics, Say};

use crate::stats::Stats;
use crate::{Edge, Source};

/// Tells metrics of the edges of a process: what each counted, and by how old a feed it decides.
pub fn tell(edges: Vec<Edge>, metrics: &Metrics) {
    metrics.collect(move |say| {
        let all: Vec<(&Edge, Stats)> = edges.iter().map(|edge| (edge, edge.stats())).collect();
        counters(say, &all)?;
        gauges(say, &all)
    });
}

fn counters(say: &mut Say<'_>, all: &[(&Edge, Stats)]) -> std::fmt::Result {
    for (at, (name, help, _)) in Stats::default().each().enumerate() {
        let of = |(edge, stats): &(&Edge, Stats)| {
            let counted = stats.each().nth(at).map_or(0, |(.., n)| n);
            ([("edge", edge.id().to_owned())], counted)
        };
        let counted: Vec<_> = all.iter().map(of).collect();
        let labels: Vec<[(&str, &str); 1]> =
            counted.iter().map(|([(l, id)], _)| [(*l, id.as_str())]).collect();
        let told: Vec<Labelled<'_, u64>> =
            labels.iter().zip(&counted).map(|(labels, (_, n))| (labels.as_slice(), *n)).collect();
        say.counter(&format!("edge_{name}"), help, &told)?;
    }
    let refused: Vec<([(&str, &str); 2], u64)> = all
        .iter()
        .flat_map(|(edge, stats)| {
            stats.refused.iter().map(|(reason, n)| ([("edge", edge.id()), ("reason", *reason)], *n))
        })
        .collect();
    let told: Vec<Labelled<'_, u64>> = refused.iter().map(|(labels, n)| (labels.as_slice(), *n)).collect();
    say.counter("edge_refused", "Calls that were refused, by reason.", &told)
}

fn gauges(say: &mut Say<'_>, all: &[(&Edge, Stats)]) -> std::fmt::Result {
    let gauge = |say: &mut Say<'_>, name: &str, help: &str, value: &dyn Fn(&Edge, &Stats) -> f64| {
        let labels: Vec<[(&str, &str); 1]> = all.iter().map(|(edge, _)| [("edge", edge.id())]).collect();
        let told: Vec<Labelled<'_, f64>> = labels
            .iter()
            .zip(all)
            .map(|(labels, (edge, stats))| (labels.as_slice(), value(edge, stats)))
            .collect();
        say.gauge(name, help, &told)
    };
    let live = |edge: &Edge, _: &Stats| f64::from(u8::from(matches!(edge.source(), Source::Live { .. })));
    gauge(say, "edge_feed_live", "Whether it decides by a feed that is there.", &live)?;
    let age = |edge: &Edge, _: &Stats| match edge.source() {
        Source::LastGood { age_ms } => age_ms as f64 / 1e3,
        Source::Live { .. } | Source::Nothing => 0.0,
    };
    gauge(say, "edge_feed_age_seconds", "How old the last good feed is that it decides by.", &age)?;
    let stale = |edge: &Edge, _: &Stats| match edge.source() {
        Source::Live { store_stale_ms } => store_stale_ms as f64 / 1e3,
        Source::LastGood { .. } | Source::Nothing => 0.0,
    };
    gauge(say, "edge_store_stale_seconds", "How long the store has been away from its feed.", &stale)?;
    gauge(say, "edge_calls", "Calls that it holds.", &|_, stats| stats.held.0 as f64)?;
    gauge(say, "edge_transactions", "SIP transactions that it holds.", &|_, stats| stats.held.1 as f64)
}
