//! How what was dialled becomes a number: a tenant's rules, with overrides by ingress trunk and caller's site.
//!
//! Order (domain rules 1.3): a global number is canonical as it stands. Digits are given to the rules of the
//! ingress trunk, then to that trunk's number form, then to the rules of the caller's site, then to the tenant's;
//! the first that fits rewrites them, and nothing is rewritten twice. Digits that nothing fits are a number of the
//! tenant's own.
//!
//! [`compile`] checks the rules once; a compiled plan cannot fail but by the length of what it makes.

use std::sync::Arc;

use super::parse::{DialString, Dialled, Refusal};
use super::{Digits, Number};
use crate::document::policy;
use crate::document::terms::NumberForm;

/// The most rules of a plan, overrides counted: every one may be tried for every call.
pub const RULES_MAX: usize = 256;

/// A tenant's dial plan, compiled.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DialPlan {
    trunks: Box<[Named]>,
    sites: Box<[Named]>,
    rules: Box<[Rule]>,
}

/// The rules of one trunk or site.
type Named = (Arc<str>, Box<[Rule]>);

/// One rule, compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rule {
    /// The digits that must be there; an `X` is zero here and in `mask`.
    pattern: Digits,
    /// The nibbles of `pattern` that count.
    mask: u64,
    len_min: u8,
    len_max: u8,
    strip: u8,
    global: bool,
    prepend: Digits,
}

/// What is wrong with a dial plan, and where.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Fault {
    /// The field, from `dialPlan` on, such as `dialPlan.rules[2].match`.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// How a place writes numbers nationally (`sites[].countryCode`, `sites[].nationalPrefix`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Numbering {
    /// Without plus, such as 49; empty where it is not known.
    pub country_code: Digits,
    /// What comes before a national number, such as 0; empty where there is nothing.
    pub national_prefix: Digits,
}

/// From where something was dialled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin<'a> {
    /// The trunk that the call came in by.
    pub trunk: Option<&'a str>,
    /// How that trunk's peer writes numbers; `AsReceived` where it is not said.
    pub form: NumberForm,
    /// How numbers are written nationally where that peer stands.
    pub numbering: Numbering,
    /// Where the caller sits.
    pub site: Option<&'a str>,
}

impl Origin<'_> {
    /// Neither trunk nor site: only the tenant's own rules are tried.
    pub const TENANT: Self = Origin {
        trunk: None,
        form: NumberForm::AsReceived,
        numbering: Numbering {
            country_code: Digits::from_packed(0),
            national_prefix: Digits::from_packed(0),
        },
        site: None,
    };
}

impl DialPlan {
    /// Makes what was dialled a number in canonical form.
    ///
    /// # Errors
    /// [`Refusal`] when it is no number, or becomes one of more than 15 digits.
    pub fn canonical(&self, origin: &Origin<'_>, dialled: &Dialled<'_>) -> Result<Number, Refusal> {
        let digits = match dialled {
            Dialled::Global(number) => return Ok(*number),
            Dialled::Local(digits) => digits,
            Dialled::Service(_) | Dialled::Address { .. } => {
                return Err(Refusal::NotANumber("an address or service is no number"));
            }
        };
        let head = digits.head();
        let by = |of: &[Named], name: Option<&str>| {
            let (_, rules) = of.iter().find(|(n, _)| Some(&**n) == name)?;
            rules.iter().find(|r| r.fits(head, digits.len())).copied()
        };
        if let Some(rule) = by(&self.trunks, origin.trunk) {
            return rule.rewrite(digits);
        }
        if let Some(number) = origin.by_form(digits) {
            return number;
        }
        let rule = by(&self.sites, origin.site)
            .or_else(|| self.rules.iter().find(|r| r.fits(head, digits.len())).copied());
        rule.unwrap_or(Rule::KEEP).rewrite(digits)
    }
}

/// CIC's longest extension (domain rules 1.3): what is no longer is never taken for a carrier's number.
const EXTENSION_LEN_MAX: usize = 6;

impl Origin<'_> {
    /// The number that the trunk's form makes of digits; none: the form says nothing of them.
    fn by_form(&self, digits: &DialString) -> Option<Result<Number, Refusal>> {
        if digits.len() <= EXTENSION_LEN_MAX {
            return None;
        }
        match self.form {
            NumberForm::E164 => Some(Rule { global: true, ..Rule::KEEP }.rewrite(digits)),
            NumberForm::National if !self.numbering.country_code.is_empty() => {
                let prefix = self.numbering.national_prefix;
                let national = digits.head();
                // Twice the prefix (00) is where an international number begins: the dial plan's to rewrite.
                let twice = Digits::parse(digits.as_bytes().get(prefix.len()..)?.get(..prefix.len())?);
                if !national.starts_with(prefix) || (!prefix.is_empty() && twice == Some(prefix)) {
                    return None;
                }
                let strip = prefix.len() as u8;
                Some(
                    Rule { global: true, strip, prepend: self.numbering.country_code, ..Rule::KEEP }
                        .rewrite(digits),
                )
            }
            _ => None,
        }
    }
}

impl Rule {
    /// Fits everything and changes nothing.
    const KEEP: Self = Self {
        pattern: Digits::from_packed(0),
        mask: 0,
        len_min: 1,
        len_max: DialString::LEN_MAX as u8,
        strip: 0,
        global: false,
        prepend: Digits::from_packed(0),
    };

