//! Unary methods that are answered from bytes: the short way past tonic's codec and router, for what is called most.
//!
//! ```text
//! DATA, one whole message in clear ──▶ Unary::call ──▶ one DATA, trailers
//! anything else (compressed, in pieces, two messages, broken) ──▶ the generated server, with the same bytes
//! ```
//!
//! On the wire nobody can tell the two ways apart: what is odd is answered by the generated server of the same method,
//! which must therefore be there too.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tonic::Status;
use tonic::body::Body;

/// Five bytes before each message: whether it is compressed, and its length (gRPC over HTTP/2).
pub(super) const PREFIX: usize = 5;

/// Answers a unary method from the bytes of its request.
pub trait Unary: Send + Sync + 'static {
    /// Answers one call. `extensions` hold what the gate left, the [`Deadline`](super::Deadline) and the request's id.
    /// Must not block.
    fn call(&self, message: Bytes, extensions: &http::Extensions) -> Answer;
}

/// How a [`Unary`] answers.
pub enum Answer {
    /// At once.
    Now(Result<Reply, Status>),
    /// After waiting for something; ended by the deadline like any call.
    Later(Later),
}

/// A reply that must be waited for.
pub type Later = Pin<Box<dyn Future<Output = Result<Reply, Status>> + Send>>;

/// An encoded message on its way out.
#[derive(Debug)]
pub struct Reply(pub(super) Bytes);

impl Reply {
    /// How many bytes of room a reply's buffer has before its message.
    pub const ROOM: usize = PREFIX;

    /// A buffer for a reply: room, and capacity for a message of so many bytes.
    #[must_use]
    pub fn buffer(bytes: usize) -> Vec<u8> {
        let mut buffer = Vec::with_capacity(PREFIX + bytes);
        buffer.extend_from_slice(&[0; PREFIX]);
        buffer
    }

    /// The reply of a buffer whose message begins after the room.
    #[must_use]
    pub fn new(mut buffer: Vec<u8>) -> Self {
        complete(&mut buffer);
        Self(buffer.into())
    }
}

/// Writes the length of a message into the prefix before it.
pub(super) fn complete(framed: &mut [u8]) {
    // A message of 4 GiB cannot be: it would have been a request's to ask for.
    let len = u32::try_from(framed.len().saturating_sub(PREFIX)).unwrap_or(u32::MAX);
    if let Some(place) = framed.get_mut(1..PREFIX) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

/// Whether the short way may be tried: a call as gRPC libraries make it, without compression.
pub(super) fn fits(method: &Method, headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    *method == Method::POST
        && matches!(content, Some(b"application/grpc" | b"application/grpc+proto"))
        && headers.get("grpc-encoding").is_none_or(|encoding| encoding == "identity")
}

/// A request's body, as far as it was looked at.
pub(super) enum Taken {
    /// One message and the end.
    Whole(Bytes),
    /// Something else: to be read again from the start.
    Odd(Box<Replay>),
}

/// Reads a body that ought to be one message.
pub(super) async fn take(mut body: Incoming) -> Taken {
    let mut seen = Vec::new();
    let mut message = None;
    while let Some(frame) = std::future::poll_fn(|ctx| Pin::new(&mut body).poll_frame(ctx)).await {
        let data = frame.as_ref().ok().and_then(Frame::data_ref);
        match data {
            Some(data) if data.is_empty() => continue,
            Some(data) if message.is_none() => message = whole(data),
            _ => message = None,
        }
        seen.push(frame);
        if message.is_none() {
            break;
        }
    }
    match message {
        Some(message) => Taken::Whole(message),
        None => {
            seen.reverse();
            Taken::Odd(Box::new(Replay { seen, rest: body }))
        }
    }
}

/// The message of a piece of body that holds one, whole and in clear.
fn whole(data: &Bytes) -> Option<Bytes> {
    let (prefix, message) = data.split_first_chunk::<PREFIX>()?;
    let [compressed, len @ ..] = *prefix;
    let fits = compressed == 0 && usize::try_from(u32::from_be_bytes(len)) == Ok(message.len());
    fits.then(|| data.slice(PREFIX..))
}

/// A body that begins with what was read of it already.
pub(super) struct Replay {
    /// The last first.
    seen: Vec<Result<Frame<Bytes>, hyper::Error>>,
    rest: Incoming,
}

impl http_body::Body for Replay {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.seen.pop() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(ctx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty() && self.rest.is_end_stream()
    }
}

/// The response to a call that was answered.
pub(super) async fn response(answer: Answer) -> Response<Body> {
    let reply = match answer {
        Answer::Now(reply) => reply,
        Answer::Later(reply) => reply.await,
    };
    match reply {
        Ok(Reply(framed)) => {
            let mut response = Response::new(Body::new(Framed(Some(framed), false)));
            let grpc = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert(header::CONTENT_TYPE, grpc);
            response
        }
        Err(status) => status.into_http(),
    }
}

/// One message and the trailers of a call that went well.
struct Framed(Option<Bytes>, bool);

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(framed) = self.0.take() {
            return Poll::Ready(Some(Ok(Frame::data(framed))));
        }
        if std::mem::replace(&mut self.1, true) {
            return Poll::Ready(None);
        }
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.1
    }
}
