//! What stands between a connection and the handlers: request id, deadline, gate, panics.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service;
use tracing::Instrument;

use super::deadline::{Deadline, Deadlines, LEAST, asked};
use super::flow::{self, Streamed};
use super::lean::{self, Unary};
use super::refusal::{INTERNAL_TEXT, explain, refusal};
use super::stream::Guarded;
use super::{Gate, Peer};
use crate::clock::{Chance, RequestId};
use crate::drain::Drain;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The service that every connection shares.
#[derive(Clone)]
pub(super) struct Guard(Arc<Shared>);

struct Shared {
    routes: Routes,
    deadlines: Deadlines,
    short: Short,
    gate: Option<Arc<Gate>>,
    chance: Chance,
    drain: Drain,
}

/// Methods that are answered from bytes. A few at the most: a walk beats a hash.
#[derive(Default)]
pub(super) struct Short {
    pub(super) unary: Vec<(&'static str, Arc<dyn Unary>)>,
    pub(super) streamed: Vec<(&'static str, Arc<dyn Streamed>)>,
}

/// Who answers a method.
fn of<T: ?Sized>(methods: &[(&'static str, Arc<T>)], path: &str) -> Option<Arc<T>> {
    methods.iter().find(|(method, _)| *method == path).map(|(_, answers)| Arc::clone(answers))
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Guard {
    pub(super) fn new(
        routes: Routes,
        short: Short,
        deadlines: Deadlines,
        gate: Option<Arc<Gate>>,
        chance: Chance,
        drain: Drain,
    ) -> Self {
        Self(Arc::new(Shared { routes, deadlines, short, gate, chance, drain }))
    }

    /// Answers one call. Never fails: whatever goes wrong is a status.
    pub(super) fn call(&self, request: Request<Incoming>, peer: Peer) -> Answer {
        let (mut parts, body) = request.into_parts();
        let id = take_id(&parts.headers).unwrap_or_else(|| self.0.chance.request_id());
        let span = tracing::info_span!("rpc", method = parts.uri.path(), request_id = %id);
        parts.extensions.insert(peer);
        parts.extensions.insert(id.clone());
        let timeout = match span.in_scope(|| self.0.admit(&mut parts)) {
            Ok(timeout) => timeout,
            Err(status) => return Box::pin(std::future::ready(Ok(with_id(status.into_http(), &id)))),
        };
        let watch = Watch::new(&self.0, parts.uri.path(), timeout);
        let handled = AssertUnwindSafe(self.clone().handle(parts, body)).catch_unwind();
        let answer = async move {
            let mut response = match watch.run(handled).await {
                Ok(Ok(response)) => response,
                Ok(Err(_panic)) => panicked().into_http(),
                Err(status) => status.into_http(),
            };
            explain(response.headers_mut());
            if watch.streams {
                let span = tracing::Span::current();
                response = response.map(|body| watch.guard(body, span));
            }
            Ok(with_id(response, &id))
        };
        Box::pin(answer.instrument(span))
    }

    /// By the short way where the method has one and the request fits it, else by the generated server.
    async fn handle(self, parts: Parts, body: Incoming) -> Response<Body> {
        let (short, path) = (&self.0.short, parts.uri.path());
        if let Some(streamed) = of(&short.streamed, path).filter(|_| flow::fits(&parts.headers)) {
            return flow::response(streamed, body, parts.extensions, self.0.drain.clone());
        }
        let unary = of(&short.unary, path).filter(|_| lean::fits(&parts.method, &parts.headers));
        let body = match unary {
            None => Body::new(body),
            Some(unary) => match lean::take(body).await {
                lean::Taken::Whole(message) => {
                    return lean::response(unary.call(message, &parts.extensions)).await;
                }
                lean::Taken::Odd(body) => Body::new(*body),
            },
        };
        let mut routes = self.0.routes.clone();
        // `Routes` is always ready (its `poll_ready` says so without looking).
        match routes.call(Request::from_parts(parts, body)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

impl Shared {
    /// Reads the deadline and asks the gate, before anything else costs anything. How long the call may take.
    fn admit(&self, parts: &mut Parts) -> Result<Option<Duration>, Status> {
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
        Ok(timeout)
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
    refusal(Code::Internal, "INTERNAL", INTERNAL_TEXT)
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
