//! `test.v1.Probe`: does what its request says. It has the messages and methods of `grpc.health.v1.Health` under
//! another name, so that no code need be generated for it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::{FutureExt, Stream, StreamExt};
use prost::Message;
use tonic::client::Grpc;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::NamedService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_prost::ProstCodec;

use super::super::{Deadline, Peer, Server};
use crate::clock::{Chance, RequestId};
use crate::drain::{Drain, Life};

pub(super) const PROBE: &str = "test.v1.Probe";

/// A server with the probe, not yet started.
pub(super) fn server(life: &Life) -> Server {
    let probe = Renamed(HealthServer::new(Probe(life.drain.clone())));
    Server::new("grpc", life.clone(), Chance::seeded(1)).descriptors(descriptors()).service(probe)
}

/// What a gate found.
#[derive(Clone)]
pub(super) struct Who(pub(super) String);

struct Probe(Drain);

#[tonic::async_trait]
impl Health for Probe {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let extensions = request.extensions();
        let (name, value) = match request.get_ref().service.as_str() {
            "panic" => panic!("on purpose"),
            "slow" => std::future::pending().await,
            "three seconds" => {
                tokio::time::sleep(std::time::Duration::from_secs(3)).await;
                return Ok(Response::new(HealthCheckResponse::default()));
            }
            "peer" => {
                let remote = extensions.get::<Peer>().unwrap().remote;
                ("remote", remote.map_or("in process".to_owned(), |addr| addr.to_string()))
            }
            "certificates" => {
                let chain = extensions.get::<Peer>().unwrap().certificates.clone();
                ("certificates", chain.map_or(0, |chain| chain.len()).to_string())
            }
            "remaining" => {
                let left = extensions.get::<Deadline>().unwrap().remaining();
                ("remaining-ms", left.as_millis().to_string())
            }
            "who" => ("seen-who", extensions.get::<Who>().unwrap().0.clone()),
            "id" => ("seen-id", extensions.get::<RequestId>().unwrap().to_string()),
            other => return Err(Status::invalid_argument(other)),
        };
        let mut response = Response::new(HealthCheckResponse::default());
        response.metadata_mut().insert(name, value.parse().unwrap());
        Ok(response)
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let once = futures::stream::iter([Ok(HealthCheckResponse::default())]);
        let drain = self.0.clone();
        Ok(Response::new(match request.get_ref().service.as_str() {
            "silent" => Box::pin(futures::stream::pending()),
            "once" => Box::pin(once),
            "panic" => Box::pin(futures::stream::poll_fn(|_| panic!("on purpose too"))),
            "until drain" => {
                let ended = async move { drain.draining().await };
                Box::pin(futures::stream::pending().take_until(ended.boxed()))
            }
            other => return Err(Status::invalid_argument(other)),
        }))
    }
}

/// The health server, served as [`PROBE`].
#[derive(Clone)]
struct Renamed(HealthServer<Probe>);

impl NamedService for Renamed {
    const NAME: &'static str = PROBE;
}

impl tower::Service<http::Request<tonic::body::Body>> for Renamed {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = <HealthServer<Probe> as tower::Service<http::Request<tonic::body::Body>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<tonic::body::Body>) -> Self::Future {
        *request.uri_mut() = request.uri().path().replace(PROBE, "grpc.health.v1.Health").parse().unwrap();
        self.0.call(request)
    }
}

/// The descriptors of the health service under the probe's name.
fn descriptors() -> &'static [u8] {
    let mut set = prost_types::FileDescriptorSet::decode(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
    for file in &mut set.file {
        file.name = Some("test/v1/probe.proto".into());
        file.package = Some("test.v1".into());
        for service in &mut file.service {
            service.name = Some("Probe".into());
            for method in &mut service.method {
                for name in [&mut method.input_type, &mut method.output_type] {
                    *name = name.as_ref().map(|name| name.replace("grpc.health.v1", "test.v1"));
                }
            }
        }
        for field in file.message_type.iter_mut().flat_map(|message| {
            let nested = message.nested_type.iter_mut().flat_map(|nested| &mut nested.field);
            message.field.iter_mut().chain(nested)
        }) {
            field.type_name = field.type_name.as_ref().map(|name| name.replace("grpc.health.v1", "test.v1"));
        }
    }
    Vec::leak(set.encode_to_vec())
}

/// What a generated client would be.
#[derive(Clone)]
pub(super) struct ProbeClient(Grpc<Channel>);

impl ProbeClient {
    pub(super) fn new(channel: Channel) -> Self {
        Self(Grpc::new(channel))
    }

    pub(super) async fn check(
        &mut self,
        what: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.v1.Probe/Check");
        self.0.unary(request(what, headers), path, ProstCodec::default()).await
    }

    pub(super) async fn watch(
        &mut self,
        what: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Streaming<HealthCheckResponse>, Status> {
        self.ready().await?;
        let path = http::uri::PathAndQuery::from_static("/test.v1.Probe/Watch");
        let answer = self.0.server_streaming(request(what, headers), path, ProstCodec::default()).await;
        answer.map(Response::into_inner)
    }

    async fn ready(&mut self) -> Result<(), Status> {
        self.0.ready().await.map_err(|error| Status::unavailable(error.to_string()))
    }
}

fn request(what: &str, headers: &[(&'static str, &str)]) -> Request<HealthCheckRequest> {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers {
        metadata.insert(*name, MetadataValue::try_from(*value).unwrap());
    }
    Request::from_parts(metadata, http::Extensions::new(), HealthCheckRequest { service: what.into() })
}
