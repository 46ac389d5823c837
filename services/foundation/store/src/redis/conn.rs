//! One connection to one server: made, introduced, asked, and known to be broken.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, IntoConnectionInfo as _, Pipeline,
    ProtocolVersion, PushInfo, RedisConnectionInfo, ServerError, TlsCertificates, Value,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::info::Info;
use super::script::{self, Call};
use super::settings::{Address, Login, Settings};

/// How long a server may take to be connected to and introduced.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How many bytes of commands are gathered into one write.
const GATHER: usize = 64 * 1024;
/// How many commands wait to be written before their callers wait.
const QUEUE: usize = 1024;

/// Why there is no answer.
#[derive(Clone, Debug)]
pub(super) enum Fail {
    /// The server said so: it was not done, or not all of it if the error is none of those known.
    Said(ServerError),
    /// The connection broke, or time was up: it may have been done.
    Lost(String),
}

/// Which server, in which of its lives, and which of its clients this is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Grave {
    pub(super) run: String,
    pub(super) client: i64,
}

/// A connection.
pub(super) struct Conn {
    con: MultiplexedConnection,
    pub(super) info: Info,
    pub(super) grave: Grave,
    left: AtomicBool,
    pub(super) leaving: Notify,
    dead: AtomicBool,
    died: Notify,
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Conn({:?})", self.grave)
    }
}

/// What went wrong, without anything that came from a URL.
fn lost(error: &redis::RedisError) -> Fail {
    Fail::Lost(error.to_string())
}

/// The client of an address; nothing is connected yet.
pub(super) fn client(
    settings: &Settings,
    login: &Login,
    at: &Address,
    database: i64,
) -> Result<Client, String> {
    let mut to = RedisConnectionInfo::default().set_db(database).set_skip_set_lib_name();
    if let Some(user) = &login.user {
        to = to.set_username(user);
    }
    if let Some(password) = &login.password {
        to = to.set_password(&password.0);
    }
    let host = at.host.clone();
    let Some(tls) = &settings.tls else {
        let info = ConnectionAddr::Tcp(host, at.port).into_connection_info().map_err(|e| e.to_string())?;
        return Client::open(info.set_redis_settings(to)).map_err(|e| e.to_string());
    };
    // Another part of the process may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = ConnectionAddr::TcpTls { host, port: at.port, insecure: false, tls_params: None };
    let info = address.into_connection_info().map_err(|e| e.to_string())?.set_redis_settings(to);
    let read = |path: &std::path::Path| std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let client_tls = match &tls.client {
        Some((cert, key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        None => None,
    };
    let root_cert = tls.ca.as_deref().map(read).transpose()?;
    Client::build_with_tls(info, TlsCertificates { client_tls, root_cert }).map_err(|e| e.to_string())
}

fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT_WITHIN))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(QUEUE)
        .set_write_backpressure_boundary(GATHER)
}

