//! Users as they are, then as they change.
//!
//! A watch is pulled by its reader: what changed while the reader was busy is kept once a user, the latest state
//! only. What the reader leaves for longer than the follower keeps changes begins anew with a `Restart`.
//!
//! An event's user is as the revision of the event has it, findings included: a watch keeps the tenant as the changes
//! that it took have left it. Findings that come or go because of
//! another record are told with the user's own next change: a watch tells users, not what is thought of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tandem_cell::Cell;
use tandem_cell::follower::{Batch, Lagged, Scope, Subscription};
use tandem_domain::document::directory::User;
use tandem_domain::id::{Revision, TenantId, UserId};
use tandem_domain::record::{Change, Kind, Record};
use tandem_domain::view::TenantView;
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::watch_users_response::{Bookmark, Event, InitialEnd, Restart};
use tandem_runtime::drain::Drain;
use tandem_wire::name;
use tandem_wire::status::Refusal;
use tokio::sync::OwnedSemaphorePermit;
use tonic::Status;

use crate::share::Place;
use crate::user;

/// How long nothing may be said.
const BOOKMARK_EVERY: Duration = Duration::from_secs(30);

type Item = Result<pb::WatchUsersResponse, Status>;

/// The stream of a watch. `places` are given back when it ends.
///
/// # Errors
/// The tenant went away meanwhile.
pub(crate) fn users(
    cell: &Cell,
    drain: Drain,
    tenant: TenantId,
    places: (OwnedSemaphorePermit, Place),
) -> Result<impl Stream<Item = Item> + Send + use<>, Refusal> {
    let (snapshot, changes) = cell.view().subscribe(Scope::Tenant(tenant.clone()));
    // Its end may have been told before this subscribed.
    let Some(shown) = snapshot.view.tenant_by_id(&tenant).cloned() else {
        return Err(gone(&tenant));
    };
    let mut watch = Watch {
        cell: cell.clone(),
        drain,
        tenant,
        changes,
        revision: Revision(0),
        shown,
        snapshot: VecDeque::new(),
        initial: true,
        pending: BTreeMap::new(),
        ended: false,
        _places: places,
    };
    watch.begin();
    Ok(unfold(watch, |mut watch| async move { watch.next().await.map(|item| (item, watch)) }))
}

struct Watch {
    cell: Cell,
    drain: Drain,
    tenant: TenantId,
    changes: Subscription,
    /// What was taken from `changes` last.
    revision: Revision,
    /// The tenant at that revision.
    shown: Arc<TenantView>,
    /// What is still to be told of the snapshot.
    snapshot: VecDeque<Arc<User>>,
    /// Whether the end of the snapshot is still to be told.
    initial: bool,
    /// What changed since, and is not told yet: the latest state of each user.
    pending: BTreeMap<UserId, Option<Arc<User>>>,
    ended: bool,
    _places: (OwnedSemaphorePermit, Place),
}

impl Watch {
    /// Begins with the tenant as it is shown.
    fn begin(&mut self) {
        self.pending.clear();
        self.initial = true;
        let mut users: Vec<Arc<User>> = self.shown.users().cloned().collect();
        users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        self.snapshot = users.into();
        self.revision = self.shown.revision();
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
            self.shown = batch.shown.clone().unwrap_or_else(|| Arc::clone(&self.shown));
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
        let (snapshot, changes) = self.cell.view().subscribe(Scope::Tenant(self.tenant.clone()));
        self.changes = changes;
        let Some(shown) = snapshot.view.tenant_by_id(&self.tenant) else { return Err(self.gone()) };
        self.shown = Arc::clone(shown);
        self.begin();
        Ok(self.event(Event::Restart(Restart {})))
    }

    /// The tenant is no more, or another bears its name.
    fn gone(&mut self) -> Status {
        self.ended = true;
        gone(&self.tenant).into()
    }

    fn upsert(&self, user: &Arc<User>) -> pb::WatchUsersResponse {
        self.event(Event::Upsert(pb::User { revision: self.revision.0, ..user::message(&self.shown, user) }))
    }

    fn event(&self, event: Event) -> pb::WatchUsersResponse {
        pb::WatchUsersResponse { event: Some(event), revision: self.revision.0 }
    }
}

fn gone(tenant: &TenantId) -> Refusal {
    Refusal::not_found("Tenant", &name::tenant(&tenant.name))
}

#[cfg(test)]
mod tests {
    use tandem_domain::id::{Incarnation, TenantName};
    use tandem_runtime::clock::{Chance, Clock};
    use tandem_runtime::drain::Life;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::share::Places;

    #[tokio::test]
    async fn a_tenant_that_went_away_before_the_watch_began_is_not_watched_for_ever() {
        let life = Life::new();
        let settings = tandem_cell::Settings::memory("station");
        let cell = Cell::open(&life, Clock::machine(), Chance::seeded(1), settings).await.unwrap();
        cell.view().synchronised().await;
        // It was there when the request was looked at; its end was told before anybody listened for it.
        let tenant = TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(1) };
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let places = (place, Places::new(1).take(&tenant).unwrap());
        let refused = users(&cell, life.drain.clone(), tenant, places).err().expect("refused");
        assert_eq!(Status::from(refused).code(), tonic::Code::NotFound);
    }
}
