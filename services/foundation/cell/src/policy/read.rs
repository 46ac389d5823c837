//! From files to documents, each checked.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_domain::document::policy::TenantDocument;
use tandem_domain::document::{KIND_DIRECTORY, KIND_TENANT};
use tandem_domain::id::{ListenerName, TenantName};
use tandem_domain::tenant::{Compiled, compile_document};
use tandem_runtime::document::{self, Diagnostic, Document, Limits, Source};

/// A file may hold directories beside policy; they are passed over, whatever their size.
const LIMITS: Limits = Limits { bytes: Limits::IMPORT.bytes, ..Limits::POLICY };

/// A tenant's document that compiled.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Where it is, to place what is found later.
    pub document: Document,
    /// Its tenant.
    pub name: TenantName,
    /// What it says.
    pub tenant: TenantDocument,
    /// What that means.
    pub compiled: Compiled,
}

/// A file as it was read last.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The documents that compiled.
    pub(super) good: Vec<Arc<Checked>>,
    /// The tenants that it names, also in documents that did not compile, and those that it named before it was
    /// invalid.
    pub(super) names: BTreeSet<TenantName>,
    /// It is not understood so far that all tenants which it names were known.
    pub(super) obscure: bool,
    /// What was found.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl File {
    /// Adds what is found of listeners that are none of these; where none are known nothing is.
    pub(super) fn look_for_listeners(&mut self, known: &[ListenerName]) {
        for checked in self.good.iter().filter(|_| !known.is_empty()) {
            let found = super::unknown_listeners(&checked.tenant.spec, known);
            self.diagnostics.extend(super::place(&checked.document, &found));
        }
    }
}

/// Checks one document of `kind: Tenant`: everything that is found, placed; and what it means if there is no error.
#[must_use]
pub fn check(document: &Document) -> (Option<Checked>, Vec<Diagnostic>) {
    let tenant: TenantDocument = match document.parse() {
        Ok(tenant) => tenant,
        Err(rejected) => return (None, rejected.0),
    };
    match compile_document(&tenant) {
        Ok(compiled) => {
            let diagnostics = super::place(document, &compiled.warnings);
            let name = compiled.config.name.clone();
            (Some(Checked { document: document.clone(), name, tenant, compiled }), diagnostics)
        }
        Err(findings) => (None, super::place(document, &findings)),
    }
}

/// What lies in a directory.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The files that may hold documents.
    pub(super) files: BTreeSet<PathBuf>,
    /// The tenants whose deletion is meant.
    pub(super) marked: BTreeSet<TenantName>,
}

/// Lists a directory.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn list(directory: &Path) -> io::Result<Listed> {
    let mut listed = Listed::default();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if let Some(name) = mark(&path) {
            listed.marked.insert(name);
        } else if counts(&path) && path.is_file() {
            listed.files.insert(path);
        }
    }
    Ok(listed)
}

/// The tenant that `NAME.deleted` names.
fn mark(path: &Path) -> Option<TenantName> {
    let name = path.file_name()?.to_str()?.strip_suffix(super::DELETED)?.strip_suffix('.')?;
    TenantName::parse(name).ok()
}

/// Whether a name is one of ours: `.yaml` or `.yml`, not hidden.
pub(super) fn counts(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// Reads files, and keeps of those that are invalid which tenants they named before.
pub(super) fn files(
    paths: impl IntoIterator<Item = PathBuf>,
    before: &BTreeMap<PathBuf, BTreeSet<TenantName>>,
) -> BTreeMap<PathBuf, File> {
    let one = |path: PathBuf| {
        let read = file(&path, before.get(&path));
        (path, read)
    };
    paths.into_iter().map(one).collect()
}

fn file(path: &Path, before: Option<&BTreeSet<TenantName>>) -> File {
    let mut read = File::default();
    match Source::read(path, LIMITS).and_then(|source| source.documents()) {
        Ok(documents) => documents.iter().for_each(|d| one_document(d, &mut read)),
        Err(rejected) => {
            read.obscure = true;
            read.diagnostics = rejected.0;
        }
    }
    let invalid = read.diagnostics.iter().any(|d| d.finding.severity == document::Severity::Error);
    if let Some(before) = before.filter(|_| invalid) {
        // What it named before, it is taken to name still.
        read.names.extend(before.iter().cloned());
        read.obscure = false;
    }
    read
}

fn one_document(document: &Document, read: &mut File) {
    match document.scalar("kind").as_deref() {
        Some(KIND_DIRECTORY) => return,
        Some(KIND_TENANT) => {}
        other => {
            let message =
                other.map_or_else(|| "no kind".to_owned(), |k| format!("{k:?} is no kind known here"));
            read.diagnostics.extend(document.place([document::Finding {
                severity: document::Severity::Error,
                path: "kind".to_owned(),
                message,
                fix: Some("write kind: Tenant or kind: Directory".to_owned()),
            }]));
        }
    }
    let (checked, diagnostics) = check(document);
    let name = match &checked {
        Some(checked) => Some(checked.name.clone()),
        None => document.scalar("metadata.name").and_then(|n| TenantName::parse(&n).ok()),
    };
    match name {
        Some(name) => {
            read.names.insert(name);
        }
        None => read.obscure = true,
    }
    read.diagnostics.extend(diagnostics);
    read.good.extend(checked.map(Arc::new));
}
