//! Replicated commits: what waits is sent as one batch with one WAIT behind it, for a WAIT delays all that queues
//! behind it on its connection.

use std::sync::Arc;
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::conn::Fail;
use super::node::{Class, Inner};
use super::script::Call;

/// How many commits share a WAIT at most, and about how many bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How long replicas may take to confirm a batch before the next one begins. What they had not confirmed is asked
/// for again.
pub(super) const CONFIRM_WITHIN: Duration = Duration::from_millis(500);
/// How long a batch may take in all before its connection is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// A script that was answered, and whether a replica confirmed what it wrote.
#[derive(Debug)]
pub(super) struct Confirmed {
    pub(super) value: Value,
    pub(super) replicas: i64,
}

/// A call for the next batch.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) call: Arc<Call>,
    pub(super) reply: oneshot::Sender<Result<Confirmed, Unsent>>,
}

/// Why a job has no answer.
#[derive(Debug)]
pub(super) enum Unsent {
    /// It was not sent: there is no connection.
    Not(String),
    /// See [`Fail`].
    Failed(Fail),
}

/// Sends batches, one after the other.
pub(super) async fn run(node: Arc<Inner>, mut waiting: mpsc::Receiver<Job>) {
    let mut jobs = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut jobs, BATCH).await > 0 {
        // Who gave up waiting gave up asking: nothing of it was sent.
        jobs.retain(|job| !job.reply.is_closed());
        while !jobs.is_empty() {
            let rest = jobs.split_off(fitting(&jobs));
            send(&node, std::mem::replace(&mut jobs, rest)).await;
        }
    }
}

fn fitting(jobs: &[Job]) -> usize {
    let mut bytes = 0;
    let over = jobs.iter().position(|job| {
        bytes += job.call.args.iter().map(Vec::len).sum::<usize>();
        bytes > BATCH_BYTES
    });
    over.map_or(jobs.len(), |at| at.max(1))
}

async fn send(node: &Inner, jobs: Vec<Job>) {
    let conn = match node.conn(Class::Replicated) {
        Ok(conn) => conn,
        Err(none) => {
            return jobs.into_iter().for_each(|job| drop(job.reply.send(Err(Unsent::Not(none.why.clone())))));
        }
    };
    let mut pipe = Pipeline::with_capacity(jobs.len() + 1);
    jobs.iter().for_each(|job| {
        pipe.add_command(job.call.cmd());
    });
    pipe.cmd("WAIT").arg(1).arg(CONFIRM_WITHIN.as_millis() as u64);
    match conn.ask_all(&pipe, Instant::now() + ANSWER_WITHIN).await {
        Ok(mut values) => {
            // On what is a replica by now it is an error: nothing was confirmed.
            let replicas = match values.pop() {
                Some(Value::Int(replicas)) => replicas,
                _ => 0,
            };
            for (job, value) in jobs.into_iter().zip(values) {
                let answer = match value {
                    Value::ServerError(e) => Err(Unsent::Failed(Fail::Said(e))),
                    value => Ok(Confirmed { value, replicas }),
                };
                drop(job.reply.send(answer));
            }
        }
        Err(fail) => {
            conn.leave();
            jobs.into_iter().for_each(|job| drop(job.reply.send(Err(Unsent::Failed(fail.clone())))));
        }
    }
}
