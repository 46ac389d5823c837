//! How CIC decides where a call goes: its own numbers first, then the dial plan; which lines, which station address,
//! which media server.

use std::net::{IpAddr, SocketAddr};

use super::config::{
    AttendantProfile, Config, DialPlanEntry, Line, LineGroup, MediaServer, Station, User, Workgroup,
};
use crate::number;

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// To a user.
    User(&'a User),
    /// Into a workgroup's queue.
    Workgroup(&'a Workgroup),
    /// CIC answers.
    Attendant(&'a AttendantProfile),
    /// Out by a line group, with this number.
    Out(&'a LineGroup, String),
    /// CIC knows no such number.
    Unknown,
}

/// Where a call to `called` goes, and by which rule.
pub(super) fn way<'a>(config: &'a Config, called: &str) -> (Way<'a>, String) {
    let called = number::bare(called);
    let own = |extension: &str, numbers: &[String]| extension == called || numbers.contains(&called);
    if let Some(user) = config.users.iter().find(|user| own(&user.extension, &user.dids)) {
        return (Way::User(user), format!("{called} is a number of user {}", user.name));
    }
    if let Some(group) = config.workgroups.iter().find(|group| own(&group.extension, &group.dids)) {
        return (Way::Workgroup(group), format!("{called} is a number of workgroup {}", group.name));
    }
    if let Some(profile) = config.attendant_profiles.iter().find(|profile| profile.dnis.contains(&called)) {
        return (Way::Attendant(profile), format!("DNIS {called} is of attendant profile {}", profile.name));
    }
    match config.dial_plan.iter().find(|entry| matches(&entry.pattern, &called)) {
        Some(entry) => match config.line_group(&entry.line_group) {
            Some(group) => {
                let why = format!("dial plan {} -> line group {}", entry.pattern, group.name);
                (Way::Out(group, dialled(entry, &called)), why)
            }
            None => (Way::Unknown, format!("dial plan {} names no line group", entry.pattern)),
        },
        None => (Way::Unknown, format!("{called} is no number of CIC and matches no dial plan entry")),
    }
}

fn dialled(entry: &DialPlanEntry, called: &str) -> String {
    let kept: String = called.chars().skip(entry.strip).collect();
    format!("{}{kept}", entry.prepend)
}

/// See [`DialPlanEntry::pattern`].
fn matches(pattern: &str, number: &str) -> bool {
    let (pattern, open) = match pattern.strip_suffix('*') {
        Some(head) => (head, true),
        None => (pattern, false),
    };
    let mut digits = number.chars();
    for expected in pattern.chars() {
        let Some(digit) = digits.next() else { return false };
        let fits = match expected {
            'X' => digit.is_ascii_digit(),
            'Z' => ('1'..='9').contains(&digit),
            'N' => ('2'..='9').contains(&digit),
            '?' => true,
            literal => literal == digit,
        };
        if !fits {
            return false;
        }
    }
    open || digits.next().is_none()
}

/// Where a station is dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// A telephone that this simulator plays: its name.
    Own(String),
    /// A telephone elsewhere: its URI.
    Phone(String),
    /// A number that the station's line reaches.
    Number(String),
    /// Wherever it registered from.
    Registered,
}

/// See [`Contact`].
pub(super) fn contact(station: &Station) -> Contact {
    if let Some(phone) = &station.phone {
        return Contact::Own(phone.clone());
    }
    match &station.contact_address {
        None => Contact::Registered,
        Some(address) if address.starts_with("sip:") => Contact::Phone(address.clone()),
        Some(number) => Contact::Number(number::bare(number)),
    }
}

/// Why a media server has to be in the audio between two callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaReason {
    /// It is recorded.
    Recorded,
    /// A line's audio path is always-in.
    AlwaysIn,
}

/// The media server for a call: by the location of the device that asks, and of the other device of the call.
/// `usable` says which of them CIC can reach. Also says by which rule.
pub(super) fn media_server<'a>(
    config: &'a Config,
    device: &str,
    path: Option<&str>,
    usable: impl Fn(&MediaServer) -> bool,
) -> Option<(&'a MediaServer, String)> {
    let allowed = |server: &&MediaServer| {
        !config.media_server_selection.exclude.contains(&server.location) && usable(server)
    };
    for rule in &config.media_server_selection.order {
        let location = match rule.as_str() {
            "<Device>" => Some(device),
            "<Path>" => path,
            "<Server>" => Some(config.site.as_str()),
            "<Any>" => None,
            location => Some(location),
        };
        if location.is_none() && rule != "<Any>" {
            continue;
        }
        let fits = |server: &&MediaServer| location.is_none_or(|location| server.location == location);
        if let Some(server) = config.media_servers.iter().filter(allowed).find(fits) {
            return Some((server, format!("media server {} by rule {rule}", server.name)));
        }
    }
    None
}

impl Config {
    pub(super) fn line(&self, name: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.name == name)
    }

    pub(super) fn line_group(&self, name: &str) -> Option<&LineGroup> {
        self.line_groups.iter().find(|group| group.name == name)
    }

    pub(super) fn station(&self, name: &str) -> Option<&Station> {
        self.stations.iter().find(|station| station.name == name)
    }

    pub(super) fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The line that a call from this address comes in on.
    pub(super) fn line_from(&self, address: IpAddr) -> Option<&Line> {
        self.lines.iter().find(|line| {
            line.remote.is_some_and(|remote| remote.ip() == address)
                || line.outbound_proxies.iter().any(|proxy| proxy.ip() == address)
                || line.inbound_from.contains(&address)
        })
    }

    /// The location of what is reached by a line.
    pub(super) fn line_location<'a>(&'a self, line: &'a Line) -> &'a str {
        line.location.as_deref().unwrap_or(&self.site)
    }

    /// The location of a station.
    pub(super) fn station_location<'a>(&'a self, station: &'a Station) -> &'a str {
        let of_line = || self.line(&station.line).map_or(self.site.as_str(), |line| self.line_location(line));
        station.location.as_deref().unwrap_or_else(of_line)
    }
}

impl Line {
    /// Where its calls are sent, in order: the outbound proxies, else the far end.
    pub(super) fn next_hops(&self) -> Vec<SocketAddr> {
        if self.outbound_proxies.is_empty() {
            self.remote.into_iter().collect()
        } else {
            self.outbound_proxies.clone()
        }
    }

    /// A number as the line writes it.
    pub(super) fn write_number(&self, number: &str) -> String {
        if self.send_plus { number.to_owned() } else { number.trim_start_matches('+').to_owned() }
    }
}

impl Station {
    /// How long it rings, in milliseconds.
    pub(super) fn ring_timeout_ms(&self) -> u32 {
        let seconds = if self.ring_timeout_s == 0 { 15 } else { self.ring_timeout_s };
        self.ring_timeout_ms.unwrap_or(seconds.saturating_mul(1000))
    }
}

#[cfg(test)]
mod tests;
