//! Imports: entries in, a plan, commits.
//!
//! An import is read whole before anything is written: what is wrong with one entry must be known before a `REPLACE`
//! may begin, and a plan is made against one state of the directory. Then the import takes the tenant's lease, so
//! that no other changes what it planned against, plans, and commits: a `MERGE` in commits of at most 512 writes, in
//! the order of the stream; a `REPLACE` as one change that readers see whole, staged where it is larger than that.
//!
//! An import that fails half way says so. Sent again with the same request id it goes on: what was written already
//! is found unchanged.

mod plan;
mod read;
mod write;

use std::sync::Arc;
use std::time::Duration;

use tandem_cell::Cell;
use tandem_domain::id::TenantId;
use tandem_domain::view::TenantView;
use tandem_proto::station::v1 as pb;
use tandem_runtime::drain::Drain;
use tandem_wire::name;
use tandem_wire::request::{ImportHeader, read_import_header};
use tandem_wire::status::{Reason, Refusal};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use plan::Entry;
use read::Entries;

/// How long an import without a deadline may wait for its turn and for the view.
const WAIT: Duration = Duration::from_secs(60);
/// When it is worth to come again for what is limited in number.
const AGAIN: Duration = Duration::from_secs(1);

/// What imports share.
#[derive(Debug)]
pub(crate) struct Imports {
    cell: Cell,
    drain: Drain,
    places: Arc<Semaphore>,
    kept: write::Kept,
}

/// An import that was read.
#[derive(Debug)]
struct Import {
    tenant: TenantId,
    /// As the caller wrote it.
    parent: String,
    header: ImportHeader,
    entries: Vec<Entry>,
    refused: Vec<plan::Refused>,
    /// What tells it from another with the same request id.
    fingerprint: u128,
}

impl Imports {
    pub(crate) fn new(cell: Cell, drain: Drain, max: usize) -> Self {
        Self { cell, drain, places: Arc::new(Semaphore::new(max)), kept: write::Kept::default() }
    }

    /// Reads, plans and, unless it is a dry run, writes.
    ///
    /// # Errors
    /// A refusal of the whole import; what is wrong with an entry is part of the answer.
    pub(crate) async fn run(
        &self,
        subject: &str,
        mut stream: Streaming<pb::ImportDirectoryRequest>,
        find: impl Fn(&str) -> Result<Arc<TenantView>, Refusal>,
        deadline: Option<Instant>,
    ) -> Result<pb::ImportDirectoryResponse, Status> {
        let first = read::message(&mut stream, &self.drain).await?;
        let header = read_import_header(first.and_then(|m| m.item))?;
        let tenant = find(&header.parent)?;
        let _place = self.places.try_acquire().map_err(|_| {
            Refusal::quota(&header.parent, "as many imports as this process takes at once", Some(AGAIN))
        })?;
        let read = Entries::read(&mut stream, &self.drain, tenant.id(), &header).await?;
        let import = Import {
            tenant: tenant.id().clone(),
            parent: header.parent.clone(),
            header,
            entries: read.entries,
            refused: read.refused,
            fingerprint: read.fingerprint,
        };
        let until = deadline.unwrap_or_else(|| Instant::now() + WAIT);
        let answer = if import.header.dry_run {
            let shown = self.cell.view().snapshot();
            open(&shown.view, &import)?;
            // The answer of a plan that nothing is done about.
            let (_, plan) = plan::make(shown, import).await?;
            plan.answer
        } else {
            write::apply(&self.cell, &self.kept, import, until).await?
        };
        tracing::info!(
            tenant = %tenant.id(), subject, revision = answer.revision, written = answer.written,
            deleted = answer.deleted, unchanged = answer.unchanged, refused = answer.refused, "directory imported"
        );
        Ok(answer)
    }
}

/// Whether a tenant takes imports.
fn open(view: &tandem_domain::view::View, import: &Import) -> Result<(), Refusal> {
    let gone = || Refusal::not_found("Tenant", &import.parent);
    let tenant = view.tenant_by_id(&import.tenant).ok_or_else(gone)?;
    if tenant.is_deleting() {
        return Err(Refusal::new(
            Reason::TenantDeleting,
            format!("{} is being deleted", name::tenant(&import.tenant.name)),
        ));
    }
    if tenant.config().is_none() {
        let first = "no policy was accepted yet; save the tenant's policy first";
        return Err(Refusal::precondition("POLICY", &import.parent, first));
    }
    Ok(())
}
