//! Refusals: every error that leaves by gRPC, in one form, made in one place.
//!
//! A refusal has a [`Reason`] out of a closed list. The reason decides the gRPC code, is what programs act on, and never
//! changes its meaning; the message is for people and names what to do. On the wire it is a `google.rpc.Status` with
//! exactly one `ErrorInfo` and whatever details fit.
//!
//! Invariants:
//! - a rejected call is no refusal: it is a decision, and answered as one;
//! - what went wrong inside is for the log; the wire gets [`INTERNAL_TEXT`] and the request id finds the rest;
//! - a refusal names no tenant that the caller did not name, and a tenant that the caller may not see is refused as
//!   one that does not exist: the same bytes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use tandem_proto::routing::v1::route_calls_response::Failure;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, QuotaViolation, StatusExt};

use crate::violation::{Violation, Violations};

/// The `domain` of every `google.rpc.ErrorInfo` of ours.
pub const DOMAIN: &str = tandem_runtime::serve::ERROR_DOMAIN;

/// All that the wire learns of a fault of ours.
pub const INTERNAL_TEXT: &str = "internal error; the request id finds it in the log";

/// All that a caller without a credential that we know learns.
pub const UNAUTHENTICATED_TEXT: &str =
    "no valid credential: show a client certificate or a bearer token that the callers file maps";

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $print:literal, $code:ident;)+) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Stable, as `ErrorInfo.reason` has it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $print,)+ }
            }

            /// The gRPC code that it goes out with.
            #[must_use]
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)+ }
            }
        }
    };
}

reasons! {
    /// A field is wrong; `BadRequest` says which.
    FieldInvalid = "FIELD_INVALID", InvalidArgument;
    /// A page token that is not ours, or belongs to another tenant, caller, filter or order.
    PageTokenInvalid = "PAGE_TOKEN_INVALID", InvalidArgument;
    /// A resume token that is not ours, or belongs to another tenant, caller or filter.
    ResumeTokenInvalid = "RESUME_TOKEN_INVALID", InvalidArgument;
    /// The same request id came with another body.
    RequestIdReused = "REQUEST_ID_REUSED", InvalidArgument;
    /// A message is larger than this service takes.
    MessageTooLarge = "MESSAGE_TOO_LARGE", ResourceExhausted;
    /// A message is none of the method's, or cut short.
    MessageMalformed = "MESSAGE_MALFORMED", Internal;
    /// Messages are compressed in a way that is not known here.
    EncodingUnknown = "ENCODING_UNKNOWN", Unimplemented;
    /// `grpc-timeout` cannot be read.
    DeadlineMalformed = "DEADLINE_MALFORMED", InvalidArgument;
    /// No credential that the callers file maps.
    CredentialUnknown = "CREDENTIAL_UNKNOWN", Unauthenticated;
    /// The caller lacks the scope that the method needs; the metadata names it.
    ScopeMissing = "SCOPE_MISSING", PermissionDenied;
    /// There is no such resource, or the caller may not know of it.
    ResourceNotFound = "RESOURCE_NOT_FOUND", NotFound;
    /// What was written against has changed since: read again, then try again.
    Conflict = "CONFLICT", Aborted;
    /// The state of a resource does not allow it; `PreconditionFailure` says what must be so first.
    PreconditionFailed = "PRECONDITION_FAILED", FailedPrecondition;
    /// The tenant is being deleted: nothing new is taken for it.
    TenantDeleting = "TENANT_DELETING", FailedPrecondition;
    /// A limit is reached; `QuotaFailure` says which, `RetryInfo` when to come again.
    QuotaExceeded = "QUOTA_EXCEEDED", ResourceExhausted;
    /// The store is away. Nothing was written; reads go on.
    StoreUnavailable = "STORE_UNAVAILABLE", Unavailable;
    /// This replica has not synchronised its view yet: another one can answer.
    ViewNotReady = "VIEW_NOT_READY", Unavailable;
    /// This process is leaving: another one can answer.
    Draining = "DRAINING", Unavailable;
    /// `min_revision` did not become visible within the deadline.
    RevisionNotReached = "REVISION_NOT_REACHED", DeadlineExceeded;
    /// So little time was left that nothing was begun.
    DeadlineTooShort = "DEADLINE_TOO_SHORT", DeadlineExceeded;
    /// The call was not done within its deadline, or a stream not sent within its time.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded;
    /// What a watch or a token wants to go on from is forgotten: begin anew.
    ResumeTokenExpired = "RESUME_TOKEN_EXPIRED", OutOfRange;
    /// The write may have happened or not. The same request id finds out.
    OutcomeUnknown = "OUTCOME_UNKNOWN", Unknown;
    /// The call was given up by its caller.
    Cancelled = "CANCELLED", Cancelled;
    /// There is no such method here.
    MethodUnknown = "METHOD_UNKNOWN", Unimplemented;
    /// A fault of ours.
    Internal = "INTERNAL", Internal;
}