/// A bare connection: for Sentinels, and to look a cluster up.
pub(super) async fn bare(client: &Client) -> Result<MultiplexedConnection, String> {
    let config = config();
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
        Ok(con) => con.map_err(|e| e.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

/// A connection that takes what the server sends unasked.
pub(super) async fn listening(
    mut client: Client,
    took: impl Fn(PushInfo) -> Result<(), ()> + Send + Sync + 'static,
) -> Result<MultiplexedConnection, String> {
    let info = client.get_connection_info().clone();
    let to = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    client = Client::open(info.set_redis_settings(to)).map_err(|e| e.to_string())?;
    let config = config().set_push_sender(took);
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
        Ok(con) => con.map_err(|e| e.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

impl Conn {
    /// Connects and introduces itself: who the server is, who we are there, and which scripts it shall know. What
    /// earlier connections of ours left behind there (`graves`) is ended first: none of their commands can happen
    /// after this returns.
    pub(super) async fn open(client: &Client, graves: &[Grave]) -> Result<Self, String> {
        let mut con = bare(client).await?;
        let mut pipe = Pipeline::new();
        pipe.cmd("INFO").cmd("CLIENT").arg("ID");
        let introduced = tokio::time::timeout(CONNECT_WITHIN, con.send_packed_commands(&pipe, 0, 2));
        let answers = introduced.await.map_err(|_| "no answer")?.map_err(|e| e.to_string())?;
        let Ok([info, id]) = <[Value; 2]>::try_from(answers) else { return Err("half an answer".to_owned()) };
        let info = Info::read(&text(info)?);
        let client = match id {
            Value::Int(id) => id,
            other => return Err(said(other)),
        };
        let grave = Grave { run: info.run.clone(), client };
        let conn = Self {
            con,
            info,
            grave,
            left: AtomicBool::new(false),
            leaving: Notify::new(),
            dead: AtomicBool::new(false),
            died: Notify::new(),
        };
        conn.settle(graves).await?;
        Ok(conn)
    }

    async fn settle(&self, graves: &[Grave]) -> Result<(), String> {
        let until = Instant::now() + CONNECT_WITHIN;
        let mut pipe = Pipeline::new();
        // The last is nobody's: it is asked so that a user who may not do this is known at once.
        let ours = graves.iter().filter(|g| g.run == self.grave.run).map(|g| g.client);
        for id in ours.chain([i64::MAX]) {
            pipe.cmd("CLIENT").arg("KILL").arg("ID").arg(id);
        }
        let killed = pipe.len();
        script::all().into_iter().for_each(|script| {
            pipe.add_command(script.load());
        });
        let answers = self.ask_all(&pipe, until).await.map_err(|fail| fail.to_string())?;
        for (at, answer) in answers.into_iter().enumerate() {
            if let Value::ServerError(e) = answer {
                let fix = if at < killed { "; the user needs `+client|kill`" } else { "" };
                return Err(format!("{}{fix}", words(&e)));
            }
        }
        Ok(())
    }

    /// Gives it up: whoever keeps it makes another.
    pub(super) fn leave(&self) {
        self.left.store(true, Ordering::Release);
        self.leaving.notify_one();
    }

    /// Nobody waits for its answers any more: its server is no primary of ours, or says nothing.
    pub(super) fn die(&self) {
        self.leave();
        self.dead.store(true, Ordering::Release);
        self.died.notify_waiters();
    }

    /// What is answered in time, and while it lives.
    async fn answer<T>(
        &self,
        until: Instant,
        asked: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<redis::RedisResult<T>, Fail> {
        let died = self.died.notified();
        if self.dead.load(Ordering::Acquire) {
            return Err(Fail::Lost("its server is no primary any more, or silent".to_owned()));
        }
        tokio::select! {
            biased;
            answer = tokio::time::timeout_at(until, asked) => {
                answer.map_err(|_| Fail::Lost("no answer in time".to_owned()))
            }
            () = died => Err(Fail::Lost("its server is no primary any more, or silent".to_owned())),
        }
    }

    pub(super) fn is_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// Asks one thing.
    pub(super) async fn ask(&self, cmd: &Cmd, until: Instant) -> Result<Value, Fail> {
        let mut con = self.con.clone();
        match self.answer(until, con.send_packed_command(cmd)).await? {
            Ok(Value::ServerError(e)) => Err(Fail::Said(e)),
            Ok(value) => Ok(value),
            Err(e) => {
                self.leave();
                Err(lost(&e))
            }
        }
    }

    /// Asks several things at once; each has its own answer.
    pub(super) async fn ask_all(&self, pipe: &Pipeline, until: Instant) -> Result<Vec<Value>, Fail> {
        let mut con = self.con.clone();
        match self.answer(until, con.send_packed_commands(pipe, 0, pipe.len())).await? {
            Ok(values) if values.len() == pipe.len() => Ok(values),
            Ok(_) => Err(Fail::Lost("half an answer".to_owned())),
            Err(e) => {
                self.leave();
                Err(lost(&e))
            }
        }
    }

    /// Calls a script; brings it along where the server does not know it.
    pub(super) async fn call(&self, call: &Call, until: Instant) -> Result<Value, Fail> {
        match self.ask(&call.cmd(), until).await {
            Err(Fail::Said(e)) if e.code() == "NOSCRIPT" => self.ask(&call.bring(), until).await,
            answer => answer,
        }
    }
}

/// A server's error as a person reads it.
pub(super) fn words(e: &ServerError) -> String {
    match e.details() {
        Some(details) => format!("{} {details}", e.code()),
        None => e.code().to_owned(),
    }
}

/// An answer that is none.
pub(super) fn said(value: Value) -> String {
    match value {
        Value::ServerError(e) => words(&e),
        _ => "an answer that makes no sense".to_owned(),
    }
}

pub(super) fn text(value: Value) -> Result<String, String> {
    match value {
        Value::BulkString(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Ok(text),
        other => Err(said(other)),
    }
}

impl std::fmt::Display for Fail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Said(e) => f.write_str(&words(e)),
            Self::Lost(why) => f.write_str(why),
        }
    }
}
