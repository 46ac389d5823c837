//! Records as bytes: one byte that says which version of the kind's layout follows, then its fields.
//!
//! A field is a tag, a length and bytes (module `fields`); what is not set is not there, so that a number assignment is
//! some thirty bytes and a million of them are decoded in well under a second. Fields can be added to a layout:
//! releases that do not know them skip them. What cannot be said so is a new version, and a release that does not
//! know it refuses it by name. A policy's spec alone is JSON in a field, for it is a document with a schema of its
//! own and there is one a tenant. The bytes of every kind are kept as golden files (`tests/golden`).

mod cell;
mod directory;
mod fields;

use std::sync::Arc;

use fields::{In, Out};
use tandem_domain::id::Revision;
use tandem_domain::record::{Change, Kind, Record};

use crate::types::{Entry, Key, Stored};

/// The layouts that this release writes, and the only ones that it reads.
pub const VERSION: u8 = 1;

/// Bytes that are no record of this release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by another release.
    #[error("a {kind} record has layout {found}, this release reads {VERSION}; upgrade this process")]
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

/// A record as it is stored.
#[must_use]
pub fn encode(record: &Record) -> Arc<[u8]> {
    let mut out = Out(Vec::with_capacity(128));
    out.0.push(VERSION);
    match record {
        Record::Tenant(r) => cell::write_tenant(&mut out, r),
        Record::Policy(r) => cell::write_policy(&mut out, r),
        Record::User(r) => directory::write_user(&mut out, r),
        Record::Station(r) => directory::write_station(&mut out, r),
        Record::Workgroup(r) => directory::write_workgroup(&mut out, r),
        Record::Number(r) => directory::write_number(&mut out, r),
        Record::IngressClaim(r) => cell::write_claim(&mut out, r),
        Record::Process(r) => cell::write_process(&mut out, r),
    }
    out.0.into()
}

/// A record from what is stored.
///
/// # Errors
/// [`CodecError`]: another layout, or bytes that are no record.
pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Record, CodecError> {
    let damaged = |why| CodecError::Damaged { kind: kind.name(), why };
    let Some((version, fields)) = bytes.split_first() else { return Err(damaged("it is empty".into())) };
    if *version != VERSION {
        return Err(CodecError::Version { kind: kind.name(), found: *version });
    }
    let fields = In(fields);
    match kind {
        Kind::Tenant => cell::read_tenant(fields).map(Record::Tenant),
        Kind::Policy => cell::read_policy(fields).map(|r| Record::Policy(Arc::new(r))),
        Kind::User => directory::read_user(fields).map(|r| Record::User(Arc::new(r))),
        Kind::Station => directory::read_station(fields).map(|r| Record::Station(Arc::new(r))),
        Kind::Workgroup => directory::read_workgroup(fields).map(|r| Record::Workgroup(Arc::new(r))),
        Kind::Number => directory::read_number(fields).map(|r| Record::Number(Arc::new(r))),
        Kind::IngressClaim => cell::read_claim(fields).map(|r| Record::IngressClaim(Arc::new(r))),
        Kind::Process => cell::read_process(fields).map(|r| Record::Process(Arc::new(r))),
    }
    .map_err(damaged)
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
