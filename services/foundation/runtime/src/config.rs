//! The configuration of a process, from its sources.
//!
//! A caller puts it together, weakest first: its struct's defaults, a file ([`load`]), the environment
//! ([`Environment`]), the flags. One struct a service, units in the names of its fields (`drain_grace_ms`,
//! `watchers_max`), `#[serde(deny_unknown_fields, default)]` on it, secrets in
//! [`Redacted`](crate::telemetry::Redacted).
//!
//! Invariants: what is not known is refused, in the file and in the environment alike, for a misspelt setting that is
//! silently left out is found only on the day it matters; a value never appears in an error of the environment, where
//! secrets are handed over.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::document::{Limits, Rejected, Source, did_you_mean};

/// The beginning of every environment variable of ours.
pub const ENV_PREFIX: &str = "TANDEM_";

/// Reads a configuration file: one YAML document.
///
/// # Errors
///
/// Everything that is wrong with it, with file, line, column, field and fix.
pub fn load<T: DeserializeOwned>(path: &Path) -> Result<T, Rejected> {
    Source::read(path, Limits::POLICY)?.document()?.parse()
}

/// The variables that begin with `TANDEM_`, and which of them were asked for.
#[derive(Debug)]
pub struct Environment {
    found: BTreeMap<String, String>,
    asked: RefCell<BTreeSet<String>>,
}

/// Why a variable cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// Its value cannot be read.
    #[error("environment variable {name} cannot be read as {wanted}: {reason}")]
    Value {
        /// The variable.
        name: String,
        /// What would be right.
        wanted: String,
        /// What the reader says.
        reason: String,
    },
    /// Nothing of that name is known.
    #[error(
        "environment variable {name} is not known{}",
        meant.as_ref().map_or_else(|| "; unset it".to_owned(), |meant| format!("; did you mean {meant}?"))
    )]
    Unknown {
        /// The variable.
        name: String,
        /// The known one most like it.
        meant: Option<String>,
    },
}

impl Environment {
    /// The environment of the process. Values that are not UTF-8 are left out.
    pub fn of_process() -> Self {
        Self::of(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// An environment given by hand: for tests. Variables of others are left out.
    pub fn of(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let found = vars.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
        Self { found, asked: RefCell::default() }
    }

    /// Sets `field` to the variable `name` if it is set and not empty. `wanted` is what would be right, for the
    /// error: `a number of milliseconds`.
    ///
    /// # Errors
    ///
    /// When the value cannot be read; `field` stays as it was.
    pub fn set<T: FromStr<Err: std::fmt::Display>>(
        &self,
        name: &str,
        wanted: &str,
        field: &mut T,
    ) -> Result<(), EnvError> {
        self.asked.borrow_mut().insert(name.to_owned());
        let Some(value) = self.found.get(name).filter(|value| !value.is_empty()) else { return Ok(()) };
        *field = value.parse().map_err(|reason: T::Err| EnvError::Value {
            name: name.to_owned(),
            wanted: wanted.to_owned(),
            reason: reason.to_string().replace(value.as_str(), "the value"),
        })?;
        Ok(())
    }

    /// Refuses what nobody asked for; `known` are the variables that others read (the log's filter, flags' own).
    ///
    /// # Errors
    ///
    /// The first unknown variable, with the known one most like it.
    pub fn finish(self, known: &[&str]) -> Result<(), EnvError> {
        let asked = self.asked.into_inner();
        let all = || known.iter().copied().chain(asked.iter().map(String::as_str));
        match self.found.keys().find(|name| !all().any(|known| known == name.as_str())) {
            None => Ok(()),
            Some(name) => {
                // The prefix is alike in all; what follows is what was misspelt.
                let rest = name.strip_prefix(ENV_PREFIX).unwrap_or(name);
                let meant = did_you_mean(rest, all().filter_map(|known| known.strip_prefix(ENV_PREFIX)));
                let meant = meant.map(|rest| format!("{ENV_PREFIX}{rest}"));
                Err(EnvError::Unknown { name: name.clone(), meant })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        grpc: String,
        drain_grace_ms: u64,
    }

    impl Default for Config {
        fn default() -> Self {
            Self { grpc: "127.0.0.1:50051".into(), drain_grace_ms: 2000 }
        }
    }

    fn environment(vars: &[(&str, &str)]) -> Environment {
        Environment::of(vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn write(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tandem.yaml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn the_environment_goes_over_the_file_and_the_file_over_the_defaults() {
        let (_dir, path) = write("drain_grace_ms: 100\n");
        let mut config: Config = load(&path).unwrap();
        assert_eq!(config, Config { drain_grace_ms: 100, ..Config::default() });
        let env = environment(&[("TANDEM_DRAIN_GRACE_MS", "50"), ("TANDEM_GRPC", ""), ("HOME", "/root")]);
        env.set("TANDEM_GRPC", "an address", &mut config.grpc).unwrap();
        env.set("TANDEM_DRAIN_GRACE_MS", "milliseconds", &mut config.drain_grace_ms).unwrap();
        env.finish(&[]).unwrap();
        assert_eq!(config, Config { drain_grace_ms: 50, ..Config::default() });
    }

    #[test]
    fn a_wrong_file_is_answered_with_place_and_fix() {
        let (_dir, path) = write("drain_grace: 100\n");
        let text = load::<Config>(&path).unwrap_err().to_string();
        assert!(text.contains("tandem.yaml:1:1: error: unknown field `drain_grace`"), "{text}");
        assert!(text.contains("fix: did you mean `drain_grace_ms`?"), "{text}");
    }

    #[test]
    fn a_wrong_variable_is_named_and_its_value_is_not() {
        #[derive(Debug)]
        struct Picky;
        impl FromStr for Picky {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Err(format!("cannot take {text}"))
            }
        }
        let env = environment(&[("TANDEM_TOKEN", "hunter2")]);
        let error = env.set("TANDEM_TOKEN", "a token", &mut Picky).unwrap_err().to_string();
        assert_eq!(
            error,
            "environment variable TANDEM_TOKEN cannot be read as a token: cannot take the value"
        );
    }

    #[test]
    fn an_unknown_variable_is_refused() {
        let mut grpc = String::new();
        let env = environment(&[("TANDEM_GPRC", "x"), ("TANDEM_LOG", "info")]);
        env.set("TANDEM_GRPC", "an address", &mut grpc).unwrap();
        let error = env.finish(&["TANDEM_LOG"]).unwrap_err().to_string();
        assert_eq!(error, "environment variable TANDEM_GPRC is not known; did you mean TANDEM_GRPC?");
        let error = environment(&[("TANDEM_X", "")]).finish(&[]).unwrap_err().to_string();
        assert_eq!(error, "environment variable TANDEM_X is not known; unset it");
    }
}
