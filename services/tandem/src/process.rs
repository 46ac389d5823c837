//! Everything in one process: what `tandem up` runs, and what the demonstration stands on.
//!
//! ```text
//!  tenants/*.yaml ─▶ policy ─┐                       ┌─ gRPC on a socket, behind the callers' gate
//!                            ├─▶ cell (store, view) ─┤
//!  directory files ─▶ import ┘    routing, station   └─ in-memory pipe ─┬─ import
//!                                                                       └─ edges, on their listeners
//! ```
//!
//! The parts reach each other as they would from far apart: through generated clients, on a pipe instead of a
//! socket, and through the same gate.
//!
//! Invariants: all sockets are bound before anything else begins, so that a taken port costs nothing; what is
//! returned is ready, with views synchronised, policy in force and directories imported.

pub(crate) mod edges;
pub(crate) mod grpc;
pub(crate) mod import;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tandem_cell::policy::{self, Policy, State, Status};
use tandem_cell::{Cell, Settings};
use tandem_domain::id::{ListenerName, TenantName};
use tandem_edge::{Edge, Upstream};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_runtime::metrics::Metrics;
use tandem_runtime::serve::{Health, pipe};
use tandem_store::Home;
use tonic::metadata::MetadataMap;

use crate::failure::Input;
pub(crate) use edges::EdgeOptions;
pub(crate) use grpc::GrpcOptions;
pub(crate) use import::Imported;

/// How long a start may take until policy is in force. A store in memory needs milliseconds, a lease that a killed
/// process left behind its session's deadline.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// Which services a process serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Services {
    /// Decisions, and the feed to edges.
    pub(crate) routing: bool,
    /// The directory's only writer.
    pub(crate) station: bool,
}

impl Services {
    /// All.
    pub(crate) const ALL: Self = Self { routing: true, station: true };
    /// Routing alone.
    pub(crate) const ROUTING: Self = Self { routing: true, station: false };
    /// Station alone.
    pub(crate) const STATION: Self = Self { routing: false, station: true };
}

/// What to start.
#[derive(Debug)]
pub(crate) struct Options {
    /// Which services.
    pub(crate) services: Services,
    /// Where the store is.
    pub(crate) home: Home,
    /// The directory of the tenants' YAML; saved files are taken over.
    pub(crate) tenants: PathBuf,
    /// Files of `kind: Directory`, or directories of such: imported once, before the process is ready.
    pub(crate) directories: Vec<PathBuf>,
    /// The name of this cell; none: documents of every cell are ours.
    pub(crate) cell: Option<String>,
    /// The API on a socket; none: in this process only.
    pub(crate) grpc: Option<GrpcOptions>,
    /// The edges.
    pub(crate) edges: Vec<EdgeOptions>,
    /// Listeners of edges elsewhere: what tenants claim without naming a listener is claimed at each.
    pub(crate) listeners: Vec<ListenerName>,
}

impl Options {
    /// Every service, in memory and for this process only, with these tenants.
    pub(crate) fn new(tenants: PathBuf) -> Self {
        Self {
            services: Services::ALL,
            home: Home::MEMORY,
            tenants,
            directories: Vec::new(),
            cell: None,
            grpc: None,
            edges: Vec::new(),
            listeners: Vec::new(),
        }
    }
}

/// What runs. It ends with its life.
#[derive(Debug)]
pub(crate) struct Running {
    /// The cell: store, view, registration.
    pub(crate) cell: Cell,
    /// The writer of policy.
    pub(crate) policy: Policy,
    /// Where the API listens.
    pub(crate) grpc: Option<SocketAddr>,
    /// Where metrics are told.
    pub(crate) metrics: Option<SocketAddr>,
    /// The edges, in the order of the options.
    pub(crate) edges: Vec<Edge>,
    /// What became of the directories.
    pub(crate) imported: Vec<Imported>,
    /// Directories that were not imported: their tenant is not there, as when its file is wrong.
    pub(crate) passed_over: Vec<(PathBuf, TenantName)>,
}

