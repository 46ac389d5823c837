//! `tandem backup` and `tandem restore`.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{self, Drain, Grace, Life};
use tandem_runtime::exit::Exit;
use tandem_runtime::metrics::{Metrics, Say};
use tandem_store::Home;
use tandem_store::backup::{self, Backup, Progress, Writing};
use tandem_store::embedded::Place;
use tokio::sync::watch;

use crate::cli::{Global, answer, once};
use crate::failure::Input;
use crate::serve::{MetricsAt, StoreUrl};
use crate::show;
use crate::show::time::utc;

/// How often it is said how far a backup is, if anything is to be said.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// From when on a backup that is behind says so.
const LATE: Duration = Duration::from_secs(5);

/// Which store.
#[derive(Debug, clap::Args)]
pub(crate) struct Where {
    /// Where the embedded store is kept, as `up` and `serve` have it. No process may have it open.
    #[arg(long, value_name = "DIR", required_unless_present = "store")]
    data: Option<PathBuf>,
    #[command(flatten)]
    store: StoreUrl,
}

impl Where {
    /// Where it is.
    pub(crate) fn home(&self) -> anyhow::Result<Home> {
        let embedded = |data: &PathBuf| Home::Embedded(Place::Directory(data.join("store")));
        let home = self.store.home()?.or_else(|| self.data.as_ref().map(embedded));
        home.ok_or_else(|| Input("name the store with --store URL or --data DIR".into()).into())
    }
}

/// `tandem backup`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "A backup is a follower of the store: it lists everything, then writes every change as it comes, and says on \
    standard error when it is behind. It may be killed at any moment: what it had written is there to restore. \
    Start it again in the same directory and it begins a new listing; the old one stays until the new one has everything.\n\n\
    Examples:\n  \
    tandem backup --store redis-sentinel://a,b,c/main /var/backups/tandem\n  \
    tandem backup --data /var/lib/tandem --once /var/backups/tandem"
)]
pub(crate) struct Args {
    #[command(flatten)]
    of: Where,
    #[command(flatten)]
    metrics: MetricsAt,
    /// End as soon as everything that was committed before the start is there.
    #[arg(long)]
    once: bool,
    /// The directory to write to. It is made if it is not there; one backup at a time.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// `tandem restore`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Everything that is for good is written, from either kind of store to either, and compared by digest. What \
    processes held (leases, their registration) is not: they assert it again. It says until when the backup had \
    everything: what was committed later is lost.\n\n\
    Examples:\n  \
    tandem restore /var/backups/tandem --store redis-sentinel://a,b,c/main\n  \
    tandem restore /var/backups/tandem --data /var/lib/tandem"
)]
pub(crate) struct RestoreArgs {
    /// The directory that `tandem backup` wrote.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    #[command(flatten)]
    to: Where,
}

/// Writes a store to files until it is told to end.
pub(crate) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = drain::signals()?;
        let home = args.of.home()?;
        let build = |life: Life| async move {
            let (clock, chance) = (Clock::machine(), Chance::machine());
            let (words, world) = (home.to_string(), tandem_cell::world(&clock, &chance));
            let listener = args.metrics.bind()?;
            let store = home.open(world.clone()).await?;
            let writing = Writing::new(store.clone(), world, &args.dir)?;
            let mut progress = writing.progress();
            let mut at = None;
            if let Some(listener) = listener {
                let metrics = Metrics::default();
                let (progress, clock) = (progress.clone(), clock.clone());
                metrics.collect(move |say| say_progress(say, &progress.borrow(), clock.unix_micros()));
                at = Some(metrics.serve(listener, &life)?.to_string());
            }
            let (drain, once, shutdown) = (life.drain.clone(), args.once, life.shutdown.clone());
            life.tasks.critical("backup", async move {
                let ended = writing.run(once, async move { drain.leaving().await }).await;
                shutdown.leave();
                let closed = store.close().await;
                ended.map_err(anyhow::Error::from).and(closed.map_err(anyhow::Error::from))
            });
            // Its failure ends the process; nothing is to be said then.
            let first = progress.wait_for(|p| p.whole_until.is_some()).await.map(|p| p.clone());
            let Ok(first) = first else { return Ok(()) };
            let until = first.whole_until.map(utc).unwrap_or_default();
            let ready = json!({"ready": true, "records": first.records, "whole_until": until, "metrics": at});
            answer(global, &ready, || {
                format!(
                    "{words}: {} records in {}; everything until {until} is there",
                    first.records,
                    args.dir.display()
                )
            })?;
            life.tasks.spawn("backup progress", tell(progress, clock, life.drain.clone()));
            Ok(())
        };
        drain::run(Grace::DESK, signals, build).await?;
        Ok(Exit::Ok)
    })
}

