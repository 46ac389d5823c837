//! One TCP connection: messages in, packets out, keep-alives answered, silence ended.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_runtime::clock::Clock;
use tandem_sip::message::{Framed, Refusal, StreamFramer, Table};
use tandem_sip::transaction::Packet;
use tandem_sip::write::Response;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::Arrived;

/// One read: more than most messages.
const READ_BYTES: usize = 16 * 1024;

/// What a connection is given.
pub(super) struct Given {
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) clock: Clock,
    pub(super) idle: Duration,
    pub(super) message: Duration,
    pub(super) queue: mpsc::Receiver<Packet>,
    pub(super) engine: mpsc::Sender<Arrived>,
}

/// Makes a connection from our own address, and runs it.
pub(super) async fn connect(given: Given, from: SocketAddr, within: Duration) {
    let (id, engine, clock) = (given.id, given.engine.clone(), given.clock.clone());
    let stream = tokio::select! {
        stream = open(from, given.peer) => stream,
        () = clock.sleep(within) => Err(std::io::ErrorKind::TimedOut.into()),
    };
    match stream {
        Ok(stream) => run(given, stream).await,
        Err(error) => {
            tracing::debug!(peer = %given.peer, %error, "no connection");
            let _ = engine.send(Arrived::Closed { connection: id, made: false }).await;
        }
    }
}

async fn open(from: SocketAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !from.ip().is_unspecified() {
        // The peer knows us by the address that we listen on; the port is the machine's choice.
        socket.bind(SocketAddr::new(from.ip(), 0))?;
    }
    socket.connect(to).await
}

/// Runs a connection to its end, and tells the engine.
pub(super) async fn run(mut given: Given, stream: TcpStream) {
    // Small messages, each of which somebody waits for.
    let _ = stream.set_nodelay(true);
    let (id, engine) = (given.id, given.engine.clone());
    if let Err(error) = serve(&mut given, stream).await {
        tracing::debug!(peer = %given.peer, %error, "connection ended");
    }
    let _ = engine.send(Arrived::Closed { connection: id, made: true }).await;
}

async fn serve(given: &mut Given, stream: TcpStream) -> std::io::Result<()> {
    let (mut reader, mut writer) = stream.into_split();
    let (mut framer, mut table) = (StreamFramer::new(), Box::new(Table::new()));
    let mut buffer = vec![0; READ_BYTES];
    let clock = given.clock.clone();
    // A message that has begun has its own, shorter, time; what trickles does not extend it.
    let mut begun: Option<Duration> = None;
    loop {
        let deadline = begun.unwrap_or_else(|| clock.monotonic().saturating_add(given.idle));
        tokio::select! {
            read = reader.read(&mut buffer) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                framer.push(buffer.get(..count).unwrap_or_default());
                if !hand_on(given, &mut framer, &mut table, &mut writer).await? {
                    return Ok(());
                }
                begun = if framer.is_amid_message() {
                    begun.or_else(|| Some(clock.monotonic().saturating_add(given.message)))
                } else {
                    None
                };
            }
            packet = given.queue.recv() => match packet {
                Some(packet) => writer.write_all(&packet).await?,
                None => return Ok(()),
            },
            () = clock.sleep_until(deadline) => return Ok(()),
        }
    }
}

/// Hands on every whole message. False: the stream must be closed.
async fn hand_on(
    given: &Given,
    framer: &mut StreamFramer,
    table: &mut Table,
    writer: &mut tokio::net::tcp::OwnedWriteHalf,
) -> std::io::Result<bool> {
    loop {
        let arrived = match framer.next(table) {
            Ok(None) => return Ok(true),
            Ok(Some(Framed::Ping)) => {
                writer.write_all(b"\r\n").await?;
                Arrived::KeepAlive
            }
            Ok(Some(Framed::Message(message))) => {
                Arrived::Message { connection: given.id, bytes: message.bytes().to_vec() }
            }
            Err(fault) => {
                let mut out = Vec::new();
                if let Some(request) = framer.salvage(table) {
                    let refusal = Refusal::from(fault.0);
                    // An answer that cannot be written is one less for who cannot write requests.
                    let _ = Response::refuse(&request, &refusal, Some("tdm"), Some(given.peer), &mut out)
                        .finish();
                }
                let _ = given.engine.send(Arrived::Malformed).await;
                writer.write_all(&out).await?;
                writer.shutdown().await?;
                return Ok(false);
            }
        };
        // The engine is gone: so are we.
        if given.engine.send(arrived).await.is_err() {
            return Ok(false);
        }
    }
}
