//! Imports: entries in, a plan, commits.
//!
//! An import is read whole before anything is written: what is wrong with one entry must be known before a `REPLACE`
//! may begin, and a plan is made against one state of the directory. Then the import takes the tenant's lease, so
//! that no other changes what it planned against, plans, and commits: a `MERGE` in commits of at most 512 writes, in
//! the order of the stream; a `REPLACE` as one change that readers see whole, staged where it is larger than that.
//!
//! Of one tenant one import is read at a time; the others of that tenant wait for their turn. What all imports keep in
//! memory is bounded by bytes, and each must be sent within [`read::SENT_WITHIN`]: so neither one tenant nor one that
//! sends slowly keeps others from importing.
//!
//! An import that fails half way says so. Sent again with the same request id it goes on: what was written already
//! is found unchanged.

mod again;
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

pub(crate) use again::run as write_again;
use plan::Entry;
use read::{Entries, Reader};

use crate::config::{Config, Limits};
use crate::share::Places;

/// How long an import without a deadline may wait for its turn and for the view.
const WAIT: Duration = Duration::from_secs(60);
/// The most imports of one tenant that wait for their turn, the one that is read among them.
const WAITING_MAX: usize = 8;
/// When it is worth to come again for what is limited in number.
const AGAIN: Duration = Duration::from_secs(1);

/// What imports share.
#[derive(Debug)]
pub(crate) struct Imports {
    cell: Cell,
    drain: Drain,
    /// Of each tenant: one that is read, and those that wait.
    tenants: Places,
    places: Arc<Semaphore>,
    room: Arc<Semaphore>,
    limits: Limits,
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
    limits: Limits,
}

impl Imports {
    pub(crate) fn new(cell: Cell, drain: Drain, config: &Config) -> Self {
        Self {
            cell,
            drain,
            tenants: Places::new(WAITING_MAX),
            places: Arc::new(Semaphore::new(config.imports_max)),
            room: Arc::new(Semaphore::new(config.imports_bytes_max)),
            limits: config.limits,
            kept: write::Kept::default(),
        }
    }

    /// Reads, plans and, unless it is a dry run, writes.
    ///
    /// # Errors
    /// A refusal of the whole import; what is wrong with an entry is part of the answer.
    pub(crate) async fn run(
        &self,
        subject: &str,
        stream: Streaming<pb::ImportDirectoryRequest>,
        find: impl Fn(&str) -> Result<Arc<TenantView>, Refusal>,
        deadline: Option<Instant>,
    ) -> Result<pb::ImportDirectoryResponse, Status> {
        let mut reader = Reader::new(stream, &self.cell, &self.drain, Arc::clone(&self.room));
        let first = reader.next().await?;
        let header = read_import_header(first.and_then(|m| m.item))?;
        let tenant = find(&header.parent)?;
        let until = deadline.unwrap_or_else(|| Instant::now() + WAIT);
        let full = |words| Refusal::quota(&header.parent, words, Some(AGAIN));
        let waiting = self.tenants.take(tenant.id());
        let waiting = waiting.ok_or_else(|| full("as many imports of one tenant as wait for their turn"))?;
        let _turn = tokio::select! {
            turn = tokio::time::timeout_at(until, waiting.turn()) => {
                turn.map_err(|_| full("another import of this tenant is being read"))?
            }
            () = self.drain.draining() => return Err(read::draining().into()),
        };
        let _place = self.places.try_acquire();
        let _place = _place.map_err(|_| full("as many imports as this process takes at once"))?;
        reader.begin();
        let read = Entries::read(&mut reader, tenant.id(), &header, self.limits).await?;
        let import = Import {
            tenant: tenant.id().clone(),
            parent: header.parent.clone(),
            header,
            entries: read.entries,
            refused: read.refused,
            fingerprint: read.fingerprint,
            limits: self.limits,
        };
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
