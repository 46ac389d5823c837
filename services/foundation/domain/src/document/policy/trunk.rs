//! SIP peers: where they are, how they are spoken to, how they are known.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::document::terms::{DiversionForm, NumberForm, SrtpMode, Transport, TrunkRole};

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
    /// Whether calls from it may be answered by 302. Never true for Lync. A call that is treated when nobody takes it
    /// is not: the edge stays in its way.
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
