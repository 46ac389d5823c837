//! SIP peer groups.

use std::hash::{BuildHasher as _, Hasher as _};
use std::hint::black_box;
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::FixedState;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::super::tables::Prefix;
use super::{SiteIx, TrunkIx};
use crate::document::terms::{DiversionForm, InboundOption, NumberForm, SrtpMode, Transport, TrunkRole};
use crate::id::{ListenerName, TrunkName};
use crate::ingress::Network;
use crate::number::Number;

/// The trunks of a policy, in the document's order.
///
/// Every call asks for a trunk by name and for those of a role. What tells them apart lies together, so that nothing is
/// read of a trunk that a call does not use.
#[derive(Clone, PartialEq, Debug)]
pub struct Trunks {
    heads: SmallVec<[Head; 6]>,
    trunks: Vec<Trunk>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Head {
    /// A hash of the name.
    name: u32,
    role: TrunkRole,
}

fn hash(name: &str) -> u32 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(name.as_bytes());
    hasher.finish() as u32
}

impl From<Vec<Trunk>> for Trunks {
    fn from(trunks: Vec<Trunk>) -> Self {
        let head = |trunk: &Trunk| Head { name: hash(trunk.name.as_str()), role: trunk.role };
        Self { heads: trunks.iter().map(head).collect(), trunks }
    }
}

impl Deref for Trunks {
    type Target = [Trunk];

    fn deref(&self) -> &[Trunk] {
        &self.trunks
    }
}

impl<'a> IntoIterator for &'a Trunks {
    type Item = &'a Trunk;
    type IntoIter = std::slice::Iter<'a, Trunk>;

    fn into_iter(self) -> Self::IntoIter {
        self.trunks.iter()
    }
}

impl Trunks {
    pub(super) fn named(&self, name: &str) -> Option<TrunkIx> {
        let hash = hash(name);
        // At most 64 trunks, four in most tenants: a walk beats a table.
        let same = |(_, head): &(u16, &Head)| head.name == hash;
        let is = |ix: &TrunkIx| self.trunks.get(usize::from(ix.0)).is_some_and(|t| t.name.as_str() == name);
        (0_u16..).zip(&self.heads).filter(same).map(|(at, _)| TrunkIx(at)).find(is)
    }

    pub(super) fn of(&self, role: TrunkRole) -> impl Iterator<Item = TrunkIx> {
        (0_u16..).zip(&self.heads).filter(move |(_, head)| head.role == role).map(|(at, _)| TrunkIx(at))
    }

    /// Brings into the cache what a call by a trunk most likely needs: that trunk, and the first of those that it
    /// leads to.
    pub(super) fn look_at(&self, ingress: Option<&str>, inbound: InboundOption) {
        let from =
            ingress.and_then(|name| self.get(usize::from(self.named(name)?.0))).map(|trunk| trunk.role);
        let to: &[TrunkRole] = match (from, inbound) {
            (Some(TrunkRole::Gateway), InboundOption::CicFirst) => &[TrunkRole::Cic],
            (Some(TrunkRole::Gateway), InboundOption::LyncFirst) => &[TrunkRole::Lync],
            (Some(TrunkRole::Gateway | TrunkRole::SipProxy), _) => &[TrunkRole::Cic, TrunkRole::Lync],
            (Some(TrunkRole::Cic), _) => &[TrunkRole::Lync, TrunkRole::Gateway],
            (Some(TrunkRole::Lync), _) => &[TrunkRole::Cic, TrunkRole::Gateway],
            _ => &[],
        };
        let first = |role: &TrunkRole| self.get(usize::from(self.of(*role).next()?.0));
        to.iter().filter_map(first).for_each(Trunk::look_at);
    }
}

/// Final responses after which the next target is tried: few, so that they lie where they are read.
pub type RetryOn = SmallVec<[u16; 8]>;

