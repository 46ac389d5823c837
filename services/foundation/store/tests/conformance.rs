//! Every backend passes the suite.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::PathBuf;
use std::sync::Arc;

use tandem_store::Backend;
use tandem_store::conformance::{self, Keeps, Opening, Opts};
use tandem_store::embedded::{Embedded, Place};

fn open(place: Place, opts: Opts) -> Opening {
    Box::pin(async move { Arc::new(Embedded::open(place, opts.world).unwrap()) as Arc<dyn Backend> })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let root: PathBuf = dir.path().into();
    conformance::run(Keeps::AfterClose, move |o| open(Place::Directory(root.join(&o.name)), o)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_in_memory() {
    conformance::run(Keeps::Nothing, |opts| open(Place::Memory, opts)).await;
}
