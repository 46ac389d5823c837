//! What is still missing, or set in a way that will not work.

mod extension;
mod lync;
mod others;
mod user;

use crate::document::directory::{Station, User};
use crate::document::policy::Treatments;
use crate::document::terms::InboundOption;
use crate::finding::Finding;
use crate::number::Number;
use crate::routing::plan::Row;
use crate::tenant::{self, Config};

use super::around::Directory;
use super::checks;
use super::endpoint::{Endpoint, endpoint};
use super::numbers;

pub use others::{check_number, check_routes, check_station, check_workgroup};

/// CIC's station timeout where a station has none of its own, in seconds (domain rules 5.5).
const RING_SECONDS: u16 = 15;
/// CIC's shortest station timeout, in seconds (domain rules 3.6).
const RING_SECONDS_MIN: u16 = 7;
/// The longest time that anything rings, in seconds.
const RING_SECONDS_MAX: u16 = 300;

/// How long CIC rings a station, in seconds: 15 where nothing or 0 is set, never less than 7 (domain rules 3.6).
#[must_use]
pub fn ring_seconds(station: &Station) -> u16 {
    match station.ring_seconds {
        None | Some(0) => RING_SECONDS,
        Some(seconds) => seconds.clamp(RING_SECONDS_MIN, RING_SECONDS_MAX),
    }
}

/// What became of a user.
#[derive(Clone, PartialEq, Debug)]
pub struct UserState {
    /// The endpoint row, or why there is none.
    pub endpoint: Endpoint,
    /// What is missing or wrong; it blocks nothing. Paths start at the user's record.
    pub states: Vec<Finding>,
}

impl UserState {
    /// Whether nothing of weight is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.states.iter().any(Finding::is_error)
    }
}

/// Looks at a user in a config, and at what the directory says around them.
#[must_use]
pub fn check(config: &Config, user: &User, directory: &impl Directory) -> UserState {
    let endpoint = endpoint(user);
    let station = user.station.as_ref().and_then(|id| directory.station(id));
    let mut subject = Subject { config, user, row: endpoint.row(), station, directory, states: Vec::new() };
    subject.accounts(endpoint);
    subject.cic();
    subject.lync();
    subject.phone();
    subject.place();
    subject.shared();
    subject.forwards();
    UserState { endpoint, states: subject.states }
}

/// A user under examination.
struct Subject<'a, D> {
    config: &'a Config,
    user: &'a User,
    row: Option<Row>,
    station: Option<&'a Station>,
    directory: &'a D,
    states: Vec<Finding>,
}

impl<D: Directory> Subject<'_, D> {
    /// Whether the row is one of a Lync phone that is a CIC station.
    fn lync_station(&self) -> bool {
        matches!(self.row, Some(Row::R3 | Row::R4 | Row::R5))
    }

    /// What becomes of calls to a published number of the user that is the Line URI; none: they go as they should.
    fn did_is_line(&self, line: Number) -> Option<&'static str> {
        let becomes = match self.config.inbound {
            InboundOption::LyncFirst => "calls meet Lync first, which rings at once",
            InboundOption::ProxyFirst if !self.config.lync.cic_line_direct => {
                "CIC sends through the proxy that the call came by, which refuses it as a loop"
            }
            InboundOption::ProxyFirst | InboundOption::CicFirst => return None,
        };
        self.directory.is_did(line, &self.user.id).then_some(becomes)
    }
}

/// Targets and time of a treatment.
fn treatments(given: &Treatments, path: &str, found: &mut Vec<Finding>) {
    for (field, target) in [
        ("onBusy", &given.on_busy),
        ("onNoAnswer", &given.on_no_answer),
        ("onUnreachable", &given.on_unreachable),
    ] {
        let Some(target) = target else { continue };
        if Number::parse_canonical(target).is_none() {
            let words = format!("{target:?} is no number in canonical form");
            found.push(checks::TREATMENT_INVALID.at(format!("{path}.{field}"), words));
        }
    }
    let range = tenant::Treatments::NO_ANSWER_SECONDS_IN;
    if let Some(seconds) = given.no_answer_seconds.filter(|s| !range.contains(s)) {
        let words = format!("{seconds} s is not {} to {} s", range.start(), range.end());
        found.push(checks::TREATMENT_INVALID.at(format!("{path}.noAnswerSeconds"), words));
    }
}
