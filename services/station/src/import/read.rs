//! From the stream to entries: each checked for shape and size, the whole bounded.

use std::time::Duration;

use prost::Message as _;
use tandem_domain::directory::admit;
use tandem_domain::id::TenantId;
use tandem_domain::record::Record;
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::import_directory_request::Item;
use tandem_runtime::drain::Drain;
use tandem_wire::directory as wire;
use tandem_wire::request::{ImportHeader, read_delete};
use tandem_wire::status::{Reason, Refusal};
use tandem_wire::violation::{Violation, Violations};
use tonic::{Status, Streaming};

use super::plan::{Entry, Refused, What};
use crate::Config;

/// How long the next entry may take.
const IDLE: Duration = Duration::from_secs(30);
/// The most bytes of an entry's name that an answer repeats.
const LABEL_BYTES_MAX: usize = 256;

/// What a stream held.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) entries: Vec<Entry>,
    pub(super) refused: Vec<Refused>,
    pub(super) fingerprint: u128,
}

/// The next message; none: the end.
///
/// # Errors
/// The stream's own, and refusals when nothing comes or the process leaves.
pub(super) async fn message(
    stream: &mut Streaming<pb::ImportDirectoryRequest>,
    drain: &Drain,
) -> Result<Option<pb::ImportDirectoryRequest>, Status> {
    tokio::select! {
        message = tokio::time::timeout(IDLE, stream.message()) => message.unwrap_or_else(|_| {
            let words = "nothing came for 30 s; nothing was imported, send it again without pauses";
            Err(Refusal::new(Reason::QuotaExceeded, words).into())
        }),
        () = drain.draining() => {
            Err(Refusal::new(Reason::Draining, "this process is leaving; nothing was imported, send it again").into())
        }
    }
}

impl Entries {
    /// Reads all entries of an import.
    pub(super) async fn read(
        stream: &mut Streaming<pb::ImportDirectoryRequest>,
        drain: &Drain,
        tenant: &TenantId,
        header: &ImportHeader,
    ) -> Result<Self, Status> {
        let mut read = Self { fingerprint: header_fingerprint(header), ..Self::default() };
        let (mut index, mut bytes) = (0_u64, 0_usize);
        while let Some(message) = message(stream, drain).await? {
            index += 1;
            bytes += message.encoded_len();
            if index > Config::ENTRIES_MAX {
                let problem = format!("the import has more than {} entries", Config::ENTRIES_MAX);
                return Err(
                    Violation::new("item", problem, "divide it into several imports with MERGE").into()
                );
            }
            if bytes > Config::IMPORT_BYTES_MAX {
                let problem = format!("the import has more than {} bytes", Config::IMPORT_BYTES_MAX);
                return Err(
                    Violation::new("item", problem, "divide it into several imports with MERGE").into()
                );
            }
            read.fingerprint = fingerprint(read.fingerprint, &message.encode_to_vec());
            if let Some(Item::Header(_)) = message.item {
                let fix = "send one header, as the first message";
                return Err(Violation::new("header", format!("comes again as message {index}"), fix).into());
            }
            match entry(tenant, index, message.item) {
                Ok(entry) => read.entries.push(entry),
                Err(refused) => read.refused.push(refused),
            }
        }
        Ok(read)
    }
}

fn entry(tenant: &TenantId, index: u64, item: Option<Item>) -> Result<Entry, Refused> {
    let label = label(item.as_ref());
    let malformed = |violations: Violations| Refused {
        index,
        entry: label.clone(),
        findings: wire::malformed(&violations),
    };
    let name = &tenant.name;
    let what = match item {
        Some(Item::User(m)) => wire::read_user(name, m).map(|u| What::Put(Record::User(u.into()))),
        Some(Item::Station(m)) => wire::read_station(name, m).map(|s| What::Put(Record::Station(s.into()))),
        Some(Item::Workgroup(m)) => {
            wire::read_workgroup(name, m).map(|w| What::Put(Record::Workgroup(w.into())))
        }
        Some(Item::Number(m)) => wire::read_number(m).map(|n| What::Put(Record::Number(n.into()))),
        Some(Item::Delete(text)) => read_delete(name, &text).map(What::Delete),
        Some(Item::Header(_)) | None => {
            Err(Violation::new("item", "is none that is known", "user, station, workgroup, number or delete")
                .into())
        }
    };
    let what = what.map_err(malformed)?;
    if let What::Put(record) = &what {
        admit(record).map_err(|findings| Refused {
            index,
            entry: label.clone(),
            findings: findings.iter().map(wire::finding).collect(),
        })?;
    }
    Ok(Entry { index, label, what })
}

/// What an answer calls an entry: the name that it gave itself.
fn label(item: Option<&Item>) -> String {
    let name = match item {
        Some(Item::User(m)) => &m.name,
        Some(Item::Station(m)) => &m.name,
        Some(Item::Workgroup(m)) => &m.name,
        Some(Item::Number(m)) => &m.number,
        Some(Item::Delete(text)) => text,
        Some(Item::Header(_)) | None => return String::new(),
    };
    let end = (0..=LABEL_BYTES_MAX.min(name.len())).rev().find(|at| name.is_char_boundary(*at));
    name[..end.unwrap_or_default()].to_owned()
}

/// The 128-bit FNV-1a hash, continued. It tells a repetition from an accident, not from an attack: whoever sends
/// both may write the directory anyway.
fn fingerprint(before: u128, bytes: &[u8]) -> u128 {
    let step = |hash: u128, byte: u8| (hash ^ u128::from(byte)).wrapping_mul((1 << 88) | 0x13b);
    let length = (bytes.len() as u64).to_be_bytes();
    length.iter().chain(bytes).fold(before, |hash, byte| step(hash, *byte))
}

fn header_fingerprint(header: &ImportHeader) -> u128 {
    let said = format!("{} {:?} {:?}", header.parent, header.mode, header.source);
    fingerprint(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, said.as_bytes())
}