/// A SIP peer group.
///
/// What a decision reads of it lies in it, not behind pointers, and in the order in which it is read: the first 64 bytes
/// are all that most calls need of the trunk that they came by.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(C, align(64))]
pub struct Trunk {
    /// Its name.
    pub name: TrunkName,
    /// What the peer is.
    pub role: TrunkRole,
    /// Where the peer stands.
    pub site: SiteIx,
    /// How SIP travels.
    pub transport: Transport,
    /// Whether audio is encrypted, the default of role and transport filled in.
    pub srtp: SrtpMode,
    /// How the peer writes numbers to us.
    pub number_form_in: NumberForm,
    /// How we write numbers to it.
    pub number_form_out: NumberForm,
    /// Whether calls from it may be answered by 302. Never true for Lync.
    pub accept_302: bool,
    /// Whether it takes REFER.
    pub refer: bool,
    /// After nothing at all for this long the next target is tried, in ms.
    pub no_response_ms: u32,
    /// After nothing but a 100 for this long the next target is tried, in ms.
    pub only_100_ms: u32,
    /// What is said of the caller.
    pub identity: Identity,
    /// The peer's domains, lower case.
    pub domains: SmallVec<[SmolStr; 1]>,
    /// Where calls to it are sent: by priority, equals in the document's order.
    pub addresses: SmallVec<[Address; 2]>,
    /// Final responses after which the next address or trunk is tried.
    pub retry_on: RetryOn,
    /// Where calls go when every address has failed, in order; of the same role.
    pub backup: Box<[TrunkIx]>,
    /// How the peer is known when it calls.
    pub ingress: Box<[Ingress]>,
}

impl Trunk {
    /// Brings what a decision reads of its target into the cache.
    fn look_at(&self) {
        let address = self.addresses.first().map_or(0, |a| a.port);
        black_box((
            self.role,
            self.domains.len(),
            address,
            self.retry_on.len(),
            self.identity.default_number,
        ));
    }

    /// Final responses after which the next target is tried, where policy names none (domain rules 3.2 A).
    pub const RETRY_ON: [u16; 5] = [408, 500, 502, 503, 504];
    /// How long silence is borne, in ms, where policy says nothing.
    pub const NO_RESPONSE_MS: u32 = 3_000;
    /// How long a bare 100 is borne, in ms, where policy says nothing: Lync's fast failover.
    pub const ONLY_100_MS: u32 = 10_000;

    /// The port of a peer where policy names none (domain rules 2.2).
    #[must_use]
    pub const fn default_port(role: TrunkRole, transport: Transport) -> u16 {
        match (role, transport) {
            (TrunkRole::Lync, Transport::Tls) => 5067,
            (TrunkRole::Lync, _) => 5068,
            (_, Transport::Tls) => 5061,
            _ => 5060,
        }
    }
}

/// An address of a trunk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// A host name or an IP address, as policy writes it.
    pub host: SmolStr,
    /// The port, the default filled in.
    pub port: u16,
    /// Lower is tried first.
    pub priority: u16,
    /// Share among equals in priority.
    pub weight: u16,
}

/// What is said of the caller on a trunk.
#[derive(Clone, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Identity {
    /// Whether the peer is inside the trust domain of RFC 3325.
    pub trusted: bool,
    /// How a retargeted call says whose call it was.
    pub diversion: DiversionForm,
    /// Caller numbers that may be shown; empty: any.
    pub screening: Box<[Prefix]>,
    /// The number shown for callers whom screening refuses, or who have none.
    pub default_number: Option<Number>,
}

impl Identity {
    /// Whether a caller's number may be shown.
    #[must_use]
    pub fn may_show(&self, caller: Number) -> bool {
        self.screening.is_empty() || self.screening.iter().any(|p| p.fits(caller))
    }
}

/// How a peer is known when it calls; all that is given must fit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ingress {
    /// The listener that it calls. None: any that is not shared.
    pub listener: Option<ListenerName>,
    /// Its source.
    pub source: Option<Network>,
    /// A name of its verified client certificate, lower case.
    pub certificate: Option<Arc<str>>,
    /// The domain of the Request-URI, lower case.
    pub domain: Option<Arc<str>>,
    /// On a trunk that tenants share: the called numbers that are this tenant's. Empty: all.
    pub called: Box<[Prefix]>,
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    /// Lines of a cache, which is what the order of the fields is for.
    #[test]
    fn the_first_line_is_enough_for_the_trunk_that_a_call_came_by() {
        assert!(
            offset_of!(Trunk, identity) + offset_of!(Identity, screening) + size_of::<Box<[Prefix]>>() <= 64
        );
        assert!(offset_of!(Trunk, backup) + size_of::<Box<[TrunkIx]>>() <= 4 * 64, "and four for its target");
        assert!(size_of::<Trunk>() <= 5 * 64);
    }
}
