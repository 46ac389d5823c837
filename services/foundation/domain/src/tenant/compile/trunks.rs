//! Trunks: each for itself, and what holds between them.

use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::document::policy;
use crate::document::terms::{
    DiversionForm, InboundOption, LyncPstnEgress, NumberForm, SrtpMode, Transport, TrunkRole,
};
use crate::id::{ListenerName, TrunkName};
use crate::ingress::Network;
use crate::number::Digits;
use crate::tenant::config::{Address, Config, Identity, Ingress, Places, RetryOn, Site, Trunk, TrunkIx};
use crate::tenant::{Prefix, checks};

use super::scope::{Scope, TRUNKS_MAX, is_host};

/// Compiles every trunk.
pub(super) fn trunks(scope: &mut Scope<'_>, sites: &[Site], places: &Places) -> Vec<Trunk> {
    let spec = scope.spec;
    scope.once(spec.trunks.iter().map(|t| &t.name), "spec.trunks", ".name", |n| format!("{n:?}"));
    let given = scope.limited(&spec.trunks, TRUNKS_MAX, "spec.trunks", "each is looked at on each call");
    for role in [TrunkRole::Gateway, TrunkRole::Cic, TrunkRole::Lync] {
        if !given.iter().any(|t| t.role == role) {
            let words = format!("there is no {role} trunk; inbound option {} needs one", spec.inbound);
            scope.found.push(checks::TRUNK_MISSING.at("spec.trunks", words));
        }
    }
    given
        .iter()
        .enumerate()
        .filter_map(|(at, t)| trunk(scope, t, &format!("spec.trunks[{at}]"), sites, places))
        .collect()
}

fn trunk(
    scope: &mut Scope<'_>,
    t: &policy::Trunk,
    path: &str,
    sites: &[Site],
    places: &Places,
) -> Option<Trunk> {
    let site = t.site.as_deref().map_or(places.of(t.role), |s| scope.site(s, &format!("{path}.site")));
    let timers = &t.timers;
    let no_response_ms = scope.within(
        timers.no_response_ms,
        500,
        10_000,
        Trunk::NO_RESPONSE_MS,
        &format!("{path}.timers.noResponseMs"),
    );
    let only_100_ms = scope.within(
        timers.only_100_ms,
        1_000,
        60_000,
        Trunk::ONLY_100_MS,
        &format!("{path}.timers.only100Ms"),
    );
    if t.accept_302 && t.role == TrunkRole::Lync {
        let words = format!("{:?} is a Lync trunk", t.name);
        scope.found.push(checks::TRUNK_LYNC_ACCEPT_302.at(format!("{path}.accept302"), words));
    }
    for (field, form) in [("numberFormIn", t.number_form_in), ("numberFormOut", t.number_form_out)] {
        let country = sites.get(usize::from(site.0)).is_some_and(|s| !s.country_code.is_empty());
        if form == Some(NumberForm::National) && !country {
            let words = format!("the site {:?} has no country code", scope.site_name(site));
            scope.found.push(checks::TRUNK_NATIONAL_WITHOUT_COUNTRY.at(format!("{path}.{field}"), words));
        }
    }
    let name = TrunkName::parse(&t.name)
        .map_err(|e| scope.found.push(checks::NAME_INVALID.at(format!("{path}.name"), e.to_string())))
        .ok();
    let trunk = Trunk {
        addresses: addresses(scope, t, path),
        srtp: srtp(scope, t, path),
        retry_on: retry_on(scope, t, path),
        identity: identity(scope, &t.identity, &format!("{path}.identity")),
        ingress: ingress(scope, t, path),
        domains: domains(scope, &t.domains, &format!("{path}.domains")),
        backup: backup(scope, t, path),
        name: name?,
        role: t.role,
        site,
        transport: t.transport,
        number_form_in: t.number_form_in.unwrap_or(NumberForm::AsReceived),
        number_form_out: t.number_form_out.unwrap_or(NumberForm::E164Plus),
        accept_302: t.accept_302,
        refer: t.refer.unwrap_or(true),
        no_response_ms,
        only_100_ms,
    };
    Some(trunk)
}

