//! The statuses that the server itself answers with, in the one form that all of Tandem's have.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `google.rpc.ErrorInfo` of ours.
pub const ERROR_DOMAIN: &str = "tandem";

/// A `google.rpc.Status` with exactly one `ErrorInfo`: `reason` in UPPER_SNAKE_CASE is what a program acts on, the
/// message is for people.
pub fn refusal(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::<String, String>::new());
    Status::with_error_details(code, message, details)
}
