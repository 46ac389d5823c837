//! Where everything of a tenant stands, and what runs between: the drawing that the guide's captions name.
//!
//! Crossings are computed from sites, never from the model's name, so that a remote-control tenant with its own
//! gateway comes out right. Links are named by the letters of domain rules 2.2; audio has a table of its own, for
//! it does not follow signalling: under local control CIC steers from the cloud what is heard at the premises only.

use std::fmt::{self, Write as _};

use crate::document::terms::{InboundOption, LyncPstnEgress, MediaPath, SrtpMode, Transport, TrunkRole};
use crate::id::SiteName;
use crate::routing::plan::Element;

use super::config::{Config, SiteIx, Trunk};

/// A tenant's topology.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topology {
    /// What it is, in words: name, model, inbound option.
    pub title: String,
    /// The sites that something stands at, the cloud first.
    pub sites: Vec<SitePlan>,
    /// Signalling, by letter.
    pub links: Vec<Link>,
    /// Audio.
    pub audio: Vec<AudioPath>,
}

/// A site and what stands there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SitePlan {
    /// The site.
    pub site: SiteName,
    /// What stands there.
    pub components: Vec<Component>,
}

/// Something that stands at a site.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Component {
    /// What it is.
    pub element: Element,
    /// In words: the trunk's name, or what it is.
    pub name: String,
    /// `UDP 192.0.2.1:5060`, each address of a trunk; empty for what has none in policy.
    pub addresses: Vec<String>,
}

/// A link of domain rules 2.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// Its letter.
    pub letter: char,
    /// From.
    pub from: (Element, SiteName),
    /// To.
    pub to: (Element, SiteName),
    /// Protocol and port.
    pub protocol: String,
    /// What it is for, where that is not plain.
    pub note: &'static str,
}

impl Link {
    /// Whether its ends stand at different sites.
    #[must_use]
    pub fn crosses(&self) -> bool {
        self.from.1 != self.to.1
    }
}

/// A way that audio takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioPath {
    /// From.
    pub from: (Element, SiteName),
    /// To.
    pub to: (Element, SiteName),
    /// `RTP`, `SRTP`, or either.
    pub media: &'static str,
    /// When it is taken.
    pub when: &'static str,
}

impl AudioPath {
    /// Whether its ends stand at different sites.
    #[must_use]
    pub fn crosses(&self) -> bool {
        self.from.1 != self.to.1
    }
}

/// Computes the topology of a tenant. `edge_in_path`: under options 2 and 3 Tandem's edge stands where it can, before
/// the system that is met first (domain rules 9.1); under option 1 it is the proxy, or beside the customer's own.
#[must_use]
pub fn topology(config: &Config, edge_in_path: bool) -> Topology {
    let edge = edge_in_path && config.inbound != InboundOption::ProxyFirst;
    let option = match config.inbound {
        InboundOption::ProxyFirst => "calls meet the SIP proxy first (option 1)",
        InboundOption::CicFirst => "calls meet CIC first (option 2)",
        InboundOption::LyncFirst => "calls meet Lync first (option 3)",
    };
    let shown = config.display_name.as_deref().map_or_else(String::new, |n| format!(" {n}"));
    Topology {
        title: format!(
            "{}{shown}\n{}; {option}{}",
            config.name,
            config.model,
            if edge { ", by way of Tandem's edge" } else { "" }
        ),
        sites: sites(config, edge),
        links: links(config, edge),
        audio: audio(config),
    }
}

fn component(element: Element, name: &str) -> Component {
    Component { element, name: name.to_owned(), addresses: Vec::new() }
}

fn of_trunk(trunk: &Trunk) -> Component {
    let element = match trunk.role {
        TrunkRole::Gateway => Element::Gw,
        TrunkRole::SipProxy => Element::Px,
        TrunkRole::Cic => Element::Cic,
        TrunkRole::Lync => Element::Med,
        TrunkRole::MediaServer => Element::Ms,
    };
    let transport = trunk.transport.words();
    let addresses = trunk.addresses.iter().map(|a| format!("{transport} {}:{}", a.host, a.port)).collect();
    Component { element, name: trunk.name.to_string(), addresses }
}