fn addresses(scope: &mut Scope<'_>, t: &policy::Trunk, path: &str) -> SmallVec<[Address; 2]> {
    let path = format!("{path}.addresses");
    if t.addresses.is_empty() {
        scope
            .found
            .push(checks::TRUNK_NO_ADDRESS.at(&path, format!("the trunk {:?} has no address", t.name)));
    }
    let given = scope.limited(&t.addresses, 16, &path, "a decision has at most 16 targets");
    let mut addresses = SmallVec::<[Address; 2]>::with_capacity(given.len());
    for (at, a) in given.iter().enumerate() {
        if !is_host(&a.host) {
            let words = format!("{:?} is no IP address or host name", a.host);
            scope.found.push(checks::HOST_INVALID.at(format!("{path}[{at}].host"), words));
        }
        let default = Trunk::default_port(t.role, t.transport);
        let port = scope.within(a.port, 1, u16::MAX, default, &format!("{path}[{at}].port"));
        addresses.push(Address {
            host: a.host.as_str().into(),
            port,
            priority: a.priority,
            weight: a.weight,
        });
    }
    let keys = addresses.iter().map(|a| (a.host.to_ascii_lowercase(), a.port));
    scope.once(keys, &path, "", |(host, port)| format!("{host:?} port {port}"));
    addresses.sort_by_key(|a| a.priority);
    addresses
}

/// The mode in force: Lync's own default on TLS, and what TCP makes of it (domain rules 2.2, rules 3 to 5).
fn srtp(scope: &mut Scope<'_>, t: &policy::Trunk, path: &str) -> SrtpMode {
    let tls = t.transport == Transport::Tls;
    let (lync, at) = (t.role == TrunkRole::Lync, format!("{path}.transport"));
    if lync && matches!(t.transport, Transport::Udp | Transport::UdpOrTcp) {
        scope.found.push(checks::TRUNK_LYNC_UDP.at(at, format!("{:?} uses {}", t.name, t.transport)));
    } else if lync && !tls {
        scope.found.push(checks::TRUNK_LYNC_UNENCRYPTED.at(at, format!("{:?} uses {}", t.name, t.transport)));
    }
    if tls && t.role != TrunkRole::MediaServer {
        let words = format!("{:?} uses {}", t.name, t.transport);
        scope.found.push(checks::TRUNK_TLS_NOT_CARRIED.at(format!("{path}.transport"), words));
    }
    match t.srtp {
        Some(SrtpMode::Required | SrtpMode::Optional) if !tls => {
            let words = format!("SRTP on a trunk over {}", t.transport);
            scope.found.push(checks::TRUNK_SRTP_REQUIRES_TLS.at(format!("{path}.srtp"), words));
            SrtpMode::NotSupported
        }
        Some(mode) => mode,
        None if lync && tls => SrtpMode::Required,
        None => SrtpMode::NotSupported,
    }
}

fn retry_on(scope: &mut Scope<'_>, t: &policy::Trunk, path: &str) -> RetryOn {
    let Some(given) = &t.retry_on else { return RetryOn::from_slice(&Trunk::RETRY_ON) };
    let path = format!("{path}.retryOn");
    let codes = scope.limited(given, 32, &path, "it is compared with each response");
    scope.once(codes.iter(), &path, "", ToString::to_string);
    for (at, code) in codes.iter().enumerate() {
        if !(400..600).contains(code) || matches!(code, 401 | 404 | 407 | 480 | 486 | 487) {
            let words = format!("{code} does not say that the trunk failed");
            scope.found.push(checks::TRUNK_RETRY_CODE.at(format!("{path}[{at}]"), words));
        }
    }
    codes.into()
}

fn identity(scope: &mut Scope<'_>, given: &policy::Identity, path: &str) -> Identity {
    let default = given.default_number.as_deref();
    let default_number = default.and_then(|n| scope.number(n, &format!("{path}.defaultNumber")));
    if !given.screening.is_empty() && default.is_none() {
        let words = "screening refuses some callers, and there is no number to show instead";
        scope.found.push(checks::TRUNK_SCREENING_WITHOUT_DEFAULT.at(format!("{path}.defaultNumber"), words));
    }
    Identity {
        trusted: given.trusted,
        diversion: given.diversion.unwrap_or(DiversionForm::Diversion),
        screening: scope.prefixes(&given.screening, &format!("{path}.screening")),
        default_number,
    }
}

fn ingress(scope: &mut Scope<'_>, t: &policy::Trunk, path: &str) -> Box<[Ingress]> {
    let path = format!("{path}.ingress");
    let given = scope.limited(&t.ingress, 64, &path, "each is a claim that the whole cell compares");
    let mut compiled = Vec::with_capacity(given.len());
    for (at, i) in given.iter().enumerate() {
        let path = format!("{path}[{at}]");
        if i.source.is_none() && i.certificate.is_none() && i.domain.is_none() {
            let words = "neither source nor certificate nor domain is given";
            scope.found.push(checks::TRUNK_INGRESS_EMPTY.at(&path, words));
        }
        let listener = i.listener.as_deref().and_then(|l| {
            let refused =
                |e: crate::id::NameError| checks::NAME_INVALID.at(format!("{path}.listener"), e.to_string());
            ListenerName::parse(l).map_err(|e| scope.found.push(refused(e))).ok()
        });
        let source = i.source.as_deref().and_then(|s| {
            let refused = |e: crate::ingress::NetworkError| {
                checks::TRUNK_INGRESS_INVALID.at(format!("{path}.source"), e.to_string())
            };
            s.parse::<Network>().map_err(|e| scope.found.push(refused(e))).ok()
        });
        compiled.push(Ingress {
            listener,
            source,
            certificate: i
                .certificate
                .as_deref()
                .map(|c| certificate(scope, c, &format!("{path}.certificate"))),
            domain: i.domain.as_deref().map(|d| host(scope, d, &format!("{path}.domain"))),
            called: called(scope, t, i, &format!("{path}.called")),
        });
    }
    compiled.into()
}

