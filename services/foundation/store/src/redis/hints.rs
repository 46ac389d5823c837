//! Hints that a shard moved, by sharded pub/sub. They may be lost and may come twice: followers look for themselves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Cmd, Pipeline, PushInfo, PushKind, Value};
use tokio::time::Instant;

use super::conn;
use super::node::Inner;
use crate::types::Shard;

/// How often the connection is tried, and how long it may take to answer.
const TRY_EVERY: Duration = Duration::from_secs(1);
const TRY_WITHIN: Duration = Duration::from_secs(3);

/// Subscribes to the shards of a primary, for as long as it lives.
pub(super) async fn run(node: Arc<Inner>) {
    let mut failures = 0;
    loop {
        match listen(&node).await {
            Ok(()) => failures = 0,
            Err(why) => {
                failures += 1;
                tracing::debug!(redis = %node.at, %why, "no hints from Redis; trying on");
            }
        }
        tokio::time::sleep(node.shared.pause(failures)).await;
    }
}

/// Listens until the connection breaks or other shards lie there.
async fn listen(node: &Inner) -> Result<(), String> {
    let settings = &node.shared.settings;
    let mut shards = node.shards();
    let mine = shards.borrow_and_update().clone();
    let client = conn::client(settings, &settings.login, &node.at, settings.database)?;
    let taken = Arc::new(AtomicBool::new(false));
    let (hints, keys, lost) = (node.shared.hints.clone(), node.shared.keys.clone(), Arc::clone(&taken));
    let took = move |push: PushInfo| {
        match push.kind {
            PushKind::SMessage => {
                if let Some(Value::BulkString(channel)) = push.data.first()
                    && let Some(shard) = keys.shard_of_channel(channel)
                {
                    // Nobody following is no fault.
                    let _ = hints.send(shard);
                }
            }
            // The slot moved away.
            PushKind::SUnsubscribe | PushKind::Disconnection => lost.store(true, Ordering::Release),
            _ => {}
        }
        Ok(())
    };
    let mut con = conn::listening(client, took).await?;
    let mut pipe = Pipeline::with_capacity(mine.len());
    for shard in &mine {
        pipe.cmd("SSUBSCRIBE").arg(node.shared.keys.shard(*shard).hints());
    }
    let subscribed = tokio::time::timeout(TRY_WITHIN, con.send_packed_commands(&pipe, 0, pipe.len()));
    for answer in subscribed.await.map_err(|_| "no answer")?.map_err(|e| e.to_string())? {
        if let Value::ServerError(e) = answer {
            node.shared.look.notify_one();
            return Err(conn::words(&e));
        }
    }
    let mut ping = Cmd::new();
    ping.arg("PING");
    loop {
        tokio::select! {
            changed = shards.changed() => return changed.map_err(|e| e.to_string()),
            () = tokio::time::sleep(TRY_EVERY) => {}
        }
        if taken.load(Ordering::Acquire) {
            node.shared.look.notify_one();
            return Err("the subscription was taken away".to_owned());
        }
        let answer = tokio::time::timeout_at(Instant::now() + TRY_WITHIN, con.send_packed_command(&ping));
        answer.await.map_err(|_| "no answer")?.map_err(|e| e.to_string())?;
    }
}

/// The hints of shards, for whoever follows.
pub(super) fn all() -> tokio::sync::broadcast::Sender<Shard> {
    // How many a slow follower may leave unread before it is told that it missed some, which costs it a look.
    tokio::sync::broadcast::Sender::new(1024)
}
