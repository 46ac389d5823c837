//! Sites, where components stand, and emergency calls.

use crate::document::policy;
use crate::document::terms::{Model, TrunkRole};
use crate::id::SiteName;
use crate::number::Digits;
use crate::tenant::checks;
use crate::tenant::config::{DialStrings, Places, Site, SiteEmergency, SiteIx, Trunk, TrunkIx};

use super::scope::{PREMISES_MAX, Scope};

/// The sites, the cloud first, their emergency part still empty; and the place of each component.
pub(super) fn sites(scope: &mut Scope<'_>) -> (Vec<Site>, Places) {
    let spec = scope.spec;
    scope.once(spec.sites.iter().map(|s| &s.name), "spec.sites", ".name", |n| format!("{n:?}"));
    let cloud = spec.sites.iter().position(|s| s.name == SiteName::CLOUD);
    let limit = PREMISES_MAX + usize::from(cloud.is_some());
    scope.limited(&spec.sites, limit, "spec.sites", "with the cloud, a set of sites is one 64-bit word");
    let mut sites = vec![cloud_site()];
    for (at, site) in spec.sites.iter().enumerate() {
        let compiled = self::site(scope, site, &format!("spec.sites[{at}]"));
        if site.name == SiteName::CLOUD {
            sites[0] = compiled;
        } else if sites.len() <= PREMISES_MAX {
            sites.push(compiled);
        }
    }
    if sites.len() == 1 {
        scope.found.push(checks::SITE_NONE.at("spec.sites", "there is no site but the cloud"));
    }
    let places = places(scope);
    (sites, places)
}

fn cloud_name() -> SiteName {
    #[expect(clippy::expect_used, reason = "a constant of five letters is a site's name; a test parses it")]
    SiteName::parse(SiteName::CLOUD).expect("the cloud's name is a name")
}

fn cloud_site() -> Site {
    Site {
        name: cloud_name(),
        display_name: None,
        country_code: Digits::default(),
        national_prefix: Digits::default(),
        emergency: SiteEmergency::default(),
    }
}

fn site(scope: &mut Scope<'_>, site: &policy::Site, path: &str) -> Site {
    let name = SiteName::parse(&site.name).unwrap_or_else(|e| {
        scope.found.push(checks::NAME_INVALID.at(format!("{path}.name"), e.to_string()));
        cloud_name()
    });
    let code = site.country_code.as_deref();
    let prefix = site.national_prefix.as_deref();
    Site {
        name,
        display_name: site.display_name.as_deref().map(Into::into),
        country_code: code
            .map_or_else(Digits::default, |c| digits(scope, c, 1, 3, &format!("{path}.countryCode"))),
        national_prefix: prefix
            .map_or_else(Digits::default, |p| digits(scope, p, 0, 5, &format!("{path}.nationalPrefix"))),
        emergency: SiteEmergency::default(),
    }
}

fn digits(scope: &mut Scope<'_>, given: &str, min: usize, max: usize, path: &str) -> Digits {
    let digits = Digits::parse(given.as_bytes()).filter(|d| (min..=max).contains(&d.len()));
    digits.unwrap_or_else(|| {
        scope.found.push(checks::SITE_DIGITS.at(path, format!("{given:?} is not {min} to {max} digits")));
        Digits::default()
    })
}

/// Where components stand: placement says, or else the site that the first trunk of the role names, or the model.
fn places(scope: &mut Scope<'_>) -> Places {
    let spec = scope.spec;
    let placement = &spec.placement;
    let mut place = |field: &str, given: &Option<String>, role: Option<TrunkRole>, cloud: &[Model]| {
        if let Some(name) = given {
            return scope.site(name, &format!("spec.placement.{field}"));
        }
        let by_trunk = spec.trunks.iter().find(|t| Some(t.role) == role).and_then(|t| t.site.as_deref());
        // A trunk's dangling site is found where the trunk is compiled.
        let by_model = if cloud.contains(&spec.model) { SiteIx::CLOUD } else { scope.premises() };
        by_trunk.and_then(|name| scope.site_known(name)).unwrap_or(by_model)
    };
    let remote = &[Model::RemoteControl];
    let places = Places {
        gateway: place("gateway", &placement.gateway, Some(TrunkRole::Gateway), remote),
        proxy: place("proxy", &placement.proxy, Some(TrunkRole::SipProxy), remote),
        cic: place("cic", &placement.cic, Some(TrunkRole::Cic), &[Model::LocalControl, Model::RemoteControl]),
        media_server: place("mediaServer", &placement.media_server, Some(TrunkRole::MediaServer), remote),
        lync: place("lync", &placement.lync, Some(TrunkRole::Lync), &[]),
        phones: place("phones", &placement.phones, None, &[]),
    };
    not_of_model(scope, &places);
    places
}

