//! Dial plan, ranges, routes, toll rules and treatments.

use crate::document::policy::{self, TenantSpec};
use crate::document::terms::{InboundOption, RouteOwner, TrunkRole};
use crate::number::{Digits, Number};
use crate::tenant::checks;
use crate::tenant::config::{TollRule, Treatments};
use crate::tenant::tables::{DialPlan, DialRule, ExplicitRoute, Prefix, Range, Ranges, Routes};

use super::scope::{PREMISES_MAX, Scope, TRUNKS_MAX};

const EACH_CALL: &str = "the list is walked on each call; join entries into longer blocks";

pub(super) fn dial_plan(scope: &mut Scope<'_>, given: &policy::DialPlan) -> DialPlan {
    let mut plan =
        DialPlan { rules: rules(scope, &given.rules, "spec.dialPlan.rules"), ..DialPlan::default() };
    let path = "spec.dialPlan.overrides";
    let overrides =
        scope.limited(&given.overrides, TRUNKS_MAX + PREMISES_MAX + 1, path, "one for each trunk and site");
    let keys = overrides.iter().map(|o| (&o.trunk, &o.site)).filter(|k| *k != (&None, &None));
    scope.once(keys, path, "", |(trunk, site)| format!("{:?}", trunk.as_ref().or(site.as_ref())));
    let (mut by_trunk, mut by_site) = (Vec::new(), Vec::new());
    for (at, o) in overrides.iter().enumerate() {
        let path = format!("{path}[{at}]");
        let list = rules(scope, &o.rules, &format!("{path}.rules"));
        match (&o.trunk, &o.site) {
            (Some(trunk), None) => {
                by_trunk.extend(scope.trunk(trunk, &format!("{path}.trunk")).map(|(ix, _)| (ix, list)));
            }
            (None, Some(site)) => by_site.push((scope.site(site, &format!("{path}.site")), list)),
            (None, None) => {
                scope.found.push(checks::DIAL_OVERRIDE_TARGET.at(path, "neither trunk nor site is given"));
            }
            (Some(_), Some(_)) => {
                scope.found.push(checks::DIAL_OVERRIDE_TARGET.at(path, "both trunk and site are given"));
            }
        }
    }
    plan.by_trunk = by_trunk.into();
    plan.by_site = by_site.into();
    plan
}

fn rules(scope: &mut Scope<'_>, given: &[policy::DialRule], path: &str) -> Box<[DialRule]> {
    let given = scope.limited(given, 256, path, EACH_CALL);
    let mut rules: Vec<DialRule> = Vec::with_capacity(given.len());
    for (at, rule) in given.iter().enumerate() {
        let path = format!("{path}[{at}]");
        match dial_rule(rule) {
            Ok(compiled) => {
                if let Some(before) = rules.iter().position(|r| covers(r, &compiled)) {
                    let words = format!("rule {before} before it fits all that this one fits");
                    scope.found.push(checks::DIAL_RULE_UNREACHABLE.at(path, words));
                }
                rules.push(compiled);
            }
            Err((field, words)) => {
                scope.found.push(checks::DIAL_RULE_INVALID.at(format!("{path}.{field}"), words));
            }
        }
    }
    rules.into()
}

/// Compiles a rule, or says which field can never work, and why.
fn dial_rule(rule: &policy::DialRule) -> Result<DialRule, (&'static str, String)> {
    const MAX: usize = DialRule::DIALLED_MAX;
    let pattern: Box<[u8]> = rule.prefix.bytes().map(|b| b.to_ascii_uppercase()).collect();
    if pattern.len() > MAX || !pattern.iter().all(|b| b.is_ascii_digit() || *b == b'X') {
        return Err(("match", format!("{:?} is not digits and X, at most {MAX}", rule.prefix)));
    }
    let shortest = u8::try_from(pattern.len().max(1)).unwrap_or(u8::MAX);
    let (min, max) =
        rule.length.map_or((shortest, DialRule::DIALLED_MAX as u8), |l| (l.min.max(shortest), l.max));
    if min > max || usize::from(max) > MAX {
        let words =
            format!("no digits are {min} to {max} long; the most is {MAX}, the fewest what match has");
        return Err(("length", words));
    }
    if rule.strip > min {
        return Err(("strip", format!("{} digits are taken off {min}", rule.strip)));
    }
    let (global, digits) =
        rule.prepend.strip_prefix('+').map_or((false, rule.prepend.as_str()), |d| (true, d));
    let Some(prepend) = Digits::parse(digits.as_bytes()) else {
        return Err(("prepend", format!("{:?} is not digits with or without +, at most 15", rule.prepend)));
    };
    if usize::from(min - rule.strip) + prepend.len() > Digits::LEN_MAX {
        return Err(("prepend", "every result has more than 15 digits".to_owned()));
    }
    if max == rule.strip && prepend.is_empty() {
        return Err(("strip", "nothing is left of the number".to_owned()));
    }
    Ok(DialRule { pattern, min, max, strip: rule.strip, global, prepend })
}

