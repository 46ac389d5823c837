//! Routing through the wire: a real store, the real gate, the generated client over an in-memory pipe.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod bytes;
mod calls;
mod feed;
mod rig;
