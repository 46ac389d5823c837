//! Connections: accepted, kept alive, aged, drained.

use std::convert::Infallible;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::Connections;
use super::guard::Guard;
use super::pipe::PipeListener;
use super::tls::Tls;
use crate::clock::Chance;
use crate::drain::Life;

/// After an accept that failed (no more file descriptors) the next try waits: the cause needs time to go away.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection. In every request's extensions.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The local address; `None` for an in-memory pipe.
    pub local: Option<SocketAddr>,
    /// The peer's address; `None` for an in-memory pipe.
    pub remote: Option<SocketAddr>,
    /// The client's certificate chain, leaf first, already verified against the client CA.
    pub certificates: Option<Arc<[CertificateDer<'static>]>>,
}

impl Peer {
    /// Whether the peer is in this process.
    pub fn is_in_process(&self) -> bool {
        self.remote.is_none()
    }
}

/// What all connections of a server share.
#[derive(Clone)]
pub(super) struct Acceptor {
    name: &'static str,
    life: Life,
    chance: Chance,
    limits: Connections,
    open: Arc<Semaphore>,
    guard: Guard,
}

impl Acceptor {
    pub(super) fn new(
        name: &'static str,
        life: Life,
        chance: Chance,
        limits: Connections,
        guard: Guard,
    ) -> Self {
        let open = Arc::new(Semaphore::new(limits.max));
        Self { name, life, chance, limits, open, guard }
    }

    /// Accepts from a TCP listener until the process drains. The listener is closed then: later clients are refused
    /// by the kernel at once.
    pub(super) fn serve_tcp(&self, listener: TcpListener, tls: Option<Tls>) {
        if let Some(tls) = &tls {
            tls.follow(&self.life);
        }
        let (this, tasks) = (self.clone(), self.life.tasks.clone());
        tasks.critical(self.name, async move {
            let drain = this.life.drain.clone();
            tokio::select! {
                () = drain.draining() => Ok::<_, Infallible>(()),
                never = this.accept_tcp(listener, tls) => match never {},
            }
        });
    }

    async fn accept_tcp(&self, listener: TcpListener, tls: Option<Tls>) -> Infallible {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.open(stream, remote, tls.clone(), self.slot().await),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept; trying again");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Accepts from a pipe until the process drains.
    pub(super) fn serve_pipe(&self, mut listener: PipeListener) {
        let (this, tasks) = (self.clone(), self.life.tasks.clone());
        tasks.spawn(self.name, async move {
            let drain = this.life.drain.clone();
            let accept = async {
                // It ends when every client is gone and no more can come.
                while let Some(stream) = listener.0.recv().await {
                    let slot = this.slot().await;
                    let connection = this.clone();
                    this.life.tasks.spawn("grpc connection", async move {
                        connection.serve(stream, Peer::default(), slot).await;
                    });
                }
            };
            tokio::select! {
                () = drain.draining() => {}
                () = accept => {}
            }
        });
    }

    /// A place for a connection that was accepted; until there is one, nothing more is accepted. The semaphore is never closed, so there always comes one.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        self.open.clone().acquire_owned().await.ok()
    }

    fn open(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        tls: Option<Tls>,
        slot: Option<OwnedSemaphorePermit>,
    ) {
        let this = self.clone();
        self.life.tasks.spawn("grpc connection", async move {
            // Small messages go out at once. Should the option fail the peer has gone, and reading will tell.
            let _ = stream.set_nodelay(true);
            let mut peer = Peer { local: stream.local_addr().ok(), remote: Some(remote), certificates: None };
            let Some(tls) = tls else { return this.serve(stream, peer, slot).await };
            let handshake = tokio::time::timeout(this.limits.handshake_timeout, tls.accept(stream));
            let shaken = tokio::select! {
                shaken = handshake => shaken,
                () = this.life.drain.draining() => return,
            };
            match shaken {
                Ok(Ok(stream)) => {
                    let chain = stream.get_ref().1.peer_certificates();
                    peer.certificates = chain.map(Arc::from);
                    this.serve(stream, peer, slot).await;
                }
                Ok(Err(error)) => tracing::debug!(%remote, %error, "TLS handshake failed"),
                Err(_elapsed) => tracing::debug!(%remote, "TLS handshake took too long"),
            }
        });
    }

    /// Serves one connection to its end.
    pub(super) async fn serve<I>(&self, stream: I, peer: Peer, _slot: Option<OwnedSemaphorePermit>)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let calls = TaskTracker::new();
        let guard = self.guard.clone();
        let in_process = peer.is_in_process();
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            guard.call(request, peer.clone())
        });
        let mut builder = hyper::server::conn::http2::Builder::new(Tracked(calls.clone()));
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.limits.streams_max)
            .max_header_list_size(self.limits.header_bytes_max);
        if !in_process {
            builder.keep_alive_interval(self.limits.ping_every).keep_alive_timeout(self.limits.ping_timeout);
        }
        let mut connection = Box::pin(builder.serve_connection(TokioIo::new(Copied::new(stream)), service));
        let age = self.chance.jitter(self.limits.age, 10);
        let told = tokio::select! {
            ended = connection.as_mut() => return closed(ended),
            () = tokio::time::sleep(age) => Some(self.limits.age_grace),
            () = self.life.drain.draining() => None,
        };
        // GOAWAY: what runs may end, nothing new begins.
        connection.as_mut().graceful_shutdown();
        let grace = async {
            match told {
                Some(grace) => tokio::time::sleep(grace).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = connection.as_mut() => closed(ended),
            () = grace => tracing::debug!("connection outlived its age; closing"),
            () = self.life.drain.stopped() => {}
        }
        // With the connection go the calls that are left on it; this waits for the last of them.
        drop(connection);
        calls.close();
        tokio::select! {
            () = calls.wait() => {}
            () = self.life.drain.stopped() => {}
        }
    }
}

/// A stream to which small pieces are copied together, and large ones given as they are. h2 takes a stream that can write
/// several pieces at once as one that wants them: it then writes each answer of 256 bytes or more by a system call of
/// its own. Of one that cannot it collects answers below 1 KiB, as many as are ready, and writes them at once. It asks
/// when a connection begins; asked again, with pieces at hand, the stream says what it can.
struct Copied<I> {
    stream: I,
    asked: AtomicBool,
}

impl<I> Copied<I> {
    const fn new(stream: I) -> Self {
        Self { stream, asked: AtomicBool::new(false) }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Copied<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(ctx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Copied<I> {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(ctx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(ctx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(ctx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.asked.swap(true, Ordering::Relaxed) && self.stream.is_write_vectored()
    }
}

/// hyper runs each call as a task of its own; this keeps count of them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, call: F) {
        self.0.spawn(call);
    }
}

fn closed(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

/// Errors of `accept` that tell of the connection that was to come, not of the listener (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
