//! How answers leave.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tonic::transport::{Channel, Endpoint};

use super::super::{Answer, Peer, Reply, Unary};
use super::probe::{ProbeClient, server};
use crate::drain::Life;

/// A stream that counts how often it is written to, and takes several pieces at once, as a socket does.
struct Counted(DuplexStream, Arc<AtomicUsize>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(ctx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.0).poll_write(ctx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let together: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        self.as_mut().poll_write(ctx, &together)
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(ctx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}

/// Answers at once with a message of so many bytes: one field that no client knows.
struct Decides(u16);

impl Unary for Decides {
    fn call(&self, _: Bytes, _: &http::Extensions) -> Answer {
        let mut out = Reply::buffer(usize::from(self.0) + 3);
        let [low, high] = [self.0 as u8 & 0x7f | 0x80, (self.0 >> 7) as u8];
        out.extend_from_slice(&[0x7a, low, high]);
        out.resize(out.len() + usize::from(self.0), b'x');
        Answer::Now(Ok(Reply::new(out)))
    }
}

/// A server that answers so, and how often it wrote.
async fn counted(bytes: u16) -> (Channel, Life, Arc<AtomicUsize>) {
    let (life, writes) = (Life::new(), Arc::new(AtomicUsize::new(0)));
    let acceptor = server(&life).lean("/test.v1.Probe/Check", Arc::new(Decides(bytes))).acceptor().unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    let stream = Counted(far, Arc::clone(&writes));
    tokio::spawn(async move { acceptor.serve(stream, Peer::default(), None).await });
    let mut near = Some(near);
    let connect = tower::service_fn(move |_| {
        std::future::ready(
            near.take().map(TokioIo::new).ok_or(io::ErrorKind::ConnectionRefused.into()) as io::Result<_>
        )
    });
    let channel =
        Endpoint::from_static("http://test.internal").connect_with_connector(connect).await.unwrap();
    ProbeClient::new(channel.clone()).check("first", &[]).await.unwrap();
    (channel, life, writes)
}

#[tokio::test]
async fn answers_that_are_ready_together_leave_by_few_writes() {
    const CALLS: usize = 32;
    // As decisions are.
    let (channel, _life, writes) = counted(400).await;
    let before = writes.load(Ordering::Relaxed);
    let calls = (0..CALLS).map(|_| {
        let mut client = ProbeClient::new(channel.clone());
        async move { client.check("then", &[]).await }
    });
    for answer in futures::future::join_all(calls).await {
        answer.unwrap();
    }
    let took = writes.load(Ordering::Relaxed) - before;
    assert!(took < CALLS / 2, "{CALLS} answers took {took} writes");
}

#[tokio::test]
async fn a_large_answer_leaves_with_its_head_by_one_write() {
    let (channel, _life, writes) = counted(12_000).await;
    // Now and then the connection has something of its own to say: the fewest of some tries are the answer's.
    let mut fewest = usize::MAX;
    for _ in 0..10 {
        let before = writes.load(Ordering::Relaxed);
        ProbeClient::new(channel.clone()).check("then", &[]).await.unwrap();
        fewest = fewest.min(writes.load(Ordering::Relaxed) - before);
    }
    assert!(fewest <= 2, "{fewest} writes");
}