fn sites(config: &Config, edge: bool) -> Vec<SitePlan> {
    let places = &config.places;
    let has = |role| config.trunks_of(role).next().is_some();
    let mut sites = Vec::with_capacity(config.sites.len());
    for (at, site) in (0_u8..).zip(&config.sites) {
        let ix = SiteIx(at);
        let mut components: Vec<Component> =
            config.trunks.iter().filter(|t| t.site == ix).map(of_trunk).collect();
        if places.proxy == ix && !has(TrunkRole::SipProxy) && config.inbound == InboundOption::ProxyFirst {
            components.push(component(Element::Px, "Tandem's edge"));
        }
        if places.proxy == ix && edge {
            components.push(component(Element::Edge, "Tandem's edge"));
        }
        if places.media_server == ix && !has(TrunkRole::MediaServer) {
            components.push(component(Element::Ms, "Interaction Media Server"));
        }
        if places.lync == ix {
            components.push(component(Element::Fe, "Front End, Active Directory"));
        }
        if phones(config).any(|p| p == ix) {
            components.push(component(Element::Cph, "CIC phones, CIC clients"));
            components.push(component(Element::Lph, "Lync phones and clients"));
        }
        components.sort_by_key(|c| c.element);
        if !components.is_empty() {
            sites.push(SitePlan { site: site.name.clone(), components });
        }
    }
    sites
}

/// Sites where people sit: every premises, and where phones are placed.
fn phones(config: &Config) -> impl Iterator<Item = SiteIx> {
    let all = (0..config.sites.len()).filter_map(|at| u8::try_from(at).ok()).map(SiteIx);
    all.filter(|ix| ix.is_premises() || *ix == config.places.phones)
}

/// Sites of gateways, each once, in the order of trunks.
fn gateways(config: &Config) -> Vec<SiteIx> {
    let mut sites = Vec::new();
    for ix in config.trunks_of(TrunkRole::Gateway) {
        let site = config.trunk(ix).site;
        if !sites.contains(&site) {
            sites.push(site);
        }
    }
    sites
}

/// `SIP/UDP 5060`, as calls to a role are sent.
fn sip(config: &Config, role: TrunkRole) -> String {
    let trunk = config.trunks_of(role).next().map(|ix| config.trunk(ix));
    let (transport, port) = trunk.map_or((Transport::Udp, 5060), |t| {
        let default = Trunk::default_port(t.role, t.transport);
        (t.transport, t.addresses.first().map_or(default, |a| a.port))
    });
    let transport = match transport {
        Transport::Tls if role == TrunkRole::Lync => "MTLS",
        Transport::UdpOrTcp => "UDP,TCP",
        other => other.words(),
    };
    format!("SIP/{transport} {port}")
}

/// Collects links.
struct Links<'a> {
    config: &'a Config,
    links: Vec<Link>,
}

impl Links<'_> {
    fn add(
        &mut self,
        letter: char,
        from: (Element, SiteIx),
        to: (Element, SiteIx),
        protocol: impl Into<String>,
        note: &'static str,
    ) {
        let end = |(element, site): (Element, SiteIx)| (element, self.config.site(site).name.clone());
        let link = Link { letter, from: end(from), to: end(to), protocol: protocol.into(), note };
        self.links.push(link);
    }
}

