//! Decodes, calls, encodes; decides nothing.

use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::route_calls_response::Result as Routed;
use tandem_proto::routing::v1::routing_server::Routing;
use tandem_runtime::drain::Drain;
use tandem_runtime::serve::Deadline;
use tandem_wire::caller::Caller;
use tonic::{Request, Response, Status, Streaming};

use crate::service::Service;

/// The Routing service as the wire sees it.
#[derive(Debug)]
pub struct Grpc {
    service: Service,
    drain: Drain,
}

impl Grpc {
    pub(crate) fn new(service: Service, drain: Drain) -> Self {
        Self { service, drain }
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<pb::RouteCallsResponse, Status>> + Send>>;

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
        Ok(Response::new(self.service.route(&caller, request.into_inner(), deadline).await?))
    }

    type RouteCallsStream = Answers;

    async fn route_calls(
        &self,
        request: Request<Streaming<pb::RouteCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        let (service, drain) = (self.service.clone(), self.drain.clone());
        let requests = request.into_inner().take_until(Box::pin(async move { drain.draining().await }));
        let answers = requests.then(move |asked| {
            let (service, caller) = (service.clone(), caller.clone());
            async move { Ok(answer(&service, &caller, asked?, deadline).await) }
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn explain_call(
        &self,
        request: Request<pb::ExplainCallRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.service.explain(&caller, request.into_inner(), deadline).await?))
    }

    async fn list_decisions(
        &self,
        request: Request<pb::ListDecisionsRequest>,
    ) -> Result<Response<pb::ListDecisionsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.service.list(&caller, request.into_inner()).await?))
    }
}

/// One answer of a stream: a call that cannot be decided ends nothing but itself.
async fn answer(
    service: &Service,
    caller: &Caller,
    request: pb::RouteCallRequest,
    deadline: Option<Deadline>,
) -> pb::RouteCallsResponse {
    let tag = request.tag;
    let result = match service.route(caller, request, deadline).await {
        Ok(decision) => Routed::Decision(decision),
        Err(refusal) => Routed::Failure(refusal.into_failure()),
    };
    pb::RouteCallsResponse { tag, result: Some(result) }
}
