//! The feed from upstream: a snapshot, then changes, into a view; events of calls the other way.
//!
//! ```text
//!            disk ──read at start──┐
//! upstream ── chunks ── View::apply ── view ──> engine
//!     ^          └── last good feed, appended ──> disk
//!     └── acknowledgements, events
//! ```
//!
//! A chunk that cannot be read is refused by name and leaves everything as it was; a snapshot that holds one replaces
//! nothing, unless there was nothing. While upstream is away the view stays and its age is told; the edge goes on.

mod disk;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_domain::record::{Change, Record};
use tandem_domain::view::View;
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::edge_feed_client::EdgeFeedClient;
use tandem_proto::routing::v1::follow_request::{Acknowledgement, Hello, Message as Up};
use tandem_proto::routing::v1::follow_response::Message as Down;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Drain, Life, Tasks};
use tandem_runtime::serve::MESSAGE_BYTES_MAX;
use tandem_wire::feed::{Read, read};
use tandem_wire::limits::{LISTENERS_MAX, REJECTION_BYTES_MAX};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;

use crate::config::{Config, ms};
use crate::engine::{Away, Facts};
use crate::events::Outbox;
use crate::stats::Counters;
use disk::{Disk, Keep};

/// Messages upward that wait for the network.
const UP_MAX: usize = 64;
/// Chunks that wait for the disk.
const KEEP_MAX: usize = 64;
/// The first pause before upstream is asked again; doubled up to the longest, half of it more or less.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often a feed without changes is noted to be good still.
const GOOD_EVERY: Duration = Duration::from_secs(60);

/// What the feed is made from.
pub(crate) struct Given {
    pub(crate) channel: Channel,
    /// What goes with the call: a bearer token.
    pub(crate) metadata: MetadataMap,
    /// What people know it by.
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) listeners: Vec<String>,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    pub(crate) facts: watch::Sender<Facts>,
    pub(crate) outbox: Outbox,
    pub(crate) counters: Arc<Counters>,
    pub(crate) life: Life,
}

/// The feed's task.
pub(crate) struct Feed {
    given: Given,
    keep: Option<mpsc::Sender<Keep>>,
    view: View,
    /// A snapshot that is coming in.
    snapshot: Option<Snapshot>,
    store_stale_ms: u64,
    good_noted: Duration,
    /// Listeners that policy names and this edge does not have, each told once.
    unknown_listeners: BTreeSet<String>,
}

#[derive(Default)]
struct Snapshot {
    view: View,
    refused: Option<String>,
}

/// Why a connection to upstream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("{}: {}", .0.code(), .0.message())]
    Status(#[from] tonic::Status),
    #[error("upstream ended the feed")]
    Closed,
    #[error("nothing came for {0:?}")]
    Silent(Duration),
    #[error("leaving")]
    Leaving,
}

impl Feed {
    /// A feed that begins with what is on disk.
    ///
    /// # Errors
    /// When the file of the last good feed cannot be opened at all.
    pub(crate) fn new(given: Given) -> std::io::Result<Self> {
        let mut feed = Self {
            keep: None,
            view: View::new(),
            snapshot: None,
            store_stale_ms: 0,
            good_noted: Duration::ZERO,
            unknown_listeners: BTreeSet::new(),
            given,
        };
        if let Some(path) = feed.given.config.last_good.clone() {
            let now_us = feed.given.clock.unix_micros();
            let kept = disk::read(&path, now_us)?;
            if let Some(changes) = &kept.changes {
                feed.view = View::build(changes);
                let before = Duration::from_micros(now_us.saturating_sub(kept.good_at));
                tracing::info!(file = %path.display(), age = ?before, changes = changes.len(), "decides by the last good feed");
                feed.publish(true, Some(Away { since: feed.given.clock.monotonic(), before }));
            }
            let disk = Disk::new(path.clone(), &kept)?;
            feed.keep = Some(keeper(path, disk, &feed.given.life.tasks));
        }
        Ok(feed)
    }

    fn publish(&self, ready: bool, away: Option<Away>) {
        let view = self.view.clone();
        self.given.facts.send_replace(Facts { view, ready, away, store_stale_ms: self.store_stale_ms });
    }

