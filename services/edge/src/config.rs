//! What an edge is told: its name, its limits, how it treats strangers. Sockets are bound by whoever starts it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tandem_domain::id::{ListenerName, TenantName};
use tokio::net::{TcpListener, UdpSocket};

/// What a source gets that no tenant has claimed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub enum Strangers {
    /// Nothing: a scanner learns not even that somebody is here.
    #[default]
    Silence,
    /// A 403, never larger than what it answers: for a lab, where silence is hard to tell from a cut cable.
    Refuse,
}

/// The configuration of an edge, all with defaults. Times in ms, sizes in what the name says.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Unique in the cell's life; begins every decision's id. Empty: made by chance.
    pub id: String,
    /// Tenants it serves; none: all that its upstream lets it see.
    pub tenants: Vec<TenantName>,
    /// Where the last good feed is kept. None: nowhere, and a restart without upstream decides nothing.
    pub last_good: Option<PathBuf>,
    /// 32 hexadecimal digits that sign the Route values of dialogs, which say whose they are. Edges that share them serve
    /// one another's dialogs, and an edge that keeps them serves its own after a restart. Empty: from chance.
    pub route_key: tandem_runtime::telemetry::Redacted<String>,
    /// What a source gets that no tenant has claimed.
    pub strangers: Strangers,
    /// Transactions at once; past it new requests get 503.
    pub transactions_max: usize,
    /// Largest body of a request, in bytes.
    pub body_bytes_max: usize,
    /// How long a caller is asked to wait by a 503; half of it more or less, by chance.
    pub retry_after_ms: u32,
    /// TCP connections at once, in and out.
    pub connections_max: usize,
    /// TCP connections at once from one address.
    pub connections_per_source_max: usize,
    /// A connection without a byte for so long is closed. Mediation keeps its own open for longer than its
    /// keep-alives, which come every minute.
    pub connection_idle_ms: u32,
    /// How long a message that has begun may take to end.
    pub message_ms: u32,
    /// How long a connection may take to be made; then its address counts as silent.
    pub connect_ms: u32,
    /// How long a name may take to be resolved, while a call waits for it.
    pub resolve_ms: u32,
    /// How long a silent CIC is left alone before it is asked again by OPTIONS.
    pub probe_ms: u32,
    /// Without a message from upstream for so long the feed is lost. Three beats.
    pub beat_timeout_ms: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            id: String::new(),
            tenants: Vec::new(),
            last_good: None,
            route_key: String::new().into(),
            strangers: Strangers::default(),
            transactions_max: 100_000,
            body_bytes_max: 48 * 1024,
            retry_after_ms: 4_000,
            connections_max: 4_096,
            connections_per_source_max: 256,
            connection_idle_ms: 600_000,
            message_ms: 10_000,
            connect_ms: 3_000,
            resolve_ms: 1_000,
            probe_ms: 5_000,
            beat_timeout_ms: 15_000,
        }
    }
}

/// A named place where SIP comes in and leaves: tenants' claims speak of it by its name.
#[derive(Debug)]
pub struct Listener {
    /// Its name.
    pub name: ListenerName,
    /// The host that Via and Record-Route show; an IPv6 address in brackets. None: the address that it is bound to.
    pub advertised: Option<Arc<str>>,
    /// Its UDP socket.
    pub udp: Option<UdpSocket>,
    /// Its TCP listener.
    pub tcp: Option<TcpListener>,
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No listener, or one without a socket.
    #[error("listener {0} has no socket; give it udp, tcp or both")]
    NoSocket(String),
    /// Nothing to listen on.
    #[error("an edge needs a listener; name one, such as `public` on 192.0.2.1:5060")]
    NoListener,
    /// Two of one name.
    #[error("two listeners are named {0}; names tell them apart in tenants' claims")]
    SameName(String),
    /// Bound to every address, and peers must be told one.
    #[error(
        "listener {0} is bound to every address; say by which host peers reach it with `advertised` (--advertise HOST)"
    )]
    NotAdvertised(String),
    /// An advertised host that cannot stand in a header.
    #[error("`advertised` of listener {0} is no host name or address")]
    Advertised(String),
    /// The key is not what it should be.
    #[error("`route_key` needs 32 hexadecimal digits")]
    RouteKey,
    /// The id cannot stand in a resource name.
    #[error("`id` {0:?} needs 1 to 64 lower-case letters, digits and '-'")]
    Id(String),
    /// The last good feed cannot be opened.
    #[error("the last good feed {} cannot be opened; mend its directory or rights, or name another with `last_good` (--state FILE)", path.display())]
    LastGood {
        /// Where.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A socket does not know its own address.
    #[error("listener {name}: its socket has no address")]
    Socket {
        /// Which listener.
        name: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Config {
    /// The key of Route cookies, if one is given.
    ///
    /// # Errors
    /// [`ConfigError::RouteKey`].
    pub(crate) fn key(&self) -> Result<Option<[u8; 16]>, ConfigError> {
        let text = self.route_key.reveal();
        if text.is_empty() {
            return Ok(None);
        }
        let whole = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let bits = u128::from_str_radix(text, 16).ok().filter(|_| whole).ok_or(ConfigError::RouteKey)?;
        Ok(Some(bits.to_be_bytes()))
    }

    pub(crate) fn check_id(&self) -> Result<(), ConfigError> {
        let fits = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if self.id.len() <= 64 && self.id.bytes().all(fits) {
            Ok(())
        } else {
            Err(ConfigError::Id(self.id.chars().take(64).collect()))
        }
    }
}

pub(crate) fn ms(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_32_hexadecimal_digits() {
        for (text, ok) in [
            ("", true),
            ("000102030405060708090a0b0c0d0e0f", true),
            ("0001", false),
            ("+00102030405060708090a0b0c0d0e0f", false),
            ("g00102030405060708090a0b0c0d0e0f", false),
        ] {
            let config = Config { route_key: text.to_owned().into(), ..Config::default() };
            assert_eq!(config.key().is_ok(), ok, "{text:?}");
        }
        let config = Config { route_key: "0f".repeat(16).into(), ..Config::default() };
        assert_eq!(config.key().unwrap(), Some([15; 16]));
        assert!(!format!("{config:?}").contains("0f0f"));
    }

    #[test]
    fn an_id_can_stand_in_a_resource_name() {
        for (id, ok) in [("edge-berlin-1", true), ("", true), ("a/b", false), ("Edge", false)] {
            let config = Config { id: id.into(), ..Config::default() };
            assert_eq!(config.check_id().is_ok(), ok, "{id:?}");
        }
    }
}
