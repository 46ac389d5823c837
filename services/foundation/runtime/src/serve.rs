//! A gRPC server: what every service of Tandem stands on.
//!
//! ```text
//!  TCP listener ──▶ (TLS) ─┐                         ┌─ health, reflection
//!  TCP listener ──▶ (TLS) ─┼─▶ connection ─▶ guard ──┼─ service
//!  in-memory pipe ─────────┘   age, keepalive   │    └─ service
//!                                               └ request id, deadline, gate, panics
//! ```
//!
//! In one process (`tandem up`, a test) services reach each other through [`pipe`]: the same generated client on
//! the same `Channel`, the same HTTP/2, only no socket. There is one code path and nothing to mock.
//!
//! Invariants:
//!
//! - Health starts NOT_SERVING and says SERVING only when told; it takes that back by itself once the process
//!   leaves.
//! - No call without a deadline but streams; a deadline of less than 5 ms is refused before any work.
//! - A panic in a handler is that call's INTERNAL; the connection and its other calls live on.
//! - Every connection and every call is a tracked task, and the server has ended only when all have.
//! - Nothing of a request but its method and id enters a log line here.
//!
//! Message sizes are limited per service by the generated servers (`max_decoding_message_size`; tonic's default is
//! 4 MiB): pass [`MESSAGE_BYTES_MAX`] unless the service needs less.

mod connection;
mod deadline;
mod flow;
mod guard;
mod health;
mod lean;
mod pipe;
mod refusal;
mod stream;
mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum_service::GrpcService;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::net::TcpListener;
use tonic::Status;
use tonic::service::{Routes, RoutesBuilder};

pub use connection::Peer;
pub use deadline::{Deadline, Deadlines, Limits};
pub use flow::{Progress, Replies, Streamed};
pub use health::Health;
pub use lean::{Answer, Later, Reply, Unary};
pub use pipe::{PipeListener, pipe};
pub use refusal::{ERROR_DOMAIN, refusal};
pub use tls::{ClientCertificates, Tls, TlsError, TlsFiles};

use crate::clock::Chance;
use crate::drain::Life;

/// The largest message a service takes, in bytes: tonic's own default, written down. Policy is at most 192 KiB, an
/// import is streamed record by record; nothing honest comes near.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What one server grants its connections.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Open connections; of further ones each listener accepts one, which waits, and the kernel keeps the rest.
    pub max: usize,
    /// Calls at once on one connection; further ones wait at the client.
    pub streams_max: u32,
    /// Bytes of one request's headers. A bearer token is a few KiB.
    pub header_bytes_max: u32,
    /// After this long (10 % more or less, by chance) a connection is asked to close, so that clients spread over
    /// replicas again.
    pub age: Duration,
    /// What calls still have after that.
    pub age_grace: Duration,
    /// An idle connection is pinged this often, for middleboxes forget and peers vanish.
    pub ping_every: Duration,
    /// A ping unanswered for this long ends the connection.
    pub ping_timeout: Duration,
    /// A TLS handshake not done by then is given up.
    pub handshake_timeout: Duration,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: 4096,
            streams_max: 1024,
            header_bytes_max: 32 * 1024,
            age: Duration::from_secs(30 * 60),
            age_grace: Duration::from_secs(60),
            ping_every: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// A rule that every call passes before its handler: who calls, and may they. It sees the method (as in
/// `/tandem.routing.v1.RoutingService/RouteCall`) and the headers, and may leave what it found ([`Peer`] is there
/// already) in the extensions for the handler. It must not block.
pub type Gate =
    dyn Fn(&str, &http::HeaderMap, &mut http::Extensions) -> Result<(), Status> + Send + Sync + 'static;

/// A gRPC server in the making. See the [module](self).
#[must_use = "nothing is served before `start`"]
pub struct Server {
    name: &'static str,
    life: Life,
    chance: Chance,
    routes: RoutesBuilder,
    served: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    reflection: bool,
    deadlines: Deadlines,
    connections: Connections,
    short: guard::Short,
    gate: Option<Arc<Gate>>,
    sockets: Vec<(TcpListener, Option<Tls>)>,
    pipes: Vec<PipeListener>,
}

impl Server {
    /// A server with no service and no listener. `name` names its tasks (`grpc`, `admin`).
    pub fn new(name: &'static str, life: Life, chance: Chance) -> Self {
        Self {
            name,
            life,
            chance,
            routes: Routes::builder(),
            served: Vec::new(),
            descriptors: Vec::new(),
            reflection: false,
            deadlines: Deadlines::default(),
            connections: Connections::default(),
            short: guard::Short::default(),
            gate: None,
            sockets: Vec::new(),
            pipes: Vec::new(),
        }
    }

    /// Adds a generated server (`RoutingServiceServer::new(..)`).
    pub fn service<S: GrpcService>(mut self, service: S) -> Self
    where
        S::Future: Send,
    {
        self.routes.add_service(service);
        self.served.push(S::NAME);
        self
    }

    /// Answers a unary method (as in `/tandem.routing.v1.Routing/RouteCall`) from bytes wherever that can be. A
    /// [`service`](Self::service) must serve it too.
    pub fn lean(mut self, method: &'static str, unary: Arc<dyn Unary>) -> Self {
        self.short.unary.push((method, unary));
        self
    }

