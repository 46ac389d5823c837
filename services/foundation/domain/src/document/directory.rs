//! A tenant's directory: users, stations, workgroups and number assignments.
//!
//! The `Directory` document is an import, not a second truth: what counts is what the station service wrote
//! from it. The same types are the records of the store, so a record holds what was entered, half-configured
//! or not; [`directory::check`](crate::directory::check) names what is missing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::policy::{Metadata, Treatments};
use super::terms::{AssignmentKind, CallControl, PhoneKind, Source, StationKind, TelephonyMode};
use crate::id::{SiteName, StationId, UserId, WorkgroupId};

/// The document as a file holds it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryDocument {
    /// `tandem.dev/v1`.
    pub api_version: String,
    /// `Directory`.
    pub kind: String,
    /// Whose directory it is: the tenant's name.
    pub metadata: Metadata,
    /// The entries.
    pub spec: DirectorySpec,
}

/// The entries of a directory.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectorySpec {
    /// People.
    #[serde(default)]
    pub users: Vec<User>,
    /// Where they sit.
    #[serde(default)]
    pub stations: Vec<Station>,
    /// Queues.
    #[serde(default)]
    pub workgroups: Vec<Workgroup>,
    /// Whose published numbers are whose.
    #[serde(default)]
    pub numbers: Vec<NumberAssignment>,
}

/// A person. The endpoint row and its features are derived from these fields, never stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// The name in the tenant's directory.
    pub id: UserId,
    /// As people call them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The CIC account, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cic: Option<CicAccount>,
    /// The Lync account, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lync: Option<LyncAccount>,
    /// With what they control calls.
    pub call_control: CallControl,
    /// What rings. None: nothing (instant messages only, or not configured yet).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Whether Interaction Desktop on their workstation has the Lync plug-in.
    #[serde(default)]
    pub plug_in: bool,
    /// Their usual station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub station: Option<StationId>,
    /// Where they sit: decides dial plan and emergency egress. None: the site of their phones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// What happens when they cannot take a call; what is not set is the tenant's default.
    #[serde(default, skip_serializing_if = "Treatments::is_empty")]
    pub treatments: Treatments,
}

/// A user's account in CIC (domain rules 1.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CicAccount {
    /// The user's name in Interaction Administrator.
    pub user_id: String,
    /// Two to six digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// `DOMAIN\name`; needed by every Lync-enabled CIC user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nt_domain_account: Option<String>,
    /// Who may change these fields. None: entered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// A user's account in Lync (domain rules 1.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LyncAccount {
    /// `sip:jane@example.com` (msRTCSIP-PrimaryUserAddress).
    pub sip_address: String,
    /// `tel:+4930123456;ext=3456` (msRTCSIP-Line): the contact address of the station of rows 3 to 5; the CIC
    /// phone's number in row 6; empty for instant messages only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_uri: Option<String>,
    /// `sip:line@gateway` (msRTCSIP-LineServer); row 6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line_server: Option<String>,
    /// The telephony mode.
    pub telephony: TelephonyMode,
    /// Who may change these fields. None: entered here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// What rings at a user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Phone {
    /// Which of the four kinds.
    pub kind: PhoneKind,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Whether Microsoft certified a third party's device. None: not a third party's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lync_certified: Option<bool>,
    /// A Lync hard phone that is paired with the Lync client of the user's workstation; only then can the
    /// plug-in take it off-hook.
    #[serde(default)]
    pub paired: bool,
}

/// Where a user sits (domain rules 5).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Station {
    /// Its name in CIC.
    pub id: StationId,
    /// What kind.
    pub kind: StationKind,
    /// The contact address that CIC dials: `tel:+4930123456` or a SIP URI. For a Lync phone it equals the Line URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_address: Option<String>,
    /// Its own extension, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Where it stands. None: where the tenant's phones stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteName>,
    /// Whether it has a Basic Station licence: an audio path.
    #[serde(default = "yes")]
    pub audio_licence: bool,
    /// Whether it has ACD Access: queue calls.
    #[serde(default)]
    pub acd_licence: bool,
    /// How long CIC rings it: 7 to 300 s; 0 means 15. None: 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring_seconds: Option<u16>,
}

fn yes() -> bool {
    true
}

/// A queue of CIC.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workgroup {
    /// Its name in CIC.
    pub id: WorkgroupId,
    /// As people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Its extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Its agents. At most 10,000.
    #[serde(default)]
    pub members: Vec<UserId>,
    /// What happens when it cannot take a call; what is not set is the tenant's default.
    #[serde(default, skip_serializing_if = "Treatments::is_empty")]
    pub treatments: Treatments,
    /// Local control: where its calls go while the CIC in the cloud is silent; a number in canonical form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hunt_target: Option<String>,
}

/// A published number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NumberAssignment {
    /// The number, as the tenant's dial plan understands it.
    pub number: String,
    /// What it is for.
    pub kind: AssignmentKind,
    /// Whose it is, when `kind` is `Did`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Whose it is, when `kind` is `Workgroup`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workgroup: Option<WorkgroupId>,
    /// Treatments of this number; what is not set is its owner's.
    #[serde(default, skip_serializing_if = "Treatments::is_empty")]
    pub treatments: Treatments,
}
