//! Translates: domain to proto and back, status and reasons, callers, the authority table.
//!
//! The domain knows no protocol and the protocols know no rules. What lies between is here, once for all services:
//!
//! ```text
//!  request ─▶ authority ─▶ Caller ─▶ handler ─▶ name, attempt, directory ─▶ domain types
//!             (scope)               (tenant)         │ violations
//!  reply  ◀── decision, plan, directory, feed ◀──────┼──── domain values
//!  error  ◀── status: one reason, one place ◀────────┘
//! ```
//!
//! | module | what it translates |
//! | --- | --- |
//! | [`attempt`] | `routing.v1.CallAttempt` to the domain's, borrowed, and back |
//! | [`decision`], [`plan`] | answers to `routing.v1`: the next hop; the whole way and its reasons |
//! | [`directory`] | users, stations, workgroups, numbers: both ways |
//! | [`feed`] | changes of records to chunks of the edge feed and back |
//! | [`request`] | what else requests say: filters, keys, headers, greetings |
//! | [`name`] | resource names |
//! | [`page`] | page tokens |
//! | [`status`] | refusals to `google.rpc.Status` |
//! | [`caller`], [`authority`] | who calls, and what each RPC asks of them |
//! | [`violation`], [`limits`] | what is wrong with a message, and how large it may be |
//!
//! Invariants:
//! - every conversion is total: whatever bytes came, the answer is a value or [`violation::Violations`] that name the
//!   field and the fix;
//! - what is checked here is shape and size; what a value *means* (a number that nobody owns, a ring time out of
//!   range) is the domain's to say, so that both ways into the directory say the same;
//! - a record that was read here and is written here is the same record;
//! - no text that leaves names a tenant that the caller did not name, or holds a secret.

pub mod attempt;
pub mod authority;
mod bytes;
pub mod caller;
pub mod decision;
pub mod directory;
pub mod feed;
pub mod limits;
pub mod name;
pub mod page;
pub mod plan;
pub mod request;
pub mod status;
pub mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod violation;

#[cfg(test)]
mod totality;
