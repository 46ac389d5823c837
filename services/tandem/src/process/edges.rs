//! Edges in this process: their listeners, and their feed through the pipe.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::bail;
use tandem_domain::id::ListenerName;
use tandem_edge::config::{Config, Listener};
use tandem_edge::trace::SharedObserver;
use tandem_edge::{Edge, Given, Upstream, system_lookup};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;
use tandem_runtime::listen::Bind;

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
            other => return Err(format!("`{other}` is no transport of this release's edge: udp or tcp")),
        };
        let name =
            ListenerName::parse(name).map_err(|why| format!("`{name}` is no listener's name: {why}"))?;
        let address = address.parse().map_err(|_| {
            format!(
                "`{address}` is no IP address with a port of 0 to 65535, such as 192.0.2.1:5060 or [::1]:5060"
            )
        })?;
        Ok(Self { name, transport, address })
    }
}

/// One edge.
pub(crate) struct EdgeOptions {
    /// What it is told.
    pub(crate) config: Config,
    /// Its sockets.
    pub(crate) listen: Vec<Listen>,
    /// By which host its listeners are reached; none: by the addresses that they are bound to.
    pub(crate) advertised: Option<String>,
    /// Who is told of its decisions.
    pub(crate) observer: Option<SharedObserver>,
}

impl fmt::Debug for EdgeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EdgeOptions").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// An edge whose sockets are bound.
pub(crate) struct Bound {
    config: Config,
    listeners: Vec<Listener>,
    observer: Option<SharedObserver>,
}

impl EdgeOptions {
    /// An edge with these sockets.
    pub(crate) fn new(listen: Vec<Listen>) -> Self {
        Self { config: Config::default(), listen, advertised: None, observer: None }
    }

    /// Binds the sockets. Sockets of one name are one listener.
    ///
    /// # Errors
    /// An address that cannot be had, or a second socket of one name and transport.
    pub(crate) fn bind(self) -> anyhow::Result<Bound> {
        let advertised: Option<Arc<str>> = self.advertised.map(Into::into);
        let mut listeners: Vec<Listener> = Vec::new();
        for Listen { name, transport, address } in self.listen {
            let at = listeners.iter().position(|l| l.name == name).unwrap_or_else(|| {
                let advertised = advertised.clone();
                listeners.push(Listener { name: name.clone(), advertised, udp: None, tcp: None });
                listeners.len() - 1
            });
            let (listener, bind) = (&mut listeners[at], Bind::new(address, "--listen"));
            let second = match transport {
                Transport::Udp => listener.udp.replace(bind.udp()?).is_some(),
                Transport::Tcp => listener.tcp.replace(bind.tcp()?).is_some(),
            };
            if second {
                bail!(
                    "listener {name} has two sockets of one transport; give the second another name with --listen"
                );
            }
        }
        Ok(Bound { config: self.config, listeners, observer: self.observer })
    }
}

impl Bound {
    /// The names of its listeners.
    pub(crate) fn names(&self) -> impl Iterator<Item = ListenerName> + '_ {
        self.listeners.iter().map(|l| l.name.clone())
    }

    /// Starts it.
    ///
    /// # Errors
    /// What is wrong with its configuration.
    pub(crate) fn start(
        self,
        upstream: Upstream,
        life: &Life,
        clock: &Clock,
        chance: &Chance,
    ) -> anyhow::Result<Edge> {
        let given = Given {
            life: life.clone(),
            clock: clock.clone(),
            chance: chance.clone(),
            upstream,
            listeners: self.listeners,
            lookup: system_lookup(),
            observer: self.observer,
        };
        Ok(tandem_edge::build(self.config, given)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_a_name_a_transport_and_an_address() {
        let check = |text: &str, expected: Result<(&str, Transport, &str), &str>| {
            let read = text.parse::<Listen>();
            match (read, expected) {
                (Ok(l), Ok((name, transport, address))) => {
                    assert_eq!(
                        (l.name.as_str(), l.transport, l.address.to_string().as_str()),
                        (name, transport, address)
                    );
                }
                (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
                (read, expected) => panic!("{text}: {read:?}, not {expected:?}"),
            }
        };
        check("public=udp:192.0.2.1:5060", Ok(("public", Transport::Udp, "192.0.2.1:5060")));
        check("a=tcp:[::1]:0", Ok(("a", Transport::Tcp, "[::1]:0")));
        check("public", Err("NAME=udp:ADDRESS:PORT"));
        check("public=sctp:192.0.2.1:5061", Err("`sctp` is no transport"));
        check("public=udp:192.0.2.1", Err("`192.0.2.1` is no IP address with a port"));
        check("public=udp:192.0.2.1:99999", Err("`192.0.2.1:99999` is no IP address with a port"));
        check("Pub lic=udp:192.0.2.1:5060", Err("is no listener's name"));
    }
}
