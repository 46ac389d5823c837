//! The lease that makes one writer of policy the only one.

use std::sync::Arc;

use tandem_domain::id::Revision;
use tandem_domain::record::{self, Kind, ProcessRecord, Record};
use tandem_store::{Commit, Durability, Error, Fence, Outcome, Precondition, SessionId, Until, claim, codec};

use crate::Cell;

/// Where the lease lies in `_cell`, among the processes.
pub(crate) const KEY: &str = "lease/policy";

/// The right to write, as long as the store accepts its token.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    /// The session that it hangs on.
    pub(super) session: SessionId,
    token: Revision,
}

impl Lease {
    /// What every commit of the writer asks of the store.
    pub(super) fn fence(&self) -> Precondition {
        Precondition::FenceIs(Fence { key: codec::key(Kind::Process, KEY), token: self.token })
    }
}

/// Takes the lease, if nobody has it.
///
/// # Errors
/// The store's.
pub(super) async fn take(cell: &Cell, session: SessionId) -> Result<Option<Lease>, Error> {
    let record = Record::Process(Arc::new(ProcessRecord {
        id: cell.session().process().to_owned(),
        role: "policy writer".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        formats: (u16::from(codec::VERSION), u16::from(codec::VERSION)),
        listeners: Vec::new(),
    }));
    let commit = Commit {
        tenant: record::cell(),
        id: cell.commit_id(),
        preconditions: vec![
            Precondition::Absent(codec::key(Kind::Process, KEY)),
            Precondition::SessionLives(session),
        ],
        writes: vec![claim(KEY, &record, Until::Session(session))],
        durability: Durability::Local,
        trace: None,
    };
    loop {
        match cell.store().commit(commit.clone()).await? {
            Outcome::Committed(token) => return Ok(Some(Lease { session, token })),
            Outcome::Refused(_) => return Ok(None),
            // The same commit id finds out what became of it.
            Outcome::Indeterminate(why) => tracing::debug!(%why, "asking again for the lease"),
        }
    }
}
