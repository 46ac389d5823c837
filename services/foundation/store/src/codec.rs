//! Records as bytes: one byte that says which version of the kind's layout follows, then the record as JSON.
//!
//! JSON, because a record is read once into a view and stays there: decoding is not on any call's way, a person
//! can read what is stored, and a field that is absent reads as its default. What each kind looks like is kept
//! as a golden file; a change of it is a new version.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tandem_domain::document::policy::TenantSpec;
use tandem_domain::id::{ListenerName, Revision, TenantId, TrunkName};
use tandem_domain::ingress::Network;
use tandem_domain::record::{
    Change, Claimed, IngressClaim, Kind, PolicyRecord, ProcessRecord, Record, TenantRecord,
};

use crate::types::{Entry, Key, Stored};

/// The layouts that this release writes, and the only ones that it reads.
pub const VERSION: u8 = 1;

/// Bytes that are no record of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by another release.
    #[error("a {kind} record has layout {found}; this release reads {VERSION}: upgrade this process")]
    Version {
        /// The kind's name.
        kind: &'static str,
        /// The layout found.
        found: u8,
    },
    /// Not what the layout says.
    #[error("a {kind} record cannot be read: {why}")]
    Damaged {
        /// The kind's name.
        kind: &'static str,
        /// What the decoder said; it names fields, never values.
        why: String,
    },
    /// A kind that this release does not know; followers skip it.
    #[error("records of kind {0} are unknown to this release")]
    UnknownKind(u8),
}

#[derive(Serialize, Deserialize)]
struct StoredPolicy {
    generation: u64,
    spec: TenantSpec,
}

#[derive(Serialize, Deserialize)]
struct StoredTenant {
    tenant: TenantId,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleting: bool,
}