/// A refusal in the making.
#[derive(Clone, Debug)]
#[must_use = "a refusal refuses only when it is returned"]
pub struct Refusal(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    reason: Reason,
    message: Cow<'static, str>,
    metadata: HashMap<String, String>,
    details: ErrorDetails,
}

impl Refusal {
    /// A refusal with a message for people.
    pub fn new(reason: Reason, message: impl Into<Cow<'static, str>>) -> Self {
        // Faults have one text, whoever makes the refusal.
        let message = if reason == Reason::Internal { INTERNAL_TEXT.into() } else { message.into() };
        Self(Box::new(Inner { reason, message, metadata: HashMap::new(), details: ErrorDetails::new() }))
    }

    /// A fault of ours. Log what it was before this: the wire learns nothing of it.
    pub fn internal() -> Self {
        Self::new(Reason::Internal, INTERNAL_TEXT)
    }

    /// The store has no tenant at all, so that nothing is known of any.
    pub fn no_tenant_yet() -> Self {
        let words =
            "the store has no tenant yet: it is new, or was emptied and is not written again; ask again";
        Self::new(Reason::ViewNotReady, words)
    }

    /// There is no such resource, or the caller may not know of it. `kind` is a word such as `User`; `name` is what
    /// the caller wrote.
    pub fn not_found(kind: &'static str, name: &str) -> Self {
        let mut refusal = Self::new(Reason::ResourceNotFound, format!("{name} is not there"));
        let resource = format!("{DOMAIN}/{kind}");
        refusal.0.details.set_resource_info(resource, name, "", "not there, or not yours to see");
        refusal
    }

    /// The caller lacks a scope.
    pub fn scope_missing(scope: &'static str) -> Self {
        let message = format!("the method needs the scope {scope}: add it to the caller in the callers file");
        Self::new(Reason::ScopeMissing, message).with("scope", scope)
    }

    /// A precondition that does not hold: of which kind, on what, and what must be so first.
    pub fn precondition(kind: &'static str, subject: &str, description: &str) -> Self {
        let mut refusal = Self::new(Reason::PreconditionFailed, format!("{subject}: {description}"));
        let violation = PreconditionViolation::new(kind, subject, description);
        refusal.0.details.set_precondition_failure(vec![violation]);
        refusal
    }

    /// A limit that is reached: whose, which, and after how long it is worth to come again.
    pub fn quota(subject: &str, description: &str, retry: Option<Duration>) -> Self {
        let mut refusal = Self::new(Reason::QuotaExceeded, format!("{subject}: {description}"));
        refusal.0.details.set_quota_failure(vec![QuotaViolation::new(subject, description)]);
        if retry.is_some() {
            refusal.0.details.set_retry_info(retry);
        }
        refusal
    }

