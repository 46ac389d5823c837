//! CIC's standard user statuses and what each means for calls.

use tandem_runtime::document::did_you_mean;

/// A status message of CIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// As Interaction Administrator shows it. Compared without regard to case.
    pub(super) name: &'static str,
    /// Whether workgroups offer calls to a user in it.
    pub(super) acd: bool,
    /// Do Not Disturb: no call is sent to the user's station.
    pub(super) do_not_disturb: bool,
}

const fn status(name: &'static str, acd: bool, do_not_disturb: bool) -> Status {
    Status { name, acd, do_not_disturb }
}

/// What an agent is set to who did not answer.
pub(super) const NOT_ANSWERING: &str = "ACD - Agent Not Answering";

/// The standard statuses.
pub(super) const STATUSES: [Status; 16] = [
    status(NOT_ANSWERING, false, false),
    status("At a Training Session", false, false),
    status("At Lunch", false, false),
    status("At Play", false, false),
    status("Available", true, false),
    status("Available, No ACD", false, false),
    status("Available, Remote", true, false),
    status("Away From Desk", false, false),
    status("Do Not Disturb", false, true),
    status("Follow Up", false, false),
    status("Gone Home", false, true),
    status("In a meeting", false, false),
    status("On Vacation", false, true),
    status("Out of the Office", false, true),
    status("Out of Town", false, true),
    status("Working at Home", false, false),
];

/// The status of that name.
pub(super) fn find(name: &str) -> Option<Status> {
    STATUSES.into_iter().find(|status| status.name.eq_ignore_ascii_case(name))
}

/// How a wrong name is put right.
pub(super) fn fix(name: &str) -> String {
    let names = STATUSES.map(|status| status.name);
    match did_you_mean(name, names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("one of: {}", names.join("; ")),
    }
}
