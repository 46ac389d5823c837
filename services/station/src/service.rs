//! Gathers what is asked for from the view; imports and watches have modules of their own.

use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tandem_cell::Cell;
use tandem_cell::follower::Snapshot;
use tandem_domain::document::directory::User;
use tandem_domain::id::Revision;
use tandem_domain::view::TenantView;
use tandem_proto::station::v1 as pb;
use tandem_runtime::drain::Drain;
use tandem_runtime::serve::Deadline;
use tandem_wire::caller::Caller;
use tandem_wire::name;
use tandem_wire::page::{self, Key, List, Signer};
use tandem_wire::request::{ResolveKey, read_resolve_key};
use tandem_wire::status::{Reason, Refusal};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tonic::{Status, Streaming};

use crate::config::Config;
use crate::import::Imports;
use crate::{user, watch};

/// How long a caller without a deadline waits for `min_revision`.
const WAIT: Duration = Duration::from_secs(5);
/// When it is worth to come again for what is limited in number.
const AGAIN: Duration = Duration::from_secs(1);

/// What every handler shares.
#[derive(Clone, Debug)]
pub(crate) struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cell: Cell,
    drain: Drain,
    signer: Signer,
    imports: Imports,
    watchers: Arc<Semaphore>,
}

impl Service {
    pub(crate) fn new(cell: Cell, drain: Drain, config: &Config) -> Self {
        let key = config.page_key.unwrap_or_else(|| {
            let mut bytes = [0; 32];
            cell.chance().fill(&mut bytes);
            bytes
        });
        let imports = Imports::new(cell.clone(), drain.clone(), config.imports_max);
        let watchers = Arc::new(Semaphore::new(config.watchers_max));
        Self(Arc::new(Inner { cell, drain, signer: Signer::new(Key::new(key), None), imports, watchers }))
    }

    /// The tenant that a request names, as its caller may see it, at the revision that it asks for at least.
    async fn tenant(
        &self,
        caller: &Caller,
        (field, parent): (&str, &str),
        min_revision: u64,
        deadline: Option<Deadline>,
    ) -> Result<Arc<TenantView>, Refusal> {
        let view = self.0.cell.view();
        self.ready()?;
        let find = |snapshot: &Snapshot| caller.tenant(field, parent, |t| snapshot.view.tenant(t).cloned());
        let tenant = find(&view.load())?;
        if min_revision == 0 || view.reached(tenant.id()).0 >= min_revision {
            // Loaded again: it must show what was reached.
            return find(&view.load());
        }
        let until = deadline.map_or_else(|| Instant::now() + WAIT, |d| d.at());
        let waited = view.wait_for(tenant.id(), Revision(min_revision), until).await;
        let snapshot = waited.map_err(|late| Refusal::new(Reason::RevisionNotReached, late.to_string()))?;
        find(&snapshot)
    }

    fn ready(&self) -> Result<(), Refusal> {
        let not_ready =
            || Refusal::new(Reason::ViewNotReady, "the view is not synchronised yet; ask another replica");
        if self.0.cell.view().is_synchronised() { Ok(()) } else { Err(not_ready()) }
    }

    /// One user by name.
    pub(crate) async fn get(
        &self,
        caller: &Caller,
        request: &pb::GetUserRequest,
        deadline: Option<Deadline>,
    ) -> Result<pb::User, Refusal> {
        let (tenant, id) = name::parse_user("name", &request.name)?;
        let parent = name::tenant(&tenant);
        let tenant = self.tenant(caller, ("name", &parent), request.min_revision, deadline).await?;
        let found = tenant.user(id.as_str());
        found.map(|u| user::message(&tenant, u)).ok_or_else(|| Refusal::not_found("User", &request.name))
    }

    /// One user by what they are known by.
    pub(crate) async fn resolve(
        &self,
        caller: &Caller,
        request: pb::ResolveUserRequest,
        deadline: Option<Deadline>,
    ) -> Result<pb::User, Refusal> {
        let key = read_resolve_key(request.key)?;
        let tenant = self.tenant(caller, ("parent", &request.parent), request.min_revision, deadline).await?;
        let (found, asked) = match &key {
            ResolveKey::SipAddress(address) => (tenant.user_by_sip(address), address.as_str()),
            ResolveKey::CicUserId(id) => (tenant.user_by_cic(id), id.as_str()),
            ResolveKey::Number(text) => {
                let number = tenant.config().and_then(|config| user::number(config, text));
                (number.and_then(|n| user::of_number(&tenant, n)), text.as_str())
            }
            ResolveKey::Station(id) => (tenant.user_by_station(id.as_str()), id.as_str()),
        };
        found.map(|u| user::message(&tenant, u)).ok_or_else(|| Refusal::not_found("User", asked))
    }

