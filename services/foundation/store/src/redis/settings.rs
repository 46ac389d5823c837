//! Where a store on Redis is, as a URL says it.
//!
//! ```text
//! redis://[USER:PASSWORD@]HOST[:6379][/DATABASE]
//! redis-sentinel://[USER:PASSWORD@]SENTINEL[:26379][,SENTINEL...]/NAME
//! redis-cluster://[USER:PASSWORD@]NODE[:6379][,NODE...]
//! ```
//!
//! `rediss`, `rediss-sentinel` and `rediss-cluster` are the same over TLS. After a `?`:
//!
//! | key | what |
//! | --- | --- |
//! | `prefix` | how all keys begin (`tandem`); two cells on one Redis have two |
//! | `durability` | `single`: permits `Replicated` commits where one Redis alone keeps them |
//! | `ca` | a file (PEM) of the certificates that vouch for the servers; without it, the system's |
//! | `cert`, `key` | files (PEM) of this client's certificate and key |
//! | `password-file` | a file that holds the password, so that no process list shows it |
//! | `sentinel-user`, `sentinel-password-file` | for Sentinels that ask for them |
//!
//! The ACL user needs, beside a password: `~tandem:* &tandem:* +info +ping +client|id +client|kill +script|load
//! +evalsha +eval +wait +time +get +set +unlink +@hash +@sortedset +@list +@stream +spublish +ssubscribe
//! +sunsubscribe +hello +auth +select`, and `+cluster|slots` in a cluster. The Sentinels' user: `+sentinel|master`.
//!
//! What is not a letter, digit or one of `-._~` in a user's name or password is written as `%` and two hex digits.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A host and port.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What stands there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One Redis at one address, whoever answers there.
    Alone(Address),
    /// Sentinels, which know the primary by a name.
    Sentinel(Vec<Address>, String),
    /// A Redis Cluster, by some of its nodes.
    Cluster(Vec<Address>),
}

/// What must not be shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Login {
    /// The ACL user; none: `default`.
    pub user: Option<String>,
    /// The password; none: no login.
    pub password: Option<Secret>,
}

/// TLS, and whom to believe.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tls {
    /// A file of certificates (PEM) that vouch for servers; none: the system's.
    pub ca: Option<PathBuf>,
    /// Files (PEM) of this client's certificate and key.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Whose clock shard time follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Time {
    /// The server's: one clock for all who write.
    #[default]
    Server,
    /// The one that the store is opened with: for tests that own time.
    World,
}

/// Where a store is, and how it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// What stands there.
    pub shape: Shape,
    /// Who asks the store.
    pub login: Login,
    /// Who asks the Sentinels.
    pub sentinel_login: Login,
    /// TLS; none: plain TCP.
    pub tls: Option<Tls>,
    /// The database; 0 in a cluster.
    pub database: i64,
    /// How all keys begin.
    pub prefix: String,
    /// Whether one Redis alone is enough for a `Replicated` commit: a trial, said in so many words.
    pub single: bool,
    /// Whose clock counts.
    pub time: Time,
    /// How long a write is tried before its caller is told that it is refused or not known.
    pub write_within: Duration,
    /// How long a read is tried.
    pub read_within: Duration,
}

/// A URL that is no store's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {fix}")]
pub struct BadUrl {
    /// What is wrong; never the password.
    pub what: String,
    /// What to do.
    pub fix: String,
}

fn bad<T>(what: impl Into<String>, fix: &str) -> Result<T, BadUrl> {
    Err(BadUrl { what: what.into(), fix: fix.into() })
}

const FORMS: &str = "write redis://HOST:6379, redis-sentinel://HOST:26379,.../NAME or redis-cluster://HOST:6379,...; \
    rediss for TLS";

impl Settings {
    /// A stand-alone Redis at an address, with nothing else said.
    #[must_use]
    pub fn alone(host: &str, port: u16) -> Self {
        Self::of(Shape::Alone(Address { host: host.to_owned(), port }))
    }

    /// A store of this shape, with nothing else said.
    #[must_use]
    pub fn of(shape: Shape) -> Self {
        Self {
            shape,
            login: Login::default(),
            sentinel_login: Login::default(),
            tls: None,
            database: 0,
            prefix: "tandem".to_owned(),
            single: false,
            time: Time::Server,
            write_within: Duration::from_secs(5),
            read_within: Duration::from_secs(2),
        }
    }

