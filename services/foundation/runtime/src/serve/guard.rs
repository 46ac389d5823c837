//! What stands between a connection and the handlers: request id, deadline, gate, panics.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http::{HeaderName, HeaderValue, Request, Response};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument;

use super::deadline::{Deadline, Deadlines, LEAST, asked};
use super::refusal::refusal;
use super::stream::Guarded;
use super::{Gate, Peer};
use crate::clock::{Chance, RequestId};
use crate::drain::Drain;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The service that every connection shares.
#[derive(Clone)]
pub(super) struct Guard {
    routes: Routes,
    shared: Arc<Shared>,
}

struct Shared {
    deadlines: Deadlines,
    gate: Option<Arc<Gate>>,
    chance: Chance,
    drain: Drain,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Guard {
    pub(super) fn new(
        routes: Routes,
        deadlines: Deadlines,
        gate: Option<Arc<Gate>>,
        chance: Chance,
        drain: Drain,
    ) -> Self {
        Self { routes, shared: Arc::new(Shared { deadlines, gate, chance, drain }) }
    }

    /// Answers one call. Never fails: whatever goes wrong is a status.
    pub(super) fn call(&self, mut request: Request<Body>, peer: Peer) -> Answer {
        let id = take_id(request.headers()).unwrap_or_else(|| self.shared.chance.request_id());
        let span = tracing::info_span!("rpc", method = request.uri().path(), request_id = %id);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(id.clone());
        let (request, timeout) = match span.in_scope(|| self.shared.admit(request)) {
            Ok(admitted) => admitted,
            Err(status) => return Box::pin(std::future::ready(Ok(with_id(status.into_http(), &id)))),
        };
        let watch = Watch::new(&self.shared, request.uri().path(), timeout);
        let mut routes = self.routes.clone();
        let answer = async move {
            // `Routes` is always ready (its `poll_ready` says so without looking).
            let handled = AssertUnwindSafe(async move { routes.call(request).await }).catch_unwind();
            let mut response = match watch.run(handled).await {
                Ok(Ok(Ok(response))) => response,
                Ok(Ok(Err(never))) => match never {},
                Ok(Err(_panic)) => panicked().into_http(),
                Err(status) => status.into_http(),
            };
            if watch.streams {
                let span = tracing::Span::current();
                response = response.map(|body| watch.guard(body, span));
            }
            Ok(with_id(response, &id))
        };
        Box::pin(answer.instrument(span))
    }
}

impl Shared {
    /// Reads the deadline and asks the gate, before anything else costs anything.
    fn admit(&self, request: Request<Body>) -> Result<(Request<Body>, Option<Duration>), Status> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path();
        let asked = asked(&parts.headers).map_err(|()| {
            let message = "grpc-timeout must be one to eight digits and one of H, M, S, m, u, n";
            refusal(Code::InvalidArgument, "DEADLINE_MALFORMED", message)
        })?;
        let timeout = self.deadlines.allow(path, asked);
        if let Some(timeout) = timeout {
            if timeout < LEAST {
                let message = format!("less than {} ms left; nothing was done", LEAST.as_millis());
                return Err(refusal(Code::DeadlineExceeded, "DEADLINE_TOO_SHORT", message));
            }
            parts.extensions.insert(Deadline(Instant::now() + timeout));
        }
        if let Some(gate) = &self.gate {
            gate(path, &parts.headers, &mut parts.extensions)?;
        }
        Ok((Request::from_parts(parts, body), timeout))
    }
}

/// How one call is watched over.
struct Watch {
    deadline: Option<Instant>,
    streams: bool,
    /// Set for streams that are not ours to end, and so would hold the drain up.
    cut: Option<Drain>,
}

impl Watch {
    fn new(shared: &Shared, path: &str, timeout: Option<Duration>) -> Self {
        let streams = shared.deadlines.is_stream(path);
        let foreign = streams && path.starts_with("/grpc.");
        Self {
            deadline: timeout.map(|timeout| Instant::now() + timeout),
            streams,
            cut: foreign.then(|| shared.drain.clone()),
        }
    }

    /// Waits for the handler, as long as the deadline allows.
    async fn run<T>(&self, handled: impl Future<Output = T>) -> Result<T, Status> {
        match self.deadline {
            None => Ok(handled.await),
            Some(deadline) => tokio::time::timeout_at(deadline, handled).await.map_err(|_| exceeded()),
        }
    }

    /// Watches over the messages that are still to come.
    fn guard(self, body: Body, span: tracing::Span) -> Body {
        Body::new(Guarded::new(body, self.deadline, self.cut, span))
    }
}

pub(super) fn exceeded() -> Status {
    refusal(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "the call's deadline has passed")
}

/// The text is fixed: what a panic says is for the log, which the panic hook writes, within the call's span.
pub(super) fn panicked() -> Status {
    refusal(Code::Internal, "INTERNAL", "internal error; the request id finds it in the log")
}

fn take_id(headers: &http::HeaderMap) -> Option<RequestId> {
    RequestId::parse(headers.get(REQUEST_ID)?.to_str().ok()?)
}

fn with_id(mut response: Response<Body>, id: &RequestId) -> Response<Body> {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