    /// Follows upstream until the engine has ended, whose last events are still told while the process drains.
    pub(crate) async fn run(mut self, drain: Drain) {
        let mut pause = PAUSE;
        loop {
            let (ended, followed) = self.follow(&drain).await;
            self.snapshot = None;
            self.keep(Keep::Forget).await;
            if matches!(ended, Ended::Leaving) {
                return;
            }
            pause = if followed { PAUSE } else { (pause * 2).min(PAUSE_MAX) };
            let wait = self.given.chance.jitter(pause, 50);
            // A process that leaves ends its own feed: that is no news.
            if !drain.is_draining() {
                let (calls, mend) = meaning(&ended, &self.given.facts.borrow(), self.given.clock.monotonic());
                let upstream = &self.given.name;
                tracing::warn!(upstream, why = %ended, again_in = ?wait, "the feed is not there; {calls}; {mend}");
            }
            self.lost();
            let clock = self.given.clock.clone();
            let over = clock.sleep(wait);
            tokio::pin!(over);
            loop {
                tokio::select! {
                    () = &mut over => break,
                    () = drain.stopped() => return,
                    more = self.given.outbox.fill() => if !more { return },
                }
            }
        }
    }

    /// Says that the feed is away, since now if it was not already.
    fn lost(&self) {
        let now = self.given.clock.monotonic();
        self.given.facts.send_if_modified(|facts| {
            let first = facts.ready && facts.away.is_none();
            if first {
                facts.away = Some(Away { since: now, before: Duration::ZERO });
            }
            first
        });
    }

    /// Follows one connection to its end. Answers whether it had a whole snapshot.
    async fn follow(&mut self, drain: &Drain) -> (Ended, bool) {
        let mut followed = false;
        let ended = match self.follow_stream(drain, &mut followed).await {
            Ok(()) => Ended::Closed,
            Err(ended) => ended,
        };
        (ended, followed)
    }

    async fn follow_stream(&mut self, drain: &Drain, followed: &mut bool) -> Result<(), Ended> {
        let (up, upward) = mpsc::channel(UP_MAX);
        let config = &self.given.config;
        let hello = Hello {
            edge: config.id.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            tenants: config.tenants.iter().map(ToString::to_string).collect(),
            listeners: self.given.listeners.clone(),
        };
        // The queue is empty, so that there is room.
        let _ = up.try_send(pb::FollowRequest { message: Some(Up::Hello(hello)) });
        let mut request = tonic::Request::new(ReceiverStream::new(upward));
        *request.metadata_mut() = self.given.metadata.clone();
        let patience = ms(config.beat_timeout_ms);
        let clock = self.given.clock.clone();
        let mut client =
            EdgeFeedClient::new(self.given.channel.clone()).max_decoding_message_size(2 * MESSAGE_BYTES_MAX);
        let answer = client.follow(request);
        let too_long = clock.sleep(patience);
        tokio::pin!(answer, too_long);
        let mut stream = loop {
            tokio::select! {
                answer = &mut answer => break answer?.into_inner(),
                // The engine has ended: nobody decides by what would come.
                more = self.given.outbox.fill() => if !more { return Err(Ended::Leaving) },
                () = &mut too_long => return Err(Ended::Silent(patience)),
                () = drain.stopped() => return Err(Ended::Leaving),
            }
        };
        let mut heard = clock.monotonic();
        loop {
            tokio::select! {
                message = stream.message() => {
                    heard = clock.monotonic();
                    let Some(message) = message? else { return Ok(()) };
                    if let Some(message) = message.message {
                        self.on_message(message, &up, followed).await?;
                    }
                }
                more = self.given.outbox.fill() => {
                    if !more {
                        return Err(Ended::Leaving);
                    }
                    self.tell(&up);
                }
                () = clock.sleep_until(heard + patience) => return Err(Ended::Silent(patience)),
                () = drain.stopped() => return Err(Ended::Leaving),
            }
        }
    }

