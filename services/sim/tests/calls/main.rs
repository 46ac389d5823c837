//! Calls through simulators on real loopback sockets, each element at an address of its own.

#![expect(clippy::unwrap_used, reason = "a test ends where a step fails")]

mod cic;
mod examples;
mod failures;
mod harness;
mod lync;
mod media;
mod queue;
