//! How what was dialled becomes a number in canonical form.
//!
//! Order (domain rules 1.3): a global number is canonical as it stands. Digits are given to the dial rules of the
//! ingress trunk, then to that trunk's number form, then to the rules of the caller's site, then to the tenant's;
//! the first that fits rewrites them, and nothing is rewritten twice. Digits that nothing fits are a number of the
//! tenant's own.

use super::parse::{DialString, Dialled, Refusal};
use super::{Digits, Number};
use crate::document::terms::NumberForm;
use crate::tenant::{Config, DialRule, SiteIx, TrunkIx};

/// From where something was dialled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The trunk that the call came in by.
    pub trunk: Option<TrunkIx>,
    /// Where the caller sits.
    pub site: Option<SiteIx>,
}

/// How a place writes numbers nationally.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Numbering {
    /// Without plus, such as 49; empty where it is not known.
    pub country_code: Digits,
    /// What comes before a national number, such as 0; empty where there is nothing.
    pub national_prefix: Digits,
}

impl Numbering {
    /// Of a site.
    #[must_use]
    pub fn of(config: &Config, site: SiteIx) -> Self {
        let site = config.site(site);
        Self { country_code: site.country_code, national_prefix: site.national_prefix }
    }
}

const TOO_LONG: Refusal = Refusal::TooLong { what: "a number", max: Digits::LEN_MAX, unit: "digits (E.164)" };

/// Makes what was dialled a number in canonical form.
///
/// # Errors
/// [`Refusal`] when it is no number, or becomes one of no digits or more than 15.
pub fn canonical(config: &Config, origin: Origin, dialled: &Dialled<'_>) -> Result<Number, Refusal> {
    let dialled = match dialled {
        Dialled::Global(number) => return Ok(*number),
        Dialled::Local(digits) => digits,
        Dialled::Service(_) | Dialled::Address { .. } => {
            return Err(Refusal::NotANumber("an address or service is no number"));
        }
    };
    let digits = dialled.as_bytes();
    let plan = &config.dial_plan;
    let fitting = |rules: &[DialRule]| {
        let rule = rules.iter().find(|r| r.fits(digits))?;
        let nothing = usize::from(rule.strip) == digits.len() && rule.prepend.is_empty();
        Some(if nothing { Err(Refusal::Empty) } else { rule.rewrite(digits).ok_or(TOO_LONG) })
    };
    let of_trunk = plan.by_trunk.iter().find(|(ix, _)| Some(*ix) == origin.trunk);
    let of_site = plan.by_site.iter().find(|(ix, _)| Some(*ix) == origin.site);
    of_trunk
        .and_then(|(_, rules)| fitting(rules))
        .or_else(|| by_form(config, origin.trunk?, dialled))
        .or_else(|| of_site.and_then(|(_, rules)| fitting(rules)))
        .or_else(|| fitting(&plan.rules))
        .unwrap_or_else(|| Digits::parse(digits).and_then(Number::local).ok_or(TOO_LONG))
}

/// CIC's longest extension (domain rules 1.3): what is no longer is never taken for a carrier's number.
const EXTENSION_LEN_MAX: usize = 6;

/// What the form of an ingress trunk makes of digits. None: it says nothing of them.
fn by_form(config: &Config, trunk: TrunkIx, dialled: &DialString) -> Option<Result<Number, Refusal>> {
    if dialled.len() <= EXTENSION_LEN_MAX {
        return None;
    }
    let trunk = config.trunk(trunk);
    let global = |code: Digits, rest: &[u8]| {
        let digits = Digits::parse(rest).and_then(|r| code.then(r)).ok_or(TOO_LONG)?;
        Number::global(digits, Digits::default()).ok_or(Refusal::Empty)
    };
    match trunk.number_form_in {
        NumberForm::E164 => Some(global(Digits::default(), dialled.as_bytes())),
        NumberForm::National => {
            let Numbering { country_code, national_prefix } = Numbering::of(config, trunk.site);
            if country_code.is_empty() || !dialled.head().starts_with(national_prefix) {
                return None;
            }
            let rest = dialled.as_bytes().get(national_prefix.len()..)?;
            let again = rest.get(..national_prefix.len()).and_then(Digits::parse);
            // Twice the prefix (00) is where an international number begins: the dial plan's to rewrite.
            let international = !national_prefix.is_empty() && again == Some(national_prefix);
            (!international).then(|| global(country_code, rest))
        }
        NumberForm::E164Plus | NumberForm::AsReceived => None,
    }
}

#[cfg(test)]
mod tests;
