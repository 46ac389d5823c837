//! Bidirectional methods that are answered from bytes: messages that came together are answered together.
//!
//! ```text
//! DATA ──▶ whole messages ──▶ Streamed::call, all at hand at once ──▶ one DATA with their answers
//! ```
//!
//! Answers keep the order of their requests. While answers wait for room on the wire, or one of them for something
//! else, no further request is taken: what is held for a caller is bounded by what it may send at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header};
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::{Code, Status};

use super::MESSAGE_BYTES_MAX;
use super::lean::{Later, PREFIX, complete};
use super::refusal::{ending, refusal};
use crate::drain::Drain;

/// How many messages are answered at once: their answers leave together, so that the first waits for the last.
const TOGETHER: usize = 32;
/// So many bytes of answers are sent before more requests are answered: the most that HTTP/2 sends in one frame.
const PIECE_BYTES: usize = 16 * 1024;

/// Answers the messages of a stream from their bytes.
pub trait Streamed: Send + Sync + 'static {
    /// Answers messages in their order, as far as that can be done at once: at least one, at most 32 of them.
    /// `extensions` hold what the gate left, the [`Deadline`](super::Deadline) and the request's id. Must not block.
    fn call(&self, messages: &[Bytes], extensions: &http::Extensions, replies: &mut Replies) -> Progress;
}

/// How far a [`Streamed`] came.
pub enum Progress {
    /// Every message is answered.
    Done,
    /// So many are answered; the next one's answer must be waited for. What follows is asked for after it.
    Waits(usize, Later),
    /// The next message ends the stream, after the answers to those before it.
    Ends(Status),
}

/// Encoded answers on their way out.
#[derive(Debug, Default)]
pub struct Replies(Vec<u8>);

impl Replies {
    /// Makes room for so many bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    /// Adds an answer: `write` appends its message to the buffer. What it wrote is taken back when it fails.
    ///
    /// # Errors
    /// What `write` answers.
    pub fn add<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let from = self.0.len();
        self.0.extend_from_slice(&[0; PREFIX]);
        let written = write(&mut self.0);
        match written {
            Ok(()) => complete(self.0.get_mut(from..).unwrap_or_default()),
            Err(_) => self.0.truncate(from),
        }
        written
    }
}

/// Whether a request's messages come in clear. Others are the generated server's, which says what it takes.
pub(super) fn fits(headers: &HeaderMap) -> bool {
    headers.get("grpc-encoding").is_none_or(|encoding| encoding == "identity")
}

