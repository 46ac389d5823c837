//! Where a request goes that nobody decides about: Route, Record-Route, cookies and digests.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128 as _, SipHasher24 as SipHasher128};
use smallvec::SmallVec;

use crate::message::{Addr, Header, Keys, Message, Scheme, Start, Uri, Via, host_address, list};
use crate::transaction::{ClientId, Peer, ServerKey, Transport};

use super::mark::Mark;
use super::{Config, Hop};

/// What a branch of ours starts with: the magic cookie and ours.
const BRANCH: &str = "z9hG4bKtdm";
/// What then begins the name of a request that no transaction keeps: no hexadecimal digit.
const UNANSWERED: &str = "-";

/// What a branch of ours names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Named {
    /// A client transaction.
    Client(ClientId),
    /// A request that no transaction keeps: the same one when it comes again (RFC 3261 16.11).
    Unanswered(u64),
}

impl Named {
    /// A request that gets no answer, by what tells it from others.
    pub(super) fn unanswered(config: &Config, message: &Message<'_>) -> Self {
        let one = |h| message.first(h).unwrap_or_default();
        Self::Unanswered(lot(
            config,
            "unanswered",
            &[one(Header::Via), one(Header::CallId), one(Header::CSeq)],
        ))
    }
}

/// Our Via: the branch says what it names, and carries the loop digest (RFC 5393 4.2).
pub(super) fn via(config: &Config, listener: u16, named: Named, loop_digest: u32) -> String {
    let l = &config.listeners[usize::from(listener)];
    let transport = l.transport.name();
    let (mark, number) = match named {
        Named::Client(ClientId(number)) => ("", number),
        Named::Unanswered(number) => (UNANSWERED, number),
    };
    format!(
        "SIP/2.0/{transport} {}:{};branch={BRANCH}{mark}{number:x}.{loop_digest:08x};rport",
        l.host, l.port
    )
}

/// The client transaction that a response's top Via names, and the loop digest beside it.
pub(super) fn client_of(branch: &str) -> Option<(ClientId, u32)> {
    let (id, digest) = branch.strip_prefix(BRANCH)?.split_once('.')?;
    let digest = u32::from_str_radix(digest, 16).ok().filter(|_| digest.len() == 8)?;
    Some((ClientId(u64::from_str_radix(id, 16).ok()?), digest))
}

/// Bytes to be hashed, each part with its length. To feed a hasher part by part costs more than to hash.
struct Parts(SmallVec<[u8; 512]>);

impl Parts {
    fn new(scope: u64) -> Self {
        Self(SmallVec::from_slice(&scope.to_le_bytes()))
    }

    fn put(&mut self, part: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&(part.len() as u32).to_le_bytes());
        self.0.extend_from_slice(part);
        self
    }

    fn put_lowercase(&mut self, part: &[u8]) -> &mut Self {
        self.put(part);
        let start = self.0.len() - part.len();
        self.0[start..].make_ascii_lowercase();
        self
    }

    fn digest(&self, config: &Config) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&config.key);
        hasher.write(&self.0);
        hasher.finish()
    }
}

/// The digest that tells a loop from a spiral: of all that routing could depend on.
pub(super) fn loop_digest(config: &Config, message: &Message<'_>) -> u32 {
    let Start::Request { uri, .. } = message.start() else { return 0 };
    let mut parts = Parts::new(0);
    let one = |h| message.first(h).unwrap_or_default();
    let tag = |h| tag(one(h)).unwrap_or_default().as_bytes();
    let cseq = one(Header::CSeq).split(u8::is_ascii_whitespace).next().unwrap_or_default();
    parts.put(uri.as_bytes()).put(tag(Header::To)).put(tag(Header::From)).put(one(Header::CallId)).put(cseq);
    for header in [Header::Route, Header::ProxyRequire, Header::ProxyAuthorization] {
        for value in message.all(header) {
            parts.put(value);
        }
    }
    (parts.digest(config) >> 32) as u32
}

/// Whether a Via of ours with the digest that this request would get is in it already (RFC 3261 16.3 step 4).
pub(super) fn has_looped(config: &Config, message: &Message<'_>) -> bool {
    let mut vias = message.all(Header::Via);
    if !vias.any(|line| memchr::memmem::find(line, BRANCH.as_bytes()).is_some()) {
        return false;
    }
    let mark = format!(".{:08x}", loop_digest(config, message));
    message.all(Header::Via).flat_map(list).any(|value| {
        Via::parse(value).is_ok_and(|v| v.branch.is_some_and(|b| b.starts_with(BRANCH) && b.ends_with(&mark)))
    })
}

