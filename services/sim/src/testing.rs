//! What the tests of this crate share.

use std::time::Duration;

use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;

use crate::World;

/// A world by the machine's clock.
pub(crate) fn world() -> World {
    World::new(Clock::machine(), Chance::machine(), Life::new())
}

/// Waits until `done`, ten seconds at most.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..2000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never came: {what}");
}
