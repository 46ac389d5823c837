//! Station through the wire: the generated client, an in-memory pipe, a real store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use tandem_servers::on::On;

/// `redis.rs` beside this is the same suite on the other backend.
const ON: On = On::Embedded;

mod import;
mod limits;
mod read;
mod resume;
mod rig;
mod watch;
