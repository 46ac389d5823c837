//! The way that a call really took: put together from what each simulator saw of its own legs and from what Tandem's
//! edge told of its decisions. No plan is looked at.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tandem_edge::trace::{self, Did};
use tandem_proto::sim::v1::{SeenCall, Status};

use super::numbering::{Site, site_of};

/// Keeps what the edges tell of their decisions. Cheap to clone; clones are one record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<HashMap<String, Vec<trace::Hop>>>>);

impl trace::Observer for Recorder {
    fn wants_reasons(&self) -> bool {
        true
    }

    fn decided(&self, hop: &trace::Hop) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.entry(hop.call_id.clone()).or_default().push(hop.clone());
    }
}

impl Recorder {
    /// The decisions about a call, in order.
    pub(crate) fn of(&self, call_id: &str) -> Vec<trace::Hop> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(call_id).cloned().unwrap_or_default()
    }
}

/// What an element is, as the decision table abbreviates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Gw,
    /// Tandem's edge; the table calls it PX where it is the proxy of option 1.
    Edge,
    Cic,
    Med,
    Fe,
    Ms,
    Cph,
    Lph,
}

impl Kind {
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "gateway" => Self::Gw,
            "cic" => Self::Cic,
            "mediation" => Self::Med,
            "front-end" => Self::Fe,
            "media-server" => Self::Ms,
            "cic-phone" => Self::Cph,
            "lync-phone" => Self::Lph,
            _ => return None,
        })
    }

    /// As the table has it.
    pub(crate) const fn name(self, proxy: bool) -> &'static str {
        match self {
            Self::Gw => "GW",
            Self::Edge if proxy => "PX",
            Self::Edge => "EDGE",
            Self::Cic => "CIC",
            Self::Med => "MED",
            Self::Fe => "FE",
            Self::Ms => "MS",
            Self::Cph => "CPH",
            Self::Lph => "LPH",
        }
    }

    /// Whose configuration sends a call on from here.
    pub(crate) const fn decider(self) -> &'static str {
        match self {
            Self::Gw => "gateway",
            Self::Edge => "tandem",
            Self::Cic | Self::Cph | Self::Ms => "cic",
            Self::Med | Self::Fe | Self::Lph => "lync",
        }
    }
}

/// An element that a call came to.
#[derive(Clone, Debug)]
pub(crate) struct Hop {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) site: Option<Site>,
    /// The number it was asked for; none: the address of a phone.
    pub(crate) number: Option<String>,
    /// How SIP came here; empty for the first.
    pub(crate) transport: String,
    /// Whose leg it was. None for the first.
    pub(crate) sender: Option<Kind>,
    /// Who decided that the call comes here: the sender, or whoever redirected it. None for the first.
    pub(crate) by: Option<Kind>,
    /// By which rule of whoever sent it.
    pub(crate) why: String,
    /// What Tandem decided here.
    pub(crate) decisions: Vec<trace::Hop>,
}

/// What was seen of a call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    pub(crate) hops: Vec<Hop>,
    /// The final status that the caller got, and its reason.
    pub(crate) status: u32,
    pub(crate) reason: String,
    /// Who answered: `manual`, `auto`, `cic`, `none`.
    pub(crate) answered_by: String,
    /// Pairs of addresses between which audio went in the end.
    pub(crate) media: Vec<Audio>,
    /// Whether a media server had the caller's audio at any time.
    pub(crate) served: bool,
    /// RTP packets that arrived anywhere.
    pub(crate) packets: u64,
}

/// Audio between two elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Audio {
    pub(crate) ends: [(Kind, IpAddr); 2],
    /// RTP packets that each end received from the other.
    pub(crate) received: [u64; 2],
}

impl Observed {
    /// `GW > PX > CIC > CPH`.
    pub(crate) fn hops_words(&self, proxy: bool) -> String {
        let names: Vec<&str> = self.hops.iter().map(|hop| hop.kind.name(proxy)).collect();
        names.join(" > ")
    }

