//! From a decision to what the proxy core carries out: contacts of a 302, or targets with their Request-URI, the
//! headers to leave out and the lines to add.
//!
//! What enters a header line here is either configuration, which has no control characters when it has compiled, or
//! a URI that the parser has checked character by character; [`safe`] holds it all the same.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use smol_str::SmolStr;
use tandem_domain::document::terms::{DiversionForm, Transport as Way};
use tandem_domain::id::TrunkName;
use tandem_domain::routing::decision::{Identity, Route, Target};
use tandem_domain::tenant::{Config, TrunkIx};
use tandem_sip::message::{Header, Message};
use tandem_sip::proxy;
use tandem_sip::transaction::{Peer, Transport};

use crate::attempt::{DECISION, answers_by_itself};
use crate::call::DecisionId;
use crate::facts::Place;
use crate::listeners::Listeners;

/// Larger requests go by TCP where the trunk takes both (RFC 3261 18.1.1).
const DATAGRAM_BYTES_MAX: usize = 1_300;
/// What Via, Record-Route and identity add to a request, at the most that is usual.
const ADDED_BYTES: usize = 400;

/// What targets are made from.
pub(crate) struct Carry<'a> {
    pub(crate) config: &'a Config,
    pub(crate) ingress: TrunkIx,
    /// The listener that the request came in by.
    pub(crate) listener: u16,
    pub(crate) listeners: &'a Listeners,
    pub(crate) message: &'a Message<'a>,
    /// Which decision it is.
    pub(crate) decision: &'a DecisionId,
    pub(crate) scope: u64,
    pub(crate) tenant: &'a tandem_domain::id::TenantId,
}

/// A target that no call can be sent to, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    trunk: TrunkName,
    host: SmolStr,
    port: u16,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NoAddress,
    NoListener(Transport, bool),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trunk {}, {}:{}: ", self.trunk, self.host, self.port)?;
        match self.why {
            Why::NoAddress => f.write_str("the name has no address"),
            Why::NoListener(Transport::Tls, _) => {
                f.write_str("this release's edge does not carry TLS; set the trunk's transport to Tcp or Udp")
            }
            Why::NoListener(way, v4) => {
                let (way, family) = (way.name(), if v4 { "IPv4" } else { "IPv6" });
                write!(f, "no listener of this edge speaks {way} over {family}; give it one with --listen")
            }
        }
    }
}

/// What a route comes to.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    pub(crate) targets: Vec<proxy::Target>,
    /// The places that their tags number.
    pub(crate) tried: Vec<Tried>,
    pub(crate) left: SmallVec<[Left; 1]>,
}

/// A target with the address of the trunk that it is.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) place: Place,
    pub(crate) peer: Peer,
    pub(crate) no_response: Duration,
}

/// The contacts of a redirect, in order. None: this call cannot be redirected, because its own Request-URI would be
/// the contact, and the caller would only come again.
pub(crate) fn contacts<'r>(route: &'r Route, called: &str) -> Option<SmallVec<[&'r str; 4]>> {
    let contacts = || route.targets.iter().map(|t| &*t.request_uri);
    (!contacts().any(|c| c == called || !safe(c))).then(|| contacts().collect())
}

