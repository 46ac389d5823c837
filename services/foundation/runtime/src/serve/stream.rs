//! The messages of a stream, watched over: its deadline, a panic in what makes them, the drain, and how it ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use super::guard::{exceeded, panicked};
use super::refusal::{ending, explain};
use crate::drain::Drain;

/// A response body that ends with a status of ours when it must not go on.
pub(super) struct Guarded {
    /// `None` once it has ended: what panicked or is late is dropped at once.
    body: Option<Body>,
    deadline: Option<Pin<Box<Sleep>>>,
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    span: tracing::Span,
}

impl Guarded {
    pub(super) fn new(
        body: Body,
        deadline: Option<Instant>,
        cut: Option<Drain>,
        span: tracing::Span,
    ) -> Self {
        Self {
            body: Some(body),
            deadline: deadline.map(|at| Box::pin(tokio::time::sleep_until(at))),
            cut: cut.map(|drain| Box::pin(async move { drain.draining().await }) as Pin<Box<_>>),
            span,
        }
    }

    fn end(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.body = None;
        Poll::Ready(Some(ending(status)))
    }
}

/// The end of a stream says why like everything else.
fn explained(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        explain(trailers);
    }
    frame
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let span = this.span.clone();
        let _entered = span.enter();
        match catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(ctx))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(ended)) => return Poll::Ready(ended.map(|frame| frame.map(explained))),
            Err(_panic) => return this.end(&panicked()),
        }
        if this.deadline.as_mut().is_some_and(|sleep| sleep.as_mut().poll(ctx).is_ready()) {
            return this.end(&exceeded());
        }
        if this.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(ctx).is_ready()) {
            return this.end(&Status::ok(""));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
