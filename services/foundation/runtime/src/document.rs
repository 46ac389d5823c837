//! YAML with positions: parsed to a type, and every complaint placed as a compiler places it.
//!
//! ```text
//! tenants/acme.yaml:14:7: error: unknown field `srpt`
//!    |
//! 14 |       srpt: Required
//!    |       ^^^^
//!    = at spec.trunks[2].srpt
//!    = fix: did you mean `srtp`?
//! ```
//!
//! A text becomes a [`Source`], a source its [`Document`]s (`---` divides them), a document a value by
//! [`Document::parse`]. What is found wrong later, by rules that know the meaning and not the text, is a [`Finding`]
//! that names a field by path; [`Document::place`] finds where that is.
//!
//! Paths are written `spec.trunks[2].srtp`; a key that is no plain word stands in quotes:
//! `spec.users["a.b"].station`. A path that is not in the text (a field left out) is placed at the nearest one above
//! it that is.
//!
//! Invariants: the same file means the same to `kubectl apply`, so a number is not taken where text is wanted
//! (`extension: 0815` would arrive there as another number); text is never executed, included or interpolated; a file
//! cannot grow in memory by more than a constant: size, depth and aliases are limited, see [`Limits`]. Positions are
//! not kept but found again when there is something to place, so that a large import costs no map of itself.

mod place;
mod read;
mod render;
mod suggest;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use render::{render, render_all};
pub use suggest::did_you_mean;

/// What one text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole text.
    pub bytes: usize,
    /// Mappings and sequences within each other. Tandem's own documents stay below 10.
    pub depth: usize,
    /// Nodes that aliases (`*name`) may add, over a whole document: enough for a person's shorthand, too few for a
    /// bomb.
    pub alias_nodes: usize,
    /// Documents in one text.
    pub documents: usize,
}

impl Limits {
    /// Policy and configuration: a tenant's policy is at most 192 KiB, and a file may hold several.
    pub const POLICY: Self = Self { bytes: 4 * 1024 * 1024, depth: 32, alias_nodes: 1000, documents: 1000 };
    /// A directory to import: 100,000 users at some 500 bytes each.
    pub const IMPORT: Self = Self { bytes: 128 * 1024 * 1024, depth: 32, alias_nodes: 1000, documents: 1000 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::POLICY
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot be used so.
    Error,
    /// It can, but is likely not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something found wrong by a rule that knows a field's path and not its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The field: `spec.trunks[2].srtp`; empty for the whole document.
    pub path: String,
    /// What is wrong, lower case, no full stop.
    pub message: String,
    /// What would be right, if it can be said.
    pub fix: Option<String>,
}

/// A finding with its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// The file, as it was named to us.
    pub file: String,
    /// From 1; 0 when the text itself could not be had.
    pub line: usize,
    /// From 1, in characters; 0 as above.
    pub column: usize,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
    /// The line itself; empty when there is none.
    pub excerpt: String,
    /// What is wrong.
    #[serde(flatten)]
    pub finding: Finding,
}

impl fmt::Display for Diagnostic {
    /// As [`render`] without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render(self, false))
    }
}

/// Everything found wrong with a text; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected(pub Vec<Diagnostic>);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&render_all(&self.0, false))
    }
}

impl std::error::Error for Rejected {}

/// A text and the name it goes by. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    limits: Limits,
}