/// What a shared carrier's calls are told apart by: before they are anybody's no dial plan reads their digits.
fn called(scope: &mut Scope<'_>, t: &policy::Trunk, given: &policy::Ingress, path: &str) -> Box<[Prefix]> {
    let prefixes = scope.prefixes(&given.called, path);
    if t.number_form_in == Some(NumberForm::National)
        && let Some(global) = prefixes.iter().find(|p| p.global)
    {
        let words = format!("{:?} writes nationally, and {global} starts with a plus", t.name);
        scope.found.push(checks::TRUNK_CALLED_NEVER_FITS.at(path, words));
    }
    prefixes
}

/// A DNS name, or a URI (RFC 5922 7.1: a SIP domain's certificate may carry either).
fn certificate(scope: &mut Scope<'_>, given: &str, path: &str) -> Arc<str> {
    let uri = given.split_once(':').is_some_and(|(scheme, rest)| {
        let scheme_ok = scheme.bytes().all(|b| b.is_ascii_alphanumeric()) && !scheme.is_empty();
        scheme_ok && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())
    });
    if uri { given.to_ascii_lowercase().into() } else { host(scope, given, path) }
}

fn host(scope: &mut Scope<'_>, given: &str, path: &str) -> Arc<str> {
    if !is_host(given) {
        scope.found.push(checks::HOST_INVALID.at(path, format!("{given:?} is no IP address or host name")));
    }
    given.to_ascii_lowercase().into()
}

fn domains(scope: &mut Scope<'_>, given: &[String], path: &str) -> SmallVec<[SmolStr; 1]> {
    let given = scope.limited(given, 16, path, "each is compared with requests that have no number");
    scope.once(given.iter().map(|d| d.to_ascii_lowercase()), path, "", |d| format!("{d:?}"));
    given.iter().enumerate().map(|(at, d)| (&*host(scope, d, &format!("{path}[{at}]"))).into()).collect()
}

fn backup(scope: &mut Scope<'_>, t: &policy::Trunk, path: &str) -> Box<[TrunkIx]> {
    let path = format!("{path}.backup");
    let names = scope.limited(&t.backup, 15, &path, "a decision has at most 16 targets");
    scope.once(names.iter(), &path, "", |n| format!("{n:?}"));
    let mut backup = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let Some((ix, role)) = scope.trunk(name, &path) else { continue };
        if *name == t.name {
            scope.found.push(checks::TRUNK_BACKUP_ROLE.at(path, format!("{name:?} is the trunk itself")));
        } else if role != t.role {
            let words = format!("{name:?} is a {role} trunk, {:?} a {} trunk", t.name, t.role);
            scope.found.push(checks::TRUNK_BACKUP_ROLE.at(path, words));
        } else {
            backup.push(ix);
        }
    }
    backup.into()
}

/// What holds between trunks.
pub(super) fn between(scope: &mut Scope<'_>, config: &Config) {
    // A trunk whose name is invalid is left out: places would not fit the document's, and errors stand already.
    if config.trunks.len() != scope.spec.trunks.len() {
        return;
    }
    no_ingress(scope, config);
    refer(scope, config);
    encryption(scope, config);
    for (b, second) in config.trunks.iter().enumerate() {
        for (a, first) in config.trunks[..b].iter().enumerate() {
            ingress_overlap(scope, first, second, (a, b));
            domain_shared(scope, first, second, (a, b));
        }
    }
}

fn no_ingress(scope: &mut Scope<'_>, config: &Config) {
    for ix in config.trunks_of(TrunkRole::Gateway) {
        if config.inbound == InboundOption::ProxyFirst && config.trunk(ix).ingress.is_empty() {
            let words = format!("the gateway {:?} is never taken for a caller", config.trunk(ix).name);
            scope.found.push(checks::TRUNK_NO_INGRESS.at(format!("spec.trunks[{}].ingress", ix.0), words));
        }
    }
}

/// Which roles Mediation talks to: CIC always, the gateway where calls go there without the proxy (domain rules 3.5).
fn gateway_meets_lync(config: &Config) -> bool {
    config.inbound == InboundOption::LyncFirst || config.lync_pstn_egress == LyncPstnEgress::Gateway
}