    /// The same with a fact that programs may read. Never another tenant's, never a secret.
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.metadata.insert(key.into(), value.into());
        self
    }

    /// The same with the advice to come again after a while.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.details.set_retry_info(Some(delay));
        self
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// For people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The form of a refusal inside a stream that goes on after it.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        let inner = *self.0;
        Failure {
            code: inner.reason.code().into(),
            message: inner.message.into_owned(),
            reason: inner.reason.name().into(),
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let Inner { reason, message, metadata, mut details } = *refusal.0;
        details.set_error_info(reason.name(), DOMAIN, metadata);
        Self::with_error_details(reason.code(), message, details)
    }
}

impl From<Violations> for Refusal {
    fn from(violations: Violations) -> Self {
        let mut refusal = Self::new(Reason::FieldInvalid, violations.to_string());
        let fields: Vec<_> = violations
            .iter()
            .map(|violation| {
                let description = format!("{}; {}", violation.problem, violation.fix);
                FieldViolation::new(violation.field.as_str(), description)
            })
            .collect();
        refusal.0.details.set_bad_request(fields);
        refusal
    }
}

impl From<Violation> for Refusal {
    fn from(violation: Violation) -> Self {
        Violations::from(violation).into()
    }
}

impl From<Violations> for Status {
    fn from(violations: Violations) -> Self {
        Refusal::from(violations).into()
    }
}

impl From<Violation> for Status {
    fn from(violation: Violation) -> Self {
        Refusal::from(violation).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(status: &Status) -> (String, String) {
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        (info.reason.clone(), info.domain.clone())
    }

    #[test]
    fn every_reason_goes_out_with_its_code_and_exactly_one_error_info() {
        for reason in Reason::ALL {
            let status = Status::from(Refusal::new(*reason, "text"));
            assert_eq!(status.code(), reason.code());
            assert_eq!(info(&status), (reason.name().into(), DOMAIN.into()));
            let infos = status.get_error_details_vec();
            let infos = infos.iter().filter(|d| matches!(d, tonic_types::ErrorDetail::ErrorInfo(_)));
            assert_eq!(infos.count(), 1);
        }
    }

    #[test]
    fn names_of_reasons_are_unique_and_speak_upper_case() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Reason::ALL.len());
    }

    #[test]
    fn violations_become_a_bad_request_that_names_each_field() {
        let status = Status::from(Violation::new("attempt.called", "is empty", "write a number"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "attempt.called: is empty; write a number");
        let details = status.get_error_details();
        let field = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(field.field, "attempt.called");
        assert_eq!(field.description, "is empty; write a number");
    }

    #[test]
    fn a_fault_has_one_text_whatever_was_said() {
        let status = Status::from(Refusal::new(Reason::Internal, "the password is 1234"));
        assert_eq!(status.message(), INTERNAL_TEXT);
        assert_eq!(status.code(), Code::Internal);
    }

    #[test]
    fn a_quota_says_when_to_come_again_and_a_precondition_what_is_missing() {
        let status = Status::from(Refusal::quota(
            "tenants/acme",
            "500 commits a second",
            Some(Duration::from_secs(2)),
        ));
        let details = status.get_error_details();
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(2)));
        assert_eq!(details.quota_failure().unwrap().violations[0].subject, "tenants/acme");
        let status =
            Status::from(Refusal::precondition("POLICY", "tenants/acme", "no policy was accepted yet"));
        let details = status.get_error_details();
        assert_eq!(details.precondition_failure().unwrap().violations[0].r#type, "POLICY");
        let status =
            Status::from(Refusal::new(Reason::StoreUnavailable, "x").retry_after(Duration::from_secs(1)));
        assert!(status.get_error_details().retry_info().is_some());
    }

    #[test]
    fn a_refusal_inside_a_stream_says_the_same() {
        let failure = Refusal::not_found("Tenant", "tenants/acme").into_failure();
        assert_eq!((failure.code, failure.reason.as_str()), (5, "RESOURCE_NOT_FOUND"));
        assert_eq!(failure.message, "tenants/acme is not there");
    }
}
