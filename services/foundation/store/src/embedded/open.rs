//! Opening: the directory, its lock, the file, the format. Each thing that can be wrong has its own words.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase as _, StorageError};

use super::layout::{
    COMMITS, ENDS, FORMAT, HANGS, LOG, META, RECORDS, SESSION_ENDS, SESSIONS, SHARD_STATES, STAGED,
};
use super::{Place, World};
use crate::types::SHARDS;

/// The database's file in its directory.
pub(super) const FILE: &str = "tandem.redb";
/// The same while it is being made.
const NEW: &str = "tandem.redb.new";
/// The file whose lock says that the directory is in use; it holds the user's process id.
const LOCK: &str = "lock";
/// How much of the database is cached in memory: the records are in the view of every process anyway.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// Why a store cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory cannot be made or used.
    #[error("{path}: {why}; choose another directory with --data, or make this one writable for this user")]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the system said.
        why: io::Error,
    },
    /// Another process has it open.
    #[error("{path} is in use by process {pid}; stop that process, or choose another directory with --data")]
    InUse {
        /// Which.
        path: PathBuf,
        /// Whose it is, if it said so.
        pid: String,
    },
    /// The disk is full.
    #[error("{path}: no space left on the disk; make room and start again, nothing is lost")]
    Full {
        /// Which.
        path: PathBuf,
    },
    /// The file is no database of ours, or a damaged one.
    #[error(
        "{path} is damaged ({why}); it was left as it is. Restore it from a backup, or move it away to begin with an empty store"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Another release wrote it.
    #[error(
        "{path} has format {found}, this release reads {FORMAT}; use the release that wrote it, or a newer one"
    )]
    Format {
        /// Which.
        path: PathBuf,
        /// What was found.
        found: u32,
    },
    /// The system gives no thread.
    #[error("no thread for the store's writer: {0}")]
    Thread(String),
}

/// The lock on a data directory; given back when dropped, also by the death of the process.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Locks the directory, and makes it if it is not there. Memory needs no lock.
    pub(super) fn take(place: &Place) -> Result<Option<Self>, OpenError> {
        let Place::Directory(path) = place else { return Ok(None) };
        lock_file(path).map(|file| Some(Self { _file: file }))
    }
}

/// Makes and locks a data directory.
///
/// # Errors
/// [`OpenError::Directory`], [`OpenError::InUse`] or [`OpenError::Full`].
pub fn lock_file(path: &Path) -> Result<File, OpenError> {
    let failed = |why: io::Error| match why.kind() {
        io::ErrorKind::StorageFull => OpenError::Full { path: path.to_owned() },
        _ => OpenError::Directory { path: path.to_owned(), why },
    };
    fs::create_dir_all(path).map_err(failed)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK))
        .map_err(failed)?;
    if let Err(refused) = file.try_lock() {
        if let fs::TryLockError::Error(why) = refused {
            return Err(failed(why));
        }
        let mut pid = String::new();
        // Who holds it is for the message only.
        let _ = file.read_to_string(&mut pid);
        let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
        return Err(OpenError::InUse { path: path.to_owned(), pid });
    }
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    write!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

/// Opens the database, or makes it.
pub(super) fn database(place: &Place, world: &World) -> Result<Database, OpenError> {
    let path = match place {
        Place::Directory(path) => path.join(FILE),
        Place::Memory => PathBuf::from("memory"),
        Place::Disk(_) => PathBuf::from("disk"),
    };
    let mut builder = Database::builder();
    // Every page's checksum is looked at, so that damage is found here and not while a call waits.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    if let Place::Directory(directory) = place {
        make(&builder, directory, &path, world)?;
    }
    let open = || match place {
        Place::Directory(_) => builder.open(&path),
        Place::Memory => builder.create_with_backend(InMemoryBackend::new()),
        Place::Disk(disk) => builder.create_with_backend(Boxed(disk.open())),
    };
    // Bytes that were never a database can lead the library astray before it comes to a checksum.
    let opened = catch_unwind(AssertUnwindSafe(open));
    let damaged = || OpenError::Damaged { path: path.clone(), why: "its structure makes no sense".into() };
    let database = opened.map_err(|_| damaged())?.map_err(|e| refused(&path, &e))?;
    born(&database, &path, world)?;
    Ok(database)
}

