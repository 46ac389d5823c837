//! The tasks of a process: named, tracked, joined.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use super::{Phase, Shutdown};

/// The name of a task: static where there is one of a kind, made where there are many (one a connection).
pub type Name = Cow<'static, str>;

/// The names of tasks that did not end by themselves, with how many bore each.
pub type Left = Vec<String>;

/// Where tasks are spawned. Cheap to clone; clones share the tasks.
#[derive(Clone)]
pub struct Tasks(Arc<Inner>);

struct Inner {
    tracker: TaskTracker,
    shutdown: Shutdown,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    living: HashMap<u64, Living>,
    failure: Option<Failure>,
}

struct Living {
    name: Name,
    /// Absent for the moment between registering and spawning.
    abort: Option<AbortHandle>,
}

/// A critical task ended while the process was to live on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// It returned an error.
    #[error("task `{task}` failed")]
    Failed {
        /// Its name.
        task: String,
        /// What it returned.
        #[source]
        error: SharedError,
    },
    /// It returned without an error, though its work has no end.
    #[error("task `{task}` ended early")]
    EndedEarly {
        /// Its name.
        task: String,
    },
    /// It panicked; the log has the message and place.
    #[error("task `{task}` panicked")]
    Panicked {
        /// Its name.
        task: String,
    },
}

/// An error that several may hold.
#[derive(Clone)]
pub struct SharedError(Arc<anyhow::Error>);

impl fmt::Debug for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for SharedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for SharedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl Tasks {
    pub(super) fn new(shutdown: Shutdown) -> Self {
        let inner = Inner { tracker: TaskTracker::new(), shutdown, state: Mutex::default() };
        Self(Arc::new(inner))
    }

    /// Spawns a task whose end matters to nobody but those who wait for it. A panic in it is logged, no more.
    ///
    /// When the process has already been cut, the task is never polled.
    pub fn spawn(
        &self,
        name: impl Into<Name>,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        let name = name.into();
        let told = name.clone();
        self.start(name, async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = %told, "task panicked");
            }
        })
    }

    /// Spawns a task without which the process cannot be: when it ends before the process drains, in whatever
    /// way, the process leaves with a [`Failure`] that names it. Once the process drains it may end, and only an
    /// error or a panic counts.
    pub fn critical<E: Into<anyhow::Error>>(
        &self,
        name: impl Into<Name>,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> AbortHandle {
        let name = name.into();
        let told = name.clone();
        let tasks = self.clone();
        self.start(name, async move {
            let ended = AssertUnwindSafe(task.map(|result| result.map_err(Into::into))).catch_unwind().await;
            let task = told.into_owned();
            let failure = match ended {
                Ok(Ok(())) if tasks.0.shutdown.drain().phase() >= Phase::Leaving => return,
                Ok(Ok(())) => Failure::EndedEarly { task },
                Ok(Err(error)) => Failure::Failed { task, error: SharedError(Arc::new(error)) },
                Err(_) => Failure::Panicked { task },
            };
            tasks.fail(failure);
        })
    }

    /// Notes the first failure and asks the process to leave.
    fn fail(&self, failure: Failure) {
        let mut state = self.state();
        if state.failure.is_none() {
            state.failure = Some(failure);
        }
        drop(state);
        self.0.shutdown.leave();
    }

    fn start(&self, name: Name, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.living.insert(id, Living { name, abort: None });
        drop(state);
        let gone = Gone { tasks: self.clone(), id };
        let handle = self.0.tracker.spawn(async move {
            let _gone = gone;
            task.await;
        });
        let abort = handle.abort_handle();
        let mut state = self.state();
        if let Some(living) = state.living.get_mut(&id) {
            living.abort = Some(abort.clone());
        }
        drop(state);
        if self.0.shutdown.drain().phase() == Phase::Stopped {
            abort.abort();
        }
        abort
    }

    /// The names of the tasks that live, sorted.
    pub fn living(&self) -> Left {
        let mut names: Vec<String> =
            self.state().living.values().map(|living| living.name.to_string()).collect();
        names.sort_unstable();
        names
    }

    /// The first failure of a critical task.
    pub fn failure(&self) -> Option<Failure> {
        self.state().failure.clone()
    }

    /// Waits until no task lives. Cancel-safe. Tasks spawned meanwhile are waited for too.
    pub async fn ended(&self) {
        self.0.tracker.close();
        self.0.tracker.wait().await;
    }

    /// Cuts every task that lives, waits until all are gone, and names those that were cut.
    pub async fn join(&self) -> Left {
        let left = self.living();
        for living in self.state().living.values() {
            if let Some(abort) = &living.abort {
                abort.abort();
            }
        }
        self.ended().await;
        left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What the lock guards stays whole through a panic: each change is one insert or remove.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("living", &self.living()).finish_non_exhaustive()
    }
}

/// Strikes a task off the list when it ends, is cut or panics.
struct Gone {
    tasks: Tasks,
    id: u64,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.tasks.state().living.remove(&self.id);
    }
}
