//! Routing through the wire: a real store, the real gate, the generated client over an in-memory pipe.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use tandem_servers::on::On;

/// `redis.rs` beside this is the same suite on the other backend.
const ON: On = On::Embedded;

mod bytes;
mod calls;
mod feed;
mod rig;
