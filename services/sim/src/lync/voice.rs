//! How a Front End decides where a call goes: normalisation, reverse number lookup, voice routes, PSTN usages,
//! routing between trunks.
//!
//! ```text
//! number --normalise--> E.164 --reverse number lookup on Line URIs--> a user with Enterprise Voice: their endpoints
//!                                     | no user, or Enterprise Voice off
//!                                     v
//!                          voice routes, in order: the pattern matches, and a PSTN usage is shared
//! ```

use regex_lite::Regex;

use super::config::{Config, Trunk, User, VoiceRoute};
use crate::number;

/// Where a call goes, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision<'a> {
    /// Where to.
    pub(super) way: Way<'a>,
    /// The rule, in the words of an administrator.
    pub(super) why: String,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// To all endpoints of a user.
    Ring(&'a User),
    /// Out by these trunks, in order, with this number.
    Out(Vec<&'a Trunk>, String),
    /// Nowhere: status and reason phrase.
    Refuse(u16, &'static str),
}

/// A call that came in by `trunk`.
pub(super) fn from_trunk<'a>(config: &'a Config, trunk: &Trunk, called: &str) -> Decision<'a> {
    let number = normalise(config, called);
    match look_up(config, &number, called) {
        Some(user) if user.enterprise_voice => ring(user, &number),
        passed_on => {
            let mut decision = between_trunks(config, trunk, &number);
            if let Some(user) = passed_on {
                let prefix = format!("Line URI of {}, Enterprise Voice off: passed on; ", user.sip_address);
                decision.why.insert_str(0, &prefix);
            }
            decision
        }
    }
}

/// A call that a user's own client makes; `dialled` is a number as typed, or a SIP address.
pub(super) fn from_client<'a>(config: &'a Config, caller: Option<&User>, dialled: &str) -> Decision<'a> {
    if let Some(user) = config.users.iter().find(|user| is_address_of(user, dialled)) {
        return Decision { way: Way::Ring(user), why: format!("SIP address of {}", user.sip_address) };
    }
    let number = normalise(config, dialled);
    match look_up(config, &number, dialled) {
        Some(user) if user.enterprise_voice => return ring(user, &number),
        _ => {}
    }
    let Some(caller) = caller.filter(|caller| caller.enterprise_voice) else {
        let way = Way::Refuse(403, "Enterprise Voice Is Off");
        return Decision { way, why: "the caller has no Enterprise Voice".to_owned() };
    };
    out(config, &number, &caller.pstn_usages, |_| true, &format!("voice policy of {}", caller.sip_address))
}

fn ring<'a>(user: &'a User, number: &str) -> Decision<'a> {
    let why = format!("reverse number lookup: {number} is the Line URI of {}", user.sip_address);
    if user.endpoints.is_empty() {
        let why = format!("{why}, who is signed in nowhere");
        return Decision { way: Way::Refuse(480, "Temporarily Unavailable"), why };
    }
    Decision { way: Way::Ring(user), why }
}

/// From one trunk to another: only if a route's pattern matches and the two trunks share a PSTN usage.
fn between_trunks<'a>(config: &'a Config, from: &Trunk, number: &str) -> Decision<'a> {
    let shares = |to: &Trunk| to.pstn_usages.iter().any(|usage| from.pstn_usages.contains(usage));
    out(config, number, &from.pstn_usages, shares, &format!("inter-trunk routing from {}", from.name))
}

/// The first voice route whose pattern matches, that has one of `usages`, and a trunk that `may` be taken.
fn out<'a>(
    config: &'a Config,
    number: &str,
    usages: &[String],
    may: impl Fn(&Trunk) -> bool,
    by: &str,
) -> Decision<'a> {
    let mut unshared: Option<&VoiceRoute> = None;
    for route in &config.voice_routes {
        if !matches(&route.number_pattern, number) {
            continue;
        }
        let usage = route.pstn_usages.iter().find(|usage| usages.contains(usage));
        let trunks = route.trunks.iter().filter_map(|name| config.trunk(name));
        let trunks: Vec<&Trunk> = trunks.filter(|trunk| may(trunk)).collect();
        match usage {
            Some(usage) if !trunks.is_empty() => {
                let why = format!("{by}: voice route {}, PSTN usage {usage}", route.name);
                return Decision { way: Way::Out(trunks, number.to_owned()), why };
            }
            _ => unshared = unshared.or(Some(route)),
        }
    }
    let why = match unshared {
        Some(route) => {
            format!("{by}: voice route {} matches {number}, but no PSTN usage is shared", route.name)
        }
        None => format!("{by}: no voice route matches {number}"),
    };
    Decision { way: Way::Refuse(404, "Not Found"), why }
}

/// What was dialled, as the dial plan has it. A number with a plus sign is taken as it is.
fn normalise(config: &Config, dialled: &str) -> String {
    let bare = number::bare(dialled);
    if bare.starts_with('+') {
        return bare;
    }
    for rule in &config.normalization_rules {
        if let Ok(pattern) = Regex::new(&rule.pattern)
            && pattern.is_match(&bare)
        {
            return pattern.replace(&bare, rule.translation.as_str()).into_owned();
        }
    }
    bare
}

fn matches(pattern: &str, number: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(number))
}

/// The user whose Line URI it is. Users who share a number are told apart by `;ext=`.
fn look_up<'a>(config: &'a Config, number: &str, dialled: &str) -> Option<&'a User> {
    let extension = number::extension(dialled);
    let line = |user: &&'a User| user.line_uri.as_ref().is_some_and(|line| number::bare(line) == number);
    let exact = |user: &&'a User| user.line_uri.as_deref().and_then(number::extension) == extension;
    let mut hits = config.users.iter().filter(line);
    let first = hits.clone().next();
    match extension {
        Some(_) => hits.find(exact),
        None => hits.find(exact).or(first),
    }
}

/// `sip:` and the domain may be left out.
fn is_address_of(user: &User, dialled: &str) -> bool {
    let address = user.sip_address.trim_start_matches("sip:");
    let dialled = dialled.trim_start_matches("sip:").split(';').next().unwrap_or_default();
    address.eq_ignore_ascii_case(dialled)
        || address.split('@').next().is_some_and(|name| name.eq_ignore_ascii_case(dialled))
}

/// The user who is signed in at an endpoint.
pub(super) fn user_at<'a>(config: &'a Config, endpoint: &str) -> Option<&'a User> {
    config.users.iter().find(|user| user.endpoints.iter().any(|name| name == endpoint))
}

#[cfg(test)]
mod tests;
