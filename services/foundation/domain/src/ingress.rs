//! Whose call it is: networks and claims.
//!
//! A tenant claims, for itself alone, how its peers are known; the writer of claims refuses what overlaps
//! ([`Claimed::overlaps`](crate::record::Claimed::overlaps)). An edge asks [`View::resolve`](crate::view::View::resolve).
//!
//! Order (RFC 5922 names first): a verified name of the client's certificate, else the source address at the
//! listener, else the domain of the Request-URI. From, P-Asserted-Identity and the like never select a tenant. What
//! nobody claimed is nobody's: there is no default.

mod claims;
pub(crate) mod resolver;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

pub use claims::{called_digits, claims};

use crate::number::Digits;
use crate::tenant::{Ingress, TrunkIx};
use crate::view::TenantView;

/// How a call arrived, as far as that tells whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The listener that took it.
    pub listener: &'a str,
    /// The address that it came from.
    pub source: IpAddr,
    /// The names of the client's certificate that were verified: URI names, then DNS names, never the common name.
    pub certificate_names: &'a [&'a str],
    /// The domain of the Request-URI.
    pub domain: Option<&'a str>,
    /// What is called, as it came: a number or a URI. It is read only where a claim depends on it.
    pub called: Option<&'a str>,
}

impl Arrival<'_> {
    /// The digits that are called, without plus ([`Dialled::digits`](crate::number::Dialled::digits)).
    fn called_digits(&self) -> Option<Digits> {
        crate::number::parse(self.called?).ok()?.digits()
    }
}

/// Whose call it is. Never two tenants'.
#[derive(Clone, Copy, Debug)]
pub enum Resolution<'v> {
    /// A tenant's, by one of its trunks.
    Tenant(&'v Arc<TenantView>, TrunkIx),
    /// It is bound to one tenant and asks for another's domain: refused, and worth an audit.
    ForeignDomain,
    /// Nobody's.
    Unknown,
}

impl Ingress {
    /// Whether a call meets everything that the entry names.
    #[must_use]
    pub fn fits(&self, call: &Arrival<'_>) -> bool {
        let called = |d: Digits| self.called.iter().any(|p| d.starts_with(p.digits));
        self.listener.as_ref().is_none_or(|l| l.as_str() == call.listener)
            && self.source.is_none_or(|n| n.contains(call.source.to_canonical()))
            && self
                .certificate
                .as_ref()
                .is_none_or(|c| call.certificate_names.iter().any(|n| n.eq_ignore_ascii_case(c)))
            && self.domain.as_ref().is_none_or(|d| call.domain.is_some_and(|c| c.eq_ignore_ascii_case(d)))
            && (self.called.is_empty() || call.called_digits().is_some_and(called))
    }
}

/// An IP network: an address and how many of its leading bits count. The other bits are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Text that is no network.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no address or network; write one as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")]
pub struct NetworkError(String);

impl Network {
    /// The network of `bits` leading bits around an address; none if there are not so many bits.
    #[must_use]
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let masked = match address {
            IpAddr::V4(a) if bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4((a.to_bits() & mask).into())
            }
            IpAddr::V6(a) if bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6((a.to_bits() & mask).into())
            }
            _ => return None,
        };
        Some(Self { address: masked, bits })
    }

    /// The network's first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.address
    }

    /// How many leading bits count.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.bits
    }

    /// Whether an address is inside.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Self::new(address, self.bits).is_some_and(|n| n.address == self.address)
    }

    /// Whether some address is in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let (wide, narrow) = if self.bits <= other.bits { (self, other) } else { (other, self) };
        wide.contains(narrow.address)
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(s: &str) -> Result<Self, NetworkError> {
        let err = || NetworkError(s.chars().take(64).collect());
        let (address, bits) = s.split_once('/').map_or((s, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| err())?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |b| b.parse::<u8>().map_err(|_| err()))?;
        Self::new(address, bits).ok_or_else(err)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.address.is_ipv4() { 32 } else { 128 };
        if self.bits == all {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.bits)
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_and_overlap() {
        let n = |s: &str| s.parse::<Network>().unwrap();
        assert!(n("10.1.0.0/16").contains("10.1.2.3".parse().unwrap()));
        assert!(!n("10.1.0.0/16").contains("10.2.0.1".parse().unwrap()));
        assert!(!n("10.1.0.0/16").contains("::1".parse().unwrap()));
        assert!(n("10.1.0.0/16").overlaps(n("10.0.0.0/8")));
        assert!(!n("10.1.0.0/16").overlaps(n("10.2.0.0/16")));
        assert!(n("0.0.0.0/0").contains("255.255.255.255".parse().unwrap()));
        assert!(!n("0.0.0.0/0").overlaps(n("::/0")));
        for bad in ["", "10.0.0.0/33", "ten", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(bad.parse::<Network>().is_err(), "{bad:?}");
        }
        assert_eq!(n("10.1.2.3/16").to_string(), "10.1.0.0/16");
        assert_eq!(n("10.1.2.3").to_string(), "10.1.2.3");
    }
}
