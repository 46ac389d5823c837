//! What policy and directory mean, held against files that a person reviewed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod checks;
mod endpoints;
mod examples;
mod golden;
mod schema;
mod setup;
mod topology;

use tandem_domain::document::directory::DirectoryDocument;
use tandem_domain::document::policy::TenantDocument;

/// The policy without a finding that the unit tests change.
fn tenant() -> TenantDocument {
    serde_saphyr::from_str(include_str!("../../src/tenant/base.yaml")).unwrap()
}

/// The directory without a finding that the unit tests change.
fn directory() -> DirectoryDocument {
    serde_saphyr::from_str(include_str!("../../src/directory/base.yaml")).unwrap()
}

/// The top of the repository.
fn top() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}
