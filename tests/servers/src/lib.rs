//! Real servers for tests: each in a directory of its own, on a loopback port of its own, ended by its pid when
//! dropped. And [`on`], which says on which backend a test's store is.
//!
//! For tests only: it panics where a test would.

#![allow(clippy::unwrap_used, clippy::panic, reason = "for tests only")]

pub mod cluster;
pub mod on;
pub mod proxy;
pub mod sentinel;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tandem_store::redis::settings::Address;
use tempfile::TempDir;

/// How long a server may take to listen. Far more than it needs, for machines are slow at times.
const PATIENCE: Duration = Duration::from_secs(30);

/// A port on loopback that nobody listens on now. Below 55536, so that the bus of a cluster (10,000 above) has one.
#[must_use]
pub fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if port < 55_536 {
            return port;
        }
    }
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its address on loopback, and from which it speaks to others: two servers with two of them can be cut apart.
    pub host: String,
    /// Its environment, beside that of the test.
    pub env: Vec<(String, String)>,
    /// Where it keeps what it keeps; none: a directory of its own.
    pub dir: Option<PathBuf>,
}

impl Default for Launch {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), env: vec![], dir: None }
    }
}

/// A redis-server.
#[derive(Debug)]
pub struct Server {
    child: Option<Child>,
    /// Where it listens.
    pub host: String,
    /// Likewise.
    pub port: u16,
    dir: PathBuf,
    _own: Option<TempDir>,
    env: Vec<(String, String)>,
    args: Vec<String>,
}

impl Server {
    /// Starts one, with nothing kept on disk but by these arguments.
    #[must_use]
    pub fn start(args: &[&str]) -> Self {
        Self::launch(Launch::default(), args)
    }

    /// Starts one so.
    #[must_use]
    pub fn launch(how: Launch, args: &[&str]) -> Self {
        let own = how.dir.is_none().then(|| tempfile::tempdir().unwrap());
        let mut server = Self {
            child: None,
            port: free_port(),
            dir: how.dir.or_else(|| own.as_ref().map(|own| own.path().to_owned())).unwrap(),
            _own: own,
            host: how.host,
            env: how.env,
            args: args.iter().map(|a| (*a).to_owned()).collect(),
        };
        let until = Instant::now() + PATIENCE;
        while !server.runs() {
            // Somebody took the port before it did.
            assert!(Instant::now() < until, "redis-server does not start:\n{}", server.log());
            server.port = free_port();
        }
        server
    }

    /// Starts it again where it was.
    pub fn again(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !self.runs() {
            assert!(Instant::now() < until, "redis-server does not start again:\n{}", self.log());
        }
    }

    /// Starts it, and waits until it answers; false: it ended instead.
    fn runs(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", &self.host, "--save", ""]);
        // Redis takes no other address of loopback for one that need not be protected.
        command.args(["--bind-source-addr", &self.host, "--protected-mode", "no"]);
        command.arg("--dir").arg(&self.dir).args(&self.args).envs(self.env.iter().cloned());
        let mut child = run(command, &self.dir.join("log"));
        let until = Instant::now() + PATIENCE;
        let own = format!("process_id:{}", child.id());
        // Whoever listens there must be this one; one that still loads its data answers this as well.
        while !self.cli(&["INFO", "server"]).lines().any(|line| line.trim() == own) {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < until, "redis-server does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child = Some(child);
        true
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Whether it was started and not killed since.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.child.is_some()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> Address {
        Address { host: self.host.clone(), port: self.port }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Where it keeps what it keeps.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Kills it as by `kill -9`.
    pub fn kill(&mut self) {
        end(self.child.take());
    }

    /// Sends it a signal by `kill`: STOP, CONT.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    /// Asks it something, as `redis-cli` does.
    pub fn cli(&self, args: &[&str]) -> String {
        cli_at(&self.host, self.port, args)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks the server at a port of 127.0.0.1 something.
pub fn cli(port: u16, args: &[&str]) -> String {
    cli_at("127.0.0.1", port, args)
}

/// Asks the server at an address something.
pub fn cli_at(host: &str, port: u16, args: &[&str]) -> String {
    let mut command = Command::new("redis-cli");
    command.args(["-h", host, "-p", &port.to_string()]).args(args);
    let out = command.output().unwrap_or_else(|e| missing("redis-cli", &e));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn run(mut command: Command, log: &Path) -> Child {
    let log = std::fs::File::create(log).unwrap();
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    let name = command.get_program().to_string_lossy().into_owned();
    command.spawn().unwrap_or_else(|e| missing(&name, &e))
}

fn missing(name: &str, why: &std::io::Error) -> ! {
    panic!("{name}: {why}; `tests/run tools` installs it")
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        // One that has ended already is as well.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Waits until something holds, however long it takes within reason.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE * 2, waiting).await.is_ok(), "waited in vain: {what}");
}
