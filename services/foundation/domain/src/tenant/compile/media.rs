//! Where audio may go, what Lync is set to, and what works when something is lost.

use std::sync::Arc;

use crate::document::policy::{self, TenantSpec};
use crate::document::terms::{InboundOption, MediaLost, MediaPath, Model, TrunkRole};
use crate::tenant::checks;
use crate::tenant::config::{Config, LyncSettings, Media, MediaSelection, Places, SiteIx, Survivable};
use crate::tenant::tables::SiteSet;

use super::scope::{PREMISES_MAX, Scope};

/// CIC's station timeout where a station has none of its own, in seconds (domain rules 5.5).
const STATION_TIMEOUT_S: u16 = 15;

pub(super) fn media(scope: &mut Scope<'_>, given: &policy::Media, places: &Places) -> Media {
    let local = scope.spec.model == Model::LocalControl;
    let may_leave = given.media_may_leave_premises.unwrap_or(!local);
    let selection = given.selection.as_ref().map(|s| selection(scope, s));
    if local {
        local_control(scope, given, may_leave, selection.as_ref(), places);
    }
    if given.record_lync_users && scope.spec.inbound != InboundOption::CicFirst {
        let words = format!("the inbound option is {}", scope.spec.inbound);
        scope.found.push(checks::MEDIA_RECORD_LYNC_UNUSED.at("spec.media.recordLyncUsers", words));
    }
    Media {
        path: given.path.unwrap_or(MediaPath::Dynamic),
        recorded: given.recorded,
        record_lync_users: given.record_lync_users,
        media_may_leave_premises: may_leave,
        media_server_lost: given.media_server_lost.unwrap_or(MediaLost::ProceedUnrecorded),
        selection,
        bypass: given.bypass,
    }
}

fn selection(scope: &mut Scope<'_>, given: &policy::MediaSelection) -> MediaSelection {
    if given.sites.is_empty() && !given.any {
        let words = "no site is listed, and any is false";
        scope.found.push(checks::MEDIA_SELECTION_EMPTY.at("spec.media.selection.sites", words));
    }
    let mut set = |field: &str, names: &[String]| -> SiteSet {
        let path = format!("spec.media.selection.{field}");
        let names = scope.limited(names, PREMISES_MAX + 1, &path, "there are no more sites");
        names.iter().enumerate().map(|(at, s)| scope.site(s, &format!("{path}[{at}]"))).collect()
    };
    MediaSelection {
        sites: set("sites", &given.sites),
        any: given.any,
        exclude: set("exclude", &given.exclude),
    }
}

/// The trap of local control: CIC's default order ends at its own site, the cloud (domain rules 2.3).
fn local_control(
    scope: &mut Scope<'_>,
    given: &policy::Media,
    may_leave: bool,
    selection: Option<&MediaSelection>,
    places: &Places,
) {
    if may_leave {
        let words = "mediaMayLeavePremises is true under local control";
        scope.found.push(checks::MEDIA_MAY_LEAVE_PREMISES.at("spec.media.mediaMayLeavePremises", words));
        return;
    }
    let words = match selection {
        None => Some(
            "no selection is given, so CIC's default order holds: the asking device, the path, CIC's site, any",
        ),
        Some(s) if s.any => Some("the rule ends with <Any>"),
        Some(s) if s.sites.has(SiteIx::CLOUD) && !s.exclude.has(SiteIx::CLOUD) => {
            Some("the rule lists the cloud")
        }
        Some(_) => None,
    };
    if let Some(words) = words {
        scope.found.push(checks::MEDIA_SELECTION_LEAVES_PREMISES.at("spec.media.selection", words));
    }
    if !places.media_server.is_premises() {
        let words = "the media server is placed in the cloud";
        scope.found.push(checks::MEDIA_ANCHOR_LEAVES_PREMISES.at("spec.placement.mediaServer", words));
    }
    if given.recorded && given.media_server_lost.is_none() {
        let words = "calls are recorded, and mediaServerLost is not set";
        scope.found.push(checks::MEDIA_SERVER_LOST_UNSET.at("spec.media.mediaServerLost", words));
    }
}

