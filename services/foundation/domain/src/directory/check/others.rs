//! Stations, workgroups, number assignments, and the workgroups that routes name.

use std::collections::BTreeSet;

use crate::document::directory::{NumberAssignment, Station, Workgroup};
use crate::document::terms::{AssignmentKind, RouteOwner};
use crate::finding::Finding;
use crate::id::WorkgroupId;
use crate::number::Number;
use crate::tenant::Config;

use super::super::around::{Directory, Holder};
use super::extension::extension;
use super::numbers::{address_number, canonical, is_sip_address, line_number};
use super::{RING_SECONDS_MAX, RING_SECONDS_MIN, checks, treatments};

/// Looks at a station. Paths start at its record.
#[must_use]
pub fn check_station(config: &Config, station: &Station, directory: &impl Directory) -> Vec<Finding> {
    let mut found = Vec::new();
    match station.contact_address.as_deref().filter(|c| !c.is_empty()) {
        None => found.push(checks::STATION_NO_CONTACT_ADDRESS.at("contactAddress", "it is not set")),
        Some(given)
            if address_number(given).is_none() && line_number(given).is_none() && !is_sip_address(given) =>
        {
            let words = format!("{given:?} is neither tel: and a global number nor a SIP address");
            found.push(checks::STATION_CONTACT_ADDRESS_FORM.at("contactAddress", words));
        }
        Some(_) => {}
    }
    if !station.audio_licence {
        found.push(checks::STATION_NO_AUDIO_LICENCE.at("audioLicence", "it is false"));
    }
    let ring = station.ring_seconds.filter(|s| *s != 0 && !(RING_SECONDS_MIN..=RING_SECONDS_MAX).contains(s));
    if let Some(seconds) = ring {
        let words = format!("{seconds} s is not {RING_SECONDS_MIN} to {RING_SECONDS_MAX} s");
        found.push(checks::STATION_RING_SECONDS.at("ringSeconds", words));
    }
    if let Some(site) = station.site.as_ref().filter(|s| config.site_named(s.as_str()).is_none()) {
        found.push(checks::STATION_SITE_UNKNOWN.at("site", format!("the tenant has no site {site}")));
    }
    if let Some(given) = station.extension.as_deref() {
        let own = Holder::Station(station.id.clone());
        extension(config, directory, &own, given, "extension", &mut found);
    }
    found
}

/// Looks at a workgroup. Paths start at its record.
#[must_use]
pub fn check_workgroup(config: &Config, workgroup: &Workgroup, directory: &impl Directory) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(given) = workgroup.extension.as_deref() {
        let own = Holder::Workgroup(workgroup.id.clone());
        extension(config, directory, &own, given, "extension", &mut found);
    }
    if workgroup.members.is_empty() {
        found.push(checks::WORKGROUP_NO_MEMBERS.at("members", "there is none"));
    }
    let mut seen = BTreeSet::new();
    for (at, id) in workgroup.members.iter().enumerate() {
        let path = format!("members[{at}]");
        if !seen.insert(id) {
            found.push(checks::WORKGROUP_MEMBER_TWICE.at(&path, format!("{id} stands in the list already")));
            continue;
        }
        let Some(user) = directory.user(id) else {
            found.push(checks::WORKGROUP_MEMBER_UNKNOWN.at(path, format!("there is no user {id}")));
            continue;
        };
        if user.cic.is_none() {
            found.push(checks::AGENT_NOT_CIC_USER.at(path, format!("{id} has no CIC account")));
        } else if let Some(station) = user.station.as_ref().and_then(|s| directory.station(s))
            && !station.acd_licence
        {
            let words = format!("the station {} of {id} has no ACD Access", station.id);
            found.push(checks::AGENT_NO_ACD_LICENCE.at(path, words));
        }
    }
    treatments(&workgroup.treatments, "treatments", &mut found);
    if let Some(target) = workgroup.hunt_target.as_ref().filter(|t| Number::parse_canonical(t).is_none()) {
        let words = format!("{target:?} is no number in canonical form");
        found.push(checks::WORKGROUP_HUNT_TARGET.at("huntTarget", words));
    }
    found
}

