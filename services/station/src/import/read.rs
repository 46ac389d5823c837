//! From the stream to entries: each checked for shape and size, the whole bounded.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tandem_cell::Cell;
use tandem_domain::directory::admit;
use tandem_domain::id::TenantId;
use tandem_domain::record::Record;
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::import_directory_request::Item;
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Drain;
use tandem_wire::directory as wire;
use tandem_wire::request::{ImportHeader, read_delete};
use tandem_wire::status::{Reason, Refusal};
use tandem_wire::violation::{Violation, Violations};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, Streaming};

use super::plan::{Entry, Refused, What};
use crate::config::Limits;

/// How long the next entry may take.
const IDLE: Duration = Duration::from_secs(30);
/// How long all entries of an import may take.
pub(super) const SENT_WITHIN: Duration = Duration::from_secs(300);
/// The most bytes of an entry's name that an answer repeats.
const LABEL_BYTES_MAX: usize = 256;

/// What a stream held.
#[derive(Debug, Default)]
pub(super) struct Entries {
    pub(super) entries: Vec<Entry>,
    pub(super) refused: Vec<Refused>,
    pub(super) fingerprint: u128,
}

/// A stream of entries: how long it may take, and the room in memory that its messages have taken.
pub(super) struct Reader {
    stream: Streaming<pb::ImportDirectoryRequest>,
    clock: Clock,
    drain: Drain,
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
    /// When it must be there as a whole, by the clock's monotonic time.
    until: Duration,
}

impl Reader {
    pub(super) fn new(
        stream: Streaming<pb::ImportDirectoryRequest>,
        cell: &Cell,
        drain: &Drain,
        room: Arc<Semaphore>,
    ) -> Self {
        let (clock, drain) = (cell.clock().clone(), drain.clone());
        let until = clock.monotonic() + SENT_WITHIN;
        Self { stream, clock, drain, room, taken: None, until }
    }

    /// From now on its time runs: before, it waited for its turn.
    pub(super) fn begin(&mut self) {
        self.until = self.clock.monotonic() + SENT_WITHIN;
    }

    /// The next message; none: the end.
    ///
    /// # Errors
    /// The stream's own, and refusals when it takes too long, when there is no room, or when the process leaves.
    pub(super) async fn next(&mut self) -> Result<Option<pb::ImportDirectoryRequest>, Status> {
        let idle = self.clock.monotonic() + IDLE;
        let message = tokio::select! {
            message = self.stream.message() => message?,
            () = self.clock.sleep_until(idle.min(self.until)) => return Err(late(idle < self.until).into()),
            () = self.drain.draining() => return Err(draining().into()),
        };
        if let Some(message) = &message {
            self.take(message.encoded_len())?;
        }
        Ok(message)
    }

    /// Takes room for a message, as long as the import is read and written.
    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| {
            let words = "imports fill the memory that this process has for them; send it again later";
            Refusal::new(Reason::QuotaExceeded, words).retry_after(super::AGAIN)
        })?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            None => self.taken = Some(more),
        }
        Ok(())
    }
}

fn late(idle: bool) -> Refusal {
    let words = if idle {
        "nothing came for 30 s; nothing was imported, send it again without pauses"
    } else {
        "it was not sent within 5 minutes; nothing was imported, divide it into several imports with MERGE"
    };
    Refusal::new(Reason::DeadlineExceeded, words)
}

/// The refusal of a process that is leaving.
pub(super) fn draining() -> Refusal {
    Refusal::new(Reason::Draining, "this process is leaving; nothing was imported, send it again")
}

impl Entries {
    /// Reads all entries of an import.
    pub(super) async fn read(
        reader: &mut Reader,
        tenant: &TenantId,
        header: &ImportHeader,
        limits: Limits,
    ) -> Result<Self, Status> {
        let mut read = Self { fingerprint: header_fingerprint(header), ..Self::default() };
        let (mut index, mut bytes) = (0_u64, 0_usize);
        while let Some(message) = reader.next().await? {
            index += 1;
            bytes += message.encoded_len();
            let too_large =
                |problem| Violation::new("item", problem, "divide it into several imports with MERGE");
            if index > limits.entries {
                return Err(too_large(format!("the import has more than {} entries", limits.entries)).into());
            }
            if bytes > limits.bytes {
                return Err(too_large(format!("the import has more than {} bytes", limits.bytes)).into());
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
