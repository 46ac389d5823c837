//! Bound sockets, or an error that names the address and the fix.
//!
//! Whoever starts a process binds all its listeners first and passes them in: a taken port is then found before
//! anything else has begun, and a test passes port 0.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};

/// Waiting connections that the kernel keeps for us: Linux's own default ceiling (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// How a socket is bound.
#[derive(Clone, Copy, Debug)]
pub struct Bind<'a> {
    /// The address; port 0 lets the machine choose.
    pub addr: SocketAddr,
    /// How the person who started us would choose another: a flag (`--sip`) or a field (`listen.grpc`). Named in
    /// errors.
    pub flag: &'a str,
    /// SO_REUSEPORT: several sockets share the address and the kernel spreads the load. All must ask for it, and
    /// the first one binds for all that follow, other processes of this user included.
    pub reuse_port: bool,
    /// The kernel's receive buffer for UDP, in bytes; `None` leaves the machine's default. The kernel may give
    /// less (`net.core.rmem_max`).
    pub recv_buffer_bytes: Option<usize>,
}

impl<'a> Bind<'a> {
    /// Binds `addr` alone.
    pub fn new(addr: SocketAddr, flag: &'a str) -> Self {
        Self { addr, flag, reuse_port: false, recv_buffer_bytes: None }
    }

    /// A TCP listener. SO_REUSEADDR is set, so that a restart need not wait for old connections to time out.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Must be called within a tokio runtime.
    pub fn tcp(&self) -> Result<TcpListener, Error> {
        let bound = self.socket(Type::STREAM, Protocol::TCP).and_then(|socket| {
            socket.set_reuse_address(true)?;
            socket.bind(&SockAddr::from(self.addr))?;
            socket.listen(BACKLOG)?;
            TcpListener::from_std(socket.into())
        });
        bound.map_err(|source| self.error("TCP", source))
    }

    /// A UDP socket.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Must be called within a tokio runtime.
    pub fn udp(&self) -> Result<UdpSocket, Error> {
        let bound = self.socket(Type::DGRAM, Protocol::UDP).and_then(|socket| {
            if let Some(bytes) = self.recv_buffer_bytes {
                socket.set_recv_buffer_size(bytes)?;
            }
            socket.bind(&SockAddr::from(self.addr))?;
            UdpSocket::from_std(socket.into())
        });
        bound.map_err(|source| self.error("UDP", source))
    }

    fn socket(&self, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.addr), kind, Some(protocol))?;
        socket.set_nonblocking(true)?;
        if self.addr.is_ipv6() {
            // One socket, one family: `[::]:5060` beside `0.0.0.0:5060` is no conflict.
            socket.set_only_v6(true)?;
        }
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        Ok(socket)
    }

    fn error(&self, transport: &'static str, source: io::Error) -> Error {
        let (addr, flag) = (self.addr, self.flag.to_owned());
        match source.kind() {
            io::ErrorKind::AddrInUse => Error::Taken { addr, transport, flag },
            io::ErrorKind::PermissionDenied => Error::Denied { addr, transport, flag },
            io::ErrorKind::AddrNotAvailable => Error::NotHere { addr, transport, flag },
            _ => Error::Other { addr, transport, flag, source },
        }
    }
}