/// How far a backup is, as metrics have it. Without a lag: not everything was listed yet.
fn say_progress(say: &mut Say<'_>, progress: &Progress, now: u64) -> std::fmt::Result {
    if let Some(until) = progress.whole_until {
        let lag = Duration::from_micros(now.saturating_sub(until)).as_secs_f64();
        say.gauge("backup_lag_seconds", "How old what is in the backup for sure is.", &[(&[], lag)])?;
    }
    say.gauge("backup_bytes", "Bytes of the generation that is written.", &[(&[], progress.bytes as f64)])?;
    say.counter("backup_resyncs", "Shards that were listed anew.", &[(&[], progress.resyncs)])
}

/// Says when the backup is behind, and when it is not any more.
async fn tell(progress: watch::Receiver<Progress>, clock: Clock, drain: Drain) {
    let mut late = false;
    loop {
        tokio::select! {
            () = clock.sleep(TELL_EVERY) => {}
            () = drain.leaving() => return,
        }
        let now = progress.borrow().clone();
        let lag =
            Duration::from_micros(clock.unix_micros().saturating_sub(now.whole_until.unwrap_or_default()));
        let was = std::mem::replace(&mut late, lag > LATE);
        match (was, late) {
            (_, true) => {
                let why = now.away.map(|why| format!(": {why}")).unwrap_or_default();
                show::error(&format!("behind by {} s{why}", lag.as_secs()));
            }
            (true, false) => {
                show::error(&format!("up to date again; {} changes, {} bytes", now.entries, now.bytes))
            }
            (false, false) => {}
        }
    }
}

/// Writes what a backup holds to an empty store.
pub(crate) fn restore(args: &RestoreArgs, global: &Global) -> anyhow::Result<Exit> {
    let backup = backup::read(&args.dir)?;
    let home = args.to.home()?;
    let (clock, chance) = (Clock::machine(), Chance::machine());
    let words = home.to_string();
    let done = once(async {
        let world = tandem_cell::world(&clock, &chance);
        let store = home.open(world.clone()).await?;
        let done = backup::restore(&backup, &store, &world).await;
        store.close().await?;
        Ok(done?)
    })?;
    let until = utc(backup.whole_until);
    let json = json!({
        "records": done.records, "digest": done.digest, "whole_until": until, "changes": backup.entries,
        "left_out_held": backup.claimed(), "left_out_bytes": backup.cut, "file": backup.path,
        "passed_over": backup.passed_over,
    });
    answer(global, &json, || told(&backup, done.records, &done.digest, &words, &until))?;
    Ok(Exit::Ok)
}

fn told(backup: &Backup, records: u64, digest: &str, words: &str, until: &str) -> String {
    let mut out = format!(
        "{words}: {records} records restored, read back and equal\n  \
        digest  {digest}\n  from    {}, with {} changes after its listing\n  \
        lost    what was committed after {until}, by the clock of who wrote the backup\n",
        backup.path.display(),
        backup.entries
    );
    let mut also = |text: String| out.push_str(&format!("          {text}\n"));
    if backup.cut > 0 {
        also(format!("the last {} bytes, which were not written whole", backup.cut));
    }
    if backup.claimed() > 0 {
        also(format!("{} records that processes held; their owners assert them again", backup.claimed()));
    }
    if let Some(path) = &backup.passed_over {
        also(format!("{}, which was ended before it had everything", path.display()));
    }
    out
}