    /// A page of users in the order of their ids. A page is of one snapshot; the next one is of its own moment, and
    /// goes on after the last id: who is there all the time is listed once.
    pub(crate) async fn list(
        &self,
        caller: &Caller,
        request: &pb::ListUsersRequest,
        deadline: Option<Deadline>,
    ) -> Result<pb::ListUsersResponse, Refusal> {
        let size = page::size(request.page_size)?;
        let tenant = self.tenant(caller, ("parent", &request.parent), request.min_revision, deadline).await?;
        let filter = if request.only_with_findings { "findings=only" } else { "findings=any" };
        let list = List {
            tenant: tenant.id(),
            caller: caller.subject(),
            method: "/tandem.station.v1.Directory/ListUsers",
            filter: &[filter],
        };
        let position = self.0.signer.read(list, &request.page_token)?;
        let after = position.and_then(|p| String::from_utf8(p).ok());
        let (users, more) = if request.only_with_findings {
            // Looks at every user in turn until the page is full: not on a thread that others wait for.
            let tenant = Arc::clone(&tenant);
            let looked = tokio::task::spawn_blocking(move || found(&tenant, after.as_deref(), size));
            looked.await.map_err(|_| Refusal::internal())?
        } else {
            next(&tenant, after.as_deref(), size)
        };
        let last = users.last().filter(|_| more).map(|u| u.id.as_str().as_bytes());
        Ok(pb::ListUsersResponse {
            next_page_token: last.map(|at| self.0.signer.sign(list, at)).unwrap_or_default(),
            users: users.iter().map(|u| user::message(&tenant, u)).collect(),
            revision: tenant.revision().0,
        })
    }

    /// Users as they are, then as they change.
    pub(crate) fn watch(
        &self,
        caller: &Caller,
        request: &pb::WatchUsersRequest,
    ) -> Result<impl Stream<Item = Result<pb::WatchUsersResponse, Status>> + Send + use<>, Refusal> {
        self.ready()?;
        let shown = self.0.cell.view().load();
        let find = |t| shown.view.tenant(t).map(|t| t.id().clone());
        let tenant = caller.tenant("parent", &request.parent, find)?;
        let place = Arc::clone(&self.0.watchers).try_acquire_owned().map_err(|_| {
            Refusal::quota(&request.parent, "as many watches as this process serves", Some(AGAIN))
        })?;
        Ok(watch::users(&self.0.cell, self.0.drain.clone(), tenant, place))
    }

    /// An import; see [`crate::import`].
    pub(crate) async fn import(
        &self,
        caller: &Caller,
        stream: Streaming<pb::ImportDirectoryRequest>,
        deadline: Option<Deadline>,
    ) -> Result<pb::ImportDirectoryResponse, Status> {
        self.ready()?;
        let find = |parent: &str| {
            let shown = self.0.cell.view().snapshot();
            caller.tenant("header.parent", parent, |t| shown.view.tenant(t).cloned())
        };
        let until = deadline.map(|d| d.at());
        self.0.imports.run(caller.subject(), stream, find, until).await
    }
}

/// The `size` users after an id, and whether there are more. One pass over all, whatever the order of the view.
fn next(tenant: &TenantView, after: Option<&str>, size: usize) -> (Vec<Arc<User>>, bool) {
    // The greatest of those kept is on top: it goes when a smaller one comes.
    let mut kept: BinaryHeap<ById> = BinaryHeap::with_capacity(size + 1);
    let mut more = false;
    for user in tenant.users().filter(|u| after.is_none_or(|after| u.id.as_str() > after)) {
        if kept.len() < size {
            kept.push(ById(Arc::clone(user)));
        } else {
            more = true;
            if kept.peek().is_some_and(|top| user.id < top.0.id) {
                kept.pop();
                kept.push(ById(Arc::clone(user)));
            }
        }
    }
    (kept.into_sorted_vec().into_iter().map(|by| by.0).collect(), more)
}

/// The `size` users after an id with whom anything is found, and whether there are more.
fn found(tenant: &TenantView, after: Option<&str>, size: usize) -> (Vec<Arc<User>>, bool) {
    let mut users: Vec<&Arc<User>> =
        tenant.users().filter(|u| after.is_none_or(|after| u.id.as_str() > after)).collect();
    users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let mut with = users.into_iter().filter(|u| user::has_findings(tenant, u));
    let page: Vec<Arc<User>> = with.by_ref().take(size).cloned().collect();
    (page, with.next().is_some())
}

struct ById(Arc<User>);

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl PartialOrd for ById {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ById {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.id.cmp(&other.0.id)
    }
}
