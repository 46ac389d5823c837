//! Many processes of one cell while some of them and Redis' primary are killed. A binary of its own, so that nothing
//! else runs beside it: Sentinels on a machine that is too busy take living servers for dead ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

#[path = "../command/harness.rs"]
#[allow(dead_code)]
mod harness;
mod replicas;
