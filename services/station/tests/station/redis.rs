//! The same suite, with its store on a real redis-server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use tandem_servers::on::On;

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
