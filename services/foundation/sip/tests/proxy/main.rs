//! The proxy core in virtual time: callers and callees are bytes, minutes pass in microseconds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod failover;
mod forwarding;
mod rig;
mod transactions;
