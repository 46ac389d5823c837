//! A TCP proxy before a server, which loses what the test wants lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What passes.
#[derive(Debug, Default)]
struct Rules {
    /// Answers are read from the server and dropped.
    swallow_answers: AtomicBool,
    /// How many bytes to the server still pass; beyond, they are held. `usize::MAX`: all.
    pass: AtomicUsize,
    /// New connections are closed at once.
    refuse: AtomicBool,
    /// Bytes held now.
    held: AtomicUsize,
    /// What connections that lost their client hold goes on to the server.
    late: AtomicBool,
}

/// A proxy on a port of its own.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    rules: Arc<Rules>,
    /// Counts up: connections of before lose their client.
    cut: watch::Sender<u64>,
}

impl Proxy {
    /// One before the server at a port.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let rules = Arc::new(Rules { pass: AtomicUsize::new(usize::MAX), ..Rules::default() });
        let proxy = Self { port, rules, cut: watch::Sender::new(0) };
        let accepting = proxy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !accepting.rules.refuse.load(Ordering::SeqCst) {
                    let (rules, cut) = (Arc::clone(&accepting.rules), accepting.cut.subscribe());
                    tokio::spawn(carry(client, to, rules, cut));
                }
            }
        });
        proxy
    }

    /// Whether answers are lost.
    pub fn swallow_answers(&self, yes: bool) {
        self.rules.swallow_answers.store(yes, Ordering::SeqCst);
    }

    /// Lets so many more bytes pass to the server, and holds what comes after.
    pub fn hold_after(&self, bytes: usize) {
        self.rules.pass.store(bytes, Ordering::SeqCst);
    }

    /// Lets all pass again, but for what connections hold that have lost their client.
    pub fn release(&self) {
        self.rules.pass.store(usize::MAX, Ordering::SeqCst);
    }

    /// Lets that pass as well, as a slow network does.
    pub fn deliver_late(&self) {
        self.rules.late.store(true, Ordering::SeqCst);
    }

    /// Whether new connections are refused.
    pub fn refuse(&self, yes: bool) {
        self.rules.refuse.store(yes, Ordering::SeqCst);
    }

    /// Closes the clients' side of every connection. Towards the server they stay open while anything is held.
    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    /// Waits until something is held.
    pub async fn holds(&self) {
        while self.rules.held.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn carry(mut client: TcpStream, to: u16, rules: Arc<Rules>, mut cut: watch::Receiver<u64>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else { return };
    let born = *cut.borrow_and_update();
    let (mut asks, mut answers) = (vec![0; 65536], vec![0; 65536]);
    let mut held = Vec::new();
    loop {
        tokio::select! {
            read = client.read(&mut asks) => match read {
                Ok(n) if n > 0 => held.extend_from_slice(&asks[..n]),
                _ => break,
            },
            read = server.read(&mut answers) => match read {
                Ok(n) if n > 0 => {
                    if !rules.swallow_answers.load(Ordering::SeqCst) && client.write_all(&answers[..n]).await.is_err() {
                        break;
                    }
                }
                _ => return,
            },
            _ = cut.changed() => break,
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
        if *cut.borrow() == born && !forward(&mut held, &mut server, &rules).await {
            return;
        }
    }
    drop(client);
    while !held.is_empty() && !rules.late.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // A server that has ended the connection takes nothing more.
    let _ = server.write_all(&held).await;
    // Open, so that the server reads what came before it sees an end.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn forward(held: &mut Vec<u8>, server: &mut TcpStream, rules: &Rules) -> bool {
    let pass = rules.pass.load(Ordering::SeqCst);
    let now = pass.min(held.len());
    if now > 0 {
        if pass != usize::MAX {
            rules.pass.fetch_sub(now, Ordering::SeqCst);
        }
        let sent: Vec<u8> = held.drain(..now).collect();
        if server.write_all(&sent).await.is_err() {
            return false;
        }
    }
    rules.held.store(held.len(), Ordering::SeqCst);
    true
}
