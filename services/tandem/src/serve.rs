//! `tandem serve`: one service alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use tandem_domain::id::{ListenerName, TenantName};
use tandem_edge::Upstream;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{self, Grace, Life};
use tandem_runtime::exit::Exit;
use tandem_runtime::listen::Bind;
use tandem_runtime::metrics::{ADDRESS, Metrics};
use tandem_runtime::serve::{ClientCertificates, TlsFiles};
use tandem_store::embedded::{self, Place};
use tandem_store::{Home, OpenError};
use tokio::net::TcpListener;
use tonic::metadata::MetadataMap;

use crate::cli::client::Server;
use crate::cli::{Global, answer};
use crate::failure::Input;
use crate::process::edges::Listen;
use crate::process::{self, EdgeOptions, GrpcOptions, Options, Services};

/// `tandem serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Routing: decisions by API, and the feed to edges.
    ///
    /// With --store it shares a store on Redis with any number of others. With --data it opens the embedded store,
    /// which one process at a time can: to have stations beside it, use `tandem up`.
    #[command(after_long_help = "Example:\n  \
        tandem serve routing --tenants tenants --data /var/lib/tandem --callers callers.yaml --grpc 192.0.2.1:50051 \\\n    \
        --tls-cert server.pem --tls-key server.key")]
    Routing(Cell),
    /// Station: the directory's only writer.
    ///
    /// With --store it shares a store on Redis with any number of others. With --data it opens the embedded store,
    /// which one process at a time can: to have routing beside it, use `tandem up`.
    #[command(after_long_help = "Example:\n  \
        tandem serve station --tenants tenants --store redis-sentinel://a,b,c/main")]
    Station(Cell),
    /// An edge: SIP, decided by the feed of a routing service, near or far.
    ///
    /// Cut off from its feed it goes on deciding by the last good one, also after a restart if --state keeps it.
    #[command(after_long_help = "Example:\n  \
        tandem serve edge --server http://127.0.0.1:50051 --listen public=udp:127.0.0.1:5060 --state edge.feed")]
    Edge(Box<Edge>),
}

/// A service that belongs to a cell.
#[derive(Debug, clap::Args)]
struct Cell {
    /// The directory of the tenants' YAML. A file that is saved is taken over within a second.
    #[arg(long, value_name = "DIR")]
    tenants: PathBuf,
    /// Where the embedded store is kept.
    #[arg(long, value_name = "DIR", required_unless_present = "store")]
    data: Option<PathBuf>,
    #[command(flatten)]
    store: StoreUrl,
    /// The name of this cell; tenants of other cells are passed over.
    #[arg(long, value_name = "NAME")]
    cell: Option<String>,
    /// The listeners of the edges that follow, as tenants' documents name them. May be repeated.
    #[arg(long, value_name = "NAME", default_value = "public")]
    listener: Vec<ListenerName>,
    #[command(flatten)]
    api: Api,
}

#[derive(Debug, clap::Args)]
struct Edge {
    #[command(flatten)]
    server: Server,
    /// A socket: NAME=udp:ADDRESS:PORT or NAME=tcp:ADDRESS:PORT. May be repeated.
    #[arg(long, required = true, value_name = "LISTENER")]
    listen: Vec<Listen>,
    /// The host by which peers reach it, where it listens on every address.
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
    /// Its id, unique in the cell: 1 to 64 lower-case letters, digits and '-'. Without it, from chance.
    #[arg(long, default_value = "", value_name = "ID")]
    id: String,
    /// The tenants that it serves; without it, all that it may see. May be repeated.
    #[arg(long, value_name = "NAME")]
    tenant: Vec<TenantName>,
    /// Where the last good feed is kept.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    #[command(flatten)]
    metrics: MetricsAt,
}

/// Runs it.
pub(crate) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = drain::signals()?;
        let (clock, chance) = (Clock::machine(), Chance::machine());
        let build = |life: Life| async move {
            match args.service {
                Service::Routing(cell) => cell.run(Services::ROUTING, &life, clock, chance, global).await,
                Service::Station(cell) => cell.run(Services::STATION, &life, clock, chance, global).await,
                Service::Edge(edge) => edge.run(&life, &clock, &chance, global).await,
            }
        };
        drain::run(Grace::CLUSTER, signals, build).await?;
        Ok(Exit::Ok)
    })
}

impl Cell {
    async fn run(
        self,
        services: Services,
        life: &Life,
        clock: Clock,
        chance: Chance,
        global: &Global,
    ) -> anyhow::Result<()> {
        let home = match (self.store.home()?, self.data) {
            (Some(home), _) => home,
            (None, Some(data)) => Home::Embedded(Place::Directory(data.join("store"))),
            (None, None) => Home::MEMORY,
        };
        let options = Options {
            services,
            home,
            cell: self.cell,
            grpc: Some(self.api.options()),
            listeners: self.listener,
            ..Options::new(self.tenants)
        };
        let running = process::up(options, life, clock, chance).await.map_err(alone)?;
        let grpc = running.grpc.map(|address| address.to_string()).unwrap_or_default();
        let metrics = running.metrics.map(|address| address.to_string());
        let json = json!({"ready": true, "grpc": grpc, "metrics": metrics});
        let told = metrics.map(|at| format!("; metrics at http://{at}/metrics")).unwrap_or_default();
        answer(global, &json, || format!("ready; API at {grpc}{told}"))
    }
}

