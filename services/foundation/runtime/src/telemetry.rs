//! The log: one line an event, to standard error, once.
//!
//! People at a terminal get people's lines, everything else gets JSON. What is logged follows `TANDEM_LOG` (the
//! `tracing` filter language: `info`, `info,tandem_edge=debug`), else the caller's default.
//!
//! Secrets stay out by type: wrap them in [`Redacted`] where they come in, and no format can show them.
//!
//! A panic becomes one log line with its place, within the span it happened in, in place of the standard hook's
//! text: an operator's log pipeline then sees it like everything else.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize, Serializer};
use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::term::Terminal;

/// The environment variable that holds the filter.
pub const FILTER_ENV: &str = "TANDEM_LOG";

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What to log, and how.
#[derive(Clone, Debug)]
pub struct Log {
    /// The filter, in the language of `tracing` (`info,tandem_edge=debug`).
    pub filter: String,
    /// How lines look.
    pub format: Format,
    /// What standard error can show.
    pub terminal: Terminal,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter cannot be read.
    #[error(
        "log filter `{filter}` cannot be read; write a level (`info`) or targets (`info,tandem_edge=debug`)"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What the reader says.
        #[source]
        source: ParseError,
    },
    /// A log has been set up before.
    #[error("the log is set up twice")]
    Twice,
}

impl Log {
    /// What `TANDEM_LOG` says, else `default`.
    pub fn from_env(default: &str, format: Format, terminal: Terminal) -> Self {
        let filter = std::env::var(FILTER_ENV).ok().filter(|filter| !filter.is_empty());
        Self { filter: filter.unwrap_or_else(|| default.to_owned()), format, terminal }
    }

    /// Sets up the log and the panic hook of the process. Once, by `main`.
    ///
    /// # Errors
    ///
    /// A filter that cannot be read, or a second call.
    pub fn install(&self) -> Result<(), Error> {
        self.subscriber(io::stderr)?.try_init().map_err(|_| Error::Twice)?;
        std::panic::set_hook(Box::new(log_panic));
        Ok(())
    }

    /// The subscriber that writes to `writer`: for tests, by `tracing::subscriber::set_default`.
    ///
    /// # Errors
    ///
    /// A filter that cannot be read.
    pub fn subscriber<W>(&self, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        let filter = EnvFilter::try_new(&self.filter)
            .map_err(|source| Error::Filter { filter: self.filter.clone(), source })?;
        let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
        let human = match self.format {
            Format::Auto => self.terminal.interactive,
            Format::Human => true,
            Format::Json => false,
        };
        Ok(if human {
            Box::new(builder.with_ansi(self.terminal.color).with_target(false).finish())
        } else {
            Box::new(
                builder.json().flatten_event(true).with_current_span(false).with_span_list(true).finish(),
            )
        })
    }
}

/// Logs a panic. The message is a programmer's, written in the source; what it was about is in the span.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("not text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    if tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!(panic = message, place, thread, "panic");
    } else {
        // Nobody listens; a panic must not pass in silence. A closed standard error is no reason for another.
        let _ = writeln!(io::stderr(), "panic in thread {thread} at {place}: {message}");
    }
}

/// A secret: shown as `[redacted]` by every format, serialisation included, and read like the bare value.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Redacted<T>(T);

/// What is shown in place of a secret.
pub const REDACTED: &str = "[redacted]";

impl<T> Redacted<T> {
    /// Hides `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself: where it is used, and nowhere else. Searching for this name finds every place.
    pub fn reveal(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Redacted<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl<T> Serialize for Redacted<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A log that is kept, to be looked at.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    fn logged(format: Format, terminal: Terminal, work: impl FnOnce()) -> String {
        let kept = Kept::default();
        let log = Log { filter: "info".into(), format, terminal };
        tracing::subscriber::with_default(log.subscriber(kept.clone()).unwrap(), work);
        kept.text()
    }

    #[test]
    fn a_pipe_gets_one_json_object_a_line_with_its_spans() {
        let text = logged(Format::Auto, Terminal::plain(), || {
            tracing::info_span!("rpc", request_id = "r1").in_scope(|| tracing::info!(calls = 3, "hello"));
            tracing::debug!("not at this level");
        });
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0]["message"], &lines[0]["calls"]), (&"hello".into(), &3.into()));
        assert_eq!(lines[0]["spans"][0]["request_id"], "r1");
    }

    #[test]
    fn a_terminal_gets_a_line_for_people_and_colour_only_if_wanted() {
        let terminal = Terminal { interactive: true, color: false, width: 80 };
        let text = logged(Format::Auto, terminal, || tracing::info!("hello"));
        assert!(text.contains(" INFO hello") && !text.contains('\u{1b}'), "{text:?}");
        let text = logged(Format::Auto, Terminal { color: true, ..terminal }, || tracing::info!("hello"));
        assert!(text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let log = Log { filter: "tandem=loud".into(), format: Format::Auto, terminal: Terminal::plain() };
        let error = log.subscriber(io::sink).err().unwrap();
        assert!(error.to_string().contains("`tandem=loud`"), "{error}");
    }

    #[test]
    fn a_secret_is_read_and_never_shown() {
        #[derive(Debug, Deserialize, Serialize)]
        struct Config {
            token: Redacted<String>,
        }
        let config: Config = serde_json::from_str(r#"{"token":"hunter2"}"#).unwrap();
        assert_eq!(config.token.reveal(), "hunter2");
        let shown = format!("{config:?} {} {}", config.token, serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hunter2") && shown.matches(REDACTED).count() == 3, "{shown}");
        let text = logged(Format::Json, Terminal::plain(), || tracing::info!(token = %config.token, "in"));
        assert!(text.contains(REDACTED) && !text.contains("hunter2"), "{text}");
    }
}
