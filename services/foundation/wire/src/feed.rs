//! Changes of records as the edge feed carries them.
//!
//! A chunk holds neighbouring changes of one kind of one tenant; the order of chunks is the order of changes, so that a
//! reader applies them as they come. What crosses tenants (births, ingress claims) travels without a tenant's name.
//! Registered processes are no business of an edge and are left out.
//!
//! A reader skips chunks whose kind it does not know: an old edge lives on beside a new cell. A chunk of a kind that it
//! does know and cannot read is refused whole, and the edge keeps what it had.

use std::borrow::Borrow;
use std::sync::Arc;

use prost::Message;
use tandem_domain::document::POLICY_BYTES_MAX;
use tandem_domain::id::{Incarnation, ListenerName, Revision, TenantId, TenantName, TrunkName};
use tandem_domain::record::{Change, Claimed, IngressClaim, Kind, PolicyRecord, Record, TenantRecord, cell};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::chunk::Entry;
use tandem_proto::routing::v1::chunk::entry::Record as Carried;

use crate::directory;
use crate::limits::{
    CHUNK_BYTES, CHUNK_ENTRIES_MAX, CLAIMED_BYTES_MAX, KEY_BYTES_MAX, KIND_BYTES_MAX, NUMBER_BYTES_MAX,
    TRACEPARENT_BYTES_MAX,
};
use crate::violation::{Reader, Violations};

/// The chunks of a list of changes, in their order. Nonces and traceparent are the sender's to fill in.
#[must_use]
pub fn chunks<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<pb::Chunk> {
    each_chunk(changes).collect()
}

/// The same, each made when it is asked for: of a large list no more than a chunk is in memory.
pub fn each_chunk<C: Borrow<Change>>(
    changes: impl IntoIterator<Item = C>,
) -> impl Iterator<Item = pb::Chunk> {
    let mut changes = changes.into_iter().filter(|c| c.borrow().kind != Kind::Process);
    // The one that had no place in the chunk before.
    let mut first: Option<C> = None;
    std::iter::from_fn(move || {
        let begins = first.take().or_else(|| changes.next())?;
        let begins: &Change = begins.borrow();
        let place = (&begins.tenant, begins.kind);
        let mut chunk = begin(begins, entry(begins));
        let mut bytes = chunk.entries.first().map_or(0, Message::encoded_len);
        for change in changes.by_ref() {
            let more: &Change = change.borrow();
            let entry = entry(more);
            bytes += entry.encoded_len();
            let fits = chunk.entries.len() < CHUNK_ENTRIES_MAX && bytes <= CHUNK_BYTES;
            if (&more.tenant, more.kind) != place || !fits {
                first = Some(change);
                break;
            }
            chunk.entries.push(entry);
            chunk.revision = chunk.revision.max(more.revision.0);
        }
        Some(chunk)
    })
}

fn begin(change: &Change, entry: Entry) -> pb::Chunk {
    let crosses = change.tenant == cell();
    pb::Chunk {
        tenant: if crosses { String::new() } else { change.tenant.name.to_string() },
        incarnation: if crosses { String::new() } else { change.tenant.incarnation.to_string() },
        kind: change.kind.name().into(),
        revision: change.revision.0,
        entries: vec![entry],
        ..Default::default()
    }
}

fn entry(change: &Change) -> Entry {
    let tenant = &change.tenant.name;
    let record = change.record.as_ref().and_then(|record| {
        Some(match record {
            Record::Tenant(birth) => Carried::Tenant(pb::TenantBirth {
                tenant: birth.tenant.name.to_string(),
                incarnation: birth.tenant.incarnation.to_string(),
                deleting: birth.deleting,
            }),
            Record::Policy(record) => Carried::Policy(policy(record)),
            Record::User(user) => Carried::User(directory::user(tenant, user)),
            Record::Station(station) => Carried::Station(directory::station(tenant, station)),
            Record::Workgroup(group) => Carried::Workgroup(directory::workgroup(tenant, group)),
            Record::Number(assignment) => Carried::Number(directory::number(assignment)),
            Record::IngressClaim(claim) => Carried::IngressClaim(ingress_claim(claim)),
            Record::Process(_) => return None,
        })
    });
    Entry { key: change.key.clone(), at_us: change.at, revision: change.revision.0, record }
}

