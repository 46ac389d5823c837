//! The configuration of a Lync system, in the terms of its Control Panel and Topology Builder: a Mediation Server and
//! its trunks, a Front End, users with Line URIs and Enterprise Voice, dial plans, voice routes and PSTN usages.

use std::net::{IpAddr, SocketAddr};

use regex_lite::Regex;
use serde::Deserialize;
use tandem_runtime::document::Finding;

use crate::net::Transport;
use crate::settings::{self, Phone, Settings, packet_interval_ms, twice, wrong, yes};

/// A Lync Server 2013 or Skype for Business 2015 pool: one Mediation Server, one Front End, their users.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where it stands.
    #[serde(default = "site")]
    pub site: String,
    /// The domain of the users' SIP addresses.
    #[serde(default = "sip_domain")]
    pub sip_domain: String,
    /// The Mediation Server.
    pub mediation: Mediation,
    /// The Front End.
    pub front_end: FrontEnd,
    /// Trunks: the PSTN gateways of the topology, each with its trunk configuration.
    #[serde(default)]
    pub trunks: Vec<Trunk>,
    /// Voice routes, by priority.
    #[serde(default)]
    pub voice_routes: Vec<VoiceRoute>,
    /// The dial plan: what makes a number of what a client dials. The first rule that matches is applied.
    #[serde(default)]
    pub normalization_rules: Vec<NormalizationRule>,
    /// Users enabled for Lync.
    #[serde(default)]
    pub users: Vec<User>,
    /// Devices that users are signed in at.
    #[serde(default)]
    pub endpoints: Vec<Phone>,
    /// Milliseconds between two RTP packets of a talk.
    #[serde(default = "packet_interval_ms")]
    pub packet_interval_ms: u32,
    /// How long the Mediation Server, the Front End and the endpoints wait for a first response of each other before
    /// they take it to be down.
    #[serde(default = "internal_silence_ms")]
    pub internal_silence_ms: u32,
    /// How long a user's endpoints ring; then 480.
    #[serde(default = "ring_timeout_ms")]
    pub ring_timeout_ms: u32,
    /// Calls of one element at once; more get 503.
    #[serde(default = "calls_max")]
    pub calls_max: usize,
}

/// The Mediation Server: between the trunks and the Front End.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mediation {
    /// The element's name.
    #[serde(default = "med")]
    pub name: String,
    /// Where it listens, for trunk peers and the Front End alike. Trunk peers are answered by TCP alone.
    pub address: SocketAddr,
    /// Where its audio comes and goes; none: the address of its SIP.
    #[serde(default)]
    pub media_address: Option<IpAddr>,
    /// Where it stands; none: the site of the system.
    #[serde(default)]
    pub site: Option<String>,
}

/// The Front End: knows the users, decides where calls go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontEnd {
    /// The element's name.
    #[serde(default = "fe")]
    pub name: String,
    /// Where it listens, by TCP.
    pub address: SocketAddr,
    /// Where it stands; none: the site of the system.
    #[serde(default)]
    pub site: Option<String>,
}

/// A trunk: a gateway of the topology with its trunk configuration (`Set-CsTrunkConfiguration`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trunk {
    /// What voice routes call it.
    pub name: String,
    /// The peer. Only peers with such an address are listened to; the port counts for calls that go out.
    pub address: SocketAddr,
    /// Always TCP (in a real system TLS too); anything else is refused.
    #[serde(default = "tcp")]
    pub transport: Transport,
    /// PSTN usages of the trunk configuration: they decide about routing from this trunk to another.
    #[serde(default)]
    pub pstn_usages: Vec<String>,
    /// `RemovePlusFromUri`.
    #[serde(default)]
    pub remove_plus_from_uri: bool,
    /// `EnableFastFailoverTimer`: a trunk that has not answered within `fast_failover_ms` is given up for the next.
    #[serde(default = "yes")]
    pub enable_fast_failover_timer: bool,
    /// The 10 seconds of the fast failover timer; shorter for tests.
    #[serde(default = "fast_failover_ms")]
    pub fast_failover_ms: u32,
    /// `EnableBypass`: audio goes between the peer and the endpoint, past the Mediation Server.
    #[serde(default)]
    pub enable_bypass: bool,
    /// `ForwardPAI`: the caller's P-Asserted-Identity is passed to this peer.
    #[serde(default)]
    pub forward_pai: bool,
}

/// A voice route (`New-CsVoiceRoute`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoiceRoute {
    /// Its name, for status.
    pub name: String,
    /// `NumberPattern`: a regular expression on the number in E.164.
    pub number_pattern: String,
    /// `PstnUsages`: who may use it.
    pub pstn_usages: Vec<String>,
    /// `PstnGatewayList`: trunks, tried in order.
    pub trunks: Vec<String>,
}

/// A rule of a dial plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalizationRule {
    /// A regular expression on what was dialled.
    pub pattern: String,
    /// What it becomes; `$1` is the first group.
    pub translation: String,
}