/// Whether a rule fits all that another fits.
fn covers(a: &DialRule, b: &DialRule) -> bool {
    a.min <= b.min
        && a.max >= b.max
        && a.pattern.len() <= b.pattern.len()
        && a.pattern.iter().zip(&b.pattern).all(|(a, b)| *a == b'X' || a == b)
}

pub(super) fn ranges(scope: &mut Scope<'_>, given: &[policy::NumberRange]) -> Ranges {
    let path = "spec.numbers.ranges";
    scope.once(given.iter().map(|r| &r.prefix), path, ".prefix", |p| format!("{p:?}"));
    let given = scope.limited(given, 1_000, path, "single numbers belong in the directory");
    let mut ranges = Vec::with_capacity(given.len());
    for (at, range) in given.iter().enumerate() {
        let site = range.site.as_deref().map(|s| scope.site(s, &format!("{path}[{at}].site")));
        let prefix = scope.prefix(&range.prefix, &format!("{path}[{at}].prefix"));
        ranges.extend(prefix.map(|prefix| Range { prefix, site }));
    }
    Ranges::new(ranges)
}

pub(super) fn routes(scope: &mut Scope<'_>, given: &[policy::NumberRoute]) -> Routes {
    let path = "spec.numbers.routes";
    scope.once(given.iter().map(|r| &r.pattern), path, ".pattern", |p| format!("{p:?}"));
    let given = scope.limited(given, 10_000, path, "numbers of users and workgroups belong in the directory");
    let mut routes = Vec::with_capacity(given.len());
    for (at, r) in given.iter().enumerate() {
        let path = format!("{path}[{at}]");
        workgroup(scope, r, &path);
        let pattern = pattern(scope, &r.pattern, &format!("{path}.pattern"));
        let Some((pattern, ext, exact)) = pattern else { continue };
        if !exact && r.owner == RouteOwner::Lync && scope.spec.inbound == InboundOption::CicFirst {
            let words = format!("CIC sends all of {:?} to Lync", r.pattern);
            scope.found.push(checks::ROUTE_PING_PONG.at(format!("{path}.pattern"), words));
        }
        let workgroup = r.workgroup.as_deref().map(Into::into);
        let at = u16::try_from(at).unwrap_or(u16::MAX);
        routes.push(ExplicitRoute { pattern, ext, exact, owner: r.owner, workgroup, at });
    }
    Routes::new(routes)
}

fn workgroup(scope: &mut Scope<'_>, r: &policy::NumberRoute, path: &str) {
    let path = format!("{path}.workgroup");
    match (r.owner, &r.workgroup) {
        (RouteOwner::Workgroup, None) => {
            let words = format!("the route {:?} names no workgroup", r.pattern);
            scope.found.push(checks::ROUTE_WORKGROUP_MISSING.at(path, words));
        }
        (RouteOwner::Workgroup, Some(name)) => {
            if let Err(e) = crate::id::WorkgroupId::parse(name) {
                let fix = "use 1 to 128 printable characters without '/', quotes and backslashes";
                scope.found.push(checks::NAME_INVALID.at(path, e.to_string()).fix(fix));
            }
        }
        (owner, Some(name)) => {
            let words = format!("the owner is {owner}, yet a workgroup {name:?} is named");
            scope.found.push(checks::ROUTE_WORKGROUP_UNEXPECTED.at(path, words));
        }
        (_, None) => {}
    }
}

/// A pattern: its digits, its extension, and whether it is one number.
fn pattern(scope: &mut Scope<'_>, given: &str, path: &str) -> Option<(Prefix, Digits, bool)> {
    if let Some(start) = given.strip_suffix('*') {
        return scope.prefix(start, path).map(|p| (p, Digits::default(), false));
    }
    let number = Number::parse_canonical(given);
    if number.is_none() {
        let words =
            format!("{given:?} is neither a number in canonical form nor the start of numbers with *");
        scope.found.push(checks::NUMBER_NOT_A_PREFIX.at(path, words));
    }
    number.map(|n| (Prefix { global: n.is_global(), digits: n.digits() }, n.ext(), true))
}