fn links(config: &Config, edge: bool) -> Vec<Link> {
    use Element::{Cic, Cph, Edge, Fe, Gw, Lph, Med, Ms, Pstn, Px};
    let places = &config.places;
    let (cic, lync) = (places.cic, places.lync);
    let mut l = Links { config, links: Vec::new() };
    let proxy_first = config.inbound == InboundOption::ProxyFirst;
    let lync_to_pstn = config.lync_pstn_egress == LyncPstnEgress::Gateway;
    let to_lync = lync_to_pstn || config.inbound == InboundOption::LyncFirst && !edge;
    let outward = |words| if edge { words } else { "" };
    let first = if edge { Edge } else { Px };
    for site in gateways(config) {
        l.add('a', (Pstn, site), (Gw, site), "ISDN or SIP", "the carrier's");
        if proxy_first || edge {
            l.add('b', (Gw, site), (first, places.proxy), sip(config, TrunkRole::SipProxy), "");
        }
        if !proxy_first {
            l.add(
                'd',
                (Gw, site),
                (Cic, cic),
                sip(config, TrunkRole::Cic),
                outward("CIC's calls to the PSTN"),
            );
        }
        if to_lync {
            l.add(
                'g',
                (Gw, site),
                (Med, lync),
                sip(config, TrunkRole::Lync),
                outward("Lync's calls to the PSTN"),
            );
        }
    }
    if proxy_first || edge {
        l.add('c', (first, places.proxy), (Cic, cic), sip(config, TrunkRole::Cic), "");
        l.add('f', (first, places.proxy), (Med, lync), sip(config, TrunkRole::Lync), outward("both ways"));
    }
    let line = if config.lync.cic_line_direct { "" } else { "by the proxy, as c and f" };
    l.add('e', (Cic, cic), (Med, lync), sip(config, TrunkRole::Lync), line);
    l.add('h', (Med, lync), (Fe, lync), "SIP/MTLS 5061", "5070 from Front End to Mediation");
    for site in phones(config) {
        l.add('i', (Fe, lync), (Lph, site), "SIP/TLS 5061", "");
        l.add('j', (Cic, cic), (Cph, site), "SIP/UDP 5060", "TCP and TLS are options");
    }
    l.add('k', (Cic, cic), (Ms, places.media_server), "SIP", "and CIC's Notifier");
    l.add('l', (Fe, lync), (Cic, cic), "uaCSTA in SIP/TCP 5060", "RCC (row 6); TLS is an option");
    l.add(
        'm',
        (Cph, places.phones),
        (Lph, places.phones),
        "in process",
        "the plug-in (row 4), one workstation",
    );
    l.add('p', (Cph, places.phones), (Cic, cic), "HTTPS", "CIC clients");
    l.add('q', (Cic, cic), (Fe, lync), "LDAP", "CIC reads Lync's attributes in AD");
    l.links.sort_by_key(|link| link.letter);
    l.links
}

fn srtp(config: &Config, role: TrunkRole) -> &'static str {
    let modes = config.trunks_of(role).map(|ix| config.trunk(ix).srtp);
    match modes.max_by_key(|m| *m != SrtpMode::NotSupported) {
        Some(SrtpMode::Required) => "SRTP",
        Some(SrtpMode::Optional) => "SRTP or RTP",
        _ => "RTP",
    }
}

fn audio(config: &Config) -> Vec<AudioPath> {
    use Element::{Cph, Gw, Lph, Med, Ms};
    let places = &config.places;
    let mut paths = Vec::new();
    let mut add = |from: (Element, SiteIx), to: (Element, SiteIx), media, when| {
        let end = |(element, site): (Element, SiteIx)| (element, config.site(site).name.clone());
        let path = AudioPath { from: end(from), to: end(to), media, when };
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    let (lync, server) = (places.lync, places.media_server);
    let relayed = config.media.path == MediaPath::AlwaysIn || config.media.recorded;
    // Under option 2 even calls to users of Lync alone pass CIC, and with it the media server.
    let all_relayed = config.inbound == InboundOption::CicFirst
        && (config.media.path == MediaPath::AlwaysIn || config.media.record_lync_users);
    let (trunk, cic, mediation) =
        (srtp(config, TrunkRole::Gateway), srtp(config, TrunkRole::Cic), srtp(config, TrunkRole::Lync));
    let through =
        if relayed { "each call that CIC handles" } else { "prompts, queues, joining SRTP and RTP" };
    for gateway in gateways(config) {
        let lync_first = config.inbound == InboundOption::LyncFirst;
        add(
            (Gw, gateway),
            (Ms, server),
            trunk,
            if lync_first { "CIC's own calls to the PSTN" } else { through },
        );
        if !all_relayed {
            let when = match (lync_first, relayed) {
                (true, _) => "each call from the PSTN",
                (false, true) => "calls that CIC does not handle",
                (false, false) => "Lync phones, once connected",
            };
            add((Gw, gateway), (Med, lync), mediation, when);
        }
        for phone in phones(config) {
            if !relayed {
                add((Gw, gateway), (Cph, phone), trunk, "CIC phones, once connected");
            }
            if config.media.bypass {
                add((Gw, gateway), (Lph, phone), trunk, "media bypass");
            }
        }
    }
    add((Ms, server), (Med, lync), mediation, through);
    for phone in phones(config) {
        add((Ms, server), (Cph, phone), cic, through);
        add((Med, lync), (Lph, phone), "SRTP", "each call to a Lync phone");
    }
    paths
}

/// As the tables abbreviate elements.
const fn short(element: Element) -> &'static str {
    match element {
        Element::Gw => "GW",
        Element::Px => "PX",
        Element::Edge => "EDGE",
        Element::Cic => "CIC",
        Element::Med => "MED",
        Element::Fe => "FE",
        Element::Ms => "MS",
        Element::Cph => "CPH",
        Element::Lph => "LPH",
        Element::Pstn => "PSTN",
    }
}

impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for (at, site) in self.sites.iter().enumerate() {
            if at > 0 {
                writeln!(f, "  {}", wan())?;
            } else {
                writeln!(f)?;
            }
            draw_site(f, site)?;
        }
        self.draw_links(f)?;
        self.draw_audio(f)?;
        self.draw_crossings(f)
    }
}

/// Characters inside a site's box.
const WIDTH: usize = 74;

fn wan() -> String {
    format!("{:═^WIDTH$}", " WAN ")
}

fn draw_site(f: &mut fmt::Formatter<'_>, site: &SitePlan) -> fmt::Result {
    let kind = if site.site.is_cloud() { "the provider's data centre" } else { "premises" };
    let head = format!("─ {} ({kind}) ", site.site);
    writeln!(f, "┌{head:─<WIDTH$}┐")?;
    for c in &site.components {
        let first = c.addresses.first().map_or("", String::as_str);
        let mut line = format!(" {:<4} {:<28} {first}", short(c.element), c.name);
        for more in c.addresses.iter().skip(1) {
            writeln!(f, "│{line:<WIDTH$}│")?;
            line = format!(" {:<4} {:<28} {more}", "", "");
        }
        writeln!(f, "│{line:<WIDTH$}│")?;
    }
    writeln!(f, "└{}┘", "─".repeat(WIDTH))
}

impl Topology {
    fn draw_links(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nSignalling")?;
        let protocol = widest(self.links.iter().map(|l| l.protocol.chars().count()));
        let places = widest(self.links.iter().map(|l| place(&l.from.1, &l.to.1).chars().count()));
        let both = |l: &Link| format!("{} > {}", short(l.from.0), short(l.to.0));
        let ends = widest(self.links.iter().map(|l| both(l).chars().count()));
        for l in &self.links {
            let mut line = format!(
                "  {}  {:<ends$}  {:<protocol$}  {:<places$}",
                l.letter,
                both(l),
                l.protocol,
                place(&l.from.1, &l.to.1)
            );
            if !l.note.is_empty() {
                write!(line, "  {}", l.note)?;
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn draw_audio(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nAudio")?;
        let media = widest(self.audio.iter().map(|a| a.media.chars().count()));
        let places = widest(self.audio.iter().map(|a| place(&a.from.1, &a.to.1).chars().count()));
        for a in &self.audio {
            let ends = format!("{} - {}", short(a.from.0), short(a.to.0));
            let line = format!(
                "     {ends:<9}  {:<media$}  {:<places$}  {}",
                a.media,
                place(&a.from.1, &a.to.1),
                a.when
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }

    fn draw_crossings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters: Vec<String> = Vec::new();
        for l in self.links.iter().filter(|l| l.crosses()) {
            let letter = l.letter.to_string();
            if !letters.contains(&letter) {
                letters.push(letter);
            }
        }
        let mut audio: Vec<String> = Vec::new();
        for a in self.audio.iter().filter(|a| a.crosses()) {
            let way = format!("{} - {} ({})", short(a.from.0), short(a.to.0), place(&a.from.1, &a.to.1));
            if !audio.contains(&way) {
                audio.push(way);
            }
        }
        let or_none =
            |list: Vec<String>| if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
        writeln!(f, "\nBetween sites")?;
        writeln!(f, "  signalling: {}", or_none(letters))?;
        // One a line: what crosses is what costs.
        writeln!(f, "  audio:      {}", or_none(audio).replace(", ", ",\n              "))
    }
}

fn widest(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.max().unwrap_or(0)
}

fn place(from: &SiteName, to: &SiteName) -> String {
    if from == to { from.to_string() } else { format!("{from} ═ {to}") }
}