fn refer(scope: &mut Scope<'_>, config: &Config) {
    let sends = config.trunks_of(TrunkRole::Lync).any(|ix| config.trunk(ix).refer);
    for (at, peer) in config.trunks.iter().enumerate() {
        let meets = match peer.role {
            TrunkRole::Cic => true,
            TrunkRole::Gateway => gateway_meets_lync(config),
            TrunkRole::SipProxy => config.inbound == InboundOption::ProxyFirst,
            TrunkRole::Lync | TrunkRole::MediaServer => false,
        };
        if sends && meets && !peer.refer {
            let words =
                format!("the {} {:?} takes no REFER, and the Lync trunk sends it", peer.role, peer.name);
            scope.found.push(checks::TRUNK_REFER_UNSUPPORTED.at(format!("spec.trunks[{at}].refer"), words));
        }
    }
}

/// SRTP on one side and RTP on the other (domain rules 2.2, rules 5 and 6; test vector 17).
fn encryption(scope: &mut Scope<'_>, config: &Config) {
    let requires = config.trunks_of(TrunkRole::Lync).find(|ix| config.trunk(*ix).srtp == SrtpMode::Required);
    let Some(lync) = requires.map(|ix| config.trunk(ix)) else { return };
    for (at, peer) in config.trunks.iter().enumerate().filter(|(_, t)| t.srtp == SrtpMode::NotSupported) {
        let path = format!("spec.trunks[{at}].srtp");
        let words =
            format!("the {} {:?} has RTP only, and {:?} requires SRTP", peer.role, peer.name, lync.name);
        // CIC with a Lync line of its own may have plain lines beside: that line is TLS then, and `setup` says so.
        let own_line = config.lync.cic_line_direct && peer.transport != Transport::Tls;
        let fails = match peer.role {
            TrunkRole::Cic => !own_line,
            TrunkRole::Gateway => gateway_meets_lync(config),
            _ => false,
        };
        if fails {
            scope.found.push(checks::TRUNK_LYNC_REQUIRES_SRTP.at(path, words));
        } else if peer.role == TrunkRole::Gateway && config.inbound == InboundOption::ProxyFirst {
            scope.found.push(checks::ROUTE_SRTP_NO_TRANSCRYPTOR.at(path, words));
        }
    }
}

fn ingress_overlap(scope: &mut Scope<'_>, first: &Trunk, second: &Trunk, (a, b): (usize, usize)) {
    for (j, y) in second.ingress.iter().enumerate() {
        if let Some(i) = first.ingress.iter().position(|x| both_fit(x, y)) {
            let words =
                format!("a call could fit this and spec.trunks[{a}].ingress[{i}] of {:?}", first.name);
            scope
                .found
                .push(checks::TRUNK_INGRESS_OVERLAP.at(format!("spec.trunks[{b}].ingress[{j}]"), words));
        }
    }
}

/// The evidence that an ingress stands on: the strongest that it names. The rest are conditions.
fn strongest(i: &Ingress) -> u8 {
    match (&i.certificate, &i.source) {
        (Some(_), _) => 0,
        (None, Some(_)) => 1,
        (None, None) => 2,
    }
}

/// Whether one call could fit both with the same evidence: nothing that both name tells them apart.
fn both_fit(x: &Ingress, y: &Ingress) -> bool {
    fn same<T: PartialEq>(x: Option<&T>, y: Option<&T>) -> bool {
        x.zip(y).is_none_or(|(x, y)| x == y)
    }
    // Before the tenant is known nobody can say what digits without plus mean.
    let overlap = |p: Digits, q: Digits| p.starts_with(q) || q.starts_with(p);
    let called = x.called.is_empty()
        || y.called.is_empty()
        || x.called.iter().any(|p| y.called.iter().any(|q| overlap(p.digits, q.digits)));
    strongest(x) == strongest(y)
        && same(x.listener.as_ref(), y.listener.as_ref())
        && same(x.certificate.as_ref(), y.certificate.as_ref())
        && same(x.domain.as_ref(), y.domain.as_ref())
        && x.source.zip(y.source).is_none_or(|(x, y)| x.overlaps(y))
        && called
}

fn domain_shared(scope: &mut Scope<'_>, first: &Trunk, second: &Trunk, (a, b): (usize, usize)) {
    let backs = |t: &Trunk, other: usize| t.backup.iter().any(|ix| usize::from(ix.0) == other);
    if backs(first, b) || backs(second, a) {
        return;
    }
    for (at, domain) in second.domains.iter().enumerate().filter(|(_, d)| first.domains.contains(d)) {
        let words = format!("{domain} is a domain of {:?} already", first.name);
        scope.found.push(checks::TRUNK_DOMAIN_SHARED.at(format!("spec.trunks[{b}].domains[{at}]"), words));
    }
}