/// The message of a policy: its spec as JSON, in the shape of the document.
#[must_use]
#[expect(
    clippy::expect_used,
    reason = "strings, numbers and lists have a JSON form, and nothing here can fail to write"
)]
pub fn policy(record: &PolicyRecord) -> pb::Policy {
    pb::Policy {
        generation: record.generation,
        spec_json: serde_json::to_string(&record.spec).expect("a spec has a JSON form"),
    }
}

/// The message of an ingress claim.
#[must_use]
pub fn ingress_claim(claim: &IngressClaim) -> pb::IngressClaim {
    use pb::ingress_claim::{Certificate, Domain, SourceNetwork, What};
    let what = match claim.what.clone() {
        Claimed::Source { listener, network, called } => What::Source(SourceNetwork {
            listener: listener.to_string(),
            network: network.to_string(),
            called: called.unwrap_or_default(),
        }),
        Claimed::Certificate { name, called } => {
            What::Certificate(Certificate { name, called: called.unwrap_or_default() })
        }
        Claimed::Domain { listener, domain } => {
            What::Domain(Domain { listener: listener.to_string(), domain })
        }
    };
    pb::IngressClaim {
        tenant: claim.tenant.name.to_string(),
        incarnation: claim.tenant.incarnation.to_string(),
        trunk: claim.trunk.to_string(),
        what: Some(what),
    }
}

/// What a chunk says.
#[derive(Clone, PartialEq, Debug)]
pub enum Read {
    /// Changes to apply, in order.
    Changes(Vec<Change>),
    /// A kind that this release does not know.
    Skipped,
}

/// Reads a chunk.
///
/// # Errors
/// What is wrong with it: then none of it is to be applied.
pub fn read(chunk: pb::Chunk) -> Result<Read, Violations> {
    let mut reader = Reader::new();
    reader.check_line("kind", &chunk.kind, KIND_BYTES_MAX);
    reader.check_line("traceparent", &chunk.traceparent, TRACEPARENT_BYTES_MAX);
    let known = Kind::ALL.into_iter().find(|kind| kind.name() == chunk.kind && *kind != Kind::Process);
    let Some(kind) = known else {
        return reader.finish(Some(Read::Skipped));
    };
    if chunk.entries.len() > CHUNK_ENTRIES_MAX {
        let problem = format!("has {} entries", chunk.entries.len());
        reader.wrong("entries", problem, format!("at most {CHUNK_ENTRIES_MAX} in one chunk"));
        return reader.finish(None);
    }
    let tenant = if chunk.tenant.is_empty() && chunk.incarnation.is_empty() {
        Some(cell())
    } else {
        read_tenant(&mut reader, &chunk.tenant, &chunk.incarnation)
    };
    // Entries of a tenant that has no name cannot be read.
    let Some(tenant) = tenant else { return reader.finish(None) };
    if (tenant == cell()) != matches!(kind, Kind::Tenant | Kind::IngressClaim) {
        reader.wrong(
            "tenant",
            "does not fit the kind",
            "tenant and ingress_claim have none, all others have one",
        );
        return reader.finish(None);
    }
    let changes = reader.inside("entries", |reader| {
        let one = |(at, entry)| reader.at(at, |reader| read_entry(reader, &tenant, kind, entry));
        chunk.entries.into_iter().enumerate().map(one).collect::<Option<Vec<Change>>>()
    });
    reader.finish(changes.map(Read::Changes))
}

fn read_tenant(reader: &mut Reader, name: &str, incarnation: &str) -> Option<TenantId> {
    let name = reader.name("tenant", name, TenantName::parse);
    // Read strictly: two spellings of one incarnation would be two tenants to whoever compares text.
    let read = Incarnation::parse(incarnation).filter(|read| read.to_string() == incarnation);
    if read.is_none() {
        reader.wrong("incarnation", "is none", "write 32 lower-case hexadecimal digits");
    }
    Some(TenantId { name: name?, incarnation: read? })
}

fn read_entry(reader: &mut Reader, tenant: &TenantId, kind: Kind, entry: Entry) -> Option<Change> {
    reader.check_line("key", &entry.key, KEY_BYTES_MAX);
    let record = match entry.record {
        None => None,
        Some(carried) => Some(read_record(reader, tenant, kind, carried)?),
    };
    let revision = Revision(entry.revision);
    Some(Change { tenant: tenant.clone(), kind, key: entry.key, record, revision, at: entry.at_us })
}

