//! A tenant's policy: the `Tenant` document. At most [`POLICY_BYTES_MAX`](super::POLICY_BYTES_MAX) bytes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::terms::{
    DiversionForm, InboundOption, LyncPstnEgress, MediaLost, MediaPath, Model, NumberForm, RouteOwner,
    SrtpMode, Transport, TrunkRole,
};

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

/// A SIP peer group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// What the peer is.
    pub role: TrunkRole,
    /// Where the peer stands; none: where the model and placement put its role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Where calls to it are sent.
    pub addresses: Vec<Address>,
    /// How SIP travels.
    pub transport: Transport,
    /// Whether audio is encrypted. None: Lync's own default (`Required`) for a Lync trunk on TLS, `NotSupported` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub srtp: Option<SrtpMode>,
    /// How the peer writes numbers to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_form_in: Option<NumberForm>,
    /// How we write numbers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_form_out: Option<NumberForm>,
    /// Whether calls from it may be answered by 302. Never true for Lync.
    #[serde(default, rename = "accept302")]
    pub accept_302: bool,
    /// Whether it takes REFER. None: yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refer: Option<bool>,
    /// Final responses after which the next address or trunk is tried. None: 408, 500, 502, 503, 504.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<Vec<u16>>,
    /// When silence is taken for failure.
    #[serde(default)]
    pub timers: Timers,
    /// What is said of the caller.
    #[serde(default)]
    pub identity: Identity,
    /// How the peer is known when it calls us. Empty: it is never taken for a caller.
    #[serde(default)]
    pub ingress: Vec<Ingress>,
    /// The domains of the peer, for requests whose Request-URI is no number.
    #[serde(default)]
    pub domains: Vec<String>,
    /// Where calls go when every address of this trunk has failed, in order: names of trunks of the same role.
    #[serde(default)]
    pub backup: Vec<String>,
}

/// An address of a trunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Address {
    /// A host name or an IP address, without port.
    pub host: String,
    /// None: 5060, or 5061 on TLS; for Lync 5068, or 5067 on TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Lower is tried first. None: 0.
    #[serde(default)]
    pub priority: u16,
    /// Share among equals in priority, as in RFC 2782. None: 1.
    #[serde(default = "one")]
    pub weight: u16,
}

fn one() -> u16 {
    1
}

/// When silence is taken for failure (domain rules 3.2 A).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Timers {
    /// Nothing at all: 500 to 10,000 ms. None: 3,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_response_ms: Option<u32>,
    /// Only a 100: 1,000 to 60,000 ms. None: 10,000, as Lync's fast failover.
    #[serde(default, rename = "only100Ms", skip_serializing_if = "Option::is_none")]
    pub only_100_ms: Option<u32>,
}

/// What is said of the caller on a trunk (domain rules 9.1).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Whether the peer is inside the trust domain of RFC 3325: identity headers from it are believed, and it
    /// is shown the identity of callers who asked for privacy.
    #[serde(default)]
    pub trusted: bool,
    /// How a retargeted call says whose call it was. None: `Diversion`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diversion: Option<DiversionForm>,
    /// Caller numbers that may be shown, as prefixes in canonical form. Empty: any.
    #[serde(default)]
    pub screening: Vec<String>,
    /// The number shown for callers whom screening refuses, or who have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_number: Option<String>,
}

/// How a peer is known when it calls. All fields that are given must fit.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ingress {
    /// The listener of the edge that it calls. None: any listener that is not `shared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<String>,
    /// Its source address, or a network as `10.1.0.0/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A name of its verified client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The domain of the Request-URI that it calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// On a carrier trunk that tenants share: the called numbers that are this tenant's, as prefixes in
    /// canonical form.
    #[serde(default)]
    pub called: Vec<String>,
}

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

/// Where audio may go (domain rules 2.3).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Media {
    /// CIC's audio path. None: `Dynamic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<MediaPath>,
    /// Whether calls that CIC handles are recorded.
    #[serde(default)]
    pub recorded: bool,
    /// Whether CIC may record calls to Lync-only users that pass it (option 2).
    #[serde(default)]
    pub record_lync_users: bool,
    /// Whether audio of premises may be anchored elsewhere. None: false in local control, true otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_may_leave_premises: Option<bool>,
    /// What happens to a recorded call in local control when no media server of the premises is up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_server_lost: Option<MediaLost>,
    /// CIC's media server selection, as its administrator set it. None: CIC's default order, which ends at any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<MediaSelection>,
    /// Whether Lync's media bypass is on for the trunk.
    #[serde(default)]
    pub bypass: bool,
}

/// CIC's media server selection rule (domain rules 2.3).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MediaSelection {
    /// Sites whose media servers may be chosen, in order. Never empty unless `any`.
    #[serde(default)]
    pub sites: Vec<String>,
    /// Whether the rule ends with `<Any>`.
    #[serde(default)]
    pub any: bool,
    /// Sites that are never chosen.
    #[serde(default)]
    pub exclude: Vec<String>,
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
    /// Unanswered attempts alike (caller, called, ingress, egress) at once: 1 to 100. None: 3. The next is
    /// answered 482 (domain rules 3.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_alike: Option<u16>,
}
