//! From an error to one clear line and an exit code.

use std::error::Error as StdError;
use std::fmt::Write as _;

use tandem_runtime::document::{Rejected, render_all};
use tandem_runtime::exit::Exit;
use tandem_runtime::term::Terminal;
use tandem_runtime::{listen, serve, telemetry};
use tandem_store::backup::BackupError;
use tandem_store::{OpenError, embedded, redis};
use tonic::{Code, Status};

use crate::cli::Global;
use crate::show;

/// What was given cannot be used; the message says why and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Input(pub(crate) String);

/// A directory or file of ours cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}; give {flag} a directory on a disk that takes it")]
pub(crate) struct Unwritable {
    /// What.
    pub(crate) path: String,
    /// By which option it was named.
    pub(crate) flag: &'static str,
    /// What the machine said.
    pub(crate) why: String,
}

/// The server that was asked cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("{server} cannot be reached ({why}); {fix}")]
pub(crate) struct Unreachable {
    /// Who was asked.
    pub(crate) server: String,
    /// What the network said.
    pub(crate) why: String,
    /// What to look at.
    pub(crate) fix: &'static str,
}

/// Writes an error to standard error and gives its exit code.
pub(crate) fn report(error: &anyhow::Error, global: &Global) -> Exit {
    let exit = exit(error);
    let text = if global.json() {
        as_json(&words(error, &Terminal::plain()), exit)
    } else {
        words(error, &Terminal::stderr(global.color))
    };
    show::error(&text);
    exit
}

/// Writes what is wrong with a command line to standard error, for a program.
pub(crate) fn usage(error: &clap::Error) {
    show::error(&as_json(error.render().to_string().trim_end(), Exit::Usage));
}

fn as_json(words: &str, exit: Exit) -> String {
    let words = words.strip_prefix("error: ").unwrap_or(words);
    serde_json::json!({"error": words, "exit": exit.code()}).to_string()
}

/// The error in words. What is placed in a file is shown as a compiler shows it.
fn words(error: &anyhow::Error, terminal: &Terminal) -> String {
    if let Some(Rejected(diagnostics)) = find::<Rejected>(error) {
        return render_all(diagnostics, terminal.color);
    }
    let mut words = String::from(if terminal.color { "\x1b[1;31merror\x1b[0m" } else { "error" });
    for cause in error.chain() {
        let text = match cause.downcast_ref::<Status>() {
            Some(status) if is_no_grpc(status) => {
                format!(
                    "{}: what was asked does not speak gRPC; name the API's address with --server",
                    status.message()
                )
            }
            Some(status) => status.message().to_owned(),
            None => cause.to_string(),
        };
        // Some causes say what their own cause says.
        if !words.ends_with(&text) {
            let _ = write!(words, ": {text}");
        }
        if cause.is::<Status>() {
            break;
        }
    }
    words
}

fn find<T: StdError + 'static>(error: &anyhow::Error) -> Option<&T> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

fn exit(error: &anyhow::Error) -> Exit {
    if find::<Rejected>(error).is_some() || find::<Input>(error).is_some() {
        return Exit::DataError;
    }
    if let Some(open) = find::<OpenError>(error) {
        return of_store(open);
    }
    if let Some(status) = find::<Status>(error) {
        return of_status(status);
    }
    if let Some(backup) = find::<BackupError>(error) {
        return of_backup(backup);
    }
    if find::<Unwritable>(error).is_some() {
        return Exit::CannotCreate;
    }
    let config = find::<tandem_edge::config::ConfigError>(error).is_some()
        || find::<serve::TlsError>(error).is_some()
        || find::<telemetry::Error>(error).is_some();
    match () {
        () if find::<listen::Error>(error).is_some() => Exit::CannotCreate,
        () if find::<Unreachable>(error).is_some() => Exit::Unavailable,
        () if config => Exit::Config,
        () if find::<std::io::Error>(error).is_some() => Exit::Io,
        () => Exit::Internal,
    }
}

fn of_store(error: &OpenError) -> Exit {
    match error {
        OpenError::Embedded(embedded::OpenError::InUse { .. }) => Exit::Temporary,
        OpenError::Embedded(embedded::OpenError::Damaged { .. } | embedded::OpenError::Format { .. }) => {
            Exit::DataError
        }
        OpenError::Embedded(embedded::OpenError::Thread(_)) => Exit::Internal,
        OpenError::Embedded(_) => Exit::CannotCreate,
        OpenError::Redis(redis::OpenError::Url(_)) => Exit::DataError,
        OpenError::Redis(redis::OpenError::Unreachable(_)) => Exit::Unavailable,
        OpenError::Redis(redis::OpenError::Unfit(_)) => Exit::Config,
    }
}

fn of_backup(error: &BackupError) -> Exit {
    match error {
        BackupError::Io { .. } => Exit::Io,
        BackupError::InUse(_) | BackupError::Disturbed => Exit::Temporary,
        BackupError::Store(store) if store.retryable() => Exit::Unavailable,
        BackupError::Store(_) => Exit::Internal,
        _ => Exit::DataError,
    }
}

/// Whether the connection itself failed: what listens there is something else, or went away.
fn is_no_grpc(status: &Status) -> bool {
    status.source().is_some_and(|source| source.is::<tonic::transport::Error>())
}

fn of_status(status: &Status) -> Exit {
    match status.code() {
        _ if is_no_grpc(status) => Exit::Unavailable,
        Code::Unavailable => Exit::Unavailable,
        Code::DeadlineExceeded | Code::Aborted | Code::ResourceExhausted | Code::Cancelled => Exit::Temporary,
        Code::Unauthenticated | Code::PermissionDenied => Exit::Denied,
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::OutOfRange => {
            Exit::DataError
        }
        _ => Exit::Internal,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_one_line_and_a_code() {
        let check = |error: anyhow::Error, line: &str, code: Exit| {
            assert_eq!((words(&error, &Terminal::plain()).as_str(), exit(&error)), (line, code));
        };
        check(Input("no such tenant".into()).into(), "error: no such tenant", Exit::DataError);
        check(Status::not_found("no tenant").into(), "error: no tenant", Exit::DataError);
        check(Status::unavailable("away").into(), "error: away", Exit::Unavailable);
        let unfit = redis::OpenError::Unfit("no".into());
        check(OpenError::from(unfit).into(), "error: no", Exit::Config);
        let io = std::io::Error::other("broken");
        check(anyhow::Error::from(io).context("x.yaml"), "error: x.yaml: broken", Exit::Io);
        let nested: anyhow::Result<()> = Err(Status::permission_denied("no")).context("asking");
        check(nested.unwrap_err(), "error: asking: no", Exit::Denied);
    }
}