    fn fits(&self, head: Digits, len: usize) -> bool {
        (usize::from(self.len_min)..=usize::from(self.len_max)).contains(&len)
            && head.packed() & self.mask == self.pattern.packed()
    }

    fn rewrite(&self, digits: &DialString) -> Result<Number, Refusal> {
        let too_long = Refusal::TooLong { what: "a number", max: Digits::LEN_MAX, unit: "digits (E.164)" };
        let rest = digits.as_bytes().get(usize::from(self.strip)..).unwrap_or_default();
        let rest = Digits::parse(rest).ok_or(too_long)?;
        let all = self.prepend.then(rest).ok_or(too_long)?;
        let number = if self.global { Number::global(all, Digits::default()) } else { Number::local(all) };
        number.ok_or(Refusal::Empty)
    }
}

/// Compiles a dial plan. That its trunks and sites exist is for the caller to check.
///
/// # Errors
/// Every [`Fault`] that there is, never none.
pub fn compile(plan: &policy::DialPlan) -> Result<DialPlan, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut trunks: Vec<Named> = Vec::new();
    let mut sites: Vec<Named> = Vec::new();
    let total = plan.rules.len() + plan.overrides.iter().map(|o| o.rules.len()).sum::<usize>();
    if total > RULES_MAX {
        let message = format!("{total} rules, overrides counted: at most {RULES_MAX} are allowed");
        faults.push(Fault { path: "dialPlan".to_owned(), message });
        return Err(faults);
    }
    let rules = compile_rules(&plan.rules, "dialPlan.rules", &mut faults);
    for (at, o) in plan.overrides.iter().enumerate() {
        let path = format!("dialPlan.overrides[{at}]");
        let rules = compile_rules(&o.rules, &format!("{path}.rules"), &mut faults);
        let (into, name) = match (&o.trunk, &o.site) {
            (Some(name), None) => (&mut trunks, name),
            (None, Some(name)) => (&mut sites, name),
            _ => {
                let message = "give either trunk or site".to_owned();
                faults.push(Fault { path, message });
                continue;
            }
        };
        if into.iter().any(|(n, _)| **n == **name) {
            let message = format!("there is an override for {name:?} already: put its rules in one");
            faults.push(Fault { path, message });
        } else {
            into.push((name.as_str().into(), rules));
        }
    }
    if faults.is_empty() {
        Ok(DialPlan { trunks: trunks.into(), sites: sites.into(), rules })
    } else {
        Err(faults)
    }
}

fn compile_rules(rules: &[policy::DialRule], path: &str, faults: &mut Vec<Fault>) -> Box<[Rule]> {
    let mut compiled = Vec::with_capacity(rules.len());
    for (at, rule) in rules.iter().enumerate() {
        match compile_rule(rule) {
            Ok(rule) => compiled.push(rule),
            Err((field, message)) => faults.push(Fault { path: format!("{path}[{at}].{field}"), message }),
        }
    }
    compiled.into()
}

fn compile_rule(rule: &policy::DialRule) -> Result<Rule, (&'static str, String)> {
    let (mut pattern, mut mask) = (0_u64, 0_u64);
    if rule.prefix.len() > Digits::LEN_MAX {
        return Err(("match", format!("at most {} digits can be matched", Digits::LEN_MAX)));
    }
    for (at, c) in rule.prefix.bytes().enumerate() {
        let shift = 60 - 4 * at;
        match c {
            b'0'..=b'9' => {
                pattern |= u64::from(c - b'0' + 1) << shift;
                mask |= 0xf << shift;
            }
            b'X' | b'x' => {}
            _ => {
                let message =
                    format!("{:?}: write digits, and X for any digit; + is not dialled", rule.prefix);
                return Err(("match", message));
            }
        }
    }
    let matched = rule.prefix.len().max(1) as u8;
    let longest = DialString::LEN_MAX as u8;
    let (len_min, len_max) = rule.length.map_or((matched, longest), |l| (l.min.max(matched), l.max));
    if len_max < len_min || len_max > longest || rule.length.is_some_and(|l| l.min == 0) {
        let message = format!("give min and max from {matched} to {longest}, min not above max");
        return Err(("length", message));
    }
    let (global, digits) = rule.prepend.strip_prefix('+').map_or((false, &*rule.prepend), |d| (true, d));
    let Some(prepend) = Digits::parse(digits.as_bytes()) else {
        let message =
            format!("{:?}: write at most 15 digits, with + before them for a global number", rule.prepend);
        return Err(("prepend", message));
    };
    if rule.strip > len_min {
        let message = format!("{} digits cannot be taken off {len_min}: raise length.min", rule.strip);
        return Err(("strip", message));
    }
    let made = prepend.len() + usize::from(len_min - rule.strip);
    if prepend.is_empty() && len_max == rule.strip {
        return Err((
            "strip",
            "nothing would be left of the number: strip less or prepend digits".to_owned(),
        ));
    }
    if made > Digits::LEN_MAX {
        let message = format!("the shortest number would have {made} digits: at most 15 are allowed");
        return Err(("prepend", message));
    }
    let pattern = Digits::from_packed(pattern);
    Ok(Rule { pattern, mask, len_min, len_max, strip: rule.strip, global, prepend })
}

#[cfg(test)]
mod tests;
