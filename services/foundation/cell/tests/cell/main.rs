//! The crate through its public face, on a real embedded store.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod away;
mod follower;
mod policy;
mod rig;
