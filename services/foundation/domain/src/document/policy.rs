//! A tenant's policy: the `Tenant` document. At most [`POLICY_BYTES_MAX`](super::POLICY_BYTES_MAX) bytes.

mod media;
mod numbers;
mod place;
mod trunk;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::terms::{InboundOption, LyncPstnEgress, Model, TrunkRole};

pub use media::{Media, MediaSelection};
pub use numbers::{DialOverride, DialPlan, DialRule, Length, NumberRange, NumberRoute, Numbers};
pub use place::{Emergency, Placement, Site, SiteEmergency};
pub use trunk::{Address, Identity, Ingress, Timers, Trunk};

/// The document as a file holds it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantDocument {
    /// `tandem.dev/v1`.
    pub api_version: String,
    /// `Tenant`.
    pub kind: String,
    /// Whose policy it is.
    pub metadata: Metadata,
    /// The policy.
    pub spec: TenantSpec,
}

/// What names a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The tenant's name: lower-case letters, digits and hyphens, at most 63.
    pub name: String,
}

/// A tenant's policy.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantSpec {
    /// The cell that serves the tenant. Never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// As people call the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where control and media live.
    pub model: Model,
    /// Which system a call from the gateway meets first.
    pub inbound: InboundOption,
    /// The customer's places. `cloud` exists of itself and may be listed to give it an emergency egress.
    pub sites: Vec<Site>,
    /// Where components stand, where that differs from the model's own placement.
    #[serde(default)]
    pub placement: Placement,
    /// The SIP peers.
    pub trunks: Vec<Trunk>,
    /// How what people dial becomes a number.
    #[serde(default)]
    pub dial_plan: DialPlan,
    /// Whose number is whose, beyond what the directory says.
    #[serde(default)]
    pub numbers: Numbers,
    /// Where audio may go.
    #[serde(default)]
    pub media: Media,
    /// Who takes a Lync user's call to the PSTN out.
    #[serde(default = "egress_by_cic")]
    pub lync_pstn_egress: LyncPstnEgress,
    /// Emergency dial strings beside `urn:service:sos`, valid at every site that names none of its own.
    #[serde(default)]
    pub emergency: Emergency,
    /// Who may call what by which trunk. What no rule allows is refused, except calls inside the tenant.
    #[serde(default)]
    pub toll: Vec<TollRule>,
    /// What happens when a user or workgroup without a treatment of its own cannot take a call.
    #[serde(default)]
    pub treatments: Treatments,
    /// What Lync is set to, as far as routes depend on it.
    #[serde(default)]
    pub lync: LyncSettings,
    /// What works when the WAN is lost (local control) or an element is dead.
    #[serde(default)]
    pub survivable: Survivable,
    /// Switches.
    #[serde(default)]
    pub features: Features,
    /// Limits that may be narrowed.
    #[serde(default)]
    pub limits: Limits,
}

fn egress_by_cic() -> LyncPstnEgress {
    LyncPstnEgress::Cic
}

/// Who may call what by which trunk, alike for INVITE, redirection and REFER.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TollRule {
    /// Roles of the trunks that the call came in by. Empty: any.
    #[serde(default)]
    pub from: Vec<TrunkRole>,
    /// Sites of the caller. Empty: any.
    #[serde(default)]
    pub sites: Vec<String>,
    /// What is called: prefixes in canonical form. Empty: any.
    #[serde(default)]
    pub called: Vec<String>,
    /// Trunks that may be used. Empty: any gateway of the tenant.
    #[serde(default)]
    pub trunks: Vec<String>,
    /// Whether the call may be made. Rules are read in order; the first that fits wins.
    pub allow: bool,
}

/// What happens when a call is not taken (domain rules 3.2 B). Targets are numbers in canonical form.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Treatments {
    /// The called is busy (486, 600).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_busy: Option<String>,
    /// Nobody answers within `noAnswerSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_no_answer: Option<String>,
    /// How long it rings: 7 to 300 s. None: 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer_seconds: Option<u16>,
    /// No trunk could reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unreachable: Option<String>,
}

impl Treatments {
    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What Lync is set to, as far as routes depend on it. Tandem cannot read it; `tenant setup` prints what must be set.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LyncSettings {
    /// PSTN usages of the trunk to the gateway (option 3, inter-trunk routing).
    #[serde(default)]
    pub gateway_usages: Vec<String>,
    /// PSTN usages of the trunk to CIC.
    #[serde(default)]
    pub cic_usages: Vec<String>,
    /// Enterprise Voice voicemail divert, in seconds. CIC's station timeout must be shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voicemail_seconds: Option<u16>,
    /// Whether calls from CIC reach Mediation on CIC's own Lync line (true) or through the proxy.
    #[serde(default = "yes")]
    pub cic_line_direct: bool,
}

impl Default for LyncSettings {
    fn default() -> Self {
        Self {
            gateway_usages: Vec::new(),
            cic_usages: Vec::new(),
            voicemail_seconds: None,
            cic_line_direct: true,
        }
    }
}

fn yes() -> bool {
    true
}

/// What works when the WAN is lost or an element is dead (domain rules 2.4).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Survivable {
    /// Options 2 and 3: whether the gateway (or Lync's route) has a second route past the lost element.
    #[serde(default)]
    pub secondary_route: bool,
    /// Where calls to queues go while the CIC in the cloud is silent: a number in canonical form. A
    /// workgroup's own target comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hunt_target: Option<String>,
    /// How long the CIC must have been silent before the survivable rules apply: 2 to 300 s. None: 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cic_silent_seconds: Option<u16>,
}

/// Switches.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Features {
    /// Endpoint row 5 (Lync client controlling a Lync phone that is a CIC station), which the guide marks
    /// "Future release".
    #[serde(default)]
    pub row5: bool,
}

/// Limits that may be narrowed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Unanswered attempts alike (caller, called, ingress, egress) at once, from CIC, Lync or a SIP proxy, by callers
    /// who have a number: 1 to 100. None: 3. The next is answered 482 (domain rules 3.3). Callers who show one number
    /// are told apart by the name and the user part of From; where they show those alike too, as many as may call one
    /// number at once are to be allowed, and a loop takes as many rounds longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_alike: Option<u16>,
    /// The same from anywhere else, and by callers without a number; and by callers from CIC, Lync or a SIP proxy who
    /// show one number, but not one name and From: 1 to 1,000. None: 20. From a gateway, where
    /// callers without a number cannot be told apart, such calls are not counted at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_alike_elsewhere: Option<u16>,
}
