//! How what is dialled becomes a number, and whose number is whose.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::terms::RouteOwner;

/// How what people dial becomes a number (domain rules 1.3).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DialPlan {
    /// Rules of the tenant, in order; the first that fits wins.
    #[serde(default)]
    pub rules: Vec<DialRule>,
    /// Rules that come before them, by where the call came in or where the caller sits.
    #[serde(default)]
    pub overrides: Vec<DialOverride>,
}

/// One rewriting of what was dialled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DialRule {
    /// Digits that what was dialled starts with; `X` is any digit. Empty fits everything.
    #[serde(rename = "match", default)]
    pub prefix: String,
    /// The fewest and most digits in all. None: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
    /// How many digits are taken off the front.
    #[serde(default)]
    pub strip: u8,
    /// What is put in front: `+` and digits makes a global number.
    #[serde(default)]
    pub prepend: String,
}

/// A range of lengths, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Length {
    /// The fewest digits.
    pub min: u8,
    /// The most digits.
    pub max: u8,
}

/// Dial rules for calls from one trunk, or from callers at one site.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DialOverride {
    /// The ingress trunk. Exactly one of `trunk` and `site`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trunk: Option<String>,
    /// The caller's site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The rules, in order.
    pub rules: Vec<DialRule>,
}

/// Whose number is whose, beyond the directory (domain rules 3.1).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Numbers {
    /// The numbers that carriers give this tenant, as prefixes in canonical form. A called number inside them
    /// with no owner is unknown; one outside them is the PSTN's.
    #[serde(default)]
    pub ranges: Vec<NumberRange>,
    /// Explicit routes: they come before everything in the directory. The longest pattern wins.
    #[serde(default)]
    pub routes: Vec<NumberRoute>,
    /// Option 1: where the proxy sends a number of the tenant's ranges that nobody owns. None: it is refused (404).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_route: Option<RouteOwner>,
}

/// A block of numbers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberRange {
    /// Its common start in canonical form, such as `+4930123`.
    pub prefix: String,
    /// Where its numbers ring, for the people who read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
}

/// A route that an administrator wrote.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberRoute {
    /// A number in canonical form, or its start followed by `*`.
    pub pattern: String,
    /// To whom.
    pub owner: RouteOwner,
    /// Which workgroup, when `owner` is `Workgroup`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workgroup: Option<String>,
    /// Why, for the people who read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