/// By what a request finds its transaction (17.2.3).
pub(super) fn server_key(
    config: &Config,
    message: &Message<'_>,
    keys: &Keys<'_>,
    method: &str,
    scope: u64,
) -> ServerKey {
    let method = if method == "ACK" { "INVITE" } else { method };
    let mut parts = Parts::new(scope);
    parts.put(method.as_bytes());
    if keys.via.has_transaction_branch() {
        parts.put(keys.via.branch.unwrap_or_default().as_bytes());
        parts.put(&keys.via.port.unwrap_or(0).to_le_bytes()).put_lowercase(keys.via.host.as_bytes());
    } else {
        // RFC 2543: Request-URI, From tag, Call-ID, CSeq number and the whole top Via. The To tag is left out, for
        // that of an ACK is the response's.
        parts.put(keys.uri.as_bytes()).put(keys.from_tag.unwrap_or_default().as_bytes());
        parts.put(keys.call_id.as_bytes()).put(&keys.cseq.number.to_le_bytes());
        parts.put(message.first(Header::Via).and_then(|v| list(v).next()).unwrap_or_default());
    }
    let mut hasher = SipHasher128::new_with_key(&config.key);
    hasher.write(&parts.0);
    ServerKey(hasher.finish128().as_u128())
}

/// The tag of From or To.
pub(super) fn tag(value: &[u8]) -> Option<&str> {
    Addr::parse(value).ok()?.tag()
}

/// A number of a call's own that nobody can foretell: the tag of our answers, the spread of what we ask callers to wait.
pub(super) fn lot(config: &Config, what: &str, of: &[&[u8]]) -> u64 {
    let mut parts = Parts::new(0);
    parts.put(what.as_bytes());
    for part in of {
        parts.put(part);
    }
    parts.digest(config)
}

/// Our Record-Route for a listener: without its mark nobody is routed on by Route.
pub(super) fn record_route(config: &Config, listener: u16, mark: &str) -> String {
    let l = &config.listeners[usize::from(listener)];
    let transport = match l.transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    };
    format!("<sip:{}:{}{transport};lr;tdm={mark}>", l.host, l.port)
}

/// The address inside a Route or Contact value.
pub(super) fn address(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?.trim();
    match text.find('<') {
        Some(at) => text.get(at + 1..)?.split('>').next(),
        None => text.split(';').next(),
    }
}

/// Which listener a URI names, if it is ours.
fn own(config: &Config, uri: &Uri<'_>) -> Option<u16> {
    let transport = transport(uri);
    let port = uri.port.unwrap_or(if transport == Transport::Tls { 5061 } else { 5060 });
    let at = config
        .listeners
        .iter()
        .position(|l| l.transport == transport && l.port == port && l.host.eq_ignore_ascii_case(uri.host))?;
    u16::try_from(at).ok()
}

/// Whether a URI names a loose router (RFC 3261 19.1.1).
fn is_loose(uri: &str) -> bool {
    Uri::parse(uri.as_bytes()).is_ok_and(|uri| uri.param("lr").is_some())
}

pub(super) fn transport(uri: &Uri<'_>) -> Transport {
    match uri.param("transport").flatten() {
        Some(way) if way.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(way) if way.eq_ignore_ascii_case("tls") => Transport::Tls,
        _ if uri.scheme == Scheme::Sips => Transport::Tls,
        _ => Transport::Udp,
    }
}

/// Where a request goes by its Route and Request-URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Onward {
    pub(super) uri: String,
    pub(super) hop: Hop,
    pub(super) own_routes: usize,
    pub(super) drop_last_route: bool,
    pub(super) append_route: Option<String>,
    /// Private headers go no further: the dialog's two sides do not trust each other.
    pub(super) strips: bool,
}

/// What Route and Request-URI say of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// No Route of ours: a request for the user to decide about.
    Fresh,
    /// On to there.
    Onward(Onward),
    /// Our Route, and the cookie is not ours: refused.
    Forged,
    /// The target is no address that SIP can be sent to.
    Nowhere,
}

