//! Decodes, calls, encodes; decides nothing.

use std::pin::Pin;

use futures::Stream;
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::directory_server::Directory;
use tandem_runtime::serve::Deadline;
use tandem_wire::caller::Caller;
use tonic::{Request, Response, Status, Streaming};

use crate::service::Service;

/// The Directory service as the wire sees it.
#[derive(Debug)]
pub struct Grpc {
    service: Service,
}

impl Grpc {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }
}

fn deadline<T>(request: &Request<T>) -> Option<Deadline> {
    request.extensions().get::<Deadline>().copied()
}

#[tonic::async_trait]
impl Directory for Grpc {
    async fn import_directory(
        &self,
        request: Request<Streaming<pb::ImportDirectoryRequest>>,
    ) -> Result<Response<pb::ImportDirectoryResponse>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.service.import(&caller, request.into_inner(), deadline).await?))
    }

    async fn get_user(&self, request: Request<pb::GetUserRequest>) -> Result<Response<pb::User>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.service.get(&caller, request.get_ref(), deadline).await?))
    }

    async fn list_users(
        &self,
        request: Request<pb::ListUsersRequest>,
    ) -> Result<Response<pb::ListUsersResponse>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.service.list(&caller, request.get_ref(), deadline).await?))
    }

    type WatchUsersStream = Pin<Box<dyn Stream<Item = Result<pb::WatchUsersResponse, Status>> + Send>>;

    async fn watch_users(
        &self,
        request: Request<pb::WatchUsersRequest>,
    ) -> Result<Response<Self::WatchUsersStream>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.service.watch(&caller, request.get_ref(), deadline).await?))
    }

    async fn resolve_user(
        &self,
        request: Request<pb::ResolveUserRequest>,
    ) -> Result<Response<pb::User>, Status> {
        let (caller, deadline) = (Caller::of(&request)?, deadline(&request));
        Ok(Response::new(self.service.resolve(&caller, request.into_inner(), deadline).await?))
    }
}