#[derive(Serialize, Deserialize, Default)]
struct StoredClaim {
    tenant: Option<TenantId>,
    trunk: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listener: Option<ListenerName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    called: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredProcess {
    id: String,
    role: String,
    version: String,
    formats: (u16, u16),
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    listeners: Vec<ListenerName>,
}

fn json(record: &impl Serialize) -> Vec<u8> {
    let mut out = vec![VERSION];
    // Writing to memory cannot fail, and no record has a map with keys that are no strings.
    let written = serde_json::to_writer(&mut out, record);
    debug_assert!(written.is_ok(), "{written:?}");
    out
}

/// A record as it is stored.
#[must_use]
pub fn encode(record: &Record) -> Arc<[u8]> {
    match record {
        Record::Tenant(r) => json(&StoredTenant { tenant: r.tenant.clone(), deleting: r.deleting }),
        Record::Policy(r) => json(&StoredPolicy { generation: r.generation, spec: r.spec.clone() }),
        Record::User(r) => json(r.as_ref()),
        Record::Station(r) => json(r.as_ref()),
        Record::Workgroup(r) => json(r.as_ref()),
        Record::Number(r) => json(r.as_ref()),
        Record::IngressClaim(r) => json(&stored_claim(r)),
        Record::Process(r) => json(&StoredProcess {
            id: r.id.clone(),
            role: r.role.clone(),
            version: r.version.clone(),
            formats: r.formats,
            listeners: r.listeners.clone(),
        }),
    }
    .into()
}

fn stored_claim(claim: &IngressClaim) -> StoredClaim {
    let base = StoredClaim {
        tenant: Some(claim.tenant.clone()),
        trunk: claim.trunk.as_str().into(),
        ..StoredClaim::default()
    };
    match claim.what.clone() {
        Claimed::Source { listener, network, called } => {
            StoredClaim { listener: Some(listener), network: Some(network.to_string()), called, ..base }
        }
        Claimed::Certificate { name, called } => StoredClaim { certificate: Some(name), called, ..base },
        Claimed::Domain { listener, domain } => {
            StoredClaim { listener: Some(listener), domain: Some(domain), ..base }
        }
    }
}

fn read_claim(stored: StoredClaim) -> Option<IngressClaim> {
    let what = match stored {
        StoredClaim { listener: Some(listener), network: Some(ref network), ref called, .. } => {
            Claimed::Source { listener, network: network.parse::<Network>().ok()?, called: called.clone() }
        }
        StoredClaim { certificate: Some(name), called, .. } => {
            return Some(IngressClaim {
                what: Claimed::Certificate { name, called },
                tenant: stored.tenant?,
                trunk: TrunkName::parse(&stored.trunk).ok()?,
            });
        }
        StoredClaim { listener: Some(listener), domain: Some(domain), .. } => {
            Claimed::Domain { listener, domain }
        }
        _ => return None,
    };
    Some(IngressClaim { what, tenant: stored.tenant?, trunk: TrunkName::parse(&stored.trunk).ok()? })
}

/// A record from what is stored.
///
/// # Errors
/// [`CodecError`]: another layout, or bytes that are no record.
pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Record, CodecError> {
    let (version, body) = bytes.split_first().unwrap_or((&0, &[]));
    if *version != VERSION {
        return Err(CodecError::Version { kind: kind.name(), found: *version });
    }
    Ok(match kind {
        Kind::Tenant => {
            let r: StoredTenant = read(kind, body)?;
            Record::Tenant(TenantRecord { tenant: r.tenant, deleting: r.deleting })
        }
        Kind::Policy => {
            let r: StoredPolicy = read(kind, body)?;
            Record::Policy(Arc::new(PolicyRecord { generation: r.generation, spec: r.spec }))
        }
        Kind::User => Record::User(Arc::new(read(kind, body)?)),
        Kind::Station => Record::Station(Arc::new(read(kind, body)?)),
        Kind::Workgroup => Record::Workgroup(Arc::new(read(kind, body)?)),
        Kind::Number => Record::Number(Arc::new(read(kind, body)?)),
        Kind::IngressClaim => {
            let claim = read_claim(read(kind, body)?);
            let damaged =
                || CodecError::Damaged { kind: kind.name(), why: "no claim of a known form".into() };
            Record::IngressClaim(Arc::new(claim.ok_or_else(damaged)?))
        }
        Kind::Process => {
            let r: StoredProcess = read(kind, body)?;
            Record::Process(Arc::new(ProcessRecord {
                id: r.id,
                role: r.role,
                version: r.version,
                formats: r.formats,
                listeners: r.listeners,
            }))
        }
    })
}

fn read<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, CodecError> {
    serde_json::from_slice(body).map_err(|e| CodecError::Damaged { kind: kind.name(), why: e.to_string() })
}

/// A kind and key as the store keys it.
#[must_use]
pub fn key(kind: Kind, key: &str) -> Key {
    Key::new(kind as u8, key)
}

fn known(kind: u8) -> Result<Kind, CodecError> {
    Kind::from_u8(kind).ok_or(CodecError::UnknownKind(kind))
}

/// A stored record as a change: it is so from now on.
///
/// # Errors
/// As [`decode`], and kinds that this release does not know.
pub fn listed(stored: &Stored) -> Result<Change, CodecError> {
    let kind = known(stored.key.kind)?;
    Ok(Change {
        tenant: stored.tenant.clone(),
        kind,
        key: stored.key.key.as_ref().into(),
        record: Some(decode(kind, &stored.value)?),
        revision: stored.version,
        at: stored.at,
    })
}

/// An entry's changes, those of unknown kinds left out.
///
/// # Errors
/// As [`decode`].
pub fn changes(entry: &Entry) -> Result<Vec<Change>, CodecError> {
    let of_known = entry.changes.iter().filter_map(|c| Some((c, Kind::from_u8(c.key.kind)?)));
    of_known
        .map(|(change, kind)| {
            Ok(Change {
                tenant: entry.tenant.clone(),
                kind,
                key: change.key.key.as_ref().into(),
                record: change.value.as_deref().map(|v| decode(kind, v)).transpose()?,
                revision: Revision(entry.revision.0),
                at: entry.at,
            })
        })
        .collect()
}
