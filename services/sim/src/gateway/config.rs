//! The configuration of a gateway, in the terms of gateways: IP groups (peers), Tel-to-IP routes (what calls from the
//! PSTN meet first), IP-to-Tel parties (who answers on the PSTN), alternative routing (when the next peer is tried).

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;
use tandem_runtime::document::Finding;

use crate::net::Transport;
use crate::settings::{self, Answer, Settings, packet_interval_ms, twice, wrong, yes};

/// A gateway between the PSTN and SIP.
///
/// ```
/// let config: tandem_sim::gateway::Config = tandem_sim::settings::parse(
///     "gw.yaml",
///     r#"
/// address: 127.1.0.10:5060
/// ip_groups:
///   - { name: CIC, address: 127.1.0.20:5060 }
/// tel_to_ip_routes:
///   - { ip_groups: [CIC] }
/// "#,
/// )
/// .unwrap();
/// assert_eq!(config.name, "GW");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The element's name in status and ladders.
    #[serde(default = "name")]
    pub name: String,
    /// Where it stands.
    #[serde(default = "site")]
    pub site: String,
    /// Where it listens for SIP, by UDP and TCP; port 0 lets the machine choose.
    pub address: SocketAddr,
    /// Where its audio comes and goes; none: the address of its SIP.
    #[serde(default)]
    pub media_address: Option<IpAddr>,
    /// Milliseconds between two RTP packets of a talk.
    #[serde(default = "packet_interval_ms")]
    pub packet_interval_ms: u32,
    /// The country that national numbers are of, without a plus sign.
    #[serde(default = "country_code")]
    pub country_code: String,
    /// The peers it sends to and takes calls from.
    #[serde(default)]
    pub ip_groups: Vec<IpGroup>,
    /// Which peers a call from the PSTN is offered to: the first route whose prefix the called number has.
    #[serde(default)]
    pub tel_to_ip_routes: Vec<Route>,
    /// When a call goes to the next IP group of its route.
    #[serde(default)]
    pub alternative_routing: AlternativeRouting,
    /// Whether a 3xx is followed to its Contacts. If not, the caller hears that the call failed.
    #[serde(default = "yes")]
    pub follow_redirects: bool,
    /// Who answers on the PSTN: the first whose prefix the called number has.
    #[serde(default)]
    pub ip_to_tel_parties: Vec<Party>,
    /// Numbers that reach the rescue service, as the tenant's systems may write them.
    #[serde(default = "emergency_numbers")]
    pub emergency_numbers: Vec<String>,
    /// Whether an INVITE from an address of no IP group is taken. If not: 403.
    #[serde(default)]
    pub accept_unknown_peers: bool,
    /// Calls at once; more get 503.
    #[serde(default = "calls_max")]
    pub calls_max: usize,
}

/// A peer of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IpGroup {
    /// What routes call it.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is reached.
    #[serde(default = "udp")]
    pub transport: Transport,
    /// How numbers are written to it.
    #[serde(default)]
    pub number_form: NumberForm,
}

/// How a gateway writes numbers to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NumberForm {
    /// `+14255550100`.
    #[default]
    E164,
    /// `14255550100`.
    WithoutPlus,
    /// `4255550100` for numbers of the gateway's own country, `0114930555` style prefixes are not added: others as
    /// E.164.
    National,
}

/// Where calls from the PSTN go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// How the called number begins; empty: every number.
    #[serde(default)]
    pub destination_prefix: String,
    /// The peers, in order.
    pub ip_groups: Vec<String>,
}

/// When the next peer of a route is tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlternativeRouting {
    /// Nothing at all came within this time.
    pub no_response_ms: u32,
    /// Only a 100 came within this time.
    pub only_100_ms: u32,
    /// Final responses that mean another peer may do better.
    pub causes: Vec<u16>,
}

impl Default for AlternativeRouting {
    fn default() -> Self {
        Self { no_response_ms: 3000, only_100_ms: 10_000, causes: vec![503] }
    }
}

/// Somebody on the PSTN.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// How the called number begins; empty: every number.
    #[serde(default)]
    pub prefix: String,
    /// How they take a call; `told` is as `never`.
    #[serde(default = "auto")]
    pub answer: Answer,
    /// How long it rings there.
    #[serde(default)]
    pub answer_after_ms: u32,
    /// When they hang up, counted from the answer; none: they wait for the other side.
    #[serde(default)]
    pub hang_up_after_ms: Option<u32>,
}

fn name() -> String {
    "GW".to_owned()
}

fn site() -> String {
    "premises".to_owned()
}

fn country_code() -> String {
    "1".to_owned()
}

fn emergency_numbers() -> Vec<String> {
    ["112", "911"].map(str::to_owned).to_vec()
}

fn calls_max() -> usize {
    200
}