/// Why a socket could not be bound, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else has it.
    #[error(
        "{addr} ({transport}) is taken by another process; choose another with {flag}, or stop the other"
    )]
    Taken {
        /// The address asked for.
        addr: SocketAddr,
        /// `TCP` or `UDP`.
        transport: &'static str,
        /// How to choose another.
        flag: String,
    },
    /// A port below 1024 without the right to it.
    #[error(
        "this user may not bind {addr} ({transport}); choose a port from 1024 up with {flag}, or grant \
         CAP_NET_BIND_SERVICE"
    )]
    Denied {
        /// The address asked for.
        addr: SocketAddr,
        /// `TCP` or `UDP`.
        transport: &'static str,
        /// How to choose another.
        flag: String,
    },
    /// The address is no address of this machine.
    #[error(
        "{addr} ({transport}) is not an address of this machine; give one that is with {flag} (`ip address` lists \
         them)"
    )]
    NotHere {
        /// The address asked for.
        addr: SocketAddr,
        /// `TCP` or `UDP`.
        transport: &'static str,
        /// How to choose another.
        flag: String,
    },
    /// Anything else that the system says.
    #[error("cannot bind {addr} ({transport}); check {flag}")]
    Other {
        /// The address asked for.
        addr: SocketAddr,
        /// `TCP` or `UDP`.
        transport: &'static str,
        /// How to choose another.
        flag: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// `--dev` believes whoever speaks, so only this machine may speak.
    #[error(
        "--dev believes every caller and so listens on this machine only, not on {addr}; give {flag} a loopback \
         address such as {}, or leave --dev out",
        SocketAddr::new(loopback_beside(addr.ip()), addr.port())
    )]
    DevNotLoopback {
        /// The address asked for.
        addr: SocketAddr,
        /// How to choose another.
        flag: String,
    },
}

/// Refuses an address that others than this machine could reach; `--dev` asks this of every listener.
///
/// # Errors
///
/// [`Error::DevNotLoopback`] for anything but 127.0.0.0/8, `::1` and their IPv4-mapped form.
pub fn require_loopback(addr: SocketAddr, flag: &str) -> Result<(), Error> {
    if addr.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(Error::DevNotLoopback { addr, flag: flag.to_owned() })
}

fn loopback_beside(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(_) => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[tokio::test]
    async fn port_zero_gives_a_port() {
        assert_ne!(Bind::new(any(), "--grpc").tcp().unwrap().local_addr().unwrap().port(), 0);
        assert_ne!(Bind::new(any(), "--sip").udp().unwrap().local_addr().unwrap().port(), 0);
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_the_fix() {
        let held = Bind::new(any(), "--grpc").tcp().unwrap();
        let addr = held.local_addr().unwrap();
        let error = Bind::new(addr, "--grpc").tcp().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "{addr} (TCP) is taken by another process; choose another with --grpc, or stop the other"
            )
        );
        let held = Bind::new(any(), "--sip").udp().unwrap();
        let error = Bind::new(held.local_addr().unwrap(), "--sip").udp().unwrap_err();
        assert!(matches!(error, Error::Taken { transport: "UDP", .. }), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        // TEST-NET-3 (RFC 5737) is nobody's.
        let error = Bind::new("203.0.113.7:0".parse().unwrap(), "--sip").udp().unwrap_err();
        assert!(matches!(error, Error::NotHere { .. }), "{error}");
        assert!(
            error.to_string().contains("203.0.113.7:0") && error.to_string().contains("--sip"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn reuse_port_lets_two_sockets_share() {
        let bind = Bind { reuse_port: true, ..Bind::new(any(), "--sip") };
        let first = bind.udp().unwrap();
        let again = Bind { addr: first.local_addr().unwrap(), ..bind };
        again.udp().unwrap();
        Bind { reuse_port: false, ..again }.udp().unwrap_err();
    }

    #[tokio::test]
    async fn a_receive_buffer_is_asked_for() {
        let bind = Bind { recv_buffer_bytes: Some(65_536), ..Bind::new(any(), "--sip") };
        let socket = bind.udp().unwrap();
        let given = socket2::SockRef::from(&socket).recv_buffer_size().unwrap();
        assert!(given >= 65_536, "{given}");
    }

    #[test]
    fn dev_takes_loopback_only() {
        for good in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            require_loopback(good.parse().unwrap(), "--grpc").unwrap();
        }
        for (bad, instead) in [("0.0.0.0:50051", "127.0.0.1:50051"), ("[::]:50051", "[::1]:50051")] {
            let error = require_loopback(bad.parse().unwrap(), "--grpc").unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains(instead) && error.contains("--grpc"), "{error}");
        }
    }
}
