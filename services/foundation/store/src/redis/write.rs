//! Writes: tried until they are answered for sure, or their time is up; and what is said then.
//!
//! An answer that was lost is asked for again under the same commit id, on a connection before whose first command
//! the server ended the one that broke: what the second says is then what happened. A refusal can be believed then,
//! too: the first one cannot happen after it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use redis::{ServerError, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Redis;
use super::batch::{Confirmed, Job, Unsent};
use super::conn::{self, Conn, Fail};
use super::layout::Turning;
use super::node::{Class, Inner};
use super::request::{self, Generation};
use super::script::Call;
use super::settings::Address;
use crate::types::{Commit, Durability, Error, Outcome, Refusal, Shard};
use tandem_domain::id::Revision;

/// What is done about a server's error.
pub(super) enum Remedy {
    /// It was not done, and may be by another server or a moment later: look, and ask again.
    Again(String),
    /// It was not done, and is not before somebody mends something: the caller may come again.
    Later(String),
    /// It is none of those known: nobody knows what was done.
    Unknown(String),
}

pub(super) fn remedy(e: &ServerError) -> Remedy {
    let words = conn::words(e);
    match e.code() {
        "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK" | "TRYAGAIN" | "BUSY"
        | "NOSCRIPT" => Remedy::Again(words),
        "NOREPLICAS" => Remedy::Later(format!("{words}; its replicas are away or behind")),
        "MISCONF" => Remedy::Later(format!("{words}; look at its disk")),
        "OOM" => Remedy::Later(format!("{words}; give it memory (`maxmemory`)")),
        "NOAUTH" | "WRONGPASS" => {
            Remedy::Later(format!("{words}; give user and password in the store's URL"))
        }
        "NOPERM" => Remedy::Later(format!("{words}; give its user the permission")),
        "NOREVISION" => Remedy::Later(words),
        _ => Remedy::Unknown(words),
    }
}

/// What one try brought.
enum Tried {
    Answered(Value, Confirmation),
    /// It was surely not done.
    Not(String),
    /// It was surely not done, and trying on does not help.
    Refused(String),
    /// It may have been done.
    Doubt(String),
}

enum Confirmation {
    NotAsked,
    Replicas(i64),
}

/// What a commit's script answered.
enum Said {
    Committed(Revision),
    Refused(Refusal),
    Busy(Turning),
}

