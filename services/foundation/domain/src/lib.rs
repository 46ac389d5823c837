//! Decides. The facts of a tenant in, a decision with its reasons out.
//!
//! Everything here is pure: no I/O, no clock, no randomness, no threads. `now` and every other fact is a
//! parameter, so that the same view and the same facts give the same answer on every replica and edge.
//!
//! ```text
//! document  --compile-->  Config ─┐
//! (YAML, CRD)   or violations     ├─>  View  --decide / plan-->  Decision, Plan, Trail
//! record    --apply---->  index  ─┘
//! (the store's log)
//! ```
//!
//! Invariants:
//! - a [`tenant::Config`] exists only if policy had no violation; a directory record never blocks policy;
//! - numbers are compared in canonical form only ([`number::Number`]);
//! - nothing of one tenant can be reached from another's view;
//! - applied changes equal a rebuild.
//!
//! "Domain rules N" in comments names a section of `docs/domain.md`.

pub mod directory;
pub mod document;
pub mod finding;
pub mod id;
pub mod ingress;
pub mod number;
pub mod record;
pub mod routing;
pub mod tenant;
pub mod view;