    /// Reads a URL, and the files of passwords that it names.
    ///
    /// # Errors
    /// [`BadUrl`], which names the part and the fix, and never shows a password.
    pub fn parse(url: &str) -> Result<Self, BadUrl> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return bad("a store's URL without a scheme", FORMS);
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (rest, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match rest.rsplit_once('@') {
            Some((login, hosts)) => (self::login(login)?, hosts),
            None => (Login::default(), rest),
        };
        let (shape, database) = shape(scheme, hosts, path)?;
        let mut settings = Self { login, database, ..Self::of(shape) };
        if scheme.starts_with("rediss") {
            settings.tls = Some(Tls::default());
        }
        settings.query(query)?;
        Ok(settings)
    }

    /// Which store this is and how it is kept, for people; no password is in it.
    #[must_use]
    pub fn words(&self) -> String {
        let kept = if self.single {
            "durability single: one Redis alone keeps what it acknowledged"
        } else {
            "replicated"
        };
        format!("{self}, prefix {}, {kept}", self.prefix)
    }

    fn query(&mut self, query: &str) -> Result<(), BadUrl> {
        let (mut cert, mut key) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            match name {
                "prefix" => self.prefix = prefix(value)?,
                "durability" if value == "single" => self.single = true,
                "durability" => return bad(format!("durability={value}"), "the only other word is `single`"),
                "ca" => self.tls(name)?.ca = Some(value.into()),
                "cert" => cert = Some(PathBuf::from(value)),
                "key" => key = Some(PathBuf::from(value)),
                "password-file" => self.login.password = Some(secret(Path::new(&value))?),
                "sentinel-user" => self.sentinel_login.user = Some(value),
                "sentinel-password-file" => self.sentinel_login.password = Some(secret(Path::new(&value))?),
                _ => {
                    let fix = "it takes prefix, durability, ca, cert, key, password-file, sentinel-user and \
                        sentinel-password-file";
                    return bad(format!("a store's URL does not take `{name}`"), fix);
                }
            }
        }
        match (cert, key) {
            (None, None) => {}
            (Some(cert), Some(key)) => self.tls("cert")?.client = Some((cert, key)),
            _ => return bad("a certificate without its key, or a key alone", "give both cert and key"),
        }
        Ok(())
    }

    fn tls(&mut self, name: &str) -> Result<&mut Tls, BadUrl> {
        match &mut self.tls {
            Some(tls) => Ok(tls),
            None => bad(format!("`{name}` without TLS"), "write rediss, rediss-sentinel or rediss-cluster"),
        }
    }
}

/// Where it is, without who asks.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |all: &[Address]| all.iter().map(Address::to_string).collect::<Vec<_>>().join(",");
        let s = if self.tls.is_some() { "s" } else { "" };
        match &self.shape {
            Shape::Alone(at) => write!(f, "redis{s}://{at}/{}", self.database),
            Shape::Sentinel(at, name) => write!(f, "redis{s}-sentinel://{}/{name}", list(at)),
            Shape::Cluster(at) => write!(f, "redis{s}-cluster://{}", list(at)),
        }
    }
}

fn shape(scheme: &str, hosts: &str, path: &str) -> Result<(Shape, i64), BadUrl> {
    match scheme {
        "redis" | "rediss" => {
            let database = match path {
                "" => 0,
                number => match number.parse() {
                    Ok(database) => database,
                    Err(_) => {
                        return bad(format!("`{number}` is no database"), "write its number, or nothing");
                    }
                },
            };
            match <[Address; 1]>::try_from(addresses(hosts, 6379)?) {
                Ok([one]) => Ok((Shape::Alone(one), database)),
                Err(_) => {
                    bad("several hosts", "for a cluster write redis-cluster, for Sentinel redis-sentinel")
                }
            }
        }
        "redis-sentinel" | "rediss-sentinel" => {
            if path.is_empty() {
                return bad("Sentinels without a name", "add /NAME, by which they know the primary");
            }
            Ok((Shape::Sentinel(addresses(hosts, 26379)?, path.to_owned()), 0))
        }
        "redis-cluster" | "rediss-cluster" => Ok((Shape::Cluster(addresses(hosts, 6379)?), 0)),
        other => bad(format!("`{other}` is no store"), FORMS),
    }
}

