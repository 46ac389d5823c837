//! Does to a store what the world does to it, and has what was seen judged by `tandem_history`.
//!
//! [`record`] writes down what was asked of a store and answered, and what followers were shown; [`load`] are the writers,
//! holders of a fence and followers that there are meanwhile; [`watchers`] are the product's own processes with
//! those who watch by them; [`sim`] does faults in virtual time. The binary `chaos` does faults to real servers:
//! `tests/chaos`.
//!
//! For tests only: it panics where a test would.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests only")]

pub mod dice;
pub mod load;
pub mod record;
#[cfg(feature = "watchers")]
pub mod recorded;
pub mod sim;
#[cfg(feature = "watchers")]
pub mod watchers;
