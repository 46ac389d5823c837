//! Backup and restore, from either backend to either: a follower that writes what it learns to files.
//!
//! ```text
//! DIR/000007.tandem   one generation: a listing of every shard, then every change, as frames in the order learnt
//!     header │ listing, records.., listed (digest) │ ... │ whole │ entry │ entry │ whole(when) │ ...
//! ```
//!
//! A generation counts from its first `whole`: every shard is there. While the next one is being written the one
//! before stays, so that a directory holds something to restore from its first `whole` on, whenever this is killed.
//! Each frame has its length and a checksum of both: an end that was not written whole is left out and said, a
//! damaged frame is an error and nothing is restored.
//!
//! What is restored are the records that are for good. What somebody held (claims: leases, the registration of
//! processes) is not: its owners assert it again.

mod file;
mod frame;
mod replay;
mod restore;
mod write;

use std::path::PathBuf;

use crate::types::Error;

pub use replay::{Backup, read};
pub use restore::{Restored, restore};
pub use write::{Progress, Writing};

/// The format that is written.
pub const FORMAT: u16 = 1;

/// Why there is no backup or restore, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory cannot be read or written.
    #[error("{path}: {why}; give a directory that this user may read and write, on a disk that takes it", path = .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the machine says.
        why: std::io::Error,
    },
    /// Another process writes there.
    #[error("{path}: another backup writes here; give each a directory of its own", path = .0.display())]
    InUse(PathBuf),
    /// There is no backup there.
    #[error("{path}: no backup is here; give the directory that `tandem backup` wrote", path = .0.display())]
    None(PathBuf),
    /// The backup was ended before it had everything once.
    #[error("{path}: this backup was ended before it had listed the whole store, and there is no earlier one: nothing to restore", path = .0.display())]
    Unfinished(PathBuf),
    /// A file is damaged.
    #[error("{path}: damaged at byte {at} ({what}): nothing is restored; use another copy of the backup", path = .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Where the frame begins that is damaged.
        at: u64,
        /// What is wrong there.
        what: String,
    },
    /// A newer release wrote it.
    #[error("{path}: written in format {found}, and this release reads up to {FORMAT}; restore with the release that wrote it", path = .path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        found: u16,
    },
    /// The store that is to be restored to holds something.
    #[error(
        "the store holds {records} records: restore into an empty one (end its processes; or name another with --store or --data)"
    )]
    NotEmpty {
        /// How many.
        records: u64,
    },
    /// Somebody else writes to the store that is being restored.
    #[error("another process writes to this store: end it, empty the store, and restore again")]
    Disturbed,
    /// What is in the store now is not what was in the backup.
    #[error(
        "the store holds other records than the backup (digest {found}, not {wanted}): do not use it; empty it and restore again"
    )]
    Digest {
        /// Of the backup.
        wanted: String,
        /// Of the store.
        found: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
}

fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> BackupError + '_ {
    |why| BackupError::Io { path: path.to_path_buf(), why }
}
