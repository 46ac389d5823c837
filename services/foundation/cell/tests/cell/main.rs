//! The crate through its public face, on a real embedded store.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod away;
mod claims;
mod desk;
mod follower;
mod gone;
mod lost;
mod policy;
mod rig;
mod sweep;
mod turns;
mod watch;
