//! An in-memory network of one address.

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// Bytes in flight each way: one HTTP/2 flow-control window.
const BUFFER_BYTES: usize = 64 * 1024;

/// Connections waiting to be accepted. A channel has one at a time.
const BACKLOG: usize = 16;

/// The server's end: give it to [`Server::pipe`](super::Server::pipe).
#[derive(Debug)]
pub struct PipeListener(pub(super) mpsc::Receiver<DuplexStream>);

/// An in-memory pipe: a `Channel` for generated clients, and the listener for their server.
///
/// The channel connects at its first call, and again after the server has closed a connection. Once the listener is
/// gone its calls fail with UNAVAILABLE, as they do when a server on a socket is gone; before the server has started
/// they wait. Must be called within a tokio runtime.
pub fn pipe() -> (Channel, PipeListener) {
    let (tx, rx) = mpsc::channel(BACKLOG);
    let connect = service_fn(move |_| {
        let tx = tx.clone();
        async move {
            let (near, far) = tokio::io::duplex(BUFFER_BYTES);
            tx.send(far).await.map_err(|_| std::io::Error::from(std::io::ErrorKind::ConnectionRefused))?;
            Ok::<_, std::io::Error>(TokioIo::new(near))
        }
    });
    // The authority is only what the server would see as its own name.
    let channel = Endpoint::from_static("http://tandem.internal").connect_with_connector_lazy(connect);
    (channel, PipeListener(rx))
}
