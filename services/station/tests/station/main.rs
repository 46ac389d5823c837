//! Station through the wire: the generated client, an in-memory pipe, a real embedded store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod import;
mod limits;
mod read;
mod rig;
mod watch;
