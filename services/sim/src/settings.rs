//! What the configurations of all simulators have in common: how a file is read, and how a telephone behaves.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tandem_runtime::document::{Document, Finding, Limits, Rejected, Severity, Source};

/// A configuration of a simulator.
pub trait Settings: DeserializeOwned {
    /// What is wrong with it beyond its syntax: names that refer to nothing, patterns that cannot be read.
    fn check(&self) -> Vec<Finding>;
}

/// Reads and checks a configuration file (YAML).
///
/// # Errors
///
/// Everything that is wrong with it, with file, line, field and fix.
pub fn load<T: Settings>(path: &Path) -> Result<T, Rejected> {
    of_document(&Source::read(path, Limits::POLICY)?.document()?)
}

/// As [`load`], of a text; `name` stands for the file in errors.
///
/// # Errors
///
/// As [`load`].
pub fn parse<T: Settings>(name: &str, text: &str) -> Result<T, Rejected> {
    of_document(&Source::new(name, text, Limits::POLICY)?.document()?)
}

fn of_document<T: Settings>(document: &Document) -> Result<T, Rejected> {
    let settings: T = document.parse()?;
    let found = settings.check();
    if found.is_empty() { Ok(settings) } else { Err(Rejected(document.place(found))) }
}

/// How a telephone takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It goes off-hook by itself, after `answer_after_ms`.
    Auto,
    /// It rings, and somebody picks it up after `answer_after_ms`.
    Manual,
    /// It rings until it is told to answer (behaviour `answer`): somebody with a remote control, or a test.
    Told,
    /// It rings and nobody comes.
    Never,
    /// 486.
    Busy,
}

/// A telephone that the simulator plays.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phone {
    /// Its name, unlike that of every other element.
    pub name: String,
    /// Where it listens for SIP; port 0 lets the machine choose.
    pub address: SocketAddr,
    /// Where its audio comes and goes; none: the address of its SIP.
    #[serde(default)]
    pub media_address: Option<IpAddr>,
    /// Where it stands; none: the site of its system.
    #[serde(default)]
    pub site: Option<String>,
    /// How it takes a call.
    #[serde(default = "manual")]
    pub answer: Answer,
    /// How long it rings before it is picked up.
    #[serde(default = "answer_after_ms")]
    pub answer_after_ms: u32,
    /// When whoever answered hangs up again, counted from the last change of where its audio goes; none: they wait
    /// for the other side.
    #[serde(default)]
    pub hang_up_after_ms: Option<u32>,
}

fn manual() -> Answer {
    Answer::Manual
}

fn answer_after_ms() -> u32 {
    50
}

/// Milliseconds between two RTP packets: what G.711 has on a real line.
pub(crate) fn packet_interval_ms() -> u32 {
    20
}

pub(crate) fn millis(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

pub(crate) fn yes() -> bool {
    true
}

/// A finding that is an error.
pub(crate) fn wrong(path: String, message: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { severity: Severity::Error, path, message: message.into(), fix: Some(fix.into()) }
}

/// Finds names that are given twice. `items` are (path, name).
pub(crate) fn twice<'a>(items: impl IntoIterator<Item = (String, &'a str)>, found: &mut Vec<Finding>) {
    let mut seen = HashSet::new();
    for (path, name) in items {
        if !seen.insert(name.to_ascii_lowercase()) {
            found.push(wrong(path, format!("`{name}` is named twice"), "give each its own name"));
        }
    }
}