/// The response of a stream that begins.
pub(super) fn response(
    streamed: Arc<dyn Streamed>,
    requests: Incoming,
    extensions: http::Extensions,
    drain: Drain,
) -> Response<Body> {
    let flow = Flow {
        requests: Requests { body: Some(requests), rest: BytesMut::new(), whole: Vec::new() },
        streamed,
        extensions,
        waiting: None,
        draining: Box::pin(async move { drain.draining().await }),
        end: None,
        ended: false,
    };
    let mut response = Response::new(Body::new(flow));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// The answers of one stream.
struct Flow {
    requests: Requests,
    streamed: Arc<dyn Streamed>,
    extensions: http::Extensions,
    /// The answer to the first message at hand.
    waiting: Option<Later>,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// How the stream ends once what is at hand is answered.
    end: Option<Status>,
    ended: bool,
}

impl Flow {
    /// Answers what is at hand and has come, until something must be waited for or there is a piece to send.
    fn answer(&mut self, ctx: &mut Context<'_>) -> Poll<Replies> {
        let mut replies = Replies::default();
        if self.requests.whole.is_empty() {
            ready!(self.take(ctx));
        }
        while !self.requests.whole.is_empty() && replies.0.len() < PIECE_BYTES {
            if let Some(waiting) = &mut self.waiting {
                let Poll::Ready(reply) = waiting.as_mut().poll(ctx) else {
                    return if replies.0.is_empty() { Poll::Pending } else { Poll::Ready(replies) };
                };
                self.waiting = None;
                match reply {
                    Ok(reply) => replies.0.extend_from_slice(&reply.0),
                    Err(status) => self.stop(status),
                }
                self.requests.whole.drain(..self.requests.whole.len().min(1));
                continue;
            }
            let together = self.requests.whole.len().min(TOGETHER);
            let messages = self.requests.whole.get(..together).unwrap_or_default();
            let answered = match self.streamed.call(messages, &self.extensions, &mut replies) {
                Progress::Done => together,
                Progress::Waits(answered, answer) => {
                    self.waiting = Some(answer);
                    answered.min(together)
                }
                Progress::Ends(status) => {
                    self.stop(status);
                    0
                }
            };
            self.requests.whole.drain(..answered);
        }
        Poll::Ready(replies)
    }

    /// Takes requests until there are enough, there are no more for now, or the stream's end has come.
    fn take(&mut self, ctx: &mut Context<'_>) -> Poll<()> {
        if self.end.is_some() {
            return Poll::Ready(());
        }
        if self.draining.as_mut().poll(ctx).is_ready() {
            self.end = Some(Status::ok(""));
            return Poll::Ready(());
        }
        while self.requests.whole.len() < TOGETHER {
            match self.requests.poll(ctx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(end)) => {
                    self.end = Some(end);
                    self.requests.body = None;
                    break;
                }
                Poll::Pending if self.requests.whole.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    }

    /// Ends the stream in front of the first message at hand.
    fn stop(&mut self, status: Status) {
        self.requests = Requests { body: None, rest: BytesMut::new(), whole: Vec::new() };
        self.end = Some(status);
    }
}

impl http_body::Body for Flow {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let replies = ready!(self.answer(ctx));
        if !replies.0.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(replies.0.into()))));
        }
        self.ended = true;
        let end = self.end.take().unwrap_or_else(|| Status::internal("requests were left without an answer"));
        Poll::Ready(Some(ending(&end)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

/// What came of a request's body.
struct Requests {
    /// None: no more is taken.
    body: Option<Incoming>,
    /// The start of a message whose end has not come.
    rest: BytesMut,
    /// Whole messages, in their order.
    whole: Vec<Bytes>,
}

impl Requests {
    /// Takes one more piece of the body.
    ///
    /// # Errors
    /// How the stream ends: the body's end is one.
    fn poll(&mut self, ctx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Err(Status::ok(""))) };
        Poll::Ready(match ready!(Pin::new(body).poll_frame(ctx)) {
            Some(Ok(frame)) => frame.into_data().map_or(Ok(()), |data| self.split(data)),
            Some(Err(broken)) => Err(Status::from_error(Box::new(broken))),
            None if self.rest.is_empty() => Err(Status::ok("")),
            None => Err(malformed("the stream ended within a message")),
        })
    }

    /// Takes the whole messages out of a piece.
    fn split(&mut self, mut data: Bytes) -> Result<(), Status> {
        if self.rest.is_empty() {
            while let Some(len) = whole(&data)? {
                self.whole.push(data.split_to(len).slice(PREFIX..));
            }
            self.rest.extend_from_slice(&data);
            return Ok(());
        }
        self.rest.extend_from_slice(&data);
        while let Some(len) = whole(&self.rest)? {
            self.whole.push(self.rest.split_to(len).freeze().slice(PREFIX..));
        }
        Ok(())
    }
}

fn malformed(message: &str) -> Status {
    refusal(Code::Internal, "MESSAGE_MALFORMED", message)
}

/// How long the first message of some bytes is with its prefix, if it is whole.
fn whole(data: &[u8]) -> Result<Option<usize>, Status> {
    let Some(([compressed, len @ ..], _)) = data.split_first_chunk::<PREFIX>() else { return Ok(None) };
    if *compressed != 0 {
        return Err(malformed("a message is compressed, and no grpc-encoding was given"));
    }
    let len = u32::from_be_bytes(*len) as usize;
    if len > MESSAGE_BYTES_MAX {
        let message = format!("a message of {len} bytes; at most {MESSAGE_BYTES_MAX} are taken");
        return Err(refusal(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message));
    }
    Ok(Some(PREFIX + len).filter(|whole| *whole <= data.len()))
}
