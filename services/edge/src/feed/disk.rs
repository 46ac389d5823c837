//! The last good feed on disk: what the edge decides by when it starts and upstream is away.
//!
//! ```text
//! file    = magic, record*
//! record  = length u32, CRC-32 of what follows u32, time u64 (microseconds since 1970), chunk (protobuf)
//! ```
//!
//! Numbers are little-endian. A record without a chunk says only that the feed was good at that time. A snapshot
//! replaces the file at once: written beside it, synced, renamed, the directory synced. Changes are appended and
//! synced; when they outgrow the snapshot the file is folded into a new one.
//!
//! What a crash leaves at the end of the file (a record cut short) is dropped. Anything else that does not read is
//! damage: the file is set aside under another name, for people to look at, and nothing of it is used.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use prost::Message as _;
use tandem_domain::record::{Change, Kind};
use tandem_proto::routing::v1::Chunk;
use tandem_wire::feed::{self, Read};

const MAGIC: &[u8] = b"TANDEM EDGE FEED 1\n";
const HEAD_BYTES: usize = 8;
const TIME_BYTES: usize = 8;
/// No record is larger: a chunk ends at 1 MiB, one entry may go beyond it.
const RECORD_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Appended bytes below which a file is never folded.
const FOLD_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// What was on disk.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The changes, in order; none where there was no file, or a damaged one.
    pub(crate) changes: Option<Vec<Change>>,
    /// When the feed was last known to be good, in microseconds since 1970.
    pub(crate) good_at: u64,
    /// How much of the file reads.
    bytes: u64,
}

/// Reads the file. One that is damaged is set aside, with a message that says where.
///
/// # Errors
/// When the file is there and cannot be read, or cannot be set aside.
pub(crate) fn read(path: &Path, now_us: u64) -> io::Result<Kept> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(error),
    };
    match parse(&bytes) {
        Ok(kept) => Ok(kept),
        Err(why) => {
            let aside = aside(path, now_us);
            fs::rename(path, &aside)?;
            tracing::error!(
                file = %path.display(), aside = %aside.display(), why,
                "the last good feed is damaged and was set aside; until upstream answers, nothing is decided"
            );
            Ok(Kept::default())
        }
    }
}

fn aside(path: &Path, now_us: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".damaged-{}", now_us / 1_000_000));
    name.into()
}

fn parse(bytes: &[u8]) -> Result<Kept, String> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin as one")?;
    let mut kept = Kept { changes: Some(Vec::new()), good_at: 0, bytes: MAGIC.len() as u64 };
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let Some((record, after)) = record(rest, at)? else {
            tracing::warn!(
                at,
                "the last good feed ends within a record: a crash cut it short, the rest is used"
            );
            break;
        };
        let (time, chunk) = record.split_first_chunk::<TIME_BYTES>().ok_or("a record without a time")?;
        kept.good_at = u64::from_le_bytes(*time);
        if !chunk.is_empty() {
            let chunk =
                Chunk::decode(chunk).map_err(|e| format!("the record at byte {at} is no chunk: {e}"))?;
            match feed::read(chunk) {
                Ok(Read::Changes(changes)) => kept.changes.get_or_insert_default().extend(changes),
                Ok(Read::Skipped) => {}
                Err(violations) => {
                    return Err(format!("the record at byte {at} cannot be read: {violations}"));
                }
            }
        }
        rest = after;
        kept.bytes = (bytes.len() - rest.len()) as u64;
    }
    Ok(kept)
}

/// A record, and what follows it.
type Cut<'a> = (&'a [u8], &'a [u8]);

/// The next record and what follows it; none if it was cut short.
fn record(bytes: &[u8], at: usize) -> Result<Option<Cut<'_>>, String> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD_BYTES>() else { return Ok(None) };
    let [a, b, c, d, e, f, g, h] = *head;
    let (length, sum) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]));
    if length > RECORD_BYTES_MAX {
        return Err(format!("the record at byte {at} says that it has {length} bytes"));
    }
    let Some((record, after)) = rest.split_at_checked(length) else { return Ok(None) };
    match crc32fast::hash(record) == sum {
        true => Ok(Some((record, after))),
        // The last one may be what a crash left of it.
        false if after.is_empty() => Ok(None),
        false => Err(format!("the record at byte {at} fails its checksum")),
    }
}

fn write_record(out: &mut impl io::Write, time_us: u64, chunk: Option<&Chunk>) -> io::Result<u64> {
    let mut body = time_us.to_le_bytes().to_vec();
    if let Some(chunk) = chunk {
        // A vector takes all that is encoded.
        chunk.encode(&mut body).map_err(io::Error::other)?;
    }
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&crc32fast::hash(&body).to_le_bytes())?;
    out.write_all(&body)?;
    Ok((HEAD_BYTES + body.len()) as u64)
}

