//! Where a call goes: the next hop from where it is asked, the way it is expected to take, and why.
//!
//! ```text
//! CallAttempt + Facts + TenantView --decide--> Decision   (the next hop; what an element carries out)
//!                                 \--plan----> Plan       (the whole way; a prediction beyond the next hop)
//!                                  each rule considered -> Trail
//! ```
//!
//! A rejection is a decision. Nothing here can fail: every attempt has an answer.

pub mod attempt;
mod call;
pub mod callback;
pub mod decide;
pub mod decision;
mod endpoint;
mod lookup;
mod owners;
pub mod plan;
pub mod render;
mod targets;
mod toll;
pub mod trail;

pub use decide::decide;
pub use plan::plan;
pub use targets::TARGETS_MAX;