/// Looks at a number assignment. Paths start at its record.
#[must_use]
pub fn check_number(
    config: &Config,
    assigned: &NumberAssignment,
    directory: &impl Directory,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let number = canonical(config, &assigned.number);
    if number.is_none() {
        let words = format!("{:?} is no number", assigned.number);
        found.push(checks::NUMBER_INVALID.at("number", words));
    }
    owner(assigned, directory, &mut found);
    treatments(&assigned.treatments, "treatments", &mut found);
    let Some(number) = number else { return found };
    if number.is_global() && config.range(number).is_none() {
        let words = format!("{number} lies in no range of the tenant");
        found.push(checks::NUMBER_OUTSIDE_RANGES.at("number", words));
    }
    if !number.is_global() && config.is_emergency(None, number.digits()) {
        found.push(checks::EXTENSION_EMERGENCY.at("number", format!("{number} is an emergency string")));
    }
    if let Some(route) = config.explicit_route(number) {
        let same = match assigned.kind {
            AssignmentKind::Workgroup => {
                route.workgroup.as_deref() == assigned.workgroup.as_ref().map(WorkgroupId::as_str)
            }
            AssignmentKind::Did | AssignmentKind::Attendant => route.owner == RouteOwner::Cic,
        };
        if !same {
            let words = format!("the route {route} gives {number} to {}", route.owner);
            found.push(checks::NUMBER_SHADOWED.at("number", words));
        }
    }
    let user = assigned.user.as_ref().and_then(|id| directory.user(id));
    if let Some(user) = user.filter(|u| u.cic.is_none()) {
        let line = user.lync.as_ref().and_then(|l| line_number(l.line_uri.as_deref()?));
        if line != Some(number) {
            let words = format!("{} has no CIC account, and another Line URI", user.id);
            found.push(checks::NUMBER_LYNC_ONLY.at("user", words));
        }
    }
    found
}

fn owner(assigned: &NumberAssignment, directory: &impl Directory, found: &mut Vec<Finding>) {
    let (user, workgroup) = (assigned.user.as_ref(), assigned.workgroup.as_ref());
    let (needs_user, needs_workgroup) =
        (assigned.kind == AssignmentKind::Did, assigned.kind == AssignmentKind::Workgroup);
    for (field, needed, given) in
        [("user", needs_user, user.is_some()), ("workgroup", needs_workgroup, workgroup.is_some())]
    {
        if needed && !given {
            let words = format!("the number is for a {}, and none is named", assigned.kind);
            found.push(checks::NUMBER_OWNER_MISSING.at(field, words));
        } else if given && !needed {
            let words = format!("a {field} is named, and the number is for {}", assigned.kind);
            found.push(checks::NUMBER_OWNER_UNEXPECTED.at(field, words));
        }
    }
    if let Some(id) = user.filter(|id| directory.user(id).is_none()) {
        found.push(checks::NUMBER_OWNER_UNKNOWN.at("user", format!("there is no user {id}")));
    }
    if let Some(id) = workgroup.filter(|id| directory.workgroup(id).is_none()) {
        found.push(checks::NUMBER_OWNER_UNKNOWN.at("workgroup", format!("there is no workgroup {id}")));
    }
}

/// Looks at the workgroups that policy's explicit routes name. Paths are policy's.
#[must_use]
pub fn check_routes(config: &Config, directory: &impl Directory) -> Vec<Finding> {
    let named = config.routes.iter().filter_map(|r| Some((r, r.workgroup.as_deref()?)));
    let unknown = named.filter(|(_, name)| {
        WorkgroupId::parse(name).ok().and_then(|id| directory.workgroup(&id).map(|_| ())).is_none()
    });
    unknown
        .map(|(route, name)| {
            let words = format!("the route {route} leads to {name:?}, which the directory does not have");
            checks::ROUTE_WORKGROUP_UNKNOWN.at(format!("spec.numbers.routes[{}].workgroup", route.at), words)
        })
        .collect()
}
