//! Users as they are, then as they change.
//!
//! A watch is pulled by its reader: what changed while the reader was busy is kept once a user, the latest state
//! only. What the reader leaves for longer than the follower keeps changes begins anew with a `Restart`.
//!
//! An event's user is as the revision of the event has it, findings included. Findings that come or go because of
//! another record are told with the user's own next change: a watch tells users, not what is thought of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tandem_cell::Cell;
use tandem_cell::follower::{Batch, Lagged, Scope, Snapshot, Subscription};
use tandem_domain::document::directory::User;
use tandem_domain::id::{Revision, TenantId, UserId};
use tandem_domain::record::{Change, Kind, Record};
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::watch_users_response::{Bookmark, Event, InitialEnd, Restart};
use tandem_runtime::drain::Drain;
use tandem_wire::name;
use tandem_wire::status::Refusal;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use crate::user;

/// How long nothing may be said.
const BOOKMARK_EVERY: Duration = Duration::from_secs(30);

type Item = Result<pb::WatchUsersResponse, Status>;

/// The stream of a watch. `place` is given back when it ends.
pub(crate) fn users(
    cell: &Cell,
    drain: Drain,
    tenant: TenantId,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Item> + Send + use<> {
    let (shown, changes) = cell.view().subscribe(Scope::Tenant(tenant.clone()));
    let mut watch = Watch {
        cell: cell.clone(),
        drain,
        tenant,
        changes,
        revision: Revision(0),
        snapshot: VecDeque::new(),
        initial: true,
        pending: BTreeMap::new(),
        ended: false,
        _place: place,
    };
    watch.begin(&shown);
    unfold(watch, |mut watch| async move { watch.next().await.map(|item| (item, watch)) })
}

struct Watch {
    cell: Cell,
    drain: Drain,
    tenant: TenantId,
    changes: Subscription,
    /// What was taken from `changes` last.
    revision: Revision,
    /// What is still to be told of the snapshot.
    snapshot: VecDeque<Arc<User>>,
    /// Whether the end of the snapshot is still to be told.
    initial: bool,
    /// What changed since, and is not told yet: the latest state of each user.
    pending: BTreeMap<UserId, Option<Arc<User>>>,
    ended: bool,
    _place: OwnedSemaphorePermit,
}

impl Watch {
    /// Begins with a snapshot.
    fn begin(&mut self, shown: &Snapshot) {
        self.pending.clear();
        self.initial = true;
        let Some(tenant) = shown.view.tenant_by_id(&self.tenant) else { return };
        let mut users: Vec<Arc<User>> = tenant.users().cloned().collect();
        users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.snapshot = users.into();
        self.revision = tenant.revision();
    }

    async fn next(&mut self) -> Option<Item> {
        if self.ended {
            return None;
        }
        if let Some(user) = self.snapshot.pop_front() {
            return Some(Ok(self.upsert(&user)));
        }
        if std::mem::take(&mut self.initial) {
            return Some(Ok(self.event(Event::InitialEnd(InitialEnd {}))));
        }
        loop {
            // All that waits is taken first, so that what changed twice is told once.
            loop {
                match self.changes.try_next() {
                    Ok(Some(batch)) => self.take(&batch),
                    Ok(None) => break,
                    Err(Lagged) => return Some(self.start_anew()),
                }
                if self.ended {
                    return Some(Err(self.gone()));
                }
            }
            if let Some((id, user)) = self.pending.pop_first() {
                return Some(Ok(match user {
                    Some(user) => self.upsert(&user),
                    None => self.event(Event::Delete(name::user(&self.tenant.name, &id))),
                }));
            }
            let clock = self.cell.clock().clone();
            tokio::select! {
                batch = self.changes.next() => match batch {
                    Ok(batch) => self.take(&batch),
                    Err(Lagged) => return Some(self.start_anew()),
                },
                () = clock.sleep(BOOKMARK_EVERY) => return Some(Ok(self.event(Event::Bookmark(Bookmark {})))),
                () = self.drain.draining() => {
                    self.ended = true;
                    return Some(Ok(self.event(Event::Bookmark(Bookmark {}))));
                }
            }
            if self.ended {
                return Some(Err(self.gone()));
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        if batch.tenant == self.tenant {
            self.revision = self.revision.max(batch.revision);
        }
        batch.changes.iter().for_each(|change| self.note(change));
    }

    fn note(&mut self, change: &Change) {
        match (change.kind, &change.record) {
            (Kind::User, Some(Record::User(user))) => {
                self.pending.insert(user.id.clone(), Some(Arc::clone(user)));
            }
            (Kind::User, None) => {
                if let Ok(id) = UserId::parse(&change.key) {
                    self.pending.insert(id, None);
                }
            }
            (Kind::Tenant, Some(Record::Tenant(born))) => self.ended |= born.tenant != self.tenant,
            (Kind::Tenant, _) => self.ended = true,
            _ => {}
        }
    }

    fn start_anew(&mut self) -> Item {
        let (shown, changes) = self.cell.view().subscribe(Scope::Tenant(self.tenant.clone()));
        self.changes = changes;
        if shown.view.tenant_by_id(&self.tenant).is_none() {
            return Err(self.gone());
        }
        self.begin(&shown);
        Ok(self.event(Event::Restart(Restart {})))
    }

    /// The tenant is no more, or another bears its name.
    fn gone(&mut self) -> Status {
        self.ended = true;
        Refusal::not_found("Tenant", &name::tenant(&self.tenant.name)).into()
    }

    fn upsert(&self, user: &Arc<User>) -> pb::WatchUsersResponse {
        let shown = self.cell.view().load();
        let message = match shown.view.tenant_by_id(&self.tenant) {
            Some(tenant) => pb::User { revision: self.revision.0, ..user::message(tenant, user) },
            // Gone meanwhile: the end follows.
            None => tandem_wire::directory::user(&self.tenant.name, user),
        };
        self.event(Event::Upsert(message))
    }

    fn event(&self, event: Event) -> pb::WatchUsersResponse {
        pb::WatchUsersResponse { event: Some(event), revision: self.revision.0 }
    }
}