fn read_record(reader: &mut Reader, tenant: &TenantId, kind: Kind, carried: Carried) -> Option<Record> {
    let name = &tenant.name;
    match (kind, carried) {
        (Kind::Tenant, Carried::Tenant(birth)) => reader.inside("tenant", |reader| {
            let tenant = read_tenant(reader, &birth.tenant, &birth.incarnation)?;
            Some(Record::Tenant(TenantRecord { tenant, deleting: birth.deleting }))
        }),
        (Kind::Policy, Carried::Policy(message)) => {
            let policy = reader.nested("policy", read_policy(&message))?;
            Some(Record::Policy(Arc::new(policy)))
        }
        (Kind::User, Carried::User(message)) => {
            let user = reader.nested("user", directory::read_user(name, message))?;
            Some(Record::User(Arc::new(user)))
        }
        (Kind::Station, Carried::Station(message)) => {
            let station = reader.nested("station", directory::read_station(name, message))?;
            Some(Record::Station(Arc::new(station)))
        }
        (Kind::Workgroup, Carried::Workgroup(message)) => {
            let workgroup = reader.nested("workgroup", directory::read_workgroup(name, message))?;
            Some(Record::Workgroup(Arc::new(workgroup)))
        }
        (Kind::Number, Carried::Number(message)) => {
            let number = reader.nested("number", directory::read_number(message))?;
            Some(Record::Number(Arc::new(number)))
        }
        (Kind::IngressClaim, Carried::IngressClaim(message)) => {
            let claim = reader.nested("ingress_claim", read_ingress_claim(message))?;
            Some(Record::IngressClaim(Arc::new(claim)))
        }
        _ => {
            reader.wrong("record", "is not of the chunk's kind", "send it in a chunk of its own kind");
            None
        }
    }
}

/// Reads a policy.
///
/// # Errors
/// When the JSON is too large, is none, or has another shape: then where and why.
pub fn read_policy(message: &pb::Policy) -> Result<PolicyRecord, Violations> {
    let mut reader = Reader::new();
    if message.spec_json.len() > POLICY_BYTES_MAX {
        let problem = format!("has {} bytes", message.spec_json.len());
        reader.wrong("spec_json", problem, format!("at most {POLICY_BYTES_MAX} bytes are taken"));
        return reader.finish(None);
    }
    match serde_json::from_str(&message.spec_json) {
        Ok(spec) => Ok(PolicyRecord { generation: message.generation, spec }),
        Err(error) => {
            reader.wrong("spec_json", "is no spec of a Tenant document", error.to_string());
            reader.finish(None)
        }
    }
}

/// Reads an ingress claim.
///
/// # Errors
/// What is wrong with it.
pub fn read_ingress_claim(message: pb::IngressClaim) -> Result<IngressClaim, Violations> {
    use pb::ingress_claim::What;
    let mut reader = Reader::new();
    let tenant = read_tenant(&mut reader, &message.tenant, &message.incarnation);
    let trunk = reader.name("trunk", &message.trunk, TrunkName::parse);
    let what = match message.what {
        Some(What::Source(source)) => reader.inside("source", |reader| {
            let listener = reader.name("listener", &source.listener, ListenerName::parse);
            let network = source.network.parse().map_err(|error| {
                reader.wrong("network", "is no network", format!("{error}"));
            });
            let called = reader.some_line("called", source.called, NUMBER_BYTES_MAX);
            Some(Claimed::Source { listener: listener?, network: network.ok()?, called })
        }),
        Some(What::Certificate(certificate)) => reader.inside("certificate", |reader| {
            let name = reader.full_line("name", certificate.name, CLAIMED_BYTES_MAX, "sbc.carrier.example");
            let called = reader.some_line("called", certificate.called, NUMBER_BYTES_MAX);
            Some(Claimed::Certificate { name, called })
        }),
        Some(What::Domain(domain)) => reader.inside("domain", |reader| {
            let listener = reader.name("listener", &domain.listener, ListenerName::parse);
            let domain = reader.full_line("domain", domain.domain, CLAIMED_BYTES_MAX, "voice.example.com");
            Some(Claimed::Domain { listener: listener?, domain })
        }),
        None => {
            reader.wrong("what", "is missing", "one of source, certificate, domain");
            None
        }
    };
    let claim = || Some(IngressClaim { what: what?, tenant: tenant?, trunk: trunk? });
    let claim = claim();
    reader.finish(claim)
}

#[cfg(test)]
mod tests;
