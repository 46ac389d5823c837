//! Where the edge listens, as the proxy core numbers it: each name with each of its transports is one listener.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tandem_domain::id::ListenerName;
use tandem_sip::proxy;
use tandem_sip::transaction::Transport;
use tokio::net::{TcpListener, UdpSocket};

use crate::config::{ConfigError, Listener};

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: ListenerName,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
}

/// All of them, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners(Vec<Place>);

/// The sockets, with the number of their listener.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    pub(crate) udp: Vec<(u16, UdpSocket)>,
    pub(crate) tcp: Vec<(u16, TcpListener)>,
}

/// Takes the listeners apart.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn listeners(given: Vec<Listener>) -> Result<(Listeners, Sockets), ConfigError> {
    let (mut all, mut sockets) = (Listeners::default(), Sockets::default());
    if given.is_empty() {
        return Err(ConfigError::NoListener);
    }
    for listener in given {
        let name = listener.name;
        if all.0.iter().any(|p| p.name == name) {
            return Err(ConfigError::SameName(name.to_string()));
        }
        if listener.udp.is_none() && listener.tcp.is_none() {
            return Err(ConfigError::NoSocket(name.to_string()));
        }
        let advertised = listener.advertised.as_ref();
        let failed = |source| ConfigError::Socket { name: name.to_string(), source };
        if let Some(udp) = listener.udp {
            let local = udp.local_addr().map_err(failed)?;
            make_room(&udp);
            sockets.udp.push((all.add(&name, Transport::Udp, local, advertised)?, udp));
        }
        if let Some(tcp) = listener.tcp {
            let local = tcp.local_addr().map_err(failed)?;
            sockets.tcp.push((all.add(&name, Transport::Tcp, local, advertised)?, tcp));
        }
    }
    Ok((all, sockets))
}

/// What a UDP socket holds while the engine is busy, in bytes: a second of a few thousand messages, where the machine's
/// own default is full after about a hundred.
const WAITING_BYTES: usize = 4 << 20;

/// Makes room for datagrams that wait, both ways. The machine gives no more than it allows (`net.core.rmem_max`), and
/// what it gives will do.
fn make_room(udp: &UdpSocket) {
    let socket = socket2::SockRef::from(udp);
    let made = socket.set_recv_buffer_size(WAITING_BYTES).and(socket.set_send_buffer_size(WAITING_BYTES));
    if let Err(error) = made {
        tracing::warn!(%error, "a UDP socket keeps the machine's default room for waiting datagrams");
    }
}

impl Listeners {
    fn add(
        &mut self,
        name: &ListenerName,
        transport: Transport,
        local: SocketAddr,
        advertised: Option<&Arc<str>>,
    ) -> Result<u16, ConfigError> {
        let host: Arc<str> = match advertised {
            Some(host) => Arc::clone(host),
            None if local.ip().is_unspecified() => return Err(ConfigError::NotAdvertised(name.to_string())),
            None if local.is_ipv6() => format!("[{}]", local.ip()).into(),
            None => local.ip().to_string().into(),
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':');
        if host.is_empty() || !host.bytes().all(fits) {
            return Err(ConfigError::Advertised(name.to_string()));
        }
        let at = u16::try_from(self.0.len()).map_err(|_| ConfigError::SameName(name.to_string()))?;
        self.0.push(Place { name: name.clone(), transport, local, host, port: local.port() });
        Ok(at)
    }

    /// As the proxy core wants them.
    pub(crate) fn for_proxy(&self) -> Vec<proxy::Listener> {
        let one =
            |p: &Place| proxy::Listener { transport: p.transport, host: Arc::clone(&p.host), port: p.port };
        self.0.iter().map(one).collect()
    }

    pub(crate) fn get(&self, at: u16) -> Option<&Place> {
        self.0.get(usize::from(at))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Place> {
        self.0.iter()
    }

    /// Each name once.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.0.iter().map(|p| p.name.to_string()).collect();
        names.dedup();
        names
    }

    /// Whether IPv4 and IPv6 can be reached.
    pub(crate) fn reach(&self) -> (bool, bool) {
        let any = |v4| self.0.iter().any(|p| p.local.is_ipv4() == v4);
        (any(true), any(false))
    }

    /// A listener's name.
    pub(crate) fn name(&self, at: u16) -> Option<&str> {
        self.get(at).map(|p| p.name.as_str())
    }

    /// The listener of a name that speaks a transport and can reach an address.
    pub(crate) fn named(&self, name: &str, transport: Transport, ip: IpAddr) -> Option<u16> {
        self.find(transport, ip, |p| p.name.as_str() == name)
    }

    /// The first listener that speaks a transport and can reach an address.
    pub(crate) fn any(&self, transport: Transport, ip: IpAddr) -> Option<u16> {
        self.find(transport, ip, |_| true)
    }

    fn find(&self, transport: Transport, ip: IpAddr, is: impl Fn(&Place) -> bool) -> Option<u16> {
        let fits = |p: &Place| p.transport == transport && p.local.is_ipv4() == ip.is_ipv4() && is(p);
        self.0.iter().position(fits).and_then(|at| u16::try_from(at).ok())
    }

    /// Whether a host and port are our own.
    pub(crate) fn is_own(&self, host: &str, port: Option<u16>) -> bool {
        self.0.iter().any(|p| p.host.eq_ignore_ascii_case(host) && port.is_none_or(|port| port == p.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_udp_socket_has_room_for_a_burst() {
        let udp = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
        let before = socket2::SockRef::from(&udp).recv_buffer_size().unwrap();
        let name = ListenerName::parse("main").unwrap();
        let (_, sockets) =
            listeners(vec![Listener { name, advertised: None, udp: Some(udp), tcp: None }]).unwrap();
        let after = socket2::SockRef::from(&sockets.udp[0].1).recv_buffer_size().unwrap();
        assert!(after > before, "{after} bytes, {before} before");
    }
}
