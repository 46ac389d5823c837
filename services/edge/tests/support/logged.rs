//! What the edge logs.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tandem_runtime::telemetry::{Format, Log};
use tandem_runtime::term::Terminal;
use tracing_subscriber::fmt::MakeWriter;

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logged {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Logged {
    /// The lines that hold all of this.
    pub(crate) fn lines(&self, parts: &[&str]) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| parts.iter().all(|p| line.contains(p))).map(str::to_owned).collect()
    }
}

/// Everything that this thread logs: the edge runs on it.
pub(crate) fn logged(filter: &str) -> (Logged, tracing::subscriber::DefaultGuard) {
    let logged = Logged::default();
    let log = Log { filter: filter.into(), format: Format::Human, terminal: Terminal::plain() };
    let guard = tracing::subscriber::set_default(log.subscriber(logged.clone()).unwrap());
    (logged, guard)
}