/// What the feed wants kept.
#[derive(Debug)]
pub(crate) enum Keep {
    /// A snapshot begins.
    Begin,
    /// A chunk of the snapshot, or a change after it.
    Chunk(u64, Chunk),
    /// The snapshot is whole: it replaces what there was.
    End(u64),
    /// The snapshot is not to be had.
    Forget,
    /// The feed is good at this time.
    Good(u64),
}

/// The writer of the file.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    /// The file, open to append to; none where there is none to append to.
    file: Option<File>,
    snapshot: Option<BufWriter<File>>,
    base: u64,
    appended: u64,
}

impl Disk {
    /// A writer that goes on with the file that was read, or will begin one: whether it can is found out now, and not
    /// when the feed comes and calls are up.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub(crate) fn new(path: PathBuf, kept: &Kept) -> io::Result<Self> {
        let mut disk = Self { path, file: None, snapshot: None, base: 0, appended: 0 };
        if kept.changes.is_some() {
            let file = OpenOptions::new().append(true).open(&disk.path)?;
            file.set_len(kept.bytes)?;
            (disk.file, disk.base) = (Some(file), kept.bytes);
        } else {
            disk.begin()?;
            disk.snapshot = None;
            fs::remove_file(disk.beside())?;
        }
        Ok(disk)
    }

    fn beside(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".new");
        name.into()
    }

    /// Does what is wanted, and syncs.
    ///
    /// # Errors
    /// What the disk says. What was on it before stays good, and the next snapshot tries anew.
    pub(crate) fn keep(&mut self, wanted: Vec<Keep>) -> io::Result<()> {
        let mut dirty = false;
        for keep in wanted {
            match keep {
                Keep::Begin => self.begin()?,
                Keep::Chunk(time, chunk) => match &mut self.snapshot {
                    Some(out) => {
                        write_record(out, time, Some(&chunk))?;
                    }
                    None => dirty |= self.append(time, Some(&chunk))?,
                },
                Keep::Good(time) => dirty |= self.append(time, None)?,
                Keep::End(time) => self.end(time)?,
                Keep::Forget => self.snapshot = None,
            }
        }
        if dirty && let Some(file) = &self.file {
            file.sync_data()?;
        }
        if self.appended > self.base.max(FOLD_BYTES_MIN) && self.snapshot.is_none() {
            self.fold()?;
        }
        Ok(())
    }

    /// After an error: nothing is appended to a file that may end within a record.
    pub(crate) fn give_up(&mut self) {
        (self.file, self.snapshot) = (None, None);
    }

    fn begin(&mut self) -> io::Result<()> {
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut out = BufWriter::new(File::create(self.beside())?);
        out.write_all(MAGIC)?;
        self.snapshot = Some(out);
        Ok(())
    }

    fn end(&mut self, time: u64) -> io::Result<()> {
        let Some(mut out) = self.snapshot.take() else { return Ok(()) };
        write_record(&mut out, time, None)?;
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        fs::rename(self.beside(), &self.path)?;
        if let Some(parent) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        let file = OpenOptions::new().append(true).open(&self.path)?;
        (self.base, self.appended) = (file.metadata()?.len(), 0);
        self.file = Some(file);
        Ok(())
    }

    fn append(&mut self, time: u64, chunk: Option<&Chunk>) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        let mut record = Vec::new();
        self.appended += write_record(&mut record, time, chunk)?;
        // One write: a crash cuts one record short, no more.
        file.write_all(&record)?;
        Ok(true)
    }

    /// Writes the file anew with the last state of each record only.
    fn fold(&mut self) -> io::Result<()> {
        let kept = parse(&fs::read(&self.path)?).map_err(io::Error::other)?;
        let folded = fold(kept.changes.unwrap_or_default());
        self.begin()?;
        if let Some(out) = &mut self.snapshot {
            for chunk in feed::chunks(&folded) {
                write_record(out, kept.good_at, Some(&chunk))?;
            }
        }
        self.end(kept.good_at)
    }
}

/// The last change of each record, in order, without those that are no more.
fn fold(changes: Vec<Change>) -> Vec<Change> {
    let mut last: HashMap<(&tandem_domain::id::TenantId, Kind, &str), usize> = HashMap::new();
    for (at, change) in changes.iter().enumerate() {
        last.insert((&change.tenant, change.kind, &change.key), at);
    }
    let mut stays = vec![false; changes.len()];
    last.values().for_each(|at| stays[*at] = true);
    let all = changes.into_iter().zip(stays);
    all.filter(|(change, stays)| *stays && change.record.is_some()).map(|(change, _)| change).collect()
}

#[cfg(test)]
mod tests;
