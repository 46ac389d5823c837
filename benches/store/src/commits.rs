//! Commits a second, each acknowledged when it is synced, beside what a sync alone costs on this disk.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tandem_store::{Backend, Key, Outcome, What, Write};

use crate::{commit, cpu_seconds, open, tenant};

const FOR: Duration = Duration::from_secs(3);

/// Microseconds that one write of 4 KiB and its sync take.
fn sync_us() -> f64 {
    let mut file = tempfile::tempfile().expect("a file");
    let page = [0x55; 4096];
    let from = Instant::now();
    let mut syncs = 0;
    while from.elapsed() < Duration::from_secs(1) {
        file.write_all(&page).expect("a write");
        file.sync_data().expect("a sync");
        syncs += 1;
    }
    from.elapsed().as_secs_f64() * 1e6 / f64::from(syncs)
}

pub async fn run() {
    println!("\ncommits of one record with a value of 200 B; a 4 KiB write and its sync alone: {:.0} us", sync_us());
    for writers in [1_u64, 64] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(&dir);
        let ids = Arc::new(AtomicU64::new(1));
        let (from, cpu) = (Instant::now(), cpu_seconds());
        let tasks: Vec<_> = (0..writers)
            .map(|writer| tokio::spawn(write(Arc::clone(&store), writer, Arc::clone(&ids))))
            .collect();
        let mut all: Vec<f64> = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("a writer"));
        }
        let (wall, cpu) = (from.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        all.sort_by(f64::total_cmp);
        println!(
            "{writers:3} writers: {:.0} commits/s, median {:.2} ms, 99 of 100 within {:.2} ms, {:.0} us CPU a commit",
            all.len() as f64 / wall,
            all[all.len() / 2] * 1e3,
            all[all.len() * 99 / 100] * 1e3,
            cpu * 1e6 / all.len() as f64,
        );
        store.close().await.expect("closed");
    }
}

/// Answers how many seconds each commit took.
async fn write(store: Arc<dyn Backend>, writer: u64, ids: Arc<AtomicU64>) -> Vec<f64> {
    let mut took = Vec::new();
    let from = Instant::now();
    while from.elapsed() < FOR {
        let id = ids.fetch_add(1, Ordering::Relaxed);
        let what = What::Put(vec![0x55; 200].into());
        let key = Key::new(3, &format!("{writer}-{}", id % 1000));
        let asked = Instant::now();
        let done = store.commit(commit(tenant(writer as usize), id, vec![Write { key, what }])).await;
        assert!(matches!(done, Ok(Outcome::Committed(_))), "{done:?}");
        took.push(asked.elapsed().as_secs_f64());
    }
    took
}