/// What depends on media and on places or trunks together.
pub(super) fn across(scope: &mut Scope<'_>, config: &Config) {
    let Places { gateway, lync, media_server, phones, .. } = config.places;
    let in_path = config.media.recorded || config.media.path == MediaPath::AlwaysIn;
    // Option 3 with the media server in the way: gateway, Mediation, media server, Mediation or phone.
    let crossings = [(gateway, lync), (lync, media_server), (media_server, phones)];
    let crossings = crossings.iter().filter(|(a, b)| a != b).count();
    if config.inbound == InboundOption::LyncFirst && in_path && crossings == 3 {
        let name = |ix: SiteIx| config.site(ix).name.as_str();
        let words = format!(
            "the gateway stands at {:?}, Mediation at {:?}, the media server at {:?}, phones at {:?}",
            name(gateway),
            name(lync),
            name(media_server),
            name(phones)
        );
        let at = if config.media.recorded { "spec.media.recorded" } else { "spec.media.path" };
        scope.found.push(checks::MEDIA_CROSSES_THREE_TIMES.at(at, words));
    }
    let refer = config.trunks_of(TrunkRole::Lync).all(|ix| config.trunk(ix).refer);
    if config.media.bypass && !refer {
        let words = "bypass is on, and a Lync trunk has refer: false";
        scope.found.push(checks::MEDIA_BYPASS_WITHOUT_REFER.at("spec.media.bypass", words));
    }
}

pub(super) fn lync(scope: &mut Scope<'_>, spec: &TenantSpec) -> LyncSettings {
    let given = &spec.lync;
    let mut usages = |field: &str, names: &[String]| -> Box<[Arc<str>]> {
        let path = format!("spec.lync.{field}");
        let names = scope.limited(names, 32, &path, "a route rarely has more than a few usages");
        scope.once(names.iter(), &path, "", |n| format!("{n:?}"));
        names.iter().map(|n| n.as_str().into()).collect()
    };
    let (gateway_usages, cic_usages) =
        (usages("gatewayUsages", &given.gateway_usages), usages("cicUsages", &given.cic_usages));
    // Lync compares names of usages without regard to case.
    let usage_shared = gateway_usages.iter().any(|g| cic_usages.iter().any(|c| c.eq_ignore_ascii_case(g)));
    if spec.inbound == InboundOption::LyncFirst && !usage_shared {
        let words =
            format!("gatewayUsages {gateway_usages:?} and cicUsages {cic_usages:?} have nothing in common");
        scope.found.push(checks::ROUTE_NO_SHARED_USAGE.at("spec.lync.cicUsages", words));
    }
    let voicemail = "spec.lync.voicemailSeconds";
    let voicemail_seconds = given.voicemail_seconds.map(|s| scope.within(Some(s), 1, 300, 30, voicemail));
    if let Some(seconds) = voicemail_seconds.filter(|s| *s <= STATION_TIMEOUT_S) {
        let words = format!("voicemail after {seconds} s, the station timeout is {STATION_TIMEOUT_S} s");
        scope.found.push(checks::LYNC_VOICEMAIL_TOO_EARLY.at(voicemail, words));
    }
    LyncSettings {
        gateway_usages,
        cic_usages,
        usage_shared,
        voicemail_seconds,
        cic_line_direct: given.cic_line_direct,
    }
}

pub(super) fn survivable(scope: &mut Scope<'_>, spec: &TenantSpec) -> Survivable {
    let given = &spec.survivable;
    let local = spec.model == Model::LocalControl;
    let path = "spec.survivable.huntTarget";
    let hunt_target = given.hunt_target.as_deref().and_then(|n| scope.number(n, path));
    if local && given.hunt_target.is_none() {
        let words = "no hunt target for the whole tenant";
        scope.found.push(checks::SURVIVABLE_NO_HUNT_TARGET.at(path, words));
    }
    if local && spec.inbound != InboundOption::ProxyFirst && !given.secondary_route {
        let words = format!("the inbound option is {}", spec.inbound);
        scope.found.push(checks::SURVIVABLE_NO_SECONDARY_ROUTE.at("spec.survivable.secondaryRoute", words));
    }
    let path = "spec.survivable.cicSilentSeconds";
    let cic_silent_seconds =
        scope.within(given.cic_silent_seconds, 2, 300, Survivable::CIC_SILENT_SECONDS, path);
    Survivable { secondary_route: given.secondary_route, hunt_target, cic_silent_seconds }
}