/// A store that another service has open wants another answer here than another directory.
fn alone(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<OpenError>() {
        Some(OpenError::Embedded(embedded::OpenError::InUse { .. })) => error.context(
            "one process at a time has the embedded store: for several services use `tandem up`, or --store",
        ),
        _ => error,
    }
}

impl Edge {
    async fn run(self, life: &Life, clock: &Clock, chance: &Chance, global: &Global) -> anyhow::Result<()> {
        let mut options = EdgeOptions { advertised: self.advertise, ..EdgeOptions::new(self.listen) };
        options.config.id = self.id;
        options.config.tenants = self.tenant;
        options.config.last_good = self.state;
        let mut metadata = MetadataMap::new();
        if let Some(token) = self.server.token()? {
            metadata.insert("authorization", token);
        }
        // Not connected yet: an edge that finds no upstream begins with the last good feed.
        let (channel, name) = (self.server.endpoint()?.connect_lazy(), self.server.to_string());
        let upstream = Upstream::Feed { channel, metadata, name };
        let bound = options.bind()?;
        let listener = self.metrics.bind()?;
        let edge = bound.start(upstream, life, clock, chance)?;
        let metrics = Metrics::default();
        tandem_edge::tell(vec![edge.clone()], &metrics);
        let metrics = listener.map(|listener| metrics.serve(listener, life)).transpose()?;
        edge.ready().await;
        let sockets: Vec<String> = edge
            .addresses()
            .map(|(name, transport, at)| {
                format!("{name}={}:{at}", format!("{transport:?}").to_ascii_lowercase())
            })
            .collect();
        let at = metrics.map(|address| address.to_string());
        let json = json!({"ready": true, "edge": edge.id(), "listeners": sockets, "metrics": at});
        let told = at.map(|at| format!("; metrics at http://{at}/metrics")).unwrap_or_default();
        answer(global, &json, || format!("edge {} ready; SIP at {}{told}", edge.id(), sockets.join(", ")))
    }
}

/// A store that processes share.
#[derive(Clone, clap::Args)]
pub(crate) struct StoreUrl {
    /// The store on Redis: redis://HOST, redis-sentinel://HOST,.../NAME or redis-cluster://HOST,...; rediss for TLS.
    /// `?password-file=FILE` keeps the password out of the process list, `?durability=single` permits one Redis alone.
    #[arg(long, value_name = "URL", env = "TANDEM_STORE", hide_env_values = true, conflicts_with = "data")]
    store: Option<String>,
}

/// A password may be in it.
impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.store.is_some() { "(a store)" } else { "(none)" })
    }
}

impl StoreUrl {
    /// Where it says, if it says so.
    pub(crate) fn home(&self) -> anyhow::Result<Option<Home>> {
        let home = self.store.as_deref().map(Home::of_url).transpose();
        home.map_err(|e| Input(format!("--store: {e}")).into())
    }
}

/// How the API is served.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "API")]
pub(crate) struct Api {
    /// Where the API (gRPC) listens.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
    grpc: SocketAddr,
    /// The callers file: who may call the API, by certificate or token. Read again when saved.
    #[arg(long, value_name = "FILE")]
    callers: Option<PathBuf>,
    /// Believe everyone on this machine. On loopback only; the default without --callers.
    #[arg(long, conflicts_with = "callers")]
    dev: bool,
    /// Tell nobody which services there are: gRPC reflection is off.
    #[arg(long)]
    no_reflection: bool,
    #[command(flatten)]
    metrics: MetricsAt,
    /// The server's certificate chain (PEM), for TLS.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The server's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The certificates (PEM) that vouch for clients; clients may then show one.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

/// Where metrics are told.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub(crate) struct MetricsAt {
    /// Tell metrics by HTTP at /metrics; without an address on this machine only, at 127.0.0.1:9464.
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, require_equals = true, default_missing_value = ADDRESS)]
    metrics: Option<SocketAddr>,
}

impl MetricsAt {
    /// Binds the socket, if there is to be one.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub(crate) fn bind(self) -> anyhow::Result<Option<TcpListener>> {
        Ok(self.metrics.map(|at| Bind::new(at, "--metrics").tcp()).transpose()?)
    }
}

impl Api {
    /// As the process takes it.
    pub(crate) fn options(self) -> GrpcOptions {
        let dev = self.dev || self.callers.is_none();
        let clients = match self.tls_client_ca {
            Some(ca) => ClientCertificates::Optional { ca },
            None => ClientCertificates::None,
        };
        let tls = self.tls_cert.zip(self.tls_key);
        let tls = tls.map(|(certificate, key)| TlsFiles { certificate, key, clients });
        let reflection = !self.no_reflection;
        GrpcOptions { address: self.grpc, tls, callers: self.callers, dev, reflection, metrics: self.metrics }
    }
}
