//! The configuration of a CIC server, in the terms of Interaction Administrator: lines and line groups, users,
//! stations, a dial plan, workgroups, attendant profiles, media servers and the rule that selects one.

use std::net::{IpAddr, SocketAddr};

use serde::Deserialize;

use crate::net::Transport;
use crate::settings::{Phone, packet_interval_ms, yes};

/// A CIC server with its media servers and the telephones that are its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The element's name.
    #[serde(default = "name")]
    pub name: String,
    /// Where it stands; also its location for the selection of media servers.
    #[serde(default = "site")]
    pub site: String,
    /// Where it listens for SIP, by UDP and TCP, for all its lines.
    pub address: SocketAddr,
    /// SIP lines: to whom it talks, and how.
    #[serde(default)]
    pub lines: Vec<Line>,
    /// Line groups: lines in the order in which they are tried.
    #[serde(default)]
    pub line_groups: Vec<LineGroup>,
    /// What is dialled that is nothing of CIC's own: the first entry that matches.
    #[serde(default)]
    pub dial_plan: Vec<DialPlanEntry>,
    /// Users.
    #[serde(default)]
    pub users: Vec<User>,
    /// Stations.
    #[serde(default)]
    pub stations: Vec<Station>,
    /// Telephones that this simulator plays: CIC's own hard and soft phones.
    #[serde(default)]
    pub phones: Vec<Phone>,
    /// Workgroup queues.
    #[serde(default)]
    pub workgroups: Vec<Workgroup>,
    /// Attendant profiles: numbers at which CIC itself answers.
    #[serde(default)]
    pub attendant_profiles: Vec<AttendantProfile>,
    /// Media servers.
    #[serde(default)]
    pub media_servers: Vec<MediaServer>,
    /// How a media server is selected.
    #[serde(default)]
    pub media_server_selection: MediaServerSelection,
    /// Whether calls are recorded, unless user or workgroup says otherwise. A recorded call has a media server in its
    /// audio.
    #[serde(default)]
    pub record_calls: bool,
    /// Whether a caller to a user who does not answer, is busy or is away is given voicemail.
    #[serde(default = "yes")]
    pub voicemail: bool,
    /// Whether an INVITE from an address of no line and no telephone is taken, on the first line. If not: 403.
    #[serde(default)]
    pub accept_unknown_peers: bool,
    /// Milliseconds between two RTP packets of a talk.
    #[serde(default = "packet_interval_ms")]
    pub packet_interval_ms: u32,
    /// How long an Attendant or voicemail greeting lasts; then CIC hangs up or transfers.
    #[serde(default = "greeting_ms")]
    pub greeting_ms: u32,
    /// How long a caller waits in a workgroup queue; then CIC hangs up.
    #[serde(default = "queue_timeout_ms")]
    pub queue_timeout_ms: u32,
    /// The longest that a REGISTER may be valid.
    #[serde(default = "registration_s")]
    pub registration_max_s: u32,
    /// Calls at once; more get 503.
    #[serde(default = "calls_max")]
    pub calls_max: usize,
}

/// Whether audio goes past the media server until one is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AudioPath {
    /// Endpoints exchange audio; a re-INVITE brings a media server in.
    #[default]
    Dynamic,
    /// A media server is in the audio of every call on the line.
    AlwaysIn,
}

/// A SIP line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// How it is carried.
    #[serde(default = "udp")]
    pub transport: Transport,
    /// The far end: a gateway, a SIP proxy, a Mediation Server. None for the line of the stations.
    #[serde(default)]
    pub remote: Option<SocketAddr>,
    /// Outbound proxies in order: the next only if one gives no response at all. They stand between CIC and the far
    /// end, whose address stays in the Request-URI.
    #[serde(default)]
    pub outbound_proxies: Vec<SocketAddr>,
    /// Addresses besides the far end and the proxies from which calls come in on this line.
    #[serde(default)]
    pub inbound_from: Vec<IpAddr>,
    /// Nothing came for so long: the next proxy, then the next line.
    #[serde(default = "no_response_ms")]
    pub no_response_ms: u32,
    /// Responses after which the next line of the group is tried.
    #[serde(default = "retry_codes")]
    pub retry_codes: Vec<u16>,
    /// The line's audio path.
    #[serde(default)]
    pub audio_path: AudioPath,
    /// The location of what is reached by the line; none: that of the server.
    #[serde(default)]
    pub location: Option<String>,
    /// Whether numbers go out with their plus sign.
    #[serde(default = "yes")]
    pub send_plus: bool,
}

/// Lines in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineGroup {
    /// Its name.
    pub name: String,
    /// Names of lines.
    pub lines: Vec<String>,
}

