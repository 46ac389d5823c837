//! Decodes, calls, encodes; decides nothing.

use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::routing_server::Routing;
use tandem_runtime::serve::Deadline;
use tandem_wire::caller::Caller;
use tonic::{Request, Response, Status, Streaming};

use crate::service::Service;

/// The Routing service as the wire sees it.
#[derive(Clone, Debug)]
pub(crate) struct Grpc(Service);

impl Grpc {
    pub(crate) const fn new(service: Service) -> Self {
        Self(service)
    }
}

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
        Ok(Response::new(self.0.decision(&caller, request.get_ref(), deadline).await?))
    }

    type RouteCallsStream = tokio_stream::Empty<Result<pb::RouteCallsResponse, Status>>;

    /// Not reached: [`Streamed`](tandem_runtime::serve::Streamed) answers, and a compressed stream is refused before.
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
        Ok(Response::new(self.0.explain(&caller, request.into_inner(), deadline).await?))
    }

    async fn list_decisions(
        &self,
        request: Request<pb::ListDecisionsRequest>,
    ) -> Result<Response<pb::ListDecisionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.0.list(&caller, request.into_inner()).await?))
    }
}
