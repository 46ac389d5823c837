//! The API of a process: on a socket for others, on a pipe for ourselves, behind one gate.

use std::net::SocketAddr;
use std::path::PathBuf;

use tandem_cell::Cell;
use tandem_runtime::document::{Limits, Source};
use tandem_runtime::drain::Life;
use tandem_runtime::listen::Bind;
use tandem_runtime::metrics::Metrics;
use tandem_runtime::serve::{Health, PipeListener, Server, Tls, TlsFiles};
use tandem_wire::authority::Gate;
use tandem_wire::caller::{Caller, Callers, Scopes, Table, Tenants};
use tokio::net::TcpListener;

use super::Services;
use crate::failure::Input;
use crate::serve::MetricsAt;

const ROUTING: &str = "tandem.routing.v1.Routing";
const FEED: &str = "tandem.routing.v1.EdgeFeed";
const DIRECTORY: &str = "tandem.station.v1.Directory";
/// The store, as health names it: it is no service, and nothing's readiness depends on it.
const STORE: &str = "tandem.store";

/// The services of the process, as health names them.
pub(crate) const fn names(services: Services) -> &'static [&'static str] {
    match (services.routing, services.station) {
        (true, true) => &[ROUTING, FEED, DIRECTORY],
        (true, false) => &[ROUTING, FEED],
        (false, true) => &[DIRECTORY],
        (false, false) => &[],
    }
}

/// How the API is served on a socket.
#[derive(Debug)]
pub(crate) struct GrpcOptions {
    /// Where; port 0 lets the machine choose.
    pub(crate) address: SocketAddr,
    /// By TLS; none: in clear.
    pub(crate) tls: Option<TlsFiles>,
    /// The callers file, read again when saved.
    pub(crate) callers: Option<PathBuf>,
    /// Whether the metadata of callers on loopback is believed.
    pub(crate) dev: bool,
    /// Whether anyone may ask which services there are.
    pub(crate) reflection: bool,
    /// Where metrics are told.
    pub(crate) metrics: MetricsAt,
}

/// A bound socket, and who may call.
pub(crate) struct Api {
    listener: TcpListener,
    tls: Option<Tls>,
    callers: Callers,
    reflection: bool,
    metrics: Option<TcpListener>,
}

impl Api {
    /// Binds the socket and reads the callers.
    ///
    /// # Errors
    /// An address that cannot be had, `--dev` beyond loopback, files that cannot be used.
    pub(crate) fn bind(options: GrpcOptions, life: &Life) -> anyhow::Result<Self> {
        if options.dev && !options.address.ip().is_loopback() {
            let why = "beyond this machine it must be known who calls: give --callers FILE, or keep --grpc on loopback";
            return Err(Input(format!("--grpc {}: {why} (--dev)", options.address)).into());
        }
        let listener = Bind::new(options.address, "--grpc").tcp()?;
        let metrics = options.metrics.bind()?;
        let tls = options.tls.map(Tls::load).transpose()?;
        let table = match &options.callers {
            Some(path) => Table::read(&Source::read(path, Limits::POLICY)?)?,
            None => Table::default(),
        };
        let mut callers = Callers::new(table);
        if options.dev {
            callers = callers.dev();
        }
        // The pipe and the socket share the callers, so that both are reloaded together.
        let callers = callers.in_process(ourselves());
        if let Some(path) = options.callers {
            callers.follow(path, life);
        }
        Ok(Self { listener, tls, callers, reflection: options.reflection, metrics })
    }
}

impl Api {
    /// Tells metrics, if they are to be told: of the store, and of what else this process counts. Answers where.
    ///
    /// # Errors
    /// A socket without an address.
    pub(crate) fn tell(
        &mut self,
        metrics: &Metrics,
        cell: &Cell,
        life: &Life,
    ) -> anyhow::Result<Option<SocketAddr>> {
        let Some(listener) = self.metrics.take() else { return Ok(None) };
        cell.tell(metrics, life);
        Ok(Some(metrics.serve(listener, life)?))
    }
}

/// The other parts of this process.
fn ourselves() -> Caller {
    Caller::new("in-process", Tenants::All, Scopes::all())
}

/// Serves the API; returns where it listens.
///
/// # Errors
/// A socket without an address.
pub(crate) fn serve(
    services: Services,
    cell: &Cell,
    health: &Health,
    metrics: &Metrics,
    api: Option<Api>,
    pipe: PipeListener,
    life: &Life,
) -> anyhow::Result<Option<SocketAddr>> {
    let mut server = Server::new("grpc", life.clone(), cell.chance().clone())
        .health(health)
        .descriptors(tandem_proto::DESCRIPTORS)
        .pipe(pipe);
    if services.routing {
        let routing = tandem_routing::build(life, cell, &tandem_routing::Config::default());
        routing.tell(metrics);
        server = routing.serve(server);
    }
    if services.station {
        let station = tandem_station::build_telling(life, cell, &tandem_station::Config::default(), metrics);
        server = server.service(station);
    }
    let mut address = None;
    let callers = match api {
        Some(Api { listener, tls, callers, reflection, metrics: _ }) => {
            address = Some(listener.local_addr()?);
            server = server.tcp(listener, tls).reflection(reflection);
            callers
        }
        None => Callers::new(Table::default()).in_process(ourselves()),
    };
    let gate = Gate::new(callers);
    server.gate(move |method, headers, extensions| gate.check(method, headers, extensions)).start()?;
    Ok(address)
}

/// Tells by health whether the store can be read: NOT_SERVING until it was, while it cannot be, and once the process
/// leaves.
pub(crate) fn tell_of_store(cell: &Cell, health: &Health, life: &Life) {
    let (view, health, drain) = (cell.view().clone(), health.clone(), life.drain.clone());
    life.tasks.spawn("store health", async move {
        loop {
            let readable = || view.is_synchronised() && view.stale_since().is_none();
            let now = readable();
            health.set(STORE, now).await;
            tokio::select! {
                () = view.until(|| readable() != now) => {}
                () = drain.leaving() => break,
            }
        }
        health.set(STORE, false).await;
    });
}
