//! Speaks SIP: syntax, transactions and proxy core, without I/O or clock.

pub mod message;
pub mod write;
