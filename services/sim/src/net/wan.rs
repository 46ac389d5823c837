//! A WAN that can be lost on one machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

/// Networks cut off at once. More than a tenant has sites is a mistake of the caller.
const CUTS_MAX: usize = 64;

/// An IPv4 or IPv6 network: `127.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: u128,
    /// Leading bits of `address` that count, of 128; an IPv4 network is kept as its mapped IPv6 one.
    bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no network; write address/bits, for example 127.1.0.0/16")]
pub struct NetworkError(String);

impl Network {
    /// Whether `address` lies in it.
    pub fn contains(self, address: IpAddr) -> bool {
        let shift = 128 - u32::from(self.bits);
        let differing = bits_of(address) ^ self.address;
        differing.checked_shr(shift).unwrap_or(0) == 0
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError(text.chars().take(64).collect());
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits: u8 = bits.parse().map_err(|_| wrong())?;
        let bits = match address {
            IpAddr::V4(_) if bits <= 32 => bits + 96,
            IpAddr::V6(_) if bits <= 128 => bits,
            _ => return Err(wrong()),
        };
        Ok(Self { address: bits_of(address), bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6 = std::net::Ipv6Addr::from_bits(self.address);
        match v6.to_ipv4_mapped() {
            Some(v4) if self.bits >= 96 => write!(f, "{}/{}", Ipv4Addr::from(v4.octets()), self.bits - 96),
            _ => write!(f, "{v6}/{}", self.bits),
        }
    }
}

/// The switch. Elements that share one lose the WAN together. Cheap to clone; clones are the same switch.
///
/// A packet is swallowed when exactly one of its ends lies in a network that is cut off: what stays within the
/// network, and what does not touch it, goes on.
#[derive(Clone, Debug, Default)]
pub struct Wan(Arc<RwLock<Vec<Network>>>);

impl Wan {
    /// A WAN that is whole.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cuts `network` off from everything else. Of more than 64 at once the oldest is restored.
    pub fn cut(&self, network: Network) {
        let mut cuts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !cuts.contains(&network) {
            if cuts.len() == CUTS_MAX {
                cuts.remove(0);
            }
            cuts.push(network);
        }
    }

    /// Restores everything.
    pub fn restore(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether a packet between the two is lost.
    pub fn parts(&self, one: IpAddr, other: IpAddr) -> bool {
        let cuts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        cuts.iter().any(|network| network.contains(one) != network.contains(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_and_written() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(text.parse::<Network>().ok().map(|n| n.to_string()).as_deref(), expected, "{text}");
        };
        check("127.1.0.0/16", Some("127.1.0.0/16"));
        check("10.0.0.0/0", Some("10.0.0.0/0"));
        check("2001:db8::/32", Some("2001:db8::/32"));
        check("127.1.0.0", None);
        check("127.1.0.0/33", None);
        check("127.1/16", None);
        check("a/8", None);
    }

    #[test]
    fn only_what_crosses_is_lost() {
        let check = |one: &str, other: &str, lost: bool| {
            let wan = Wan::new();
            wan.cut("127.1.0.0/16".parse().unwrap());
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(wan.parts(one, other), lost, "{one} {other}");
            wan.restore();
            assert!(!wan.parts(one, other));
        };
        check("127.1.0.1", "127.2.0.1", true);
        check("127.2.0.1", "127.1.0.1", true);
        check("127.1.0.1", "127.1.9.9", false);
        check("127.2.0.1", "127.3.0.1", false);
    }
}