impl Redis {
    pub(super) async fn write(
        &self,
        commit: &Commit,
        generation: Option<Generation>,
    ) -> Result<Outcome, Error> {
        let until = Instant::now() + self.shared.settings.write_within;
        let shard = Shard::of(&commit.tenant);
        let replicated = commit.durability == Durability::Replicated && !self.shared.settings.single;
        let class = if replicated { Class::Replicated } else { Class::Local };
        let mut doubt: Option<String> = None;
        let mut failures = 0;
        loop {
            let tried = match self.fences(commit, shard, until).await {
                Ok(fences) => {
                    let keys = self.shared.keys.shard(shard);
                    let call = request::commit(&keys, commit, generation, &fences, self.now(), replicated);
                    self.attempt(shard, class, call, until).await
                }
                Err(Error::Unavailable(why)) => Tried::Not(why),
                Err(other) => return Err(other),
            };
            let why = match tried {
                Tried::Answered(value, confirmation) => match (said(value)?, confirmation) {
                    (Said::Busy(turning), _) => {
                        // It may be this very commit's own generation.
                        if turning.commit == commit.id.0.to_be_bytes() {
                            doubt = Some("its generation is being turned over".to_owned());
                        }
                        match self.turn(shard, turning, until).await {
                            Ok(()) => continue,
                            Err(why) => why,
                        }
                    }
                    (Said::Refused(refusal), _) => return Ok(Outcome::Refused(refusal)),
                    (Said::Committed(revision), Confirmation::NotAsked) => {
                        return Ok(Outcome::Committed(revision));
                    }
                    (Said::Committed(revision), Confirmation::Replicas(n)) if n > 0 => {
                        return Ok(Outcome::Committed(revision));
                    }
                    (Said::Committed(_), Confirmation::Replicas(_)) => {
                        self.shared.shortfalls.fetch_add(1, Ordering::Relaxed);
                        let why = "it is on the primary, and no replica has confirmed it".to_owned();
                        doubt = Some(why.clone());
                        why
                    }
                },
                Tried::Refused(why) if doubt.is_none() => return Err(Error::Unavailable(why)),
                Tried::Refused(why) | Tried::Not(why) => why,
                Tried::Doubt(why) => {
                    // What was known of it says more than that the next answer was lost as well.
                    doubt.get_or_insert_with(|| why.clone());
                    why
                }
            };
            failures += 1;
            let pause = self.shared.pause(failures);
            if Instant::now() + pause >= until {
                return match doubt {
                    Some(doubt) => Ok(Outcome::Indeterminate(doubt)),
                    None => Err(Error::Unavailable(why)),
                };
            }
            tracing::debug!(shard = shard.0, %why, "a commit is tried again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, shard: Shard, class: Class, call: Call, until: Instant) -> Tried {
        let (node, conn) = match self.conn(shard, class, until).await {
            Ok(found) => found,
            Err(why) => return Tried::Not(why),
        };
        if class == Class::Local {
            return match conn.call(&call, until).await {
                Ok(value) => Tried::Answered(value, Confirmation::NotAsked),
                Err(fail) => self.failed(&conn, fail),
            };
        }
        if let Some(why) = self.weakness(node.inner()) {
            return Tried::Refused(why);
        }
        let (jobs, at) = (node.inner().jobs().clone(), node.inner().at.clone());
        // Who waits holds no primary: one that is none any more is let go of with all that waits for it.
        drop(node);
        self.confirm(jobs, &at, &conn, call, until).await
    }

    /// Has a call sent with the next batch to a primary, and confirmed.
    async fn confirm(
        &self,
        jobs: mpsc::Sender<Job>,
        at: &Address,
        conn: &Conn,
        call: Call,
        until: Instant,
    ) -> Tried {
        let (reply, answer) = oneshot::channel();
        let job = Job { call: Arc::new(call), reply };
        match tokio::time::timeout_at(until, jobs.send(job)).await {
            Ok(Ok(())) => {}
            _ => return Tried::Not(format!("too much waits for Redis {at}")),
        }
        match tokio::time::timeout_at(until, answer).await {
            Ok(Ok(Ok(Confirmed { value, replicas }))) => {
                Tried::Answered(value, Confirmation::Replicas(replicas))
            }
            Ok(Ok(Err(Unsent::Not(why)))) => Tried::Not(why),
            Ok(Ok(Err(Unsent::Failed(fail)))) => self.failed(conn, fail),
            Ok(Err(_)) => Tried::Doubt("its connection was given up".to_owned()),
            Err(_) => Tried::Doubt("no answer in time".to_owned()),
        }
    }

    fn failed(&self, conn: &Conn, fail: Fail) -> Tried {
        match fail {
            Fail::Lost(why) => Tried::Doubt(why),
            Fail::Said(e) => match self.remedy(conn, &e) {
                Remedy::Again(why) => Tried::Not(why),
                Remedy::Later(why) => Tried::Refused(why),
                Remedy::Unknown(why) => Tried::Doubt(why),
            },
        }
    }

    /// What to do about an error; begins it, where it is a look-up or another connection.
    pub(super) fn remedy(&self, conn: &Conn, e: &ServerError) -> Remedy {
        let remedy = remedy(e);
        if matches!(remedy, Remedy::Again(_)) {
            // A connection to what is no primary any more, or without its scripts, is made anew.
            if matches!(e.code(), "READONLY" | "NOSCRIPT") {
                conn.leave();
            }
            self.shared.look.notify_one();
        }
        remedy
    }

    /// Why `Replicated` commits are refused by a primary that there is a connection to: before, nothing is known of it.
    pub(super) fn weakness(&self, node: &Inner) -> Option<String> {
        if self.shared.settings.single {
            return None;
        }
        let weak = node.info().weakness();
        (!weak.is_empty()).then(|| {
            let at = &node.at;
            format!(
                "Redis {at} cannot keep what must not be lost: {}; or permit it with `durability=single`",
                weak.join("; ")
            )
        })
    }

    /// Goes on with a generation that is being turned over, to its end.
    pub(super) async fn turn(
        &self,
        shard: Shard,
        mut turning: Turning,
        until: Instant,
    ) -> Result<(), String> {
        loop {
            let call = request::turn(&self.shared.keys.shard(shard), &turning, self.now());
            let answer = self.call(shard, &call, until).await.map_err(|e| e.to_string())?;
            match answer {
                Value::Array(answer) => match <[Value; 2]>::try_from(answer) {
                    Ok([Value::Int(2), Value::BulkString(left)]) => {
                        let Ok(Some(left)) = Turning::read(&left) else { return Ok(()) };
                        turning = left;
                    }
                    // The end, or another has gone on: whoever asked looks again.
                    _ => return Ok(()),
                },
                other => return Err(conn::said(other)),
            }
        }
    }

    /// Calls a script that may be called twice.
    pub(super) async fn call(&self, shard: Shard, call: &Call, until: Instant) -> Result<Value, Error> {
        let mut failures = 0;
        loop {
            let why = match self.conn(shard, Class::Local, until).await {
                Err(why) => return Err(Error::Unavailable(why)),
                Ok((_, conn)) => match conn.call(call, until).await {
                    Ok(value) => return Ok(value),
                    Err(Fail::Lost(why)) => why,
                    Err(Fail::Said(e)) => match self.remedy(&conn, &e) {
                        Remedy::Again(why) => why,
                        Remedy::Later(why) | Remedy::Unknown(why) => return Err(Error::Unavailable(why)),
                    },
                },
            };
            failures += 1;
            let pause = self.shared.pause(failures);
            if Instant::now() + pause >= until {
                return Err(Error::Unavailable(why));
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn said(value: Value) -> Result<Said, Error> {
    let nonsense = || Error::Unavailable("Redis answered what no script of ours says".to_owned());
    let Value::Array(answer) = value else { return Err(nonsense()) };
    let revision = |bytes: &[u8]| Some(Revision(u64::from_be_bytes(bytes.try_into().ok()?)));
    match answer.as_slice() {
        [Value::Int(0), Value::BulkString(bytes)] => {
            revision(bytes).map(Said::Committed).ok_or_else(nonsense)
        }
        [Value::Int(1), Value::Int(at), Value::BulkString(found)] => {
            let found = revision(found).filter(|r| r.0 != 0);
            Ok(Said::Refused(Refusal { precondition: usize::try_from(*at).unwrap_or_default(), found }))
        }
        [Value::Int(2), Value::BulkString(turning)] => match Turning::read(turning) {
            Ok(Some(turning)) => Ok(Said::Busy(turning)),
            _ => Err(nonsense()),
        },
        _ => Err(nonsense()),
    }
}
