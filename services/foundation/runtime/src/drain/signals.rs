//! The signals that end a process, as a stream: so that a test can send them without being killed.

use std::fmt;

use futures::Stream;
use tokio_stream::wrappers::ReceiverStream;

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: a person pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor asks.
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// The process's own SIGINT and SIGTERM from now on. Call once, before anything that takes time.
///
/// # Errors
///
/// When the handlers cannot be installed.
pub fn signals() -> std::io::Result<impl Stream<Item = Signal> + Unpin> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Two is all that matters: the first leaves, the second leaves at once.
    let (tx, rx) = tokio::sync::mpsc::channel(2);
    // Ends with its stream; it is not one of the process's tasks, for it must outlive them all.
    tokio::spawn(async move {
        loop {
            let received = tokio::select! {
                Some(()) = interrupt.recv() => Signal::Interrupt,
                Some(()) = terminate.recv() => Signal::Terminate,
                () = tx.closed() => return,
                else => return,
            };
            if tx.send(received).await.is_err() {
                return;
            }
        }
    });
    Ok(ReceiverStream::new(rx))
}
