//! Gathers what is asked for from the view; imports and watches have modules of their own.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tandem_cell::Cell;
use tandem_cell::follower::Snapshot;
use tandem_cell::watch::{NoResume, Watch};
use tandem_domain::id::Revision;
use tandem_domain::record::Kind;
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
use crate::counts::Counts;
use crate::import::Imports;
use crate::order::{Lists, Ordered};
use crate::share::Places;
use crate::{user, watch};

/// How long a caller without a deadline waits for `min_revision`, and a watch at most.
const WAIT: Duration = Duration::from_secs(5);
/// When it is worth to come again for what is limited in number.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// What a watch tells.
type Watching = Pin<Box<dyn Stream<Item = Result<pb::WatchUsersResponse, Status>> + Send>>;

/// How a watch began.
#[derive(Clone, Copy)]
enum Began {
    Snapshot,
    Resumed,
    Expired,
}

/// What every handler shares.
#[derive(Clone, Debug)]
pub(crate) struct Service(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cell: Cell,
    drain: Drain,
    /// What was given. None: made from the cell's id.
    signer: Option<Signer>,
    imports: Imports,
    lists: Lists,
    watchers: Arc<Semaphore>,
    watchers_max: usize,
    watchers_of_tenant: Places,
    counts: Counts,
}

impl Service {
    pub(crate) fn new(cell: Cell, drain: Drain, config: &Config) -> Self {
        let given = config.page_key.map(|key| Signer::new(Key::new(key), None));
        Self(Arc::new(Inner {
            signer: given,
            imports: Imports::new(cell.clone(), drain.clone(), config),
            lists: Lists::default(),
            watchers: Arc::new(Semaphore::new(config.watchers_max)),
            watchers_max: config.watchers_max,
            counts: Counts::default(),
            watchers_of_tenant: Places::new(config.watchers_of_tenant_max),
            cell,
            drain,
        }))
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
        let find = |snapshot: &Snapshot| {
            let found = caller.tenant(field, parent, |t| snapshot.view.tenant(t).cloned());
            found.map_err(|refusal| not_nobody(refusal, snapshot))
        };
        let tenant = find(&view.load())?;
        if min_revision == 0 || view.reached(tenant.id()).0 >= min_revision {
            // Loaded again: it must show what was reached.
            return find(&view.load());
        }
        let waited = view.wait_for(tenant.id(), Revision(min_revision), patience(deadline)).await;
        let snapshot = waited.map_err(|late| Refusal::new(Reason::RevisionNotReached, late.to_string()))?;
        find(&snapshot)
    }

