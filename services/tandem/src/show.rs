//! What people and programs are shown: text and JSON of the services' own answers.

pub(crate) mod decision;
pub(crate) mod json;
pub(crate) mod time;

use std::io::{self, Write as _};

/// Writes to standard output, with a line break. A reader who has left is no error.
///
/// # Errors
/// Anything else that keeps it from being written.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{}", text.trim_end_matches('\n')).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Writes to standard error, with a line break.
pub(crate) fn error(text: &str) {
    // Nobody is left to be told that nobody listens.
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}