    /// Sends events upward as long as there is room; what stays waits for the next time.
    fn tell(&mut self, up: &mpsc::Sender<pb::FollowRequest>) {
        while let Ok(place) = up.try_reserve() {
            let Some(events) = self.given.outbox.take() else { return };
            place.send(pb::FollowRequest { message: Some(Up::Calls(events)) });
        }
    }

    async fn on_message(
        &mut self,
        message: Down,
        up: &mpsc::Sender<pb::FollowRequest>,
        followed: &mut bool,
    ) -> Result<(), Ended> {
        match message {
            Down::SnapshotBegin(_) => {
                self.snapshot = Some(Snapshot::default());
                self.keep(Keep::Begin).await;
                Ok(())
            }
            Down::Chunk(chunk) => {
                let nonce = chunk.nonce;
                let refused = self.on_chunk(chunk, *followed).await;
                acknowledge(up, nonce, refused).await
            }
            Down::SnapshotEnd(end) => {
                let refused = self.on_snapshot().await;
                *followed |= refused.is_none();
                acknowledge(up, end.nonce, refused).await
            }
            Down::Beat(beat) => {
                self.on_beat(beat.store_stale_ms, *followed).await;
                Ok(())
            }
        }
    }

    /// Takes a chunk, or says why not.
    async fn on_chunk(&mut self, chunk: pb::Chunk, live: bool) -> Option<String> {
        let kept = self.keep.is_some().then(|| chunk.clone());
        let changes = match read(chunk) {
            Ok(Read::Changes(changes)) => changes,
            Ok(Read::Skipped) => return None,
            Err(violations) => {
                self.given.counters.chunks_refused.up();
                let mut why = violations.to_string();
                let end = (0..=why.len().min(REJECTION_BYTES_MAX)).rev().find(|at| why.is_char_boundary(*at));
                why.truncate(end.unwrap_or(0));
                tracing::error!(why, "a chunk of the feed was refused; what was there before stays");
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.refused.get_or_insert_with(|| why.clone());
                }
                return Some(why);
            }
        };
        changes.iter().for_each(|change| self.look_for_listeners(change));
        match &mut self.snapshot {
            Some(snapshot) => changes.iter().for_each(|c| snapshot.view.apply(c)),
            None if live => {
                changes.iter().for_each(|c| self.view.apply(c));
                self.publish(true, None);
            }
            None => return Some("a change without a snapshot before it".into()),
        }
        if let Some(chunk) = kept {
            let now = self.given.clock.unix_micros();
            self.keep(Keep::Chunk(now, chunk)).await;
        }
        None
    }

    /// Says, once for each, by which listeners of a tenant's policy this edge hears nothing.
    fn look_for_listeners(&mut self, change: &Change) {
        let Some(Record::Policy(policy)) = &change.record else { return };
        for trunk in &policy.spec.trunks {
            for listener in trunk.ingress.iter().filter_map(|ingress| ingress.listener.as_ref()) {
                let is_ours = self.given.listeners.contains(listener);
                let is_told = self.unknown_listeners.contains(listener);
                if is_ours || is_told || self.unknown_listeners.len() >= LISTENERS_MAX {
                    continue;
                }
                self.unknown_listeners.insert(listener.clone());
                let (tenant, trunk, ours) =
                    (&change.tenant.name, &trunk.name, self.given.listeners.join(", "));
                tracing::info!(%tenant, trunk, listener, ours, "the trunk's calls are known by a listener that this \
                    edge does not have: unless another edge has it, write one of ours in the tenant's YAML, or start \
                    this edge with `--listen {listener}=udp:ADDRESS:PORT`");
            }
        }
    }

    async fn on_snapshot(&mut self) -> Option<String> {
        let snapshot = self.snapshot.take()?;
        let had_one = self.given.facts.borrow().ready;
        if let Some(why) = snapshot.refused.filter(|_| had_one) {
            self.keep(Keep::Forget).await;
            return Some(why);
        }
        self.view = snapshot.view;
        self.publish(true, None);
        tracing::info!(tenants = self.view.tenants().count(), "the feed is here");
        let now = self.given.clock.unix_micros();
        self.good_noted = self.given.clock.monotonic();
        self.keep(Keep::End(now)).await;
        None
    }

    async fn on_beat(&mut self, store_stale_ms: u64, followed: bool) {
        if self.store_stale_ms != store_stale_ms {
            self.store_stale_ms = store_stale_ms;
            self.given.facts.send_modify(|facts| facts.store_stale_ms = store_stale_ms);
        }
        let now = self.given.clock.monotonic();
        if followed && self.snapshot.is_none() && now >= self.good_noted + GOOD_EVERY {
            self.good_noted = now;
            let now = self.given.clock.unix_micros();
            self.keep(Keep::Good(now)).await;
        }
    }

    async fn keep(&self, keep: Keep) {
        if let Some(sender) = &self.keep {
            // The keeper ends with the process only.
            let _ = sender.send(keep).await;
        }
    }
}

