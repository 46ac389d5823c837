//! Saves of files and directories, seen within milliseconds.
//!
//! A save is not one event. Editors write beside the file and rename; Kubernetes swaps the link `..data` of a mounted
//! ConfigMap; a copy of a directory is a storm. So what the system tells us (inotify, through `notify`) is only a
//! hint to look: a short pause lets the storm pass, then a fingerprint of what is watched (names, sizes, times,
//! inodes, links followed) is compared with the last, and a difference is a change. A slow look at regular
//! intervals finds what no hint told of (network file systems, exhausted inotify watches), and a quicker one stands
//! in when there are no hints at all.
//!
//! Invariants: a change is told after the last write that was part of it or after [`Options::storm`], whichever
//! comes first; a reader that is slow gets the union of what changed, never a queue; a path that vanishes or comes
//! into being is a change like any other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use crate::drain::Tasks;

/// How eagerly to look.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Silence that ends a storm of events. 20 ms is more than an editor leaves between write and rename.
    pub settle: Duration,
    /// A storm that does not end is looked at anyway after this long.
    pub storm: Duration,
    /// The slow look, for what no event tells.
    pub look_every: Duration,
    /// The look that stands in where the system gives no events.
    pub poll_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            settle: Duration::from_millis(20),
            storm: Duration::from_millis(200),
            look_every: Duration::from_secs(5),
            poll_every: Duration::from_millis(250),
        }
    }
}

/// The changes of what is watched. Dropping it ends the watch.
#[derive(Debug)]
pub struct Changes(mpsc::Receiver<BTreeSet<PathBuf>>);

impl Changes {
    /// Waits for the next change: the files that came, changed or went since the last. `None` once the process has
    /// stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<BTreeSet<PathBuf>> {
        self.0.recv().await
    }
}

/// Watches files, and directories with the files directly in them, from what they are now.
///
/// A path that does not exist is watched for its coming, as long as its directory exists. Of a directory only
/// regular files (links followed) whose names do not begin with a dot count, so that editors' own files do not. What
/// exists now is not told: read it after this call, and nothing is missed.
pub fn watch(tasks: &Tasks, paths: impl IntoIterator<Item = PathBuf>, options: Options) -> Changes {
    let paths: Vec<PathBuf> = paths.into_iter().collect();
    let before = Fingerprint::take(&paths);
    // Hints do not add up: one is as good as many.
    let (hint, hints) = mpsc::channel(1);
    let watcher = hint_of_events(&paths, hint);
    // One set waits at most; what comes meanwhile joins the next.
    let (tx, rx) = mpsc::channel(1);
    // The first fingerprint was taken before the events began: what fell between is found by the first look.
    let looker = Looker { paths, before, options, hints, watcher };
    tasks.spawn("watch files", looker.run(tx));
    Changes(rx)
}

struct Looker {
    paths: Vec<PathBuf>,
    before: Fingerprint,
    options: Options,
    hints: mpsc::Receiver<()>,
    /// Kept for its life; `None` where the system gives no events.
    watcher: Option<notify::RecommendedWatcher>,
}

impl Looker {
    async fn run(mut self, tx: mpsc::Sender<BTreeSet<PathBuf>>) {
        let mut changed = self.look();
        loop {
            if !changed.is_empty() {
                match tx.try_send(std::mem::take(&mut changed)) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(kept)) => changed = kept,
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                }
            }
            let pause =
                if self.watcher.is_some() { self.options.look_every } else { self.options.poll_every };
            tokio::select! {
                hint = self.hints.recv(), if self.watcher.is_some() => match hint {
                    Some(()) => self.settle().await,
                    None => self.watcher = None,
                },
                room = tx.reserve(), if !changed.is_empty() => match room {
                    Ok(room) => {
                        room.send(std::mem::take(&mut changed));
                        continue;
                    }
                    Err(_) => return,
                },
                () = sleep(pause) => {}
                () = tx.closed() => return,
            }
            changed.extend(self.look());
        }
    }

    /// Waits until the storm is over.
    async fn settle(&mut self) {
        let end = Instant::now() + self.options.storm;
        loop {
            let quiet = (Instant::now() + self.options.settle).min(end);
            match timeout_at(quiet, self.hints.recv()).await {
                Ok(Some(())) if Instant::now() < end => {}
                _ => return,
            }
        }
    }

    fn look(&mut self) -> BTreeSet<PathBuf> {
        let now = Fingerprint::take(&self.paths);
        let changed = self.before.differences(&now);
        self.before = now;
        changed
    }
}

/// Asks the system for events on the directories that hold what is watched.
fn hint_of_events(paths: &[PathBuf], hint: mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
    let told = move |event: notify::Result<notify::Event>| {
        // Our own reading is no reason to read again.
        if event
            .is_ok_and(|event| matches!(event.kind, EventKind::Access(access) if !is_close_of_write(access)))
        {
            return;
        }
        // A full channel holds a hint already.
        let _ = hint.try_send(());
    };
    let watched = notify::recommended_watcher(told).and_then(|mut watcher| {
        for directory in directories(paths) {
            watcher.watch(&directory, RecursiveMode::NonRecursive)?;
        }
        Ok(watcher)
    });
    watched
        .inspect_err(
            |error| tracing::warn!(%error, "no events from the file system; looking at intervals instead"),
        )
        .ok()
}

fn is_close_of_write(access: notify::event::AccessKind) -> bool {
    use notify::event::{AccessKind, AccessMode};
    matches!(access, AccessKind::Close(AccessMode::Write))
}

/// The directories whose entries matter: each directory watched, the parent of each file, and where links lead.
fn directories(paths: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut directories = BTreeSet::new();
    for path in paths {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        directories.insert(parent.to_owned());
        if path.is_dir() {
            directories.insert(path.clone());
        }
        // The file behind a link may be written in place.
        if let Some(target) = path.canonicalize().ok().as_deref().and_then(Path::parent) {
            directories.insert(target.to_owned());
        }
    }
    directories
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    len: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

#[derive(Clone, Debug, Default)]
struct Fingerprint(BTreeMap<PathBuf, Mark>);

impl Fingerprint {
    fn take(paths: &[PathBuf]) -> Self {
        let mut marks = BTreeMap::new();
        for path in paths {
            let Ok(entries) = std::fs::read_dir(path) else {
                marks.extend(mark(path).map(|mark| (path.clone(), mark)));
                continue;
            };
            for entry in entries.flatten() {
                if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                    let path = entry.path();
                    marks.extend(mark(&path).map(|mark| (path, mark)));
                }
            }
        }
        Self(marks)
    }

    fn differences(&self, now: &Self) -> BTreeSet<PathBuf> {
        let came_or_changed = now.0.iter().filter(|(path, mark)| self.0.get(*path) != Some(mark));
        let went = self.0.iter().filter(|(path, _)| !now.0.contains_key(*path));
        came_or_changed.chain(went).map(|(path, _)| path.clone()).collect()
    }
}

/// The mark of a regular file; `None` for anything else, and for what is not there.
fn mark(path: &Path) -> Option<Mark> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some(Mark { len: metadata.len(), modified: metadata.modified().ok(), inode: metadata.ino() })
}

#[cfg(test)]
mod tests;