    /// Legs of signalling whose ends stand at different sites.
    pub(crate) fn signalling_crossings(&self) -> usize {
        self.hops.windows(2).filter(|pair| pair[0].site != pair[1].site).count()
    }

    /// Legs of audio whose ends stand at different sites.
    pub(crate) fn media_crossings(&self) -> usize {
        self.media.iter().filter(|audio| audio.crosses()).count()
    }

    /// How often Mediation took the call.
    pub(crate) fn mediation_sessions(&self) -> usize {
        self.hops.iter().filter(|hop| hop.kind == Kind::Med).count()
    }

    /// All that Tandem decided about the call.
    pub(crate) fn decisions(&self) -> impl Iterator<Item = &trace::Hop> {
        self.hops.iter().flat_map(|hop| &hop.decisions)
    }
}

impl Audio {
    pub(crate) fn crosses(&self) -> bool {
        site_of(self.ends[0].1) != site_of(self.ends[1].1)
    }

    /// Whether `packets` arrived each way; more than that only where the caller talked `again`, as after a queue.
    pub(crate) fn carried(&self, packets: u64, again: bool) -> bool {
        self.received.iter().all(|received| *received == packets || again && *received > packets)
    }

    /// `GW-MS`, with `~` where it crosses.
    pub(crate) fn words(&self) -> String {
        let [one, other] = self.ends.map(|(kind, _)| kind.name(false));
        format!("{one}{}{other}", if self.crosses() { '~' } else { '-' })
    }
}

/// Puts a call together.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    legs: Vec<SeenCall>,
    who: HashMap<IpAddr, (Kind, String)>,
    edge: IpAddr,
    recorder: &'a Recorder,
}

impl<'a> Seen<'a> {
    /// From the status of every simulator, asked for one caller.
    pub(crate) fn new(statuses: Vec<Status>, edge: IpAddr, recorder: &'a Recorder) -> Self {
        let mut who = HashMap::from([(edge, (Kind::Edge, "EDGE".to_owned()))]);
        let mut legs = Vec::new();
        for status in statuses {
            for element in status.elements {
                let Some(kind) = Kind::of(&element.kind) else { continue };
                let sip = element.sip_address.parse::<SocketAddr>().ok().map(|address| address.ip());
                for ip in sip.into_iter().chain(element.media_address.parse().ok()) {
                    who.insert(ip, (kind, element.name.clone()));
                }
            }
            legs.extend(status.calls);
        }
        legs.sort_by_key(|leg| leg.at_us);
        Self { legs, who, edge, recorder }
    }

    /// Whether every leg has ended, and there was one.
    pub(crate) fn is_over(&self) -> bool {
        !self.legs.is_empty() && self.legs.iter().all(|leg| leg.ended)
    }

    /// The way of the call, from the gateway on.
    pub(crate) fn observed(&self) -> Observed {
        let mut observed = Observed::default();
        let roots: Vec<&SeenCall> =
            self.legs.iter().filter(|leg| leg.outgoing && leg.for_call_id.is_empty()).collect();
        let Some(first) = roots.first() else { return observed };
        if let Some(address) = parsed(&first.local) {
            observed.hops.push(self.hop(address, None, "", String::new(), None));
        }
        // More than one is a redirection that was followed, or a route that was advanced.
        let mut before: Option<&SeenCall> = None;
        for root in roots {
            let next = observed.hops.len();
            self.follow(root, &mut observed);
            if let (Some(decision), Some(hop)) =
                (before.and_then(|before| self.redirected(before, root)), observed.hops.get_mut(next))
            {
                (hop.by, hop.why) = (Some(Kind::Edge), decided(&decision));
            }
            (observed.status, observed.reason) = (root.status, root.reason.clone());
            before = Some(root);
        }
        self.listen(&mut observed);
        observed
    }