fn udp() -> Transport {
    Transport::Udp
}

fn auto() -> Answer {
    Answer::Auto
}

impl Settings for Config {
    fn check(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let named = |(i, group): (usize, &IpGroup)| (format!("ip_groups[{i}].name"), group.name.clone());
        let names: Vec<(String, String)> = self.ip_groups.iter().enumerate().map(named).collect();
        twice(names.iter().map(|(path, name)| (path.clone(), name.as_str())), &mut found);
        for (i, route) in self.tel_to_ip_routes.iter().enumerate() {
            if route.ip_groups.is_empty() {
                let path = format!("tel_to_ip_routes[{i}].ip_groups");
                found.push(wrong(path, "a route without an IP group", "name at least one"));
            }
            for (j, group) in route.ip_groups.iter().enumerate() {
                if self.ip_group(group).is_none() {
                    let path = format!("tel_to_ip_routes[{i}].ip_groups[{j}]");
                    found.push(wrong(path, format!("no IP group is named `{group}`"), "add it to ip_groups"));
                }
            }
        }
        for (i, code) in self.alternative_routing.causes.iter().enumerate() {
            if !(300..700).contains(code) {
                let path = format!("alternative_routing.causes[{i}]");
                found.push(wrong(path, format!("{code} is no final failure"), "use a code from 300 to 699"));
            }
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

    pub(super) fn ip_group(&self, name: &str) -> Option<&IpGroup> {
        self.ip_groups.iter().find(|group| group.name == name)
    }

    /// The peers that a call from the PSTN is offered to, in order, and the route that says so.
    pub(super) fn route(&self, called: &str) -> Option<(&Route, Vec<&IpGroup>)> {
        let route =
            self.tel_to_ip_routes.iter().find(|route| called.starts_with(&route.destination_prefix))?;
        Some((route, route.ip_groups.iter().filter_map(|name| self.ip_group(name)).collect()))
    }

    /// Who is known by this address.
    pub(super) fn peer(&self, address: IpAddr) -> Option<&IpGroup> {
        self.ip_groups.iter().find(|group| group.address.ip() == address)
    }

    /// Whether it is one of the numbers of the rescue service.
    pub(super) fn is_emergency(&self, called: &str) -> bool {
        self.emergency_numbers.iter().any(|number| number == called)
    }

    /// Who answers on the PSTN.
    pub(super) fn party(&self, called: &str) -> Option<&Party> {
        self.ip_to_tel_parties.iter().find(|party| called.starts_with(&party.prefix))
    }

    /// A number as `form` has it. What is no global number (an emergency number, an extension) stays as it is.
    pub(super) fn write_number(&self, number: &str, form: NumberForm) -> String {
        let Some(digits) = number.strip_prefix('+') else { return number.to_owned() };
        match form {
            NumberForm::E164 => number.to_owned(),
            NumberForm::WithoutPlus => digits.to_owned(),
            NumberForm::National => {
                digits.strip_prefix(&self.country_code).map_or(number, |rest| rest).to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        settings::parse(
            "gw.yaml",
            r#"
address: 127.1.0.10:0
ip_groups:
  - { name: PX, address: "127.1.0.11:5060" }
  - { name: CIC, address: "127.1.0.20:5060", transport: tcp, number_form: national }
tel_to_ip_routes:
  - { destination_prefix: "+1425", ip_groups: [PX, CIC] }
  - { ip_groups: [CIC] }
"#,
        )
        .unwrap()
    }

    #[test]
    fn the_first_route_with_the_prefix_is_taken() {
        let config = config();
        let check = |called: &str, expected: &[&str]| {
            let (_, groups) = config.route(called).unwrap();
            assert_eq!(groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), expected);
        };
        check("+14255550100", &["PX", "CIC"]);
        check("+12065550100", &["CIC"]);
    }

    #[test]
    fn numbers_are_written_as_the_peer_wants_them() {
        let config = config();
        let check =
            |number: &str, form, expected: &str| assert_eq!(config.write_number(number, form), expected);
        check("+14255550100", NumberForm::E164, "+14255550100");
        check("+14255550100", NumberForm::WithoutPlus, "14255550100");
        check("+14255550100", NumberForm::National, "4255550100");
        check("+4930555", NumberForm::National, "+4930555");
        check("911", NumberForm::National, "911");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let check = |text: &str, expected: &str| {
            let error = settings::parse::<Config>("gw.yaml", text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("address: 127.1.0.10:0\ncolour: red\n", "colour");
        check("address: 127.1.0.10:0\ntel_to_ip_routes: [{ ip_groups: [X] }]\n", "no IP group is named `X`");
        check("address: 127.1.0.10:0\nalternative_routing: { causes: [200] }\n", "200 is no final failure");
    }
}
