//! `RouteCall`, answered from bytes: no message is built on the way of a decision.
//!
//! What is not in the plain form that clients write ([`RouteCall`]) is decoded as a message and written plainly
//! first, so that there is one path.

use bytes::Bytes;
use prost::Message as _;
use tandem_proto::routing::v1 as pb;
use tandem_runtime::serve::{Answer, Deadline, Reply, Unary};
use tandem_wire::caller::Caller;
use tandem_wire::decision::write;
use tandem_wire::request::RouteCall;
use tandem_wire::status::Refusal;
use tonic::Status;

use crate::service::Service;

/// What most answers fit in, in bytes: one target has about 300.
const ANSWER_BYTES: usize = 1024;

/// A request's message, in its plain form.
pub(crate) struct Plain(pub(crate) Bytes);

impl Plain {
    /// Takes a message.
    ///
    /// # Errors
    /// As the generated server: the bytes are no `RouteCallRequest`.
    pub(crate) fn new(message: Bytes) -> Result<Self, Status> {
        if RouteCall::read(&message).is_some() {
            return Ok(Self(message));
        }
        let request = pb::RouteCallRequest::decode(message);
        request.map(|r| Self::of(&r)).map_err(|broken| Status::internal(broken.to_string()))
    }

    pub(crate) fn of(request: &pb::RouteCallRequest) -> Self {
        Self(request.encode_to_vec().into())
    }
}

impl Service {
    /// Answers a `RouteCallRequest` with a `Decision` behind the room of a reply.
    async fn answer(
        &self,
        caller: &Caller,
        plain: &Plain,
        deadline: Option<Deadline>,
    ) -> Result<Vec<u8>, Refusal> {
        let call = read(plain)?;
        let tenant = self.tenant(caller, call.parent, call.min_revision, deadline).await?;
        let mut out = Reply::buffer(ANSWER_BYTES);
        self.route(&tenant, &call, self.now_us(), &mut out, write)?;
        Ok(out)
    }

    /// The same as a message, for the generated server.
    pub(crate) async fn decision(
        &self,
        caller: &Caller,
        request: &pb::RouteCallRequest,
        deadline: Option<Deadline>,
    ) -> Result<pb::Decision, Refusal> {
        self.counts().route_call.add(1);
        let out = self.answer(caller, &Plain::of(request), deadline).await?;
        pb::Decision::decode(out.get(Reply::ROOM..).unwrap_or_default()).map_err(|_| Refusal::internal())
    }

    /// Answers at once, unless a revision must be waited for.
    fn answer_now(&self, caller: &Caller, plain: &Plain) -> Result<Option<Vec<u8>>, Refusal> {
        let call = read(plain)?;
        let Some(tenant) = self.tenant_now(caller, call.parent, call.min_revision)? else { return Ok(None) };
        let mut out = Reply::buffer(ANSWER_BYTES);
        self.route(&tenant, &call, self.now_us(), &mut out, write)?;
        Ok(Some(out))
    }
}

pub(crate) fn read(plain: &Plain) -> Result<RouteCall<'_>, Refusal> {
    RouteCall::read(&plain.0).ok_or_else(|| {
        tracing::error!("a message that was written plainly is not plain");
        Refusal::internal()
    })
}

impl Unary for Service {
    fn call(&self, message: Bytes, extensions: &http::Extensions) -> Answer {
        self.counts().route_call.add(1);
        let plain = match Plain::new(message) {
            Ok(plain) => plain,
            Err(status) => return Answer::Now(Err(status)),
        };
        let caller = match Caller::within(extensions) {
            Ok(caller) => caller,
            Err(refusal) => return Answer::Now(Err(refusal.into())),
        };
        match self.answer_now(&caller, &plain) {
            Ok(Some(out)) => Answer::Now(Ok(Reply::new(out))),
            Err(refusal) => Answer::Now(Err(refusal.into())),
            Ok(None) => {
                let (service, deadline) = (self.clone(), extensions.get::<Deadline>().copied());
                Answer::Later(Box::pin(async move {
                    let out = service.answer(&caller, &plain, deadline).await?;
                    Ok(Reply::new(out))
                }))
            }
        }
    }
}