    /// Tandem's decision that sent a leg where it went, if the leg before was redirected there by the edge.
    fn redirected(&self, before: &SeenCall, leg: &SeenCall) -> Option<trace::Hop> {
        let by_edge = parsed(&before.peer).is_some_and(|peer| peer.ip() == self.edge);
        let decision = self.recorder.of(&before.call_id).pop()?;
        let there = decision.target.as_deref().and_then(|target| target.split_once(' '))?.1 == leg.peer;
        let redirects = (300..400).contains(&before.status) && matches!(decision.did, Did::Redirect(_));
        (by_edge && redirects && there).then_some(decision)
    }

    fn hop(
        &self,
        address: SocketAddr,
        by: Option<Kind>,
        transport: &str,
        why: String,
        number: Option<String>,
    ) -> Hop {
        let unknown = || (Kind::Edge, address.to_string());
        let (kind, name) = self.who.get(&address.ip()).cloned().unwrap_or_else(unknown);
        let transport = transport.to_owned();
        let site = site_of(address.ip());
        Hop { kind, name, address, site, number, transport, sender: by, by, why, decisions: Vec::new() }
    }

    /// From a leg that an element began to whoever took it, and on.
    fn follow(&self, leg: &SeenCall, observed: &mut Observed) {
        let (Some(to), Some(from)) = (parsed(&leg.peer), parsed(&leg.local)) else { return };
        let by = self.who.get(&from.ip()).map(|(kind, _)| *kind);
        let taken = self.legs.iter().find(|other| {
            let at = parsed(&other.local).map(|address| address.ip());
            let at_target = to.ip() == self.edge || at == Some(to.ip());
            !other.outgoing && other.call_id == leg.call_id && other.element != leg.element && at_target
        });
        if to.ip() == self.edge {
            let mut hop = self.hop(to, by, &leg.transport, leg.why.clone(), number(&leg.request_uri));
            hop.decisions = self.recorder.of(&leg.call_id);
            let why = hop.decisions.last().map(decided).unwrap_or_default();
            observed.hops.push(hop);
            let Some(taken) = taken else { return };
            if let Some(address) = parsed(&taken.local) {
                let number = number(&taken.request_uri);
                observed.hops.push(self.hop(address, Some(Kind::Edge), &taken.transport, why, number));
            }
        } else {
            // What nobody took was sent into a void: a cut, or an address where nobody listens.
            let Some(taken) = taken else { return };
            let number = number(&taken.request_uri);
            observed.hops.push(self.hop(to, by, &leg.transport, leg.why.clone(), number));
        }
        if let Some(taken) = taken {
            self.beyond(taken, observed);
        }
    }

    /// What a back-to-back agent did with a leg that it took.
    fn beyond(&self, taken: &SeenCall, observed: &mut Observed) {
        if taken.answered_by != "none" || observed.answered_by.is_empty() {
            taken.answered_by.clone_into(&mut observed.answered_by);
        }
        let next = |leg: &&SeenCall| {
            leg.outgoing && leg.element == taken.element && leg.for_call_id == taken.call_id
        };
        let mut legs = self.legs.iter().filter(next);
        let answered = legs.clone().find(|leg| leg.answered);
        if let Some(leg) = answered.or_else(|| legs.next_back()) {
            self.follow(leg, observed);
        }
    }

    /// Where audio went in the end: between ports that had each other as their last peer.
    fn listen(&self, observed: &mut Observed) {
        let mut last: HashMap<SocketAddr, SocketAddr> = HashMap::new();
        let mut received: HashMap<(SocketAddr, SocketAddr), u64> = HashMap::new();
        for flow in self.legs.iter().flat_map(|leg| &leg.media) {
            observed.packets += flow.received;
            if let (Some(local), Some(peer)) = (parsed(&flow.local), parsed(&flow.peer))
                && flow.sent + flow.received > 0
            {
                observed.served |= self.kind(local.ip()) == Kind::Ms;
                last.insert(local, peer);
                received.insert((local, peer), flow.received);
            }
        }
        let mut pairs: Vec<_> = last.iter().filter(|(a, b)| a < b && last.get(b) == Some(a)).collect();
        pairs.sort();
        let end = |address: &SocketAddr| (self.kind(address.ip()), address.ip());
        let heard = |at: &SocketAddr, from: &SocketAddr| received.get(&(*at, *from)).copied().unwrap_or(0);
        let audio = |(a, b)| Audio { ends: [end(a), end(b)], received: [heard(a, b), heard(b, a)] };
        observed.media = pairs.into_iter().map(audio).collect();
    }

