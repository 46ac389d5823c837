//! What a new call does when the link between the cloud and the premises is lost (domain rules 2.4).
//!
//! Computed from where the elements stand: which of them the call can still reach from where it starts.

use crate::tenant::{Config, SiteIx};

use super::way::{Goal, Stand, Step};
use super::{Element, Join, WanLost};

/// Whether a leg between two sites is lost.
pub(super) const fn lost(a: SiteIx, b: SiteIx) -> bool {
    a.is_premises() != b.is_premises()
}

/// The hop that the call cannot reach any more: the first whose leg crosses between cloud and premises.
pub(super) fn first_lost(steps: &[Step]) -> Option<usize> {
    (1..steps.len()).find(|at| steps[*at].join == Join::Next && lost(steps[at - 1].site, steps[*at].site))
}

/// Whether the tenant has anything on both sides of a WAN.
fn has_wan(config: &Config, stand: &Stand) -> bool {
    let p = config.places;
    let sites = [stand.gateway, stand.cic, stand.lync, p.proxy, p.media_server, p.phones, stand.callee_phone];
    sites.iter().any(|s| s.is_premises()) && sites.iter().any(|s| !s.is_premises())
}

/// What a new call does when the WAN is lost.
///
/// Where the caller stands decides. If the CIC can still be reached, it keeps the caller: voicemail, queue, an
/// announcement. If the phone can still be reached, the proxy's survivable rule finds it, provided that the proxy
/// stands on this side: it alone knows them. A Lync user needs no such rule where the gateway (or CIC's line)
/// has a second route straight to Mediation, for the number called is the Line URI.
pub(super) fn wan_lost(config: &Config, stand: &Stand, steps: &[Step], goal: Goal, queue: bool) -> WanLost {
    if !has_wan(config, stand) {
        return WanLost::NotApplicable;
    }
    let Some(at) = first_lost(steps) else { return WanLost::Works };
    let here = steps[0].site;
    let near = |site: SiteIx| !lost(here, site);
    let met = |element| steps.iter().any(|s: &Step| s.element == element);
    let cic_before = steps[..at].iter().any(|s| s.element == Element::Cic);
    if met(Element::Cic) && near(stand.cic) {
        // CIC is behind something lost (Lync first): only the gateway's second route leads past that.
        let second = !cic_before;
        return match goal {
            _ if queue => WanLost::Queue(second),
            Goal::LyncPhone | Goal::Lync if !second => WanLost::Announce,
            Goal::Pstn => WanLost::Fails,
            _ => WanLost::Voicemail(second),
        };
    }
    // Where the proxy (or the edge in its place) stands in the way already, no second route is needed.
    let second = !steps[..at].iter().any(|s| matches!(s.element, Element::Px | Element::Edge));
    let from_gateway = steps[0].element == Element::Gw;
    let lync_phone = near(stand.lync) && near(stand.callee_phone);
    match goal {
        // The gateway's own second route leads to Mediation; a phone has none.
        Goal::LyncPhone if lync_phone && (from_gateway || near(stand.proxy)) => WanLost::Survivable(second),
        _ if !near(stand.proxy) => WanLost::Fails,
        _ if queue => WanLost::Hunt(second),
        Goal::Station(_) if lync_phone => WanLost::Survivable(second),
        Goal::CicPhone if near(stand.callee_phone) => WanLost::Survivable(second),
        Goal::Pstn if near(stand.gateway) => WanLost::Survivable(second),
        _ => WanLost::Fails,
    }
}