/// A request's way as far as it names us: what RFC 3261 16.4 makes of its Request-URI and Route.
struct Ours<'a> {
    /// The Request-URI, after a strict router's exchange was undone.
    target: &'a str,
    /// The Route values, likewise.
    routes: SmallVec<[&'a str; 4]>,
    /// The first of them that are ours, and the listeners that they name.
    ours: SmallVec<[(Uri<'a>, u16); 2]>,
    /// A strict router had put our Route into the Request-URI, and the real one at the end.
    strict: Option<(Uri<'a>, u16)>,
}

impl<'a> Ours<'a> {
    fn read(config: &Config, message: &Message<'a>, uri: &'a str) -> Self {
        let ours = |text: &'a str| {
            let uri = Uri::parse(text.as_bytes()).ok()?;
            Some((uri, own(config, &uri)?))
        };
        let mut way = Self { target: uri, routes: SmallVec::new(), ours: SmallVec::new(), strict: None };
        for line in message.all(Header::Route) {
            way.routes.extend(list(line).filter_map(address));
        }
        if !way.routes.is_empty() && is_loose(uri) {
            way.strict = ours(uri);
            way.target = way.strict.and_then(|_| way.routes.pop()).unwrap_or(uri);
        }
        way.ours.extend(way.routes.iter().map_while(|route| ours(route)));
        way
    }

    /// The marks of the values that are ours; an entry without one: it is forged.
    fn marks(&self, config: &Config, call_id: &[u8]) -> impl Iterator<Item = Option<Mark>> {
        let all = self.ours.iter().chain(&self.strict);
        all.map(move |(uri, _)| Mark::read(config, uri.param("tdm").flatten()?, call_id))
    }
}

/// Whose dialog a request's Route says it is in.
pub(super) fn scope(config: &Config, message: &Message<'_>, uri: &str) -> Option<u64> {
    let call_id = message.first(Header::CallId).unwrap_or_default();
    Some(Ours::read(config, message, uri).marks(config, call_id).next()??.scope)
}

/// Follows RFC 3261 16.4 and 16.12: takes our Route values off, undoes a strict router's exchange, and finds the
/// next hop. `from` is the listener that it came in by.
pub(super) fn way(config: &Config, message: &Message<'_>, uri: &str, from: u16, scope: u64) -> Way {
    if message.first(Header::Route).is_none() {
        return Way::Fresh;
    }
    let read = Ours::read(config, message, uri);
    if read.ours.is_empty() && read.strict.is_none() {
        return if read.routes.is_empty() { Way::Fresh } else { Way::Forged };
    }
    let call_id = message.first(Header::CallId).unwrap_or_default();
    let mut strips = false;
    for mark in read.marks(config, call_id) {
        match mark {
            Some(mark) if mark.scope == scope => strips |= mark.strips,
            _ => return Way::Forged,
        }
    }
    let listener = read.ours.last().or(read.strict.as_ref()).map_or(from, |(_, listener)| *listener);
    let next = read.routes.get(read.ours.len()).copied();
    let loose = next.is_none_or(is_loose);
    let (uri, append) = match next {
        Some(strict_router) if !loose => (strict_router, Some(read.target.to_owned())),
        _ => (read.target, None),
    };
    let Some(hop) = hop(next.unwrap_or(read.target), listener) else { return Way::Nowhere };
    Way::Onward(Onward {
        uri: uri.to_owned(),
        hop,
        own_routes: read.ours.len() + usize::from(!loose),
        drop_last_route: read.strict.is_some(),
        append_route: append,
        strips,
    })
}

/// The next hop of a URI: where its host is an address, a peer.
pub(super) fn hop(uri: &str, listener: u16) -> Option<Hop> {
    let parsed = Uri::parse(uri.as_bytes()).ok()?;
    if !matches!(parsed.scheme, Scheme::Sip | Scheme::Sips) {
        return None;
    }
    let host = parsed.param("maddr").flatten().unwrap_or(parsed.host);
    let (port, transport) = (parsed.port, transport(&parsed));
    Some(match host_address(host) {
        Some(ip) => {
            let default = if transport == Transport::Tls { 5061 } else { 5060 };
            let address = (ip, port.unwrap_or(default)).into();
            Hop::Peer(Peer { address, transport, listener, connection: 0 })
        }
        None => Hop::Name { host: host.to_owned(), port, transport, listener },
    })
}
