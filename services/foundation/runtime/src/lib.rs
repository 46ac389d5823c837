//! Lives and dies: what every process of Tandem needs before it has any telephony in it.
//!
//! This crate imports nothing of ours, and is the only one that does global set-up (the log, the panic hook,
//! signals). Everything else receives what it needs from here as a value, so that a test can hand it another:
//!
//! | module | what it hands out |
//! | --- | --- |
//! | [`clock`] | time ([`Clock`](clock::Clock)) and chance ([`Chance`](clock::Chance)) |
//! | [`drain`] | the life of a process: ready, leaving, draining, stopped; its tasks; [`run`](drain::run) |
//! | [`listen`] | bound sockets, or an error that names the address and the fix |
//! | [`serve`] | a gRPC server with health, reflection, deadlines, request ids, TLS, and an in-memory pipe |
//! | [`document`] | YAML with positions, and findings printed as a compiler prints them |
//! | [`config`] | a file into a struct, unknown fields refused; the environment on top |
//! | [`watchfile`] | saves of files and directories, within milliseconds |
//! | [`telemetry`] | the log, and [`Redacted`](telemetry::Redacted) for what must never be in it |
//! | [`metrics`] | counts told by HTTP, each part its own in a few lines |
//! | [`term`] | terminal or not, colour or not, how wide |
//! | [`exit`] | the exit codes of the command |
//!
//! Invariants: nothing here ends the process by itself (errors are returned, `main` chooses the exit code);
//! every spawned task has a name and is joined; every queue has a bound and every wait a deadline.

pub mod clock;
pub mod config;
pub mod document;
pub mod drain;
pub mod exit;
pub mod listen;
pub mod metrics;
pub mod serve;
pub mod telemetry;
pub mod term;
pub mod watchfile;
