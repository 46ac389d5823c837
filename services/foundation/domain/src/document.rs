//! The documents that people write: a tenant's policy (`kind: Tenant`) and its directory (`kind: Directory`).
//!
//! The same YAML serves a Kubernetes resource and a file in a directory. Documents hold what was written, not
//! what it means: numbers are strings here, and names may point at nothing. `tenant::compile` turns policy into a
//! [`Config`](crate::tenant::Config) or says what is wrong, and where.
//!
//! Their schema is structural (no tagged unions), for Kubernetes takes no other. Unknown fields are refused.

pub mod directory;
pub mod policy;
pub mod terms;

/// The `apiVersion` of both kinds of document.
pub const API_VERSION: &str = "tandem.dev/v1";
/// The `kind` of a tenant's policy.
pub const KIND_TENANT: &str = "Tenant";
/// The `kind` of a directory to import.
pub const KIND_DIRECTORY: &str = "Directory";
/// The most bytes a tenant's policy may have as JSON: 192 KiB, so that it fits Kubernetes' store with room for status.
pub const POLICY_BYTES_MAX: usize = 192 * 1024;