/// Names components that stand on the other side of the WAN than the model says (domain rules 2.1). A gateway
/// of the customer's own under remote control is a variant of the model.
fn not_of_model(scope: &mut Scope<'_>, places: &Places) {
    let model = scope.spec.model;
    let in_cloud = |of: &[Model]| of.contains(&model);
    let remote = &[Model::RemoteControl];
    for (field, words, site, cloud) in [
        ("gateway", "the gateway", places.gateway, in_cloud(remote)),
        ("proxy", "the SIP proxy", places.proxy, in_cloud(remote)),
        ("cic", "CIC", places.cic, in_cloud(&[Model::LocalControl, Model::RemoteControl])),
        ("mediaServer", "the media server", places.media_server, in_cloud(remote)),
        ("lync", "Lync", places.lync, false),
        ("phones", "phones", places.phones, false),
    ] {
        let own_gateway = field == "gateway" && model == Model::RemoteControl;
        if site.is_premises() == cloud && !own_gateway && scope.premises().is_premises() {
            let side = if cloud { "in the cloud" } else { "at the premises" };
            let words = format!("under {model} {words} stands {side}, here at {:?}", scope.site_name(site));
            scope.found.push(checks::PLACEMENT_NOT_OF_MODEL.at(format!("spec.placement.{field}"), words));
        }
    }
}

/// Fills in each site's emergency part; answers every string of the tenant and its sites.
pub(super) fn emergency(
    scope: &mut Scope<'_>,
    sites: &mut [Site],
    trunks: &[Trunk],
    places: &Places,
) -> DialStrings {
    let spec = scope.spec;
    let tenants = numbers(scope, &spec.emergency.numbers, "spec.emergency.numbers");
    let mut all = tenants.clone();
    for (at, given) in spec.sites.iter().enumerate() {
        let Some(ix) = scope.site_known(&given.name) else { continue };
        let path = format!("spec.sites[{at}].emergency");
        let mut emergency = given
            .emergency
            .as_ref()
            .map_or_else(SiteEmergency::default, |e| site_emergency(scope, e, &path, ix, trunks));
        all.extend_from_slice(&emergency.numbers);
        if emergency.numbers.is_empty() {
            emergency.numbers = tenants.clone();
        }
        sites[usize::from(ix.0)].emergency = emergency;
    }
    for site in sites.iter_mut().filter(|s| s.emergency.numbers.is_empty()) {
        site.emergency.numbers = tenants.clone();
    }
    for (at, site) in sites.iter().enumerate() {
        let has_phones = at > 0 || places.phones == SiteIx::CLOUD;
        if has_phones {
            complete(scope, site);
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn numbers(scope: &mut Scope<'_>, given: &[String], path: &str) -> DialStrings {
    let given = scope.limited(given, 16, path, "each is compared on each call");
    let digits = given.iter().enumerate().map(|(at, n)| digits(scope, n, 2, 6, &format!("{path}[{at}]")));
    digits.filter(|d| !d.is_empty()).collect()
}

fn site_emergency(
    scope: &mut Scope<'_>,
    given: &policy::SiteEmergency,
    path: &str,
    site: SiteIx,
    trunks: &[Trunk],
) -> SiteEmergency {
    let numbers = numbers(scope, &given.numbers, &format!("{path}.numbers"));
    let egress_path = format!("{path}.egress");
    let names = scope.limited(&given.egress, 16, &egress_path, "a decision has at most 16 targets");
    scope.once(names.iter(), &egress_path, "", |n| format!("{n:?}"));
    let mut egress = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let path = format!("{egress_path}[{at}]");
        match scope.trunk(name, &path) {
            Some((trunk, TrunkRole::Gateway)) => egress.push(trunk),
            Some((_, role)) => {
                let words = format!("{name:?} is a {role} trunk");
                scope.found.push(checks::SITE_EMERGENCY_EGRESS_ROLE.at(path, words));
            }
            None => {}
        }
    }
    let stands = |ix: &TrunkIx| trunks.get(usize::from(ix.0)).is_some_and(|t| t.site == site);
    if !egress.is_empty() && !egress.iter().any(stands) {
        let words = format!("no gateway of the list stands at {:?}", scope.site_name(site));
        scope.found.push(checks::SITE_EMERGENCY_EGRESS_ELSEWHERE.at(egress_path, words));
    }
    let callback = given.callback.as_deref().and_then(|c| scope.number(c, &format!("{path}.callback")));
    SiteEmergency { numbers, egress: egress.into(), callback }
}

/// What a site with phones must have.
fn complete(scope: &mut Scope<'_>, site: &Site) {
    let spec = scope.spec;
    let Some(at) = spec.sites.iter().position(|s| s.name == site.name.as_str()) else {
        // The cloud holds phones, but is not listed.
        let words = "phones are placed in the cloud, which is not listed with an emergency egress";
        scope.found.push(checks::SITE_NO_EMERGENCY_EGRESS.at("spec.sites", words));
        return;
    };
    let (path, name) = (format!("spec.sites[{at}].emergency"), &site.name);
    let given = spec.sites[at].emergency.as_ref();
    if given.is_none_or(|e| e.egress.is_empty()) {
        let words = format!("the site {name} has no emergency egress");
        scope.found.push(checks::SITE_NO_EMERGENCY_EGRESS.at(format!("{path}.egress"), words));
    }
    if given.is_none_or(|e| e.callback.is_none()) {
        let words = format!("the site {name} has no callback number");
        scope.found.push(checks::SITE_NO_CALLBACK.at(format!("{path}.callback"), words));
    }
    if site.emergency.numbers.is_empty() {
        let words = format!("nothing that people dial at {name} is an emergency call");
        scope.found.push(checks::SITE_NO_EMERGENCY_NUMBERS.at(format!("{path}.numbers"), words));
    }
}
