//! What a check found: the same shape for policy and directory, so that one printer serves both.
//!
//! A check has a stable code, a severity, and words for what it means and how to mend it; `docs/checks.md` is
//! printed from these. A finding is a check that struck, at a field, with the words of the case.

use std::borrow::Cow;
use std::fmt;

/// How much a finding weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Policy: it is not accepted. Directory: the user, station, workgroup or number does not work as entered.
    Error,
    /// It works, but hardly as meant.
    Warning,
}

impl Severity {
    /// As people read it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A thing that is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Check {
    /// Stable, such as `trunk.srtp_requires_tls`.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// What it means, for any case.
    pub meaning: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

impl Check {
    /// The check struck at a field, with the words of the case.
    #[must_use]
    pub fn at(&self, path: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            code: self.code,
            severity: self.severity,
            path: path.into(),
            message: message.into(),
            fix: Cow::Borrowed(self.fix),
        }
    }
}

/// A check that struck.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Which check; stable.
    pub code: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// The field, as `spec.trunks[2].srtp`; of a directory record from the record on, as `lync.lineUri`.
    pub path: String,
    /// What is wrong here.
    pub message: String,
    /// What to do.
    pub fix: Cow<'static, str>,
}

impl Finding {
    /// The same finding with a fix that fits the case better than the general one.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<Cow<'static, str>>) -> Self {
        self.fix = fix.into();
        self
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}: {}; {}", self.severity, self.code, self.path, self.message, self.fix)
    }
}

/// Declares checks as constants, and `ALL` of them in the order of declaration.
macro_rules! checks {
    ($($name:ident = $code:literal, $severity:ident, $meaning:literal, $fix:literal;)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $meaning)]
            pub const $name: $crate::finding::Check = $crate::finding::Check {
                code: $code,
                severity: $crate::finding::Severity::$severity,
                meaning: $meaning,
                fix: $fix,
            };
        )+

        /// Every check of this kind.
        pub const ALL: &[$crate::finding::Check] = &[$($name,)+];
    };
}
pub(crate) use checks;

/// The most characters of any text in a document or record: enough for a host name (RFC 1035: 253).
pub(crate) const TEXT_MAX: usize = 256;

/// Walks every text of a value: control characters (CR, LF and NUL could forge a SIP header) and length.
pub(crate) fn texts(
    value: &serde_json::Value,
    path: &str,
    found: &mut Vec<Finding>,
    control: &Check,
    long: &Check,
) {
    match value {
        serde_json::Value::String(text) => {
            if let Some(c) = text.chars().find(|c| c.is_control()) {
                found.push(control.at(path, format!("there is a {:?}", c)));
            }
            let length = text.chars().count();
            if length > TEXT_MAX {
                found.push(long.at(path, format!("{length} characters are more than {TEXT_MAX}")));
            }
        }
        serde_json::Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                texts(item, &format!("{path}[{at}]"), found, control, long);
            }
        }
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                texts(field, &path, found, control, long);
            }
        }
        _ => {}
    }
}

/// The name that was probably meant: the nearest by edits, if it is near enough.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let enough = 1 + given.chars().count() / 4;
    known.map(|k| (edits(given, k), k)).filter(|(n, _)| *n <= enough).min().map(|(_, k)| k)
}

/// Insertions, deletions and replacements between two words (Levenshtein), on at most 64 characters of each:
/// longer ones are no slip of a finger.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        let known = ["berlin", "hamburg", "cloud"];
        for (given, meant) in [
            ("berln", Some("berlin")),
            ("Berlin", Some("berlin")),
            ("cluod", Some("cloud")),
            ("x", None),
            ("munich", None),
        ] {
            assert_eq!(nearest(given, known.into_iter()), meant, "{given}");
        }
        assert_eq!(edits("kitten", "sitting"), 3);
    }
}
