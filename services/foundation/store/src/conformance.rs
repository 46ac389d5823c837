//! The suite that every backend passes: each promise of the contract is a case, and its name is the promise.
//!
//! A backend is one more line: a function that opens a store of a name on a given clock and chance. Nothing in the
//! suite knows what is behind it, waits for real time, or looks into a file.
//!
//! ```text
//! conformance::run(Keeps::AfterClose, |opts| Box::pin(async move { open(&opts.name, opts.world) })).await;
//! ```
//!
//! That the suite notices what it should is tested too: backends with a planted fault each fail the case that names
//! the fault (`tests/planted.rs`).

mod claims;
mod commits;
mod expiry;
mod following;
mod history;
mod lifecycle;
mod rig;
mod staging;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::backend::Backend;
use crate::types::World;

pub use rig::Rig;

/// What a backend is opened with.
#[derive(Clone, Debug)]
pub struct Opts {
    /// The store to open: of a new name it is empty, of one that was closed it holds what it held.
    pub name: String,
    /// Its time and chance; the suite moves the clock.
    pub world: World,
}

/// Whether what a store holds outlives its closing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keeps {
    /// It does: opened again by the same name, it is all there.
    AfterClose,
    /// It is gone: cases that open a store again are left out.
    Nothing,
}

/// Opens a store.
pub type Opening = Pin<Box<dyn Future<Output = Arc<dyn Backend>> + Send>>;
type Open = Arc<dyn Fn(Opts) -> Opening + Send + Sync>;
type Checking = Pin<Box<dyn Future<Output = Result<(), Failed>> + Send>>;

/// Why a case failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed(pub String);

impl From<crate::types::Error> for Failed {
    fn from(e: crate::types::Error) -> Self {
        Self(format!("an error where none is due: {e}"))
    }
}

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self(why)
    }
}

/// One promise.
pub struct Case {
    /// The promise, in words joined by underscores.
    pub name: &'static str,
    /// Whether it opens a store again.
    restarts: bool,
    check: fn(Rig) -> Checking,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Lists functions `async fn(&Rig) -> Result<(), Failed>` as cases by their names.
macro_rules! promises {
    ($($name:ident),* $(,)?) => {
        promises!(@ false; $($name),*)
    };
    (restarting: $($name:ident),* $(,)?) => {
        promises!(@ true; $($name),*)
    };
    (@ $restarts:expr; $($name:ident),*) => {
        vec![$(crate::conformance::Case {
            name: stringify!($name),
            restarts: $restarts,
            check: |rig| Box::pin(async move { $name(&rig).await }),
        }),*]
    };
}

/// Fails the case unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(crate::conformance::Failed(format!($($why)+)));
        }
    };
}

pub(crate) use {ensure, promises};

/// Every case, in the order of the contract.
#[must_use]
pub fn cases() -> Vec<Case> {
    let rooms = [
        commits::cases(),
        claims::cases(),
        following::cases(),
        staging::cases(),
        expiry::cases(),
        history::cases(),
        lifecycle::cases(),
    ];
    rooms.into_iter().flatten().collect()
}

/// A case that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The promise that is not kept.
    pub case: &'static str,
    /// What was seen.
    pub why: String,
}

/// Runs the cases whose name is `wanted`, each on a store of its own, and answers those that failed.
pub async fn check(
    keeps: Keeps,
    wanted: impl Fn(&str) -> bool,
    open: impl Fn(Opts) -> Opening + Send + Sync + 'static,
) -> Vec<Failure> {
    let open: Open = Arc::new(open);
    let mut failures = Vec::new();
    let fits = |case: &Case| wanted(case.name) && (keeps == Keeps::AfterClose || !case.restarts);
    for case in cases().into_iter().filter(fits) {
        let rig = Rig::new(case.name, Arc::clone(&open)).await;
        // In a task of its own: a case that panics is a case that failed.
        let why = match tokio::spawn((case.check)(rig)).await {
            Ok(Ok(())) => continue,
            Ok(Err(Failed(why))) => why,
            Err(panicked) => panicked.to_string(),
        };
        failures.push(Failure { case: case.name, why });
    }
    failures
}

/// Runs every case.
///
/// # Panics
/// If one fails, naming each that did.
pub async fn run(keeps: Keeps, open: impl Fn(Opts) -> Opening + Send + Sync + 'static) {
    let failures = check(keeps, |_| true, open).await;
    let said: Vec<String> = failures.iter().map(|f| format!("{}: {}", f.case, f.why)).collect();
    assert!(failures.is_empty(), "{} promises are not kept:\n{}", said.len(), said.join("\n"));
}
