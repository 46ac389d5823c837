//! Remembers. A log-backed store: what is written is a change in a shard's log, and everybody who follows the
//! log sees every change in order.
//!
//! ```text
//!  commit(tenant, preconditions, writes) ──> Committed(revision) | Refused(which) | Indeterminate(why)
//!        │ one transaction, synced
//!        v
//!  records (now)  +  log of the shard ──follow──> snapshot, then every change; or Resync
//! ```
//!
//! What is promised, and tested by these names:
//! - a commit is atomic: all of its writes or none, also after a crash;
//! - an acknowledged commit is never lost while the disk keeps what it said it synced;
//! - revisions of a shard grow; an entry's changes come together, in order, once;
//! - a retry with the same commit id finds its own earlier success;
//! - at most one holder of a claim whose token is accepted: a stale token is refused;
//! - expiry is a write: what expired is seen as a change by everybody who follows;
//! - deadlines are in shard time, which never runs backwards and never jumps ahead by more than 2 s a step;
//! - a follower whose last entry is no longer there is told `Resync`, and never misses a change silently;
//! - a change that is larger than a commit (an import of 100,000 users) is staged in parts that nobody sees and
//!   turned over at once: readers see all of it or none.
//!
//! Two backends: [`embedded`], one process, durable on disk; [`redis`], one truth for many processes, which says what
//! it adds to these promises and what can be lost. The contract is [`Backend`]; the suite that every backend passes is
//! `conformance` (a feature of this crate). Values are bytes at that level; [`codec`] turns records into them, and
//! [`Store`] is what services hold. [`backup`] writes any of it to files and back.

pub mod backend;
pub mod backup;
mod bytes;
pub mod codec;
#[cfg(feature = "conformance")]
pub mod conformance;
mod counts;
pub mod embedded;
pub mod follow;
mod home;
mod limits;
pub mod redis;
pub mod store;
pub mod types;

pub use backend::Backend;
pub use counts::Counts;
pub use follow::{Followed, Follower};
pub use home::{Home, OpenError};
pub use store::{Found, Store, claim, delete, put, update};
pub use types::*;