/// Makes the database's file where there is none: whole under another name, so that a file under its own name that
/// holds nothing has lost what it held.
fn make(builder: &redb::Builder, directory: &Path, path: &Path, world: &World) -> Result<(), OpenError> {
    let failed = |why| refused(path, &DatabaseError::Storage(StorageError::Io(why)));
    match fs::metadata(path) {
        Ok(file) if file.len() == 0 => {
            return Err(OpenError::Damaged { path: path.to_owned(), why: "it is empty".into() });
        }
        Ok(_) => return Ok(()),
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(failed(why)),
    }
    let new = directory.join(NEW);
    match fs::remove_file(&new) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(failed(why)),
        _ => {}
    }
    let database = builder.create(&new).map_err(|e| refused(path, &e))?;
    born(&database, path, world)?;
    drop(database);
    fs::rename(&new, path).and_then(|()| File::open(directory)?.sync_all()).map_err(failed)
}

/// How much is read and written at a time by [`rewrite`].
const CHUNK: usize = 1024 * 1024;

/// Writes every byte of the file over itself, and syncs. After a sync that failed, Linux and others go on showing
/// what was written, but take it for written: only writing it again brings it to the disk. Cut short it does no
/// harm, for it changes no byte that is read.
pub(super) fn rewrite(place: &Place) -> io::Result<()> {
    match place {
        Place::Memory => Ok(()),
        Place::Directory(path) => {
            let mut file = OpenOptions::new().read(true).write(true).open(path.join(FILE))?;
            let mut chunk = vec![0; CHUNK];
            let mut at = 0;
            loop {
                file.seek(io::SeekFrom::Start(at))?;
                let n = file.read(&mut chunk)?;
                if n == 0 {
                    return file.sync_all();
                }
                file.seek(io::SeekFrom::Start(at))?;
                file.write_all(&chunk[..n])?;
                at += n as u64;
            }
        }
        Place::Disk(disk) => {
            let disk = disk.open();
            let len = disk.len()?;
            let mut at = 0;
            while at < len {
                let n = (len - at).min(CHUNK as u64);
                let mut chunk = vec![0; n as usize];
                disk.read(at, &mut chunk)?;
                disk.write(at, &chunk)?;
                at += n;
            }
            disk.sync_data()?;
            disk.close()
        }
    }
}

fn refused(path: &Path, error: &DatabaseError) -> OpenError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenError::InUse { path, pid: "unknown".into() },
        DatabaseError::UpgradeRequired(found) => OpenError::Format { path, found: u32::from(*found) },
        DatabaseError::Storage(StorageError::Io(e)) => match e.kind() {
            io::ErrorKind::StorageFull => OpenError::Full { path },
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                OpenError::Damaged { path, why: e.to_string() }
            }
            kind => OpenError::Directory { path, why: kind.into() },
        },
        other => OpenError::Damaged { path, why: other.to_string() },
    }
}

/// The format that the file says it has; none: it was just made.
fn format(database: &Database) -> Result<Option<Vec<u8>>, redb::Error> {
    let txn = database.begin_read()?;
    match txn.open_table(META) {
        Ok(meta) => Ok(meta.get("format")?.map(|f| f.value().to_vec())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Makes the tables and what is recorded at birth, in one transaction.
fn bear(database: &Database, world: &World) -> Result<(), redb::Error> {
    let txn = database.begin_write()?;
    {
        let mut meta = txn.open_table(META)?;
        meta.insert("format", &FORMAT.to_be_bytes()[..])?;
        meta.insert("shards", &SHARDS.to_be_bytes()[..])?;
        meta.insert("cell", &(world.chance)().to_be_bytes()[..])?;
        for table in [RECORDS, ENDS, SESSION_ENDS, HANGS, STAGED] {
            txn.open_table(table)?;
        }
        txn.open_table(LOG)?;
        txn.open_table(COMMITS)?;
        txn.open_table(SHARD_STATES)?;
        txn.open_table(SESSIONS)?;
    }
    txn.commit()?;
    Ok(())
}

/// Checks what was recorded at birth, or records it. Looks before it writes: a disk that is full can be read.
fn born(database: &Database, path: &Path, world: &World) -> Result<(), OpenError> {
    let failed = |e: redb::Error| match e {
        redb::Error::Io(e) => refused(path, &DatabaseError::Storage(StorageError::Io(e))),
        e => OpenError::Damaged { path: path.to_owned(), why: e.to_string() },
    };
    match format(database).map_err(failed)?.map(|f| f.try_into().map(u32::from_be_bytes)) {
        Some(Ok(FORMAT)) => Ok(()),
        Some(Ok(found)) => Err(OpenError::Format { path: path.to_owned(), found }),
        Some(Err(_)) => {
            Err(OpenError::Damaged { path: path.to_owned(), why: "a format that is no number".into() })
        }
        None => bear(database, world).map_err(failed),
    }
}

/// A boxed disk as the database wants it.
#[derive(Debug)]
struct Boxed(Box<dyn redb::StorageBackend>);

impl redb::StorageBackend for Boxed {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }

    fn close(&self) -> Result<(), io::Error> {
        self.0.close()
    }
}