pub(super) fn default_route(scope: &mut Scope<'_>, spec: &TenantSpec) -> Option<RouteOwner> {
    let owner = spec.numbers.default_route?;
    let path = "spec.numbers.defaultRoute";
    if owner == RouteOwner::Workgroup {
        scope.found.push(checks::ROUTE_DEFAULT_WORKGROUP.at(path, "no workgroup can be named here"));
    } else if spec.inbound != InboundOption::ProxyFirst {
        let words = format!("the inbound option is {}", spec.inbound);
        scope.found.push(checks::ROUTE_DEFAULT_UNUSED.at(path, words));
    } else if owner == RouteOwner::Cic && !spec.lync.cic_line_direct {
        let words = "CIC sends through this proxy (lync.cicLineDirect: false)";
        scope.found.push(checks::ROUTE_DEFAULT_RETURNS.at(path, words));
    }
    Some(owner)
}

pub(super) fn toll(scope: &mut Scope<'_>, given: &[policy::TollRule]) -> Vec<TollRule> {
    let given = scope.limited(given, 256, "spec.toll", EACH_CALL);
    if !given.iter().any(|r| r.allow) {
        scope.found.push(checks::TOLL_NOTHING_ALLOWED.at("spec.toll", "no rule has allow: true"));
    }
    let mut rules: Vec<TollRule> = Vec::with_capacity(given.len());
    for (at, rule) in given.iter().enumerate() {
        let path = format!("spec.toll[{at}]");
        let compiled = toll_rule(scope, rule, &path);
        let every = |r: &TollRule| r.from.is_empty() && r.sites.is_empty() && r.called.is_empty();
        if let Some(before) = rules.iter().position(every) {
            let words = format!("rule {before} before it fits every call");
            scope.found.push(checks::TOLL_UNREACHABLE.at(&path, words));
        }
        let from_outside = compiled.from.is_empty() || compiled.from.has(TrunkRole::Gateway);
        if compiled.allow && from_outside && compiled.called.is_empty() {
            let words = "calls that came in by a gateway may go out by one, to any number";
            scope.found.push(checks::TOLL_OPEN_TRANSIT.at(format!("{path}.from"), words));
        }
        rules.push(compiled);
    }
    rules
}

fn toll_rule(scope: &mut Scope<'_>, rule: &policy::TollRule, path: &str) -> TollRule {
    if !rule.allow && !rule.trunks.is_empty() {
        let words = "allow is false, yet trunks are named";
        scope.found.push(checks::TOLL_REFUSAL_WITH_TRUNKS.at(format!("{path}.trunks"), words));
    }
    let sites =
        scope.limited(&rule.sites, PREMISES_MAX + 1, &format!("{path}.sites"), "there are no more sites");
    let sites =
        sites.iter().enumerate().map(|(at, s)| scope.site(s, &format!("{path}.sites[{at}]"))).collect();
    let names =
        scope.limited(&rule.trunks, TRUNKS_MAX, &format!("{path}.trunks"), "there are no more trunks");
    let mut trunks = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let path = format!("{path}.trunks[{at}]");
        match scope.trunk(name, &path) {
            Some((ix, TrunkRole::Gateway)) => trunks.push(ix),
            Some((_, role)) => {
                scope.found.push(checks::TOLL_TRUNK_ROLE.at(path, format!("{name:?} is a {role} trunk")));
            }
            None => {}
        }
    }
    TollRule {
        from: rule.from.iter().copied().collect(),
        sites,
        called: scope.prefixes(&rule.called, &format!("{path}.called")),
        trunks: trunks.into(),
        allow: rule.allow,
    }
}

pub(super) fn treatments(scope: &mut Scope<'_>, given: &policy::Treatments) -> Treatments {
    let mut number = |field: &str, n: &Option<String>| {
        n.as_deref().and_then(|n| scope.number(n, &format!("spec.treatments.{field}")))
    };
    let on_busy = number("onBusy", &given.on_busy);
    let on_no_answer = number("onNoAnswer", &given.on_no_answer);
    let on_unreachable = number("onUnreachable", &given.on_unreachable);
    let no_answer_seconds = scope.within(
        given.no_answer_seconds,
        7,
        300,
        Treatments::NO_ANSWER_SECONDS,
        "spec.treatments.noAnswerSeconds",
    );
    Treatments { on_busy, on_no_answer, no_answer_seconds, on_unreachable }
}