/// A user enabled for Lync.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// `sip:lee@contoso.example`.
    pub sip_address: String,
    /// `tel:+14255550202;ext=202`; none: no number.
    #[serde(default)]
    pub line_uri: Option<String>,
    /// `EnterpriseVoiceEnabled`: off for users without Lync telephony and for remote call control.
    #[serde(default = "yes")]
    pub enterprise_voice: bool,
    /// Names of the endpoints that ring, all at once; at most 8.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// PSTN usages of the user's voice policy: which voice routes the user's own calls may take.
    #[serde(default)]
    pub pstn_usages: Vec<String>,
}

/// Endpoints that one user may be signed in at.
const ENDPOINTS_MAX: usize = 8;

fn site() -> String {
    "premises".to_owned()
}

fn sip_domain() -> String {
    "contoso.example".to_owned()
}

fn med() -> String {
    "MED".to_owned()
}

fn fe() -> String {
    "FE".to_owned()
}

fn tcp() -> Transport {
    Transport::Tcp
}

fn fast_failover_ms() -> u32 {
    10_000
}

fn internal_silence_ms() -> u32 {
    5000
}

fn ring_timeout_ms() -> u32 {
    60_000
}

fn calls_max() -> usize {
    200
}

impl Settings for Config {
    fn check(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        self.check_names(&mut found);
        self.check_trunks(&mut found);
        self.check_users(&mut found);
        for (i, rule) in self.normalization_rules.iter().enumerate() {
            check_pattern(&format!("normalization_rules[{i}].pattern"), &rule.pattern, &mut found);
        }
        found
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn load(path: &std::path::Path) -> Result<Self, tandem_runtime::document::Rejected> {
        settings::load(path)
    }

    fn check_names(&self, found: &mut Vec<Finding>) {
        let endpoints = self.endpoints.iter().enumerate();
        let elements = [
            ("mediation.name".to_owned(), self.mediation.name.as_str()),
            ("front_end.name".to_owned(), self.front_end.name.as_str()),
        ];
        let phones = endpoints.map(|(i, phone)| (format!("endpoints[{i}].name"), phone.name.as_str()));
        twice(elements.into_iter().chain(phones), found);
        let trunks = self.trunks.iter().enumerate();
        twice(trunks.map(|(i, trunk)| (format!("trunks[{i}].name"), trunk.name.as_str())), found);
        let users = self.users.iter().enumerate();
        twice(users.map(|(i, user)| (format!("users[{i}].sip_address"), user.sip_address.as_str())), found);
    }

    fn check_trunks(&self, found: &mut Vec<Finding>) {
        for (i, trunk) in self.trunks.iter().enumerate() {
            if trunk.transport == Transport::Udp {
                let path = format!("trunks[{i}].transport");
                found.push(wrong(path, "a Mediation Server takes no UDP", "use tcp"));
            }
        }
        for (i, route) in self.voice_routes.iter().enumerate() {
            check_pattern(&format!("voice_routes[{i}].number_pattern"), &route.number_pattern, found);
            for (j, trunk) in route.trunks.iter().enumerate() {
                if self.trunk(trunk).is_none() {
                    let path = format!("voice_routes[{i}].trunks[{j}]");
                    found.push(wrong(path, format!("no trunk is named `{trunk}`"), "add it to trunks"));
                }
            }
        }
    }

    fn check_users(&self, found: &mut Vec<Finding>) {
        for (i, user) in self.users.iter().enumerate() {
            let at = |field: &str| format!("users[{i}].{field}");
            if !user.sip_address.starts_with("sip:") || !user.sip_address.contains('@') {
                found.push(wrong(at("sip_address"), "is no SIP address", "write sip:name@domain"));
            }
            if user.line_uri.as_ref().is_some_and(|line| !line.to_ascii_lowercase().starts_with("tel:")) {
                found.push(wrong(at("line_uri"), "a Line URI begins with tel:", "write tel:+14255550100"));
            }
            if user.endpoints.len() > ENDPOINTS_MAX {
                let message = format!("{} endpoints", user.endpoints.len());
                found.push(wrong(at("endpoints"), message, "a user is signed in at 8 at most"));
            }
            for (j, endpoint) in user.endpoints.iter().enumerate() {
                if !self.endpoints.iter().any(|phone| phone.name == *endpoint) {
                    let path = at(&format!("endpoints[{j}]"));
                    found.push(wrong(
                        path,
                        format!("no endpoint is named `{endpoint}`"),
                        "add it to endpoints",
                    ));
                }
            }
        }
    }

    pub(super) fn trunk(&self, name: &str) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.name == name)
    }

    /// The trunk whose peer has this address.
    pub(super) fn trunk_from(&self, address: IpAddr) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.address.ip() == address)
    }
}

fn check_pattern(path: &str, pattern: &str, found: &mut Vec<Finding>) {
    if let Err(error) = Regex::new(pattern) {
        let message = format!("`{pattern}` is no regular expression: {error}");
        found.push(wrong(path.to_owned(), message, r"for example ^\+1425\d{7}$"));
    }
}
