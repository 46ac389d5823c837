//! What the station service counts, told as metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use tandem_proto::station::v1 as pb;
use tandem_runtime::metrics::{Labelled, Metrics};
use tonic::Status;

use crate::service::Service;

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Imports that were done, that were dry runs, that were refused whole.
    pub(crate) imports: [Counter; 3],
    /// Records that imports wrote, deleted, found unchanged, and entries that they refused.
    pub(crate) entries: [Counter; 4],
    /// Watches that began with a snapshot, went on from a token, found it expired, were refused.
    pub(crate) watches: [Counter; 4],
    /// Directories that were written again.
    pub(crate) again: Counter,
}

impl Counts {
    /// Counts what became of an import. A dry run is one that names no revision.
    pub(crate) fn imported(&self, imported: &Result<pb::ImportDirectoryResponse, Status>) {
        let [done, dry, refused] = &self.imports;
        match imported {
            Err(_) => refused.add(1),
            Ok(answer) if answer.revision == 0 => dry.add(1),
            Ok(answer) => {
                done.add(1);
                let all = [answer.written, answer.deleted, answer.unchanged, answer.refused];
                self.entries.iter().zip(all).for_each(|(counter, n)| counter.add(n));
            }
        }
    }
}

/// Counts. Anybody adds, anybody reads.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// By which word each is told.
const IMPORTS: [[(&str, &str); 1]; 3] =
    [[("outcome", "done")], [("outcome", "dry_run")], [("outcome", "refused")]];
const ENTRIES: [[(&str, &str); 1]; 4] = [
    [("outcome", "written")],
    [("outcome", "deleted")],
    [("outcome", "unchanged")],
    [("outcome", "refused")],
];
const WATCHES: [[(&str, &str); 1]; 4] =
    [[("began", "snapshot")], [("began", "resumed")], [("began", "expired")], [("began", "refused")]];

fn told<'a, const N: usize>(
    labels: &'a [[(&'a str, &'a str); 1]; N],
    counts: &[Counter; N],
) -> Vec<Labelled<'a, u64>> {
    labels.iter().zip(counts).map(|(labels, count)| (labels.as_slice(), count.get())).collect()
}

impl Service {
    /// Tells metrics of imports and watches.
    pub(crate) fn tell(&self, metrics: &Metrics) {
        let service = self.clone();
        metrics.collect(move |say| {
            let counts = service.counts();
            say.counter("station_imports", "Imports by outcome.", &told(&IMPORTS, &counts.imports))?;
            say.counter(
                "station_import_entries",
                "What became of what was imported.",
                &told(&ENTRIES, &counts.entries),
            )?;
            say.counter("station_watches", "Watches by how they began.", &told(&WATCHES, &counts.watches))?;
            let watching = service.watching() as f64;
            say.gauge("station_watchers", "Watches that go on now.", &[(&[], watching)])?;
            let help = "Directories that the store had lost, and that were written again.";
            say.counter("station_directories_written_again", help, &[(&[], counts.again.get())])
        });
    }
}
