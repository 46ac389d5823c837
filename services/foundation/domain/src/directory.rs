//! What a directory's records mean: the endpoint row of a user, and what is still missing for it to work.
//!
//! ```text
//! User --endpoint--> Row (domain rules 1.2), IM-only, or unsupported with the reason
//! User + Directory + Config --check--> states and warnings, each with field and fix
//! Record --admit--> taken, or refused for its shape alone
//! ```
//!
//! Half-configured users are a normal state, for CIC's and Lync's administrators each set up a half (domain rules
//! 1.1): nothing that [`check`] finds blocks policy or the record. Only [`admit`] refuses, and only shapes that no
//! administrator can mean.

mod admit;
mod around;
mod check;
pub mod checks;
mod endpoint;
mod numbers;

pub use admit::{MEMBERS_MAX, admit};
pub use around::{Directory, Entries, Holder, Shared};
pub use check::{UserState, check, check_number, check_routes, check_station, check_workgroup, ring_seconds};
pub use endpoint::{Endpoint, Need, Required, RowFeatures, Unsupported, endpoint, features, kind, required};

#[cfg(test)]
mod tests;
