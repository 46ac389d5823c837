//! The files of a backup: generations by number, and the lock of who writes.

use std::fs::{self, File, TryLockError};
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::frame::{self, Frame, HEAD};
use super::{BackupError, io};

/// The generations of a directory, the oldest first.
pub(super) fn generations(dir: &Path) -> Result<Vec<(u64, PathBuf)>, BackupError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(io(dir))? {
        let path = entry.map_err(io(dir))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".tandem"));
        if let Some(number) = number.and_then(|n| n.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Only one process writes to a directory.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held")] File);

impl Lock {
    pub(super) fn take(dir: &Path) -> Result<Self, BackupError> {
        fs::create_dir_all(dir).map_err(io(dir))?;
        let path = dir.join("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(BackupError::InUse(dir.to_path_buf())),
            Err(TryLockError::Error(why)) => Err(io(&path)(why)),
        }
    }
}

/// A generation that is being written.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) path: PathBuf,
    to: BufWriter<File>,
    pub(super) bytes: u64,
}

impl Generation {
    /// The next one of a directory.
    pub(super) fn begin(dir: &Path, cell: u128) -> Result<Self, BackupError> {
        let next = generations(dir)?.last().map_or(1, |(number, _)| number + 1);
        let path = dir.join(format!("{next:06}.tandem"));
        let file = File::options().create_new(true).write(true).open(&path).map_err(io(&path))?;
        let mut generation = Self { path, to: BufWriter::new(file), bytes: 0 };
        generation.write(&Frame::Header { format: super::FORMAT, cell })?;
        // The name, too, must be there after a power cut.
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(io(dir))?;
        Ok(generation)
    }

    pub(super) fn write(&mut self, frame: &Frame) -> Result<(), BackupError> {
        let bytes = frame::write(frame);
        self.bytes += bytes.len() as u64;
        self.to.write_all(&bytes).map_err(io(&self.path))
    }

    /// What was written is on the disk.
    pub(super) fn sync(&mut self) -> Result<(), BackupError> {
        self.to.flush().and_then(|()| self.to.get_ref().sync_data()).map_err(io(&self.path))
    }

    /// Removes the generations before this one.
    pub(super) fn only(&self, dir: &Path) -> Result<(), BackupError> {
        for (_, path) in generations(dir)?.into_iter().filter(|(_, path)| *path < self.path) {
            fs::remove_file(&path).map_err(io(&path))?;
        }
        Ok(())
    }
}

/// The frames of a file.
pub(super) struct Frames {
    path: PathBuf,
    from: BufReader<File>,
    size: u64,
    /// Where the next frame begins.
    at: u64,
    /// Bytes of an end that was not written whole.
    pub(super) cut: u64,
}

impl Frames {
    pub(super) fn open(path: &Path) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(io(path))?;
        let size = file.metadata().map_err(io(path))?.len();
        Ok(Self { path: path.to_path_buf(), from: BufReader::new(file), size, at: 0, cut: 0 })
    }

    pub(super) fn damaged(&self, what: impl ToString) -> BackupError {
        BackupError::Damaged { path: self.path.clone(), at: self.at, what: what.to_string() }
    }

    /// The next frame; none: the end.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, BackupError> {
        let left = self.size - self.at;
        if left < HEAD as u64 {
            self.cut = left;
            return Ok(None);
        }
        let mut head = [0; HEAD];
        self.from.read_exact(&mut head).map_err(io(&self.path))?;
        let Some(length) = frame::length(&head) else {
            // A power cut may leave room that nothing was written to.
            return if head == [0; HEAD] && self.rest_is_empty()? {
                self.cut = left;
                Ok(None)
            } else {
                Err(self.damaged("the head of a frame"))
            };
        };
        if left < (HEAD + length) as u64 {
            self.cut = left;
            return Ok(None);
        }
        let mut payload = vec![0; length];
        self.from.read_exact(&mut payload).map_err(io(&self.path))?;
        let frame = frame::read(&head, &payload).map_err(|e| self.damaged(e.0))?;
        self.at += (HEAD + length) as u64;
        Ok(Some(frame))
    }

    fn rest_is_empty(&mut self) -> Result<bool, BackupError> {
        let mut bytes = [0; 8192];
        loop {
            match self.from.read(&mut bytes).map_err(io(&self.path))? {
                0 => return Ok(true),
                n if bytes[..n].iter().any(|b| *b != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}
