//! Speaks SIP: syntax, transactions and proxy core, without I/O, clock or chance.

pub mod message;
mod pool;
pub mod proxy;
pub mod time;
pub mod transaction;
pub mod write;