/// What it means for calls that the feed is not there, and what mends it.
fn meaning(ended: &Ended, facts: &Facts, now: Duration) -> (String, &'static str) {
    let calls = if facts.ready {
        let age = facts.age(now).unwrap_or_default();
        format!("calls go on by the last good one, {} s old", age.as_secs())
    } else {
        "there was none yet, so that every call is a stranger's".to_owned()
    };
    let code = match ended {
        Ended::Status(status) => status.code(),
        Ended::Closed | Ended::Silent(_) | Ended::Leaving => Code::Unavailable,
    };
    let mend = match code {
        Code::Unauthenticated => "give a token or a certificate that upstream knows",
        Code::PermissionDenied => {
            "upstream's list of callers must give this one the feed, and the tenants it asks for"
        }
        Code::NotFound | Code::InvalidArgument => {
            "upstream does not take what was asked for: see its tenants' names"
        }
        _ => "see that upstream runs where it was said to be, and that the network leads there",
    };
    (calls, mend)
}

async fn acknowledge(
    up: &mpsc::Sender<pb::FollowRequest>,
    nonce: u64,
    refused: Option<String>,
) -> Result<(), Ended> {
    let acknowledgement = Acknowledgement { nonce, rejected: refused.unwrap_or_default() };
    let message = pb::FollowRequest { message: Some(Up::Acknowledgement(acknowledgement)) };
    up.send(message).await.map_err(|_| Ended::Closed)
}

/// The task that writes to disk, off the threads that calls run on.
fn keeper(path: PathBuf, mut disk: Disk, tasks: &Tasks) -> mpsc::Sender<Keep> {
    let (sender, mut wanted) = mpsc::channel(KEEP_MAX);
    tasks.spawn("last good feed", async move {
        let mut batch = Vec::new();
        while wanted.recv_many(&mut batch, KEEP_MAX).await > 0 {
            let all = std::mem::take(&mut batch);
            let done = tokio::task::spawn_blocking(move || {
                let result = disk.keep(all);
                if result.is_err() {
                    disk.give_up();
                }
                (disk, result)
            });
            let Ok((after, result)) = done.await else { return };
            disk = after;
            if let Err(error) = result {
                tracing::error!(%error, file = %path.display(), "the last good feed cannot be written: free or mend the disk; calls go on, a restart \
                    would begin with what is there");
            }
        }
    });
    sender
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_is_not_there_says_what_that_means_and_what_mends_it() {
        let of = |ended, ready| {
            let away = Away { since: Duration::from_secs(3), before: Duration::from_secs(7200) };
            let facts = Facts { ready, away: Some(away), ..Facts::default() };
            let (calls, mend) = meaning(&ended, &facts, Duration::from_secs(9));
            format!("{calls}; {mend}")
        };
        let status = |code| Ended::Status(tonic::Status::new(code, ""));
        assert!(
            of(Ended::Closed, true)
                .starts_with("calls go on by the last good one, 7206 s old; see that upstream runs")
        );
        assert!(of(Ended::Closed, false).starts_with("there was none yet"));
        assert!(of(status(Code::Unauthenticated), false).ends_with("that upstream knows"));
        assert!(of(status(Code::PermissionDenied), false).contains("list of callers"));
        assert!(of(status(Code::NotFound), false).ends_with("see its tenants' names"));
        assert!(of(status(Code::Unavailable), true).contains("the network"));
    }
}