    fn kind(&self, ip: IpAddr) -> Kind {
        self.who.get(&ip).map_or(Kind::Edge, |(kind, _)| *kind)
    }

    /// Whether somebody has picked up a telephone.
    pub(crate) fn is_picked_up(&self) -> bool {
        self.legs.iter().any(|leg| matches!(leg.answered_by.as_str(), "manual" | "auto"))
    }

    /// What changes as long as anything happens: legs, their ends, and packets.
    pub(crate) fn progress(&self) -> (usize, usize, u64) {
        let done = self.legs.iter().filter(|leg| leg.answered || leg.ended).count();
        (self.legs.len(), done, self.legs.iter().map(|leg| leg.rtp_sent + leg.rtp_received).sum())
    }
}

fn parsed(address: &str) -> Option<SocketAddr> {
    address.parse().ok()
}

/// The number of a Request-URI, if it is one.
fn number(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("tel:")).unwrap_or(uri);
    let user = rest.split(['@', ';']).next().unwrap_or_default();
    let digits = user.strip_prefix('+').unwrap_or(user);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| user.to_owned())
}

/// A decision of the edge's on one line.
pub(crate) fn decided(hop: &trace::Hop) -> String {
    let did = match &hop.did {
        Did::Redirect(_) => "redirected to".to_owned(),
        Did::Proxy(_) => "sent on to".to_owned(),
        Did::Reject(reason, status) => return format!("refused with {status}: {reason}"),
    };
    let target = hop.target.as_deref().unwrap_or("nobody");
    let rule = if hop.survivable { " by a survivable rule" } else { "" };
    format!("{did} {target}{rule} (revision {})", hop.revision)
}

#[cfg(test)]
mod tests {
    use tandem_proto::sim::v1::{Element, MediaFlow};

    use super::*;

    /// A gateway's leg to a phone, the packets that the gateway and the phone received.
    fn seen(gateway: u64, phone: u64) -> Vec<Audio> {
        let at = |host: u8| format!("127.16.101.{host}");
        let element = |name: &str, kind: &str, host| Element {
            name: name.into(),
            kind: kind.into(),
            sip_address: format!("{}:5060", at(host)),
            media_address: at(host),
            ..Element::default()
        };
        let leg = |element: &str, outgoing, local, peer, received| SeenCall {
            element: element.into(),
            call_id: "1".into(),
            outgoing,
            local: format!("{}:5060", at(local)),
            peer: format!("{}:5060", at(peer)),
            media: vec![MediaFlow {
                local: format!("{}:4000", at(local)),
                peer: format!("{}:4000", at(peer)),
                sent: 10,
                received,
                ..MediaFlow::default()
            }],
            ..SeenCall::default()
        };
        let status = Status {
            elements: vec![element("GW", "gateway", 10), element("CPH", "cic-phone", 101)],
            calls: vec![leg("GW", true, 10, 101, gateway), leg("CPH", false, 101, 10, phone)],
            ..Status::default()
        };
        let recorder = Recorder::default();
        Seen::new(vec![status], "127.16.101.20".parse().unwrap(), &recorder).observed().media
    }

    #[test]
    fn what_was_sent_and_never_arrived_is_no_audio_each_way() {
        let check = |gateway, phone, again, expected| {
            let media = seen(gateway, phone);
            assert_eq!(media.len(), 1);
            assert_eq!(media[0].carried(10, again), expected, "{gateway} {phone} {again}");
        };
        check(10, 10, false, true);
        check(10, 9, false, false);
        check(1, 10, true, false);
        check(10, 0, true, false);
        check(10, 13, false, false);
        check(10, 13, true, true);
    }
}
