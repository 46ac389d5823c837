//! Legs: the letter, protocol, port and media of each pair of hops (domain rules 2.2).

use crate::document::terms::{SrtpMode, Transport, TrunkRole};
use crate::tenant::{Config, Trunk};

use super::way::{Stand, Step};
use super::{Element, Join, Leg};

/// Side legs of a call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sides {
    /// CIC to media server; `Some(true)`: only if the call is recorded.
    pub(super) media_server: Option<bool>,
    /// The Lync client controls a CIC phone.
    pub(super) rcc: bool,
    /// At how many phones the plug-in takes the Lync client off-hook: the callee's, and the caller's own station.
    pub(super) plug_ins: u8,
}

/// The trunks whose settings the legs of one call take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peers<'a> {
    pub(super) gateway: Option<&'a Trunk>,
    pub(super) cic: Option<&'a Trunk>,
    pub(super) lync: Option<&'a Trunk>,
}

impl<'a> Peers<'a> {
    /// The first trunk of each role, or the gateway that the call came in by.
    pub(super) fn of(config: &'a Config, gateway: Option<&'a Trunk>) -> Self {
        let first = |role| config.trunks_of(role).next().map(|t| config.trunk(t));
        Self {
            gateway: gateway.or_else(|| first(TrunkRole::Gateway)),
            cic: first(TrunkRole::Cic),
            lync: first(TrunkRole::Lync),
        }
    }

    /// Whether one side of the call takes SRTP only and another RTP only.
    pub(super) fn srtp_mixed(&self, steps: &[Step]) -> bool {
        let met = |element| steps.iter().any(|s: &Step| s.element == element);
        let ends = [
            (Element::Gw, self.gateway),
            (Element::Med, self.lync),
            // CIC's own phones follow its line.
            (Element::Cph, self.cic),
        ];
        let modes = ends.into_iter().filter(|(e, _)| met(*e)).map(|(_, t)| srtp(t));
        let (mut secure, mut plain) = (false, false);
        for mode in modes {
            secure |= mode == SrtpMode::Required;
            plain |= mode == SrtpMode::NotSupported;
        }
        secure && plain
    }
}

fn srtp(trunk: Option<&Trunk>) -> SrtpMode {
    trunk.map_or(SrtpMode::NotSupported, |t| t.srtp)
}

/// The letter of the leg between two elements, whichever way the call goes.
pub(super) const fn letter(from: Element, to: Element) -> Option<char> {
    use Element::{Cic, Cph, Edge, Fe, Gw, Lph, Med, Ms, Pstn, Px};
    match (from, to) {
        (Pstn, Gw) | (Gw, Pstn) => Some('a'),
        (Gw, Px | Edge) | (Px | Edge, Gw) => Some('b'),
        (Px | Edge, Cic) | (Cic, Px | Edge) => Some('c'),
        (Gw, Cic) | (Cic, Gw) => Some('d'),
        (Cic, Med) | (Med, Cic) => Some('e'),
        (Px | Edge, Med) | (Med, Px | Edge) => Some('f'),
        (Gw, Med) | (Med, Gw) => Some('g'),
        (Med, Fe) | (Fe, Med) => Some('h'),
        (Fe, Lph) | (Lph, Fe) => Some('i'),
        (Cic | Px | Edge, Cph) | (Cph, Cic | Px | Edge) => Some('j'),
        (Cic, Ms) | (Ms, Cic) => Some('k'),
        (Fe, Cic) | (Cic, Fe) => Some('l'),
        _ => None,
    }
}

/// The legs of a way, in hop order, then the side legs.
pub(super) fn legs(steps: &[Step], peers: &Peers<'_>, stand: &Stand, sides: Sides) -> Vec<Leg> {
    let mut legs = Vec::with_capacity(steps.len() + 3);
    if steps.first().is_some_and(|s| s.element == Element::Gw) {
        legs.push(carrier(Element::Pstn, Element::Gw));
    }
    for pair in steps.windows(2) {
        let [from, to] = pair else { continue };
        if to.join != Join::Next {
            continue;
        }
        if let Some(letter) = letter(from.element, to.element) {
            legs.push(Leg {
                letter,
                from: from.element,
                to: to.element,
                protocol: protocol(letter, to.element, peers),
                media: media(letter, peers),
                crosses: from.site != to.site,
                side: false,
                conditional: false,
            });
        }
    }
    if steps.len() > 1 && steps.last().is_some_and(|s| s.element == Element::Gw) {
        legs.push(carrier(Element::Gw, Element::Pstn));
    }
    side_legs(&mut legs, peers, stand, sides);
    legs
}