impl Source {
    /// Takes a text.
    ///
    /// # Errors
    ///
    /// When it is longer than `limits` allow.
    pub fn new(name: &str, text: impl Into<Arc<str>>, limits: Limits) -> Result<Self, Rejected> {
        let text = text.into();
        if text.len() > limits.bytes {
            return Err(too_large(name, limits));
        }
        Ok(Self { name: name.into(), text, limits })
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is not UTF-8, or is longer than `limits` allow; no more than that is ever read.
    pub fn read(path: &Path, limits: Limits) -> Result<Self, Rejected> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        let cap = u64::try_from(limits.bytes).unwrap_or(u64::MAX).saturating_add(1);
        let read = std::fs::File::open(path).and_then(|file| file.take(cap).read_to_end(&mut bytes));
        if let Err(error) = read {
            return Err(unplaced(&name, format!("cannot be read: {error}"), read_fix(error.kind())));
        }
        if bytes.len() > limits.bytes {
            return Err(too_large(&name, limits));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::new(&name, text, limits),
            Err(error) => Err(not_utf8(&name, error.as_bytes(), error.utf8_error().valid_up_to())),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The documents that hold something, in order. Documents of nothing but comments are left out.
    ///
    /// # Errors
    ///
    /// When the text is no YAML, holds no document, or goes over its limits.
    pub fn documents(&self) -> Result<Vec<Document>, Rejected> {
        let spans = place::split(&self.text, self.limits).map_err(|fault| self.rejected(fault))?;
        if spans.is_empty() {
            let fix = "write what is to be configured, or remove the file";
            return Err(unplaced(&self.name, "holds no document", Some(fix)));
        }
        Ok(spans.into_iter().map(|span| Document { source: self.clone(), span }).collect())
    }

    /// The only document.
    ///
    /// # Errors
    ///
    /// As [`documents`](Self::documents), and when there is more than one.
    pub fn document(&self) -> Result<Document, Rejected> {
        let mut documents = self.documents()?;
        match documents.pop() {
            Some(only) if documents.is_empty() => Ok(only),
            last => Err(Rejected(
                last.iter()
                    .map(|second| {
                        let finding = Finding {
                            severity: Severity::Error,
                            path: String::new(),
                            message: "a second document, where one is expected".to_owned(),
                            fix: Some("remove it, with the `---` before it".to_owned()),
                        };
                        self.at(place::Place { line: second.span.line, column: 1, width: 3 }, finding)
                    })
                    .collect(),
            )),
        }
    }

    fn rejected(&self, fault: place::Fault) -> Rejected {
        Rejected(vec![self.at(fault.place, fault.finding)])
    }

    fn at(&self, place: place::Place, finding: Finding) -> Diagnostic {
        let excerpt = self.text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
        Diagnostic {
            file: self.name.to_string(),
            line: place.line,
            column: place.column,
            width: place.width.max(1),
            excerpt: excerpt.to_owned(),
            finding,
        }
    }
}

/// One document of a source. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Document {
    source: Source,
    span: place::Section,
}

impl Document {
    /// The document's text, from its `---` on.
    pub fn text(&self) -> &str {
        &self.source.text[self.span.bytes.clone()]
    }

    /// The source it is part of.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The text of the scalar at `path`, as in `kind` or `metadata.name`: to choose the type before parsing. `None`
    /// when there is none.
    pub fn scalar(&self, path: &str) -> Option<String> {
        place::scalar(self.text(), path)
    }

    /// Reads the document as a `T`. Unknown fields are refused where `T` says `deny_unknown_fields`.
    ///
    /// # Errors
    ///
    /// The first thing that does not fit, with its place, path and fix.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Rejected> {
        read::read(self.text(), self.source.limits).map_err(|misfit| {
            let diagnostic = match misfit.place {
                Some(place) => self.source.at(place.down(self.span.line - 1), misfit.finding),
                None => self.place_one(misfit.finding, misfit.on),
            };
            Rejected(vec![diagnostic])
        })
    }

    /// Places findings, in the order of the text.
    pub fn place(&self, findings: impl IntoIterator<Item = Finding>) -> Vec<Diagnostic> {
        let findings: Vec<Finding> = findings.into_iter().collect();
        let wanted: Vec<(&str, place::On)> =
            findings.iter().map(|finding| (finding.path.as_str(), place::On::Value)).collect();
        let places = place::find(self.text(), &wanted);
        let mut placed: Vec<Diagnostic> = findings
            .into_iter()
            .zip(places)
            .map(|(finding, place)| self.source.at(place.down(self.span.line - 1), finding))
            .collect();
        placed.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
        placed
    }

    fn place_one(&self, finding: Finding, on: place::On) -> Diagnostic {
        let found = place::find(self.text(), &[(&finding.path, on)]);
        let place = found.into_iter().next().unwrap_or_default();
        self.source.at(place.down(self.span.line - 1), finding)
    }
}

fn unplaced(name: &str, message: impl Into<String>, fix: Option<&str>) -> Rejected {
    let finding = Finding {
        severity: Severity::Error,
        path: String::new(),
        message: message.into(),
        fix: fix.map(str::to_owned),
    };
    let file = name.to_owned();
    Rejected(vec![Diagnostic { file, line: 0, column: 0, width: 1, excerpt: String::new(), finding }])
}

fn too_large(name: &str, limits: Limits) -> Rejected {
    let message = format!("is larger than {} KiB, the most that is taken", limits.bytes / 1024);
    unplaced(name, message, Some("divide it into several files"))
}

fn read_fix(kind: std::io::ErrorKind) -> Option<&'static str> {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::NotFound => Some("check the path"),
        ErrorKind::PermissionDenied => Some("let this user read it"),
        ErrorKind::IsADirectory => Some("give a file"),
        _ => None,
    }
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize) -> Rejected {
    let good = String::from_utf8_lossy(&bytes[..valid]);
    let line = good.matches('\n').count() + 1;
    let last = good.rsplit('\n').next().unwrap_or_default();
    let mut rejected = unplaced(name, "is not UTF-8 from here on", Some("save it as UTF-8"));
    for diagnostic in &mut rejected.0 {
        (diagnostic.line, diagnostic.column) = (line, last.chars().count() + 1);
        diagnostic.excerpt = last.to_owned();
    }
    rejected
}

#[cfg(test)]
mod tests;
