//! The built binary, as a person or a script uses it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod backup;
mod calls;
mod counted;
mod emptied;
mod files_checked;
mod harness;
mod running;
mod shared;
mod small;
