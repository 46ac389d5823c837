//! The same suite, with its store on a real redis-server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use tandem_servers::on::On;
use tokio::time::timeout;

const ON: On = On::Redis;

mod import;
mod limits;
mod read;
mod resume;
mod rig;
mod watch;

#[tokio::test]
async fn the_store_of_this_suite_is_on_redis() {
    let stats = rig::Rig::new().await.cell.store().stats().await.unwrap();
    assert!(stats.backend.to_lowercase().contains("redis"), "{}", stats.backend);
}

#[tokio::test]
async fn after_the_store_was_emptied_every_process_signs_as_the_cell_that_is_now() {
    let rig = rig::Rig::new().await;
    // It signs as the first cell.
    let mut watch = watch::Watch::of(&rig).await;
    assert_ne!(watch.short_and_token().await.1, "");
    let before = rig.cell.view().cell_id();
    rig.empty().await;
    let view = rig.cell.view();
    timeout(rig::SOON, view.until(|| view.cell_id() != before)).await.expect("learnt again");
    let mut watch = watch::Watch::of(&rig).await;
    let (event, token) = watch.short_and_token().await;
    assert_eq!(event, "end of snapshot");
    let replica = rig.replica(7).await;
    watch::Watch::asked(replica.client(), watch::after(&token)).await.expect("read by another process");
}
