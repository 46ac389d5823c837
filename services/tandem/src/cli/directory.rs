//! `tandem directory`: the people of a tenant.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use tandem_proto::station::v1 as pb;
use tandem_runtime::document::{Diagnostic, Finding, Severity, render_all};
use tandem_runtime::exit::Exit;

use super::client::Server;
use super::{Global, answer, once};
use crate::process::import::{self, Imported, Wish};
use crate::show;

/// `tandem directory`.
#[derive(Debug, Subcommand)]
pub(crate) enum Directory {
    /// Import YAML of `kind: Directory` into a running Tandem.
    ///
    /// Entries that cannot be taken are named with their line and the others are imported; then the exit code is 1.
    #[command(after_long_help = "Examples:\n  tandem directory import directories/brandt.yaml --dry-run\n  \
        tandem directory import directories/brandt.yaml --replace")]
    Import {
        /// YAML files, or directories of such.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Check everything, change nothing.
        #[arg(long)]
        dry_run: bool,
        /// The directory becomes exactly these entries, all or nothing. Otherwise other entries stay.
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        server: Server,
    },
}

/// Does what `tandem directory` says.
pub(crate) fn run(directory: Directory, global: &Global) -> anyhow::Result<Exit> {
    let Directory::Import { files, dry_run, replace, server } = directory;
    let imported = once(async {
        let files = import::files(&files)?;
        let channel = server.connect().await?;
        let mut imported = Vec::new();
        for file in files {
            imported.extend(import::file(&channel, &file, Wish { dry_run, replace }).await?);
        }
        Ok(imported)
    })?;
    let answers = imported.iter().map(|done| {
        let response = show::json::message("tandem.station.v1.ImportDirectoryResponse", &done.response)?;
        Ok(json!({"file": done.path, "tenant": done.tenant.as_str(), "dryRun": dry_run, "response": response}))
    });
    let json = answers.collect::<anyhow::Result<Vec<_>>>()?;
    let color = global.stdout().color;
    answer(global, &json.into(), || {
        imported.iter().map(|done| report(done, dry_run, color)).collect::<Vec<_>>().join("\n\n")
    })?;
    let refused = imported.iter().any(|done| done.response.refused > 0);
    Ok(if refused { Exit::Failed } else { Exit::Ok })
}

/// What became of one document: what was found, and the sums.
pub(crate) fn report(done: &Imported, dry_run: bool, color: bool) -> String {
    let found = diagnostics(done);
    let mut text = render_all(&found, color);
    if !found.is_empty() {
        text.push_str("\n\n");
    }
    let pb::ImportDirectoryResponse { written, deleted, unchanged, refused, revision, .. } = &done.response;
    let at =
        if dry_run { "nothing was changed (--dry-run)".to_owned() } else { format!("revision {revision}") };
    text + &format!(
        "{}: {written} written, {deleted} deleted, {unchanged} unchanged, {refused} refused; {at}",
        done.tenant
    )
}

/// What station said of entries, placed in the file.
pub(crate) fn diagnostics(done: &Imported) -> Vec<Diagnostic> {
    let placed = |error: &pb::EntryError| {
        let finding = error.finding.clone().unwrap_or_default();
        let at = usize::try_from(error.index).ok().and_then(|index| done.entries.get(index));
        let entry = at.map_or("", String::as_str);
        let dot = if finding.field.is_empty() || entry.is_empty() { "" } else { "." };
        let severity = match finding.severity() {
            pb::finding::Severity::Warning => Severity::Warning,
            _ => Severity::Error,
        };
        Finding {
            severity,
            path: format!("{entry}{dot}{}", finding.field),
            message: format!("{}: {}", finding.code, finding.message),
            fix: (!finding.fix.is_empty()).then_some(finding.fix),
        }
    };
    let pb::ImportDirectoryResponse { errors, warnings, .. } = &done.response;
    done.document.place(errors.iter().chain(warnings).map(placed))
}