impl Carry<'_> {
    /// The targets of a route, in order, with the places that their tags number. Hosts without an address are left
    /// out, and so are trunks that no listener can reach.
    pub(crate) fn targets(&self, route: &Route, mut address: impl FnMut(&str) -> Option<IpAddr>) -> Targets {
        let mut made = Targets { targets: Vec::with_capacity(route.targets.len()), ..Targets::default() };
        let Targets { targets, tried, left } = &mut made;
        let leave = |target: &Target, why| Left {
            trunk: target.trunk.clone(),
            host: target.host.clone(),
            port: target.port,
            why,
        };
        let mut last: Option<(Arc<Identity>, Written)> = None;
        for target in &route.targets {
            let Some(ip) = address(&target.host) else {
                left.push(leave(target, Why::NoAddress));
                continue;
            };
            let written = match &last {
                Some((identity, written)) if Arc::ptr_eq(identity, &target.identity) => written.clone(),
                _ => self.written(target),
            };
            for transport in self.transports(target.transport, &written) {
                let Some(listener) = self.listener_to(target, transport, ip) else {
                    left.push(leave(target, Why::NoListener(transport, ip.is_ipv4())));
                    continue;
                };
                let peer = Peer { address: (ip, target.port).into(), transport, listener, connection: 0 };
                let place = self.place(target);
                targets.push(proxy::Target {
                    tag: u32::try_from(tried.len()).unwrap_or(u32::MAX),
                    uri: target.request_uri.as_str().into(),
                    peer,
                    remove: Arc::clone(&written.remove),
                    // Another edge's decision ends with its hop; ours is told to who is trusted.
                    remove_named: &[DECISION],
                    add: Arc::clone(&written.add),
                    strip_private: target.identity.strip,
                    no_response: Duration::from_millis(u64::from(target.no_response_ms)),
                    only_100: Duration::from_millis(u64::from(target.only_100_ms)),
                    retry_on: target.retry_on.clone(),
                });
                let no_response = Duration::from_millis(u64::from(target.no_response_ms));
                tried.push(Tried { place, peer, no_response });
            }
            last = Some((Arc::clone(&target.identity), written));
        }
        made
    }

    fn place(&self, target: &Target) -> Place {
        let trunk = self.config.trunk_named(target.trunk.as_str());
        Place {
            scope: self.scope,
            tenant: self.tenant.clone(),
            trunk: target.trunk.clone(),
            role: trunk.map_or(self.config.trunk(self.ingress).role, |ix| self.config.trunk(ix).role),
            host: target.host.clone(),
            port: target.port,
        }
    }

    /// The trunk's transport is the truth; where it takes both, size decides, and UDP remains if TCP is refused.
    fn transports(&self, way: Way, written: &Written) -> impl Iterator<Item = Transport> + use<> {
        let large = self.message.bytes().len() + written.bytes + ADDED_BYTES > DATAGRAM_BYTES_MAX;
        let both: &[Transport] = match way {
            Way::Udp => &[Transport::Udp],
            Way::Tcp => &[Transport::Tcp],
            Way::Tls => &[Transport::Tls],
            Way::UdpOrTcp if large => &[Transport::Tcp, Transport::Udp],
            Way::UdpOrTcp => &[Transport::Udp],
        };
        both.iter().copied()
    }

    /// The listener that a trunk is reached by: the one where the trunk itself comes in, so that it sees one address
    /// of ours, else the one that the request came in by, else the first that can.
    fn listener_to(&self, target: &Target, transport: Transport, ip: IpAddr) -> Option<u16> {
        let trunk = self.config.trunk_named(target.trunk.as_str()).map(|ix| self.config.trunk(ix));
        let own = trunk.into_iter().flat_map(|t| &t.ingress).filter_map(|i| i.listener.as_ref());
        let mut names = own.map(|n| n.as_str()).chain(self.listeners.name(self.listener));
        names
            .find_map(|name| self.listeners.named(name, transport, ip))
            .or_else(|| self.listeners.any(transport, ip))
    }

    fn written(&self, target: &Target) -> Written {
        let identity = &*target.identity;
        let trusted = |ix: TrunkIx| self.config.trunk(ix).identity.trusted;
        let mut remove = vec![Header::AssertedIdentity, Header::PreferredIdentity];
        if !trusted(self.ingress) {
            remove.extend([Header::AnswerMode, Header::PrivAnswerMode]);
            if answers_by_itself(self.message) {
                remove.extend([Header::CallInfo, Header::AlertInfo]);
            }
        }
        let mut add: Vec<String> =
            identity.asserted.iter().map(|value| format!("P-Asserted-Identity: {value}")).collect();
        // What the caller itself asked for says more than we know of it, and stays.
        if let Some(privacy) = identity.privacy.filter(|_| self.message.first(Header::Privacy).is_none()) {
            add.push(format!("Privacy: {privacy}"));
        }
        match identity.diverted.as_ref().map(|d| (d.header, &d.entry)) {
            Some((DiversionForm::Diversion, entry)) => {
                remove.push(Header::Diversion);
                add.push(format!("Diversion: {entry}"));
                // The topmost is the last: those that were there come after ours.
                let before = self.message.all(Header::Diversion).filter(|_| !identity.strip);
                add.extend(
                    before.filter_map(|v| Some(format!("Diversion: {}", std::str::from_utf8(v).ok()?))),
                );
            }
            Some((DiversionForm::HistoryInfo, entry)) => add.push(format!("History-Info: {entry}")),
            _ => {}
        }
        let to_trusted = self.config.trunk_named(target.trunk.as_str()).is_some_and(trusted);
        if to_trusted {
            add.push(format!("{DECISION}: {}", self.decision));
        }
        add.retain(|line| safe(line));
        let bytes = add.iter().map(|line| line.len() + 2).sum();
        Written { remove: remove.into(), add: add.into(), bytes }
    }
}

/// What is written to each address of a trunk alike.
#[derive(Clone)]
struct Written {
    remove: Arc<[Header]>,
    add: Arc<[String]>,
    bytes: usize,
}

/// Whether a text may stand in a line of its own: nothing in it ends the line.
fn safe(text: &str) -> bool {
    !text.bytes().any(|b| matches!(b, b'\r' | b'\n' | 0))
}
