//! `tandem directory`: the people of a tenant.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use tandem_proto::station::v1 as pb;
use tandem_runtime::document::{Diagnostic, Finding, Severity, render_all};
use tandem_runtime::exit::Exit;

use super::client::Server;
use super::{Global, answer, once};
use crate::failure::Input;
use crate::process::import::{self, Imported, Wish};
use crate::show;

/// `tandem directory`.
#[derive(Debug, Subcommand)]
pub(crate) enum Directory {
    /// Import YAML of `kind: Directory` into a running Tandem.
    ///
    /// Entries that cannot be taken are named with their line and the others are imported; then the exit code is 1. A
    /// file that is not of this shape (a field that is missing, or that nobody knows) is refused whole.
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
            let found = import::file(&channel, &file, Wish { dry_run, replace }, |_| true).await?.imported;
            if found.is_empty() {
                let why = format!("{}: no document of kind: Directory", file.display());
                return Err(Input(why).into());
            }
            imported.extend(found);
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
    if let Some(more) = usize::try_from(*refused).ok().and_then(|n| n.checked_sub(done.response.errors.len()))
        && more > 0
    {
        text.push_str(&format!(
            "{more} more were refused and are not shown; mend these and import again\n\n"
        ));
    }
    text + &format!(
        "{}: {written} written, {deleted} deleted, {unchanged} unchanged, {refused} refused; {at}",
        done.tenant
    )
}

/// What station said of entries, placed in the file.
pub(crate) fn diagnostics(done: &Imported) -> Vec<Diagnostic> {
    let placed = |error: &pb::EntryError, severity: Severity| {
        let finding = error.finding.clone().unwrap_or_default();
        let at = usize::try_from(error.index).ok().and_then(|index| done.entries.get(index));
        let entry = at.map_or("", String::as_str);
        let dot = if finding.field.is_empty() || entry.is_empty() { "" } else { "." };
        Finding {
            severity,
            path: format!("{entry}{dot}{}", finding.field),
            message: format!("{}: {}", finding.code, finding.message),
            fix: (!finding.fix.is_empty()).then_some(finding.fix),
        }
    };
    let pb::ImportDirectoryResponse { errors, warnings, .. } = &done.response;
    // What is wrong with an entry that was taken is no error of the import: half-configured people are a normal state.
    let refused = errors.iter().map(|error| placed(error, Severity::Error));
    done.document.place(refused.chain(warnings.iter().map(|error| placed(error, Severity::Warning))))
}
