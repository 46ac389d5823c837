//! The store on disk: how long a view takes that is built from it, and how many commits a second it takes.
//!
//! ```sh
//! cd benches && cargo run --release -p bench-store            # everything
//! cd benches && cargo run --release -p bench-store -- view    # or: commits
//! ```
//!
//! Stores lie in `TMPDIR`: put it on the disk that is asked about. In memory (tmpfs) a sync costs nothing.

mod commits;
mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tandem_domain::id::{Incarnation, TenantId, TenantName};
use tandem_store::embedded::{Embedded, Place};
use tandem_store::{Backend, Commit, CommitId, Durability, World, Write};

fn main() {
    let which = std::env::args().nth(1);
    let wanted = |name: &str| which.as_deref().is_none_or(|w| w == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    if wanted("view") {
        runtime.block_on(view::run());
    }
    if wanted("commits") {
        runtime.block_on(commits::run());
    }
}

fn world() -> World {
    let micros = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros() as u64;
    let drawn = AtomicU64::new(1);
    World {
        clock: Arc::new(micros),
        chance: Arc::new(move || u128::from(drawn.fetch_add(1, Ordering::Relaxed)) << 64),
    }
}

fn open(dir: &tempfile::TempDir) -> Arc<dyn Backend> {
    Arc::new(Embedded::open(Place::Directory(dir.path().into()), world()).expect("a store"))
}

fn tenant(n: usize) -> TenantId {
    let name = TenantName::parse(&format!("tenant-{n}")).expect("a name");
    TenantId { name, incarnation: Incarnation(n as u128 + 1) }
}

fn commit(tenant: TenantId, id: u64, writes: Vec<Write>) -> Commit {
    Commit {
        tenant,
        id: CommitId(u128::from(id)),
        preconditions: vec![],
        writes,
        durability: Durability::Local,
        trace: None,
    }
}

fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux and `time` outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Megabytes of memory in use by this process.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
