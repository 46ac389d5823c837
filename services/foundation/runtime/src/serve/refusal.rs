//! The statuses that the server itself answers with, in the one form that all of Tandem's have.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of every `google.rpc.ErrorInfo` of ours.
pub const ERROR_DOMAIN: &str = "tandem.dev";

/// A `google.rpc.Status` with exactly one `ErrorInfo`: `reason` in UPPER_SNAKE_CASE is what a program acts on, the
/// message is for people.
pub fn refusal(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::<String, String>::new());
    Status::with_error_details(code, message, details)
}

/// The trailers that end a stream with a status.
pub(super) fn ending(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))
}

/// Gives a status that a library made what all of ours have: headers or trailers that end a call with a failure, and
/// do not say why in details.
pub(super) fn explain(headers: &mut HeaderMap) {
    // Most calls end well, and have no status in their headers at all.
    if headers.get(Status::GRPC_STATUS).is_none_or(|code| code == "0") {
        return;
    }
    let Some(status) = Status::from_header_map(headers).filter(|s| s.details().is_empty()) else { return };
    let (code, reason) = reason(status.code(), status.message());
    let message = if reason == "INTERNAL" { INTERNAL_TEXT } else { status.message() };
    // What cannot be written is left as it was.
    let _ = refusal(code, reason, message).add_header(headers);
}

/// What is said of a fault of ours.
pub(super) const INTERNAL_TEXT: &str = "internal error; the request id finds it in the log";

/// Why tonic, or a service that is not ours, refused.
fn reason(code: Code, message: &str) -> (Code, &'static str) {
    match code {
        // Tonic says OUT_OF_RANGE, which is the answer to who goes on from too long ago.
        Code::OutOfRange | Code::ResourceExhausted => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
        Code::Unimplemented if message.starts_with("Content is compressed") => (code, "ENCODING_UNKNOWN"),
        Code::Unimplemented => (code, "METHOD_UNKNOWN"),
        // No handler says so: a message that is none, as gRPC's own table of codes has it.
        Code::Internal => (code, "MESSAGE_MALFORMED"),
        Code::InvalidArgument => (code, "FIELD_INVALID"),
        Code::NotFound => (code, "RESOURCE_NOT_FOUND"),
        Code::DeadlineExceeded => (code, "DEADLINE_EXCEEDED"),
        Code::Cancelled => (code, "CANCELLED"),
        _ => (Code::Internal, "INTERNAL"),
    }
}