    /// Signs tokens that every process of the cell reads. Asked for when the view is synchronised; not kept, for a
    /// store that was emptied is another cell.
    pub(crate) fn signer(&self) -> Signer {
        let of_cell = || {
            let id = self.0.cell.view().cell_id();
            // Nobody is answered before it is known; a key that nobody has refuses every token.
            Signer::new(Key::of_cell(id.unwrap_or_else(|| u128::from(self.0.cell.chance().u64()))), None)
        };
        self.0.signer.clone().unwrap_or_else(of_cell)
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// How many watches go on now.
    pub(crate) fn watching(&self) -> usize {
        self.0.watchers_max.saturating_sub(self.0.watchers.available_permits())
    }

    /// Microseconds since 1970.
    pub(crate) fn now_us(&self) -> u64 {
        self.0.cell.clock().unix_micros()
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

    /// A page of users in the order of their ids. The pages of a list are of one moment, as long as its reader goes on
    /// within a minute and this process has few lists to keep; after that a page is of its own moment and goes on after
    /// the last id: who is there all the time is listed once.
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
        let position = self.signer().read(list, &request.page_token)?;
        let from = position.and_then(Position::read);
        let (revision, after) = from.map_or((None, None), |p| (Some(p.revision), Some(p.after)));
        let kept = revision.filter(|r| *r >= request.min_revision);
        let now = self.0.cell.clock().monotonic();
        let ordered = self.0.lists.of(Arc::clone(&tenant), kept, now).await.ok_or_else(Refusal::internal)?;
        let only_found = request.only_with_findings;
        // May look at every user in turn until the page is full: not on a thread that others wait for.
        let page = tokio::task::spawn_blocking(move || page_of(&ordered, after.as_deref(), size, only_found));
        let (users, last, revision) = page.await.map_err(|_| Refusal::internal())?;
        let sign = |after| self.signer().sign(list, &Position { revision, after }.bytes());
        Ok(pb::ListUsersResponse { users, next_page_token: last.map(sign).unwrap_or_default(), revision })
    }

    /// Users as they are, then as they change; or what changed after a token.
    pub(crate) async fn watch(
        &self,
        caller: &Caller,
        request: &pb::WatchUsersRequest,
        deadline: Option<Deadline>,
    ) -> Result<Watching, Refusal> {
        let began = self.begin_watch(caller, request, deadline).await;
        let [snapshot, resumed, expired, refused] = &self.0.counts.watches;
        match &began {
            Ok((Began::Snapshot, _)) => snapshot.add(1),
            Ok((Began::Resumed, _)) => resumed.add(1),
            Ok((Began::Expired, _)) => expired.add(1),
            Err(_) => refused.add(1),
        }
        began.map(|(_, watching)| watching)
    }

    async fn begin_watch(
        &self,
        caller: &Caller,
        request: &pb::WatchUsersRequest,
        deadline: Option<Deadline>,
    ) -> Result<(Began, Watching), Refusal> {
        // A watch may have been given hours; its beginning is not.
        let deadline = deadline.filter(|d| d.remaining() < WAIT);
        let within = patience(deadline);
        let shown = self.tenant(caller, ("parent", &request.parent), request.min_revision, deadline).await?;
        let tenant = shown.id().clone();
        let mark = watch::mark(&self.signer(), &tenant, caller.subject(), &request.resume_token)?;
        let full = |words| Refusal::quota(&request.parent, words, Some(AGAIN));
        let of_tenant = self.0.watchers_of_tenant.take(&tenant);
        let of_tenant = of_tenant.ok_or_else(|| full("as many watches as a tenant may have"))?;
        let place = Arc::clone(&self.0.watchers).try_acquire_owned();
        let place = place.map_err(|_| full("as many watches as this process serves"))?;
        let cell = &self.0.cell;
        let began = if mark.is_some() { Began::Resumed } else { Began::Snapshot };
        let begun = match mark {
            None => {
                Watch::begin(cell, tenant.clone(), Kind::User).map_err(|e| watch::no_tenant(e, &tenant))?
            }
            Some(mark) => match Watch::resume(cell, tenant.clone(), Kind::User, mark, within).await {
                Ok(begun) => begun,
                Err(NoResume::Expired) => {
                    return Ok((Began::Expired, Box::pin(watch::expired(self.now_us()))));
                }
                Err(why) => return Err(watch::refused(why, &tenant)),
            },
        };
        let of = (begun, tenant, caller.subject().to_owned());
        let users = watch::users(self.clone(), of, self.0.drain.clone(), (place, of_tenant));
        Ok((began, Box::pin(users)))
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
            let found = caller.tenant("header.parent", parent, |t| shown.view.tenant(t).cloned());
            found.map_err(|refusal| not_nobody(refusal, &shown))
        };
        let until = deadline.map(|d| d.at());
        let imported = self.0.imports.run(caller.subject(), stream, find, until).await;
        self.0.counts.imported(&imported);
        imported
    }
}

fn not_nobody(refusal: Refusal, shown: &Snapshot) -> Refusal {
    let is_known = refusal.reason() != Reason::ResourceNotFound || !shown.is_unborn();
    if is_known { refusal } else { Refusal::no_tenant_yet() }
}

/// Until when something is waited for. A tenth of what is left is kept, so that the caller hears why before its own
/// patience ends.
fn patience(deadline: Option<Deadline>) -> Instant {
    let left = deadline.map_or(WAIT, |d| d.remaining());
    Instant::now() + left.mul_f32(0.9)
}

/// Where a list goes on: the state that it is read from, and the last id that was told.
struct Position {
    revision: u64,
    after: String,
}

impl Position {
    fn bytes(&self) -> Vec<u8> {
        [&self.revision.to_be_bytes(), self.after.as_bytes()].concat()
    }

    fn read(bytes: Vec<u8>) -> Option<Self> {
        let (revision, after) = bytes.split_first_chunk()?;
        let after = String::from_utf8(after.to_vec()).ok()?;
        Some(Self { revision: u64::from_be_bytes(*revision), after })
    }
}

/// The `size` users after an id, the last of them if there are more, and the revision of it all.
fn page_of(
    ordered: &Ordered,
    after: Option<&str>,
    size: usize,
    only_found: bool,
) -> (Vec<pb::User>, Option<String>, u64) {
    let tenant = &ordered.tenant;
    let wanted = |user: &&Arc<_>| !only_found || user::has_findings(tenant, user);
    let mut users = ordered.after(after).iter().filter(wanted);
    let page: Vec<_> = users.by_ref().take(size).collect();
    let last = users.next().and(page.last()).map(|u| u.id.to_string());
    (page.iter().map(|u| user::message(tenant, u)).collect(), last, tenant.revision().0)
}
