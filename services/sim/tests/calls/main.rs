//! Calls through simulators on real loopback sockets, each element at an address of its own.

mod cic;
mod failures;
mod harness;
mod lync;
mod media;
mod queue;
