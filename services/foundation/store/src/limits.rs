//! What a request must keep to, the same for every backend: looked at before anything is asked of the store.

use crate::types::{
    COMMIT_BYTES_MAX, Commit, Error, KEY_BYTES_MAX, Key, PARTS_MAX, PRECONDITIONS_MAX, Precondition,
    TRACE_BYTES_MAX, TTL_MAX, Until, WRITES_MAX, What, Write,
};

fn invalid<T>(what: String, fix: &str) -> Result<T, Error> {
    Err(Error::Invalid { what, fix: fix.into() })
}

/// A commit; `staged` if it turns over `parts` of a generation.
pub(crate) fn commit(commit: &Commit, staged: Option<u32>) -> Result<(), Error> {
    match staged {
        None if commit.writes.is_empty() => {
            return invalid("a commit without writes".into(), "write something, or do not commit");
        }
        Some(0) => {
            return invalid("a generation of no parts".into(), "stage at least one part, or commit without");
        }
        Some(parts) if parts > PARTS_MAX => {
            return invalid(format!("a generation of {parts} parts"), "a generation has at most 4096 parts");
        }
        _ => {}
    }
    if commit.preconditions.len() > PRECONDITIONS_MAX {
        return invalid(format!("{} preconditions", commit.preconditions.len()), "a commit has at most 512");
    }
    if commit.trace.as_ref().is_some_and(|t| t.len() > TRACE_BYTES_MAX) {
        return invalid("a trace of more than 128 bytes".into(), "a W3C traceparent has 55");
    }
    for precondition in &commit.preconditions {
        match precondition {
            Precondition::Absent(k) | Precondition::VersionIs(k, _) | Precondition::TokenIs(k, _) => key(k)?,
            Precondition::FenceIs(fence) => key(&fence.key)?,
            Precondition::SessionLives(_) => {}
        }
    }
    writes(&commit.writes)
}

/// A part of a generation.
pub(crate) fn part(part: u32, of: &[Write]) -> Result<(), Error> {
    if part >= PARTS_MAX {
        return invalid(
            format!("part {part} of a generation"),
            "a generation has at most 4096 parts, from 0",
        );
    }
    if of.is_empty() {
        return invalid(format!("part {part} without writes"), "stage writes, and no empty parts");
    }
    if of.iter().any(|w| !matches!(w.what, What::Put(_) | What::Delete)) {
        return invalid("a staged claim".into(), "stage puts and deletes; claim in the turning commit");
    }
    writes(of)
}

/// How long a session lasts.
pub(crate) fn session(ttl_ms: u32) -> Result<(), Error> {
    if u128::from(ttl_ms) > TTL_MAX.as_millis() {
        return invalid(format!("a session of {ttl_ms} ms"), "a session lasts at most 7 days unrenewed");
    }
    Ok(())
}

/// What is said of a session that has ended and is opened again.
pub(crate) fn ended() -> Error {
    Error::Invalid {
        what: "a session that has ended".into(),
        fix: "open another, with an id from chance".into(),
    }
}

fn key(key: &Key) -> Result<(), Error> {
    if key.key.len() > KEY_BYTES_MAX {
        return invalid(format!("a key of {} bytes", key.key.len()), "a key has at most 512 bytes");
    }
    Ok(())
}

fn writes(writes: &[Write]) -> Result<(), Error> {
    if writes.len() > WRITES_MAX {
        return invalid(
            format!("{} writes in one commit", writes.len()),
            "at most 512; stage larger changes",
        );
    }
    let mut bytes = 0;
    for write in writes {
        key(&write.key)?;
        bytes += write.key.key.len();
        bytes += match &write.what {
            What::Put(v) | What::Update(v) | What::Claim(v, _) => v.len(),
            What::Delete => 0,
        };
        if let What::Claim(_, Until::After(ttl)) = write.what
            && ttl > TTL_MAX
        {
            return invalid(format!("a claim of {} s", ttl.as_secs()), "a claim lasts at most 7 days");
        }
    }
    if bytes > COMMIT_BYTES_MAX {
        return invalid(format!("{bytes} bytes in one commit"), "at most 1 MiB; stage larger changes");
    }
    let mut keys: Vec<&Key> = writes.iter().map(|w| &w.key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return invalid("a record that is written twice".into(), "write each record once in a commit");
    }
    Ok(())
}
