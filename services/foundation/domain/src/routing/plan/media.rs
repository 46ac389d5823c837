//! Media: where the audio is fixed, and how often it crosses between sites (domain rules 2.3).

use crate::document::terms::MediaPath;
use crate::tenant::{Config, SiteIx};

use super::way::{Goal, Stand, Step};
use super::{Anchor, Element, Join};

/// What a call asks of the media server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wants {
    /// A queue, whose caller hears the media server first.
    pub(super) queue: bool,
    /// Policy records it.
    pub(super) recorded: bool,
    /// SRTP and RTP meet.
    pub(super) mixed: bool,
}

/// Where a media server may serve the tenant now; none: nowhere.
///
/// Only policy's own word lets audio of the premises be anchored in the cloud. CIC's default rule would do it of
/// itself, for its third step is "the CIC server's location" (domain rules 2.3, the trap for local control).
pub(crate) fn media_server(config: &Config, cic: SiteIx, premises_down: bool) -> Option<SiteIx> {
    let may_leave = config.media.media_may_leave_premises;
    let selected = |site: SiteIx| match config.media.selection {
        Some(rule) => !rule.exclude.has(site) && (rule.any || rule.sites.has(site)),
        None => true,
    };
    let usable = |site: SiteIx| {
        (may_leave || site.is_premises()) && !(premises_down && site.is_premises()) && selected(site)
    };
    [config.places.media_server, cic].into_iter().find(|site| usable(*site))
}

/// Where the audio can be fixed, in the table's words.
pub(super) fn anchor(steps: &[Step], goal: Goal, wants: &Wants, server: Option<SiteIx>) -> Anchor {
    let met = |element| steps.iter().any(|s: &Step| s.element == element);
    let (cic, med) = (met(Element::Cic), met(Element::Med));
    if !cic {
        return if med { Anchor::MedOrBypass } else { Anchor::LyncOnly };
    }
    if server.is_none() {
        return Anchor::WithoutMediaServer;
    }
    if wants.queue {
        return if med { Anchor::QueueThenMed } else { Anchor::QueueThenDirect };
    }
    match (goal, med) {
        (Goal::Cic, _) => Anchor::MediaServer,
        (Goal::LyncPhone | Goal::Lync, _) if steps.first().is_some_and(|s| s.element == Element::Gw) => {
            Anchor::MedMsIfRecorded
        }
        (Goal::Station(_) | Goal::LyncPhone | Goal::Lync, _) => Anchor::MedOrMs,
        (_, true) => Anchor::MedMsIfRecordedOrAlwaysIn,
        (_, false) => Anchor::DirectOrMs,
    }
}

/// The element that holds the audio by today's policy.
pub(super) fn anchored_at(
    config: &Config,
    steps: &[Step],
    goal: Goal,
    wants: &Wants,
    server: Option<SiteIx>,
) -> Option<(Element, SiteIx)> {
    let met = |element| steps.iter().find(|s| s.element == element).map(|s| s.site);
    let always_in = config.media.path == MediaPath::AlwaysIn;
    let wanted = wants.queue || wants.recorded || wants.mixed || always_in || goal == Goal::Cic;
    if let (Some(_), Some(site), true) = (met(Element::Cic), server, wanted) {
        return Some((Element::Ms, site));
    }
    // Media bypass takes Mediation out of the audio.
    met(Element::Med).filter(|_| !config.media.bypass).map(|site| (Element::Med, site))
}

/// How often audio crosses between sites: without a media server in the way, and with one.
///
/// Audio runs between gateway, Mediation and phones; CIC and proxies are in signalling only. A media server comes
/// in where CIC stands in the way.
pub(super) fn crossings(steps: &[Step], stand: &Stand, may_have_server: bool) -> (u8, u8) {
    let path = audio(steps);
    let sites = |with: bool| {
        path.iter().filter_map(move |step| match step.element {
            Element::Gw | Element::Med | Element::Cph | Element::Lph => Some(step.site),
            Element::Cic if with => stand.media_server,
            _ => None,
        })
    };
    let without = changes(sites(false));
    (without, if may_have_server { changes(sites(true)) } else { without })
}

/// The way in the order of the audio: where CIC first rang the caller's own station, that leg comes first, from
/// the phone to CIC; a leg of remote control carries none.
fn audio(steps: &[Step]) -> Vec<Step> {
    let Some(answered) = steps.iter().position(|s| s.join == Join::OnAnswer) else {
        return steps.to_vec();
    };
    let station = steps.iter().position(|s| s.join == Join::Aside).unwrap_or(0);
    let mut path: Vec<Step> = steps[station..answered].iter().rev().copied().collect();
    // CIC ends the station leg and begins the next: one element.
    path.extend_from_slice(&steps[answered + 1..]);
    path
}

fn changes(sites: impl Iterator<Item = SiteIx>) -> u8 {
    let mut before: Option<SiteIx> = None;
    let mut count = 0_u8;
    for site in sites {
        count += u8::from(before.is_some_and(|b| b != site));
        before = Some(site);
    }
    count
}
