//! Decodes, calls, encodes; decides nothing.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::routing_server::{Routing, RoutingServer};
use tandem_runtime::drain::Drain;
use tandem_runtime::serve::{Deadline, MESSAGE_BYTES_MAX};
use tandem_wire::caller::Caller;
use tonic::body::Body;
use tonic::server::{NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};

use crate::route::{Bare, Plain};
use crate::service::Service;

/// The Routing service as the wire sees it.
#[derive(Clone, Debug)]
pub(crate) struct Grpc(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    service: Service,
    drain: Drain,
}

impl Grpc {
    pub(crate) fn new(service: Service, drain: Drain) -> Self {
        Self(Arc::new(Inner { service, drain }))
    }

    /// The answers to a stream of requests, in their order, until the process drains. `answer` reads and writes one.
    fn answers<Q, A, F>(
        &self,
        requests: Streaming<Q>,
        answer: impl Fn(Service, Q) -> F + Send + 'static,
    ) -> Answers<A>
    where
        Q: Send + 'static,
        A: Send + 'static,
        F: Future<Output = Result<A, Status>> + Send + 'static,
    {
        let (service, drain) = (self.0.service.clone(), self.0.drain.clone());
        let requests = requests.take_until(Box::pin(async move { drain.draining().await }));
        Box::pin(requests.then(move |asked| {
            let answered = asked.map(|asked| answer(service.clone(), asked));
            async move { answered?.await }
        }))
    }
}

type Answers<A> = Pin<Box<dyn Stream<Item = Result<A, Status>> + Send>>;

fn deadline<T>(request: &Request<T>) -> Option<Deadline> {
    request.extensions().get::<Deadline>().copied()
}

#[tonic::async_trait]
impl Routing for Grpc {
    async fn route_call(
        &self,
        request: Request<pb::RouteCallRequest>,
    ) -> Result<Response<pb::Decision>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.0.service.decision(&caller, request.get_ref(), deadline).await?))
    }

    type RouteCallsStream = Answers<pb::RouteCallsResponse>;

    /// Not reached by the wire, where [`Server`] answers from bytes.
    async fn route_calls(
        &self,
        _: Request<Streaming<pb::RouteCallRequest>>,
    ) -> Result<Response<Self::RouteCallsStream>, Status> {
        Err(Status::internal("RouteCalls is answered from bytes"))
    }

    async fn explain_call(
        &self,
        request: Request<pb::ExplainCallRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.0.service.explain(&caller, request.into_inner(), deadline).await?))
    }

    async fn list_decisions(
        &self,
        request: Request<pb::ListDecisionsRequest>,
    ) -> Result<Response<pb::ListDecisionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.0.service.list(&caller, request.into_inner()).await?))
    }
}

/// `RouteCalls`, from bytes to bytes.
impl StreamingService<Bytes> for Grpc {
    type Response = Bytes;
    type ResponseStream = Answers<Bytes>;
    type Future = std::future::Ready<Result<Response<Answers<Bytes>>, Status>>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let deadline = deadline(&request);
        let caller = Caller::of(&request).map_err(Status::from);
        std::future::ready(caller.map(|caller| {
            Response::new(self.answers(request.into_inner(), move |service, message| {
                let caller = caller.clone();
                async move { Ok(service.answer_one(&caller, &Plain::new(message)?, deadline).await) }
            }))
        }))
    }
}

/// The generated server, but for `RouteCalls`, whose messages stay bytes.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    grpc: Grpc,
    generated: RoutingServer<Grpc>,
}

impl Server {
    pub(crate) fn new(grpc: Grpc) -> Self {
        let generated = RoutingServer::new(grpc.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        Self { grpc, generated }
    }
}

impl NamedService for Server {
    const NAME: &'static str = <RoutingServer<Grpc> as NamedService>::NAME;
}

impl tower::Service<http::Request<Body>> for Server {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != "/tandem.routing.v1.Routing/RouteCalls" {
            return tower::Service::call(&mut self.generated, request);
        }
        let grpc = self.grpc.clone();
        Box::pin(async move {
            let mut method = tonic::server::Grpc::new(Bare).max_decoding_message_size(MESSAGE_BYTES_MAX);
            Ok(method.streaming(grpc, request).await)
        })
    }
}