/// Starts everything, and returns once it is ready.
///
/// # Errors
/// What cannot be had (an address, the store, a file), with the fix. A tenant or an entry that is not taken is no
/// error: [`Policy::status`] and [`Running::imported`] tell.
pub(crate) async fn up(
    options: Options,
    life: &Life,
    clock: Clock,
    chance: Chance,
) -> anyhow::Result<Running> {
    let Options { services, home, tenants, directories, cell, grpc, edges, mut listeners } = options;
    let mut api = grpc.map(|api| grpc::Api::bind(api, life)).transpose()?;
    let edges = edges.into_iter().map(EdgeOptions::bind).collect::<anyhow::Result<Vec<_>>>()?;
    listeners.extend(edges.iter().flat_map(edges::Bound::names));
    if let Err(why) = std::fs::read_dir(&tenants) {
        let fix = "give the directory of the tenants' YAML files with --tenants";
        return Err(Input(format!("{}: {why}; {fix}", tenants.display())).into());
    }

    let mut settings = Settings::memory("up");
    let shared = home.is_shared();
    settings.home = home;
    settings.listeners = listeners.clone();
    let member = Cell::open(life, clock.clone(), chance.clone(), settings).await?;
    let telling = Metrics::default();
    let metrics = api.as_mut().map(|api| api.tell(&telling, &member, life)).transpose()?.flatten();
    let health = Health::new(life, grpc::names(services)).await;
    grpc::tell_of_store(&member, &health, life);
    let (channel, listener) = pipe();
    let address = grpc::serve(services, &member, &health, &telling, api, listener, life)?;

    member.view().synchronised().await;
    member.session().registered().await;
    let wanted = policy::Settings { directory: tenants, listeners, cell };
    let policy = Policy::start(life, &member, wanted);
    let settled = tokio::time::timeout(SETTLED_WITHIN, in_force(&policy, &member, shared)).await;
    settled
        .context("policy was not in force within a minute; is another process writing to this store?")??;
    let (mut imported, mut passed_over) = (Vec::new(), Vec::new());
    for path in import::files(&directories)? {
        let there = |tenant: &TenantName| member.view().load().view.tenant(tenant.as_str()).is_some();
        let file = import::file(&channel, &path, import::Wish::default(), there).await?;
        imported.extend(file.imported);
        passed_over.extend(file.passed_over.into_iter().map(|tenant| (path.clone(), tenant)));
    }
    let seen = tokio::time::timeout(SETTLED_WITHIN, seen(&imported, &member)).await;
    seen.context("imported directories were not seen within a minute; is the disk failing?")?;
    let feed = || Upstream::Feed {
        channel: channel.clone(),
        metadata: MetadataMap::new(),
        name: "this process".into(),
    };
    let start = |edge: edges::Bound| edge.start(feed(), life, &clock, &chance);
    let edges = edges.into_iter().map(start).collect::<anyhow::Result<Vec<_>>>()?;
    if !edges.is_empty() {
        tandem_edge::tell(edges.clone(), &telling);
    }
    for edge in &edges {
        edge.ready().await;
    }
    health.ready().await;
    Ok(Running { cell: member, policy, grpc: address, metrics, edges, imported, passed_over })
}

/// Waits until imported directories are seen by those who answer. An import that changed nothing names a revision of
/// the log at which nothing of the tenant's changed, so the log's place counts and not the tenant's.
async fn seen(imported: &[Imported], cell: &Cell) {
    cell.view()
        .until(|| {
            let snapshot = cell.view().load();
            imported.iter().all(|done| {
                let tenant = snapshot.view.tenant(done.tenant.as_str());
                tenant.is_some_and(|t| cell.view().reached(t.id()).0 >= done.response.revision)
            })
        })
        .await;
}

/// Waits until everything that was read is dealt with, and seen by those who answer. Where the store is shared it is
/// enough that another process writes policy: this one stands by for it.
async fn in_force(policy: &Policy, cell: &Cell, shared: bool) -> anyhow::Result<Arc<Status>> {
    let dealt_with = |s: &Status| (s.writing && s.settled) || (shared && s.standing_by);
    let status = policy.until(|s| s.unreadable.is_some() || dealt_with(s)).await;
    let status = status.context("the writer of policy ended")?;
    if let Some(why) = &status.unreadable {
        bail!("{why}");
    }
    let seen = || {
        let snapshot = cell.view().load();
        let states = status.files.values().flat_map(|file| &file.tenants);
        states.into_iter().all(|(name, state)| match state {
            State::InForce { revision, .. } => {
                snapshot.view.tenant(name.as_str()).is_some_and(|t| cell.view().reached(t.id()) >= *revision)
            }
            _ => true,
        })
    };
    cell.view().until(seen).await;
    Ok(status)
}
