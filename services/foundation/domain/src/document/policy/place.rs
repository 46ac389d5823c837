//! Places, what stands there, and emergency calls from there.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place, with what is dialled there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// As people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The country code without plus, such as `49`; used by number forms and dial plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country_code: Option<String>,
    /// What is dialled before a national number, such as `0`. Empty where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub national_prefix: Option<String>,
    /// Emergency calls from this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<SiteEmergency>,
}

/// Emergency calls from a site: which strings, by which trunks, and where a rescuer calls back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SiteEmergency {
    /// Dial strings, such as `112`. None: those of the tenant.
    #[serde(default)]
    pub numbers: Vec<String>,
    /// Trunks in order of preference: gateways at this site.
    pub egress: Vec<String>,
    /// The number that a rescuer calls back, in canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
}

/// Emergency dial strings of the whole tenant.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Emergency {
    /// Dial strings, such as `112`.
    #[serde(default)]
    pub numbers: Vec<String>,
}

/// Where components stand, where that differs from the model's own placement (domain rules 2.1).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Placement {
    /// The PSTN gateway, or where the carrier's calls enter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The SIP proxy, which Tandem's edge can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The CIC server pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cic: Option<String>,
    /// Interaction Media Server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_server: Option<String>,
    /// Lync: Front End, Mediation and Active Directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lync: Option<String>,
    /// Phones, of CIC and of Lync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phones: Option<String>,
}