    /// Answers a bidirectional method (as in `/tandem.routing.v1.Routing/RouteCalls`) from bytes, unless its messages
    /// are compressed: then, and for what it takes, the [`service`](Self::service) that must serve it too is asked.
    pub fn streamed(mut self, method: &'static str, streamed: Arc<dyn Streamed>) -> Self {
        self.short.streamed.push((method, streamed));
        self
    }

    /// Serves `grpc.health.v1`.
    pub fn health(self, health: &Health) -> Self {
        self.service(health.server())
    }

    /// Tells the server of a `FileDescriptorSet` in its encoded form: which methods stream, and so have no default
    /// deadline. Call it for every package served, or its streams end at the default deadline.
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Self {
        self.descriptors.push(encoded);
        self
    }

    /// Serves `grpc.reflection.v1` from the descriptors: the services that are served, and no others.
    pub fn reflection(mut self, on: bool) -> Self {
        self.reflection = on;
        self
    }

    /// Sets default and longest deadlines.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Sets what connections are granted.
    pub fn connections(mut self, connections: Connections) -> Self {
        self.connections = connections;
        self
    }

    /// Puts a rule before every call, health and reflection included.
    pub fn gate(
        mut self,
        gate: impl Fn(&str, &http::HeaderMap, &mut http::Extensions) -> Result<(), Status> + Send + Sync + 'static,
    ) -> Self {
        self.gate = Some(Arc::new(gate));
        self
    }

    /// Serves on a bound TCP listener, in clear or by TLS.
    pub fn tcp(mut self, listener: TcpListener, tls: Option<Tls>) -> Self {
        self.sockets.push((listener, tls));
        self
    }

    /// Serves on an in-memory pipe.
    pub fn pipe(mut self, listener: PipeListener) -> Self {
        self.pipes.push(listener);
        self
    }

    /// Starts to serve, on tasks of the [`Life`] that was given; they end when it drains. A listener that fails for
    /// good ends the process.
    ///
    /// # Errors
    ///
    /// When a descriptor set cannot be decoded. Must be called within a tokio runtime.
    pub fn start(mut self) -> Result<(), DescriptorError> {
        let (sockets, pipes) = (std::mem::take(&mut self.sockets), std::mem::take(&mut self.pipes));
        let acceptor = self.acceptor()?;
        for (listener, tls) in sockets {
            acceptor.serve_tcp(listener, tls);
        }
        for listener in pipes {
            acceptor.serve_pipe(listener);
        }
        Ok(())
    }

    fn acceptor(mut self) -> Result<connection::Acceptor, DescriptorError> {
        self.descriptors.push(tonic_health::pb::FILE_DESCRIPTOR_SET);
        self.descriptors.push(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET);
        for encoded in &self.descriptors {
            self.deadlines.learn(encoded)?;
        }
        if self.reflection {
            self.served.push(REFLECTION);
            let mut builder = tonic_reflection::server::Builder::configure();
            for encoded in &self.descriptors {
                builder = builder.register_file_descriptor_set(of_served(encoded, &self.served)?);
            }
            let server = builder.include_reflection_service(false).build_v1();
            self.routes.add_service(server.map_err(|error| DescriptorError(error.to_string()))?);
        }
        let guard = guard::Guard::new(
            self.routes.routes().prepare(),
            self.short,
            self.deadlines,
            self.gate,
            self.chance.clone(),
            self.life.drain.clone(),
        );
        Ok(connection::Acceptor::new(self.name, self.life, self.chance, self.connections, guard))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The reflection service, as it describes itself.
const REFLECTION: &str = "grpc.reflection.v1.ServerReflection";

/// A descriptor set without the services that are not served here.
fn of_served(encoded: &[u8], served: &[&str]) -> Result<FileDescriptorSet, DescriptorError> {
    let mut set = FileDescriptorSet::decode(encoded).map_err(|error| DescriptorError(error.to_string()))?;
    for file in &mut set.file {
        let package = file.package().to_owned();
        file.service.retain(|service| served.contains(&&*format!("{package}.{}", service.name())));
    }
    Ok(set)
}

/// A `FileDescriptorSet` that cannot be decoded: a fault of the build, not of the user.
#[derive(Debug, thiserror::Error)]
#[error("file descriptor set cannot be decoded: {0}")]
pub struct DescriptorError(String);

/// What generated servers are; spelt once, because tonic's own bounds are long.
mod axum_service {
    use super::Infallible;

    /// Any generated gRPC server. Implemented by all of them; nothing to implement by hand.
    pub trait GrpcService:
        tower::Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<tonic::body::Body>,
            Error = Infallible,
            Future: Send,
        > + tonic::server::NamedService
        + Clone
        + Send
        + Sync
        + 'static
    {
    }

    impl<S> GrpcService for S where
        S: tower::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<tonic::body::Body>,
                Error = Infallible,
                Future: Send,
            > + tonic::server::NamedService
            + Clone
            + Send
            + Sync
            + 'static
    {
    }
}

pub use axum_service::GrpcService as Service;

#[cfg(test)]
mod tests;