fn carrier(from: Element, to: Element) -> Leg {
    // Leg a belongs to the carrier and is outside the scope of domain rules 2.2.
    Leg {
        letter: 'a',
        from,
        to,
        protocol: "carrier".into(),
        media: None,
        crosses: false,
        side: false,
        conditional: false,
    }
}

fn side_legs(legs: &mut Vec<Leg>, peers: &Peers<'_>, stand: &Stand, sides: Sides) {
    let mut side = |letter, from, to, protocol: &str, media, crosses, conditional| {
        legs.push(Leg {
            letter,
            from,
            to,
            protocol: protocol.into(),
            media,
            crosses,
            side: true,
            conditional,
        });
    };
    if let (Some(conditional), Some(at)) = (sides.media_server, stand.media_server) {
        let media = media_of(srtp(peers.cic));
        side('k', Element::Cic, Element::Ms, "SIP and Notifier", media, at != stand.cic, conditional);
    }
    if sides.rcc {
        let crosses = stand.lync != stand.cic;
        side('l', Element::Fe, Element::Cic, "uaCSTA in SIP/TCP 5060", None, crosses, false);
    }
    for _ in 0..sides.plug_ins {
        side('m', Element::Lph, Element::Lph, "Lync client SDK, in process", None, false, false);
    }
}

/// How a leg is carried, with the port at the element that is called.
fn protocol(letter: char, to: Element, peers: &Peers<'_>) -> String {
    match letter {
        // FE listens for Mediation at 5061, Mediation for FE at 5070; always mutual TLS (domain rules 2.2, rule 1).
        'h' if to == Element::Med => "SIP/MTLS 5070".into(),
        'h' => "SIP/MTLS 5061".into(),
        'i' => "SIP/TLS 5061".into(),
        // CIC's Stations line: UDP by default.
        'j' => "SIP/UDP 5060".into(),
        'l' => "uaCSTA in SIP/TCP 5060".into(),
        _ => sip(letter, to, peers),
    }
}

fn sip(letter: char, to: Element, peers: &Peers<'_>) -> String {
    let lync = matches!(letter, 'e' | 'f' | 'g');
    let own = match to {
        Element::Gw => peers.gateway,
        Element::Cic => peers.cic,
        Element::Med => peers.lync,
        _ => None,
    };
    // Mediation takes its trunk's transport in both directions; between the others the called side's counts.
    let line = match letter {
        'e' | 'f' | 'g' => peers.lync,
        'c' => peers.cic,
        'b' => peers.gateway,
        _ => own,
    };
    let transport = line.map_or(Transport::UdpOrTcp, |t| t.transport);
    let listed = own.filter(|t| t.transport == transport).and_then(|t| t.addresses.first()).map(|a| a.port);
    let port = listed.unwrap_or(if transport == Transport::Tls { 5061 } else { 5060 });
    let name = match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        // TLS to or from Mediation means mutual TLS (domain rules 2.2, rule 2).
        Transport::Tls if lync => "MTLS",
        Transport::Tls => "TLS",
        Transport::UdpOrTcp => "UDP or TCP",
    };
    format!("SIP/{name} {port}")
}

/// What audio runs along a leg. None on legs of signalling alone: a proxy (b, c, f) and the Front End (h) are
/// never in media.
fn media(letter: char, peers: &Peers<'_>) -> Option<&'static str> {
    match letter {
        'd' => media_of(srtp(peers.gateway)),
        'e' | 'g' => media_of(srtp(peers.lync)),
        'i' => Some("SRTP"),
        'j' => media_of(srtp(peers.cic)),
        _ => None,
    }
}

const fn media_of(mode: SrtpMode) -> Option<&'static str> {
    Some(match mode {
        SrtpMode::Required => "SRTP",
        SrtpMode::Optional => "SRTP or RTP",
        SrtpMode::NotSupported => "RTP",
    })
}