/// An entry of the dial plan.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DialPlanEntry {
    /// Digits and `+` stand for themselves, `X` for 0-9, `Z` for 1-9, `N` for 2-9, `?` for any one character, a `*` at
    /// the end for whatever follows.
    pub pattern: String,
    /// Characters to drop at the beginning: a prefix such as 9.
    #[serde(default)]
    pub strip: usize,
    /// What to put before what is left.
    #[serde(default)]
    pub prepend: String,
    /// The line group that the call goes out by.
    pub line_group: String,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Its name.
    pub name: String,
    /// Two to six digits.
    pub extension: String,
    /// Direct numbers, as calls bring them.
    #[serde(default)]
    pub dids: Vec<String>,
    /// The status at the start; `SetBehaviour` with `status:At Lunch` changes it.
    #[serde(default = "available")]
    pub status: String,
    /// The station that calls to the user ring, and that the user is logged on to.
    #[serde(default)]
    pub default_station: Option<String>,
    /// Whether the user is logged on at the start. Calls ring the default station either way; a workgroup offers
    /// calls only to agents who are logged on.
    #[serde(default = "yes")]
    pub logged_on: bool,
    /// Whether the user's calls are recorded; none: as the server.
    #[serde(default)]
    pub record_calls: Option<bool>,
    /// Whether callers are given voicemail; none: as the server.
    #[serde(default)]
    pub voicemail: Option<bool>,
    /// The number that the user's own calls show; none: that of the first direct number, else the extension.
    #[serde(default)]
    pub outbound_ani: Option<String>,
}

/// A station.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Station {
    /// Its name; also the user part that a softphone registers with, beside its user's extension.
    pub name: String,
    /// The line that reaches it.
    pub line: String,
    /// Where it is: `sip:2001@127.1.0.41:5060` for a telephone of CIC's own, a number (`+14255550201`) for a Lync
    /// endpoint, whose line is the one to Mediation. None: where the softphone registered from.
    #[serde(default)]
    pub contact_address: Option<String>,
    /// The telephone of `phones` that it is: takes the place of `contact_address`.
    #[serde(default)]
    pub phone: Option<String>,
    /// Whether the audio path stays up between calls. Only `false` is played.
    #[serde(default)]
    pub persistent: bool,
    /// How long it rings, in seconds: 0 is 15; otherwise at least 7, or in a test `ring_timeout_ms`.
    #[serde(default)]
    pub ring_timeout_s: u32,
    /// Takes the place of `ring_timeout_s`, without its minimum.
    #[serde(default)]
    pub ring_timeout_ms: Option<u32>,
    /// Its location; none: that of its line.
    #[serde(default)]
    pub location: Option<String>,
}

/// A workgroup with a queue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workgroup {
    /// Its name.
    pub name: String,
    /// Its extension.
    pub extension: String,
    /// Numbers that reach it.
    #[serde(default)]
    pub dids: Vec<String>,
    /// Names of users with ACD access. Of those available, the one longest without a call of this queue is taken, then
    /// the first.
    #[serde(default)]
    pub agents: Vec<String>,
    /// Whether its calls are recorded; none: as the server.
    #[serde(default)]
    pub record_calls: Option<bool>,
}

/// Numbers at which CIC itself answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttendantProfile {
    /// Its name.
    pub name: String,
    /// The numbers (DNIS).
    pub dnis: Vec<String>,
    /// Where the caller goes after the greeting: an extension or number; none: CIC hangs up.
    #[serde(default)]
    pub transfer_to: Option<String>,
}

/// A media server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MediaServer {
    /// Its name.
    pub name: String,
    /// Where its audio comes and goes.
    pub address: IpAddr,
    /// Its location for selection, and the site where it stands.
    pub location: String,
}

/// How a media server is selected for a call: by location, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaServerSelection {
    /// `<Device>`, `<Path>` (the other device of the call), `<Server>`, `<Any>`, or the name of a location.
    pub order: Vec<String>,
    /// Locations that are never taken.
    pub exclude: Vec<String>,
}

impl Default for MediaServerSelection {
    fn default() -> Self {
        let order = ["<Device>", "<Path>", "<Server>", "<Any>"].map(str::to_owned).to_vec();
        Self { order, exclude: Vec::new() }
    }
}

fn name() -> String {
    "CIC".to_owned()
}

fn site() -> String {
    "premises".to_owned()
}

fn udp() -> Transport {
    Transport::Udp
}

fn available() -> String {
    "Available".to_owned()
}

fn no_response_ms() -> u32 {
    3000
}

fn retry_codes() -> Vec<u16> {
    vec![408, 500, 502, 503, 504]
}

fn greeting_ms() -> u32 {
    300
}

fn queue_timeout_ms() -> u32 {
    60_000
}

fn registration_s() -> u32 {
    3600
}

fn calls_max() -> usize {
    200
}
