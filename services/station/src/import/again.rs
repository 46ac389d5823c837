//! Directories that the store has lost, written again by the processes that remember them.
//!
//! A store that was emptied has no directory, and the station service is its only writer: as owners assert their
//! sessions again, it asserts what it shows. Under the lease of the tenant's imports, so that no import comes between,
//! and as one change, so that nobody sees half of it.

use std::sync::Arc;
use std::time::Duration;

use tandem_cell::Cell;
use tandem_cell::follower::records;
use tandem_domain::id::Revision;
use tandem_domain::record::Kind;
use tandem_domain::view::TenantView;
use tandem_runtime::drain::Drain;
use tandem_store::put;
use tandem_wire::status::Refusal;
use tokio::time::Instant;

use super::write::{Writer, refusal};
use crate::service::Service;

/// How long the lease of one tenant, and its directory, may take.
const WITHIN: Duration = Duration::from_secs(60);
/// How soon it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Writes lost directories again for as long as the process serves.
pub(crate) async fn run(service: Service, cell: Cell, drain: Drain) {
    let writing = async {
        loop {
            cell.view().until(|| !cell.view().lost_directories().is_empty()).await;
            for tenant in cell.view().lost_directories() {
                match one(&cell, &tenant).await {
                    Ok(true) => service.counts().again.add(1),
                    Ok(false) => {}
                    Err(why) => {
                        tracing::warn!(tenant = %tenant.id(), why = why.message(), "a lost directory cannot be written now")
                    }
                }
            }
            cell.clock().sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = writing => {}
        () = drain.draining() => {}
    }
}

/// Whether it was for this process to write.
async fn one(cell: &Cell, tenant: &TenantView) -> Result<bool, Refusal> {
    let mut writer = Writer::new(cell, tenant.id(), Instant::now() + WITHIN);
    writer.take_lease().await?;
    let done = match writer.policy().await {
        Ok(Some(version)) => writer.write_lost(version).await,
        other => other.map(|_| false),
    };
    writer.give_back().await;
    writer.end().await;
    done
}

/// The tenant as this process shows it, if the store lacks its directory.
fn lost(cell: &Cell, writer: &Writer<'_>) -> Option<Arc<TenantView>> {
    cell.view().lost_directories().into_iter().find(|t| t.id() == writer.tenant)
}

impl Writer<'_> {
    /// The version of the tenant's policy.
    pub(super) async fn policy(&self) -> Result<Option<Revision>, Refusal> {
        let policy = self.cell.store().get(self.tenant, Kind::Policy, "").await.map_err(refusal)?;
        Ok(policy.map(|p| p.stored.version))
    }

    /// Writes the directory again, if the store lacks it: whether it did. The lease is held, and kept.
    pub(super) async fn write_lost(&self, policy: Revision) -> Result<bool, Refusal> {
        // Whatever was written before the lease was taken is shown: another process may have done it.
        self.shown(policy.max(self.token)).await?;
        let Some(tenant) = lost(self.cell, self) else { return Ok(false) };
        let directory = records(&tenant).filter(|(kind, ..)| *kind != Kind::Policy);
        let writes: Vec<_> = directory.map(|(_, key, record)| put(&key, &record)).collect();
        let records = writes.len();
        let revision = self.commit_whole(policy, writes).await?;
        self.shown(revision).await?;
        tracing::warn!(tenant = %self.tenant, records, "a directory that the store had lost is written again");
        Ok(true)
    }
}
