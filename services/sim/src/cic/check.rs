//! What is wrong with a CIC configuration beyond its syntax.

use tandem_runtime::document::{Finding, Rejected};

use super::config::{AttendantProfile, Config, User, Workgroup};
use super::status;
use crate::number;
use crate::settings::{self, Settings, twice, wrong};

/// A station rings at least so long, in seconds (Interaction Administrator refuses less).
const RING_TIMEOUT_MIN_S: u32 = 7;

impl Settings for Config {
    fn check(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        self.check_names(&mut found);
        self.check_numbers(&mut found);
        self.check_references(&mut found);
        self.check_stations(&mut found);
        for (i, user) in self.users.iter().enumerate() {
            if status::find(&user.status).is_none() {
                let path = format!("users[{i}].status");
                found.push(wrong(
                    path,
                    format!("`{}` is no status of CIC", user.status),
                    status::fix(&user.status),
                ));
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
    pub fn load(path: &std::path::Path) -> Result<Self, Rejected> {
        settings::load(path)
    }

    fn check_names(&self, found: &mut Vec<Finding>) {
        fn list<'a, T>(
            field: &'static str,
            items: &'a [T],
            name: fn(&'a T) -> &'a str,
        ) -> impl Iterator<Item = (String, &'a str)> {
            items.iter().enumerate().map(move |(i, item)| (format!("{field}[{i}].name"), name(item)))
        }
        twice(list("lines", &self.lines, |line| &line.name), found);
        twice(list("line_groups", &self.line_groups, |group| &group.name), found);
        twice(list("users", &self.users, |user| &user.name), found);
        twice(list("stations", &self.stations, |station| &station.name), found);
        twice(list("workgroups", &self.workgroups, |workgroup| &workgroup.name), found);
        let elements = std::iter::once(("name".to_owned(), self.name.as_str()));
        let servers = list("media_servers", &self.media_servers, |server| &server.name);
        twice(elements.chain(servers).chain(list("phones", &self.phones, |phone| &phone.name)), found);
    }

    /// Extensions and numbers belong to one user, workgroup or profile each.
    fn check_numbers(&self, found: &mut Vec<Finding>) {
        let user = |(i, user): (usize, &User)| {
            numbers(&format!("users[{i}]"), Some(&user.extension), "dids", &user.dids)
        };
        let workgroup = |(i, group): (usize, &Workgroup)| {
            numbers(&format!("workgroups[{i}]"), Some(&group.extension), "dids", &group.dids)
        };
        let profile = |(i, profile): (usize, &AttendantProfile)| {
            numbers(&format!("attendant_profiles[{i}]"), None, "dnis", &profile.dnis)
        };
        let all: Vec<(String, String)> = (self.users.iter().enumerate().flat_map(user))
            .chain(self.workgroups.iter().enumerate().flat_map(workgroup))
            .chain(self.attendant_profiles.iter().enumerate().flat_map(profile))
            .collect();
        for (path, number) in &all {
            let digits = number::is_number(number);
            let extension = path.ends_with(".extension");
            if !digits || (extension && !(2..=6).contains(&number.len())) {
                let fix = if extension { "two to six digits" } else { "digits, perhaps after a plus sign" };
                found.push(wrong(path.clone(), format!("`{number}` is no number of that kind"), fix));
            }
        }
        twice(all.iter().map(|(path, number)| (path.clone(), number.as_str())), found);
    }

    fn check_references(&self, found: &mut Vec<Finding>) {
        let mut need = |known: bool, path: String, kind: &str, name: &str| {
            if !known {
                found.push(wrong(
                    path,
                    format!("no {kind} is named `{name}`"),
                    format!("add the {kind}, or correct the name"),
                ));
            }
        };
        for (i, group) in self.line_groups.iter().enumerate() {
            for (j, line) in group.lines.iter().enumerate() {
                need(self.line(line).is_some(), format!("line_groups[{i}].lines[{j}]"), "line", line);
            }
        }
        for (i, entry) in self.dial_plan.iter().enumerate() {
            let known = self.line_group(&entry.line_group).is_some();
            need(known, format!("dial_plan[{i}].line_group"), "line group", &entry.line_group);
        }
        for (i, user) in self.users.iter().enumerate() {
            if let Some(station) = &user.default_station {
                need(
                    self.station(station).is_some(),
                    format!("users[{i}].default_station"),
                    "station",
                    station,
                );
            }
        }
        for (i, station) in self.stations.iter().enumerate() {
            need(self.line(&station.line).is_some(), format!("stations[{i}].line"), "line", &station.line);
            if let Some(phone) = &station.phone {
                let known = self.phones.iter().any(|known| known.name == *phone);
                need(known, format!("stations[{i}].phone"), "phone", phone);
            }
        }
        for (i, group) in self.workgroups.iter().enumerate() {
            for (j, agent) in group.agents.iter().enumerate() {
                need(self.user(agent).is_some(), format!("workgroups[{i}].agents[{j}]"), "user", agent);
            }
        }
    }

    fn check_stations(&self, found: &mut Vec<Finding>) {
        for (i, station) in self.stations.iter().enumerate() {
            if (1..RING_TIMEOUT_MIN_S).contains(&station.ring_timeout_s) {
                let message = format!("a station rings {RING_TIMEOUT_MIN_S} seconds at least");
                found.push(wrong(
                    format!("stations[{i}].ring_timeout_s"),
                    message,
                    "use 7 or more, or 0 for 15",
                ));
            }
            if station.persistent {
                let message = "a persistent connection is not played";
                found.push(wrong(format!("stations[{i}].persistent"), message, "use false"));
            }
            let number = station.contact_address.as_deref().filter(|contact| !contact.starts_with("sip:"));
            let Some(number) = number else { continue };
            let path = format!("stations[{i}].contact_address");
            if !number::is_number(&number::bare(number)) {
                let fix = "write sip:user@address:port, or the number that its line reaches";
                found.push(wrong(path, format!("`{number}` is neither a SIP address nor a number"), fix));
            } else if self.line(&station.line).is_some_and(|line| line.remote.is_none()) {
                let message =
                    format!("a number cannot be reached by line `{}`, which has no far end", station.line);
                found.push(wrong(path, message, "use the line to Mediation, or a SIP address"));
            }
        }
    }
}

fn numbers(at: &str, extension: Option<&String>, field: &str, numbers: &[String]) -> Vec<(String, String)> {
    let extension = extension.map(|number| (format!("{at}.extension"), number.clone()));
    let rest = numbers.iter().enumerate().map(|(i, number)| (format!("{at}.{field}[{i}]"), number.clone()));
    extension.into_iter().chain(rest).collect()
}