fn addresses(hosts: &str, default: u16) -> Result<Vec<Address>, BadUrl> {
    hosts.split(',').map(|host| address(host, default)).collect()
}

fn address(text: &str, default: u16) -> Result<Address, BadUrl> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return bad("a host without a name", FORMS);
    }
    let port = match port {
        None => default,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return bad(format!("`{port}` is no port"), "a port is a number from 1 to 65535"),
        },
    };
    Ok(Address { host: host.to_owned(), port })
}

fn login(text: &str) -> Result<Login, BadUrl> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let user = Some(decode(user)?).filter(|user| !user.is_empty());
    Ok(Login { user, password: password.map(decode).transpose()?.map(Secret) })
}

fn prefix(text: String) -> Result<String, BadUrl> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(fits) {
        return bad("a prefix that keys cannot begin with", "1 to 64 letters, digits and `-._`");
    }
    Ok(text)
}

fn secret(file: &Path) -> Result<Secret, BadUrl> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Secret(text.trim_end_matches(['\r', '\n']).to_owned())),
        Err(why) => bad(format!("{}: {why}", file.display()), "give a file that this process may read"),
    }
}

fn decode(text: &str) -> Result<String, BadUrl> {
    let broken =
        || bad("a `%` in a store's URL that two hex digits do not follow", "write a % itself as %25");
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else { return broken() };
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).or_else(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    #[test]
    fn urls_say_where_and_how() {
        let plain = Settings::parse("redis://127.0.0.1").unwrap();
        assert_eq!(plain, Settings::alone("127.0.0.1", 6379));
        let full =
            Settings::parse("rediss://cell:p%40ss%3a@[::1]:7000/3?prefix=eu&durability=single&ca=/a.pem");
        let full = full.unwrap();
        assert_eq!(full.shape, Shape::Alone(at("::1", 7000)));
        assert_eq!(full.login, Login { user: Some("cell".into()), password: Some(Secret("p@ss:".into())) });
        assert_eq!((full.database, full.prefix.as_str(), full.single), (3, "eu", true));
        assert_eq!(full.tls, Some(Tls { ca: Some("/a.pem".into()), client: None }));
        let sentinel = Settings::parse("redis-sentinel://:p@a,b:5/main").unwrap();
        assert_eq!(sentinel.shape, Shape::Sentinel(vec![at("a", 26379), at("b", 5)], "main".into()));
        assert_eq!(sentinel.login.user, None);
        let cluster = Settings::parse("rediss-cluster://a:1,b:2?cert=c&key=k").unwrap();
        assert_eq!(cluster.shape, Shape::Cluster(vec![at("a", 1), at("b", 2)]));
        assert_eq!(cluster.tls, Some(Tls { ca: None, client: Some(("c".into(), "k".into())) }));
    }

    #[test]
    fn what_is_wrong_is_named_and_no_password_shown() {
        for (url, says) in [
            ("127.0.0.1:6379", "without a scheme"),
            ("valkey://a", "`valkey` is no store"),
            ("redis://a:b:c@", "a host without a name"),
            ("redis://a:0", "`0` is no port"),
            ("redis://a,b", "several hosts"),
            ("redis://a/x", "`x` is no database"),
            ("redis-sentinel://a", "without a name"),
            ("redis://a?ca=x", "`ca` without TLS"),
            ("rediss://a?cert=x", "give both"),
            ("redis://a?prefix=a{b", "prefix"),
            ("redis://a?durability=double", "durability=double"),
            ("redis://a?timeout=3", "does not take `timeout`"),
            ("redis://u:%zz@a", "two hex digits"),
            ("redis://a?password-file=/nowhere/at/all", "/nowhere/at/all"),
        ] {
            let error = Settings::parse(url).unwrap_err().to_string();
            assert!(error.contains(says), "{url}: {error}");
        }
        let settings = Settings::parse("redis://u:hush@a").unwrap();
        assert!(!format!("{settings:?} {settings}").contains("hush"));
    }
}
