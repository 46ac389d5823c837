//! What a decision looks up in the directory.

use super::plan::Row;
use crate::directory::Endpoint;
use crate::document::directory::{NumberAssignment, Station, Workgroup};
use crate::document::terms::{AssignmentKind, TelephonyMode};
use crate::id::SiteName;
use crate::number::Number;
use crate::tenant::SiteIx;
use crate::view::{Entry, Person, TenantView};

/// An object of CIC that has a number (domain rules 3.1, source 2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Cic<'a> {
    User(&'a Person),
    Workgroup(&'a Workgroup),
    /// A station at which nobody sits.
    Station(&'a Station),
    Attendant,
    /// A number assigned to somebody whom the directory does not know.
    Unknown,
}

impl<'a> Cic<'a> {
    /// The user, if it is one.
    pub(super) const fn user(self) -> Option<&'a Person> {
        match self {
            Self::User(user) => Some(user),
            _ => None,
        }
    }
}

/// Who a number belongs to, on either side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) cic: Option<Cic<'a>>,
    /// The number, where an assignment gives it to CIC's side ([`assignment`]); none: it is an extension.
    pub(super) assigned: Option<Number>,
    /// Whose Line URI it is.
    pub(super) line: Option<&'a Person>,
}

pub(super) fn number(view: &TenantView, number: Number) -> Found<'_> {
    let entries = view.number(number);
    let by_assignment = matches!(entries.cic, Some(Entry::Did(_) | Entry::Assignment(_)));
    let cic = entries.cic.map(|entry| match entry {
        Entry::Assignment(assignment) => assigned(view, assignment),
        Entry::Did(user) | Entry::Extension(user) | Entry::LineUri(user) => Cic::User(user),
        Entry::Workgroup(workgroup) => Cic::Workgroup(workgroup),
        Entry::Station(station) => {
            view.person_by_station(station.id.as_str()).map_or(Cic::Station(station), Cic::User)
        }
    });
    Found { cic, assigned: by_assignment.then_some(number), line: entries.lync }
}

/// The assignment that gives a number to CIC's side.
pub(super) fn assignment(view: &TenantView, number: Number) -> Option<&NumberAssignment> {
    match view.number(number).cic? {
        Entry::Did(_) => view.assignment_of(number).map(|a| &**a),
        Entry::Assignment(assignment) => Some(assignment),
        _ => None,
    }
}

fn assigned<'a>(view: &'a TenantView, assignment: &NumberAssignment) -> Cic<'a> {
    let found = match assignment.kind {
        AssignmentKind::Did => {
            assignment.user.as_ref().and_then(|id| view.person(id.as_str())).map(Cic::User)
        }
        AssignmentKind::Workgroup => assignment
            .workgroup
            .as_ref()
            .and_then(|id| view.workgroup(id.as_str()))
            .map(|w| Cic::Workgroup(w)),
        AssignmentKind::Attendant => Some(Cic::Attendant),
    };
    found.unwrap_or(Cic::Unknown)
}

/// The user whose number it is, on either side.
pub(super) fn user_by_number(view: &TenantView, called: Number) -> Option<&Person> {
    let found = number(view, called);
    match found.cic {
        Some(Cic::User(user)) => Some(user),
        Some(_) => None,
        None => found.line,
    }
}

fn site(view: &TenantView, name: Option<&SiteName>) -> Option<SiteIx> {
    view.config()?.site_named(name?.as_str())
}

/// Where a user's phone stands: the station's site, else the user's. None: where the tenant's phones stand.
pub(super) fn site_of_phone(view: &TenantView, user: &Person) -> Option<SiteIx> {
    let station = user.station.as_ref().and_then(|id| view.station(id.as_str()));
    site(view, station.and_then(|s| s.site.as_ref())).or_else(|| site(view, user.site.as_ref()))
}

/// Where a user who calls sits: the station's location counts before the user's (domain rules 2.3).
pub(super) fn site_of_caller(view: &TenantView, user: &Person) -> Option<SiteIx> {
    site_of_phone(view, user).or_else(|| view.config().map(|c| c.places.phones))
}

/// The endpoint row that the directory gives a user.
pub(super) fn row(user: &Person) -> Option<Row> {
    user.endpoint().row()
}

/// Why no row of the table fits a user.
pub(super) fn unsupported(user: &Person) -> &'static str {
    match user.endpoint() {
        Endpoint::Row(row) => row.words(),
        Endpoint::Unsupported(why) => why.words(),
    }
}

/// Whether Lync's reverse number lookup rings a user by the Line URI: Enterprise Voice is on.
pub(super) fn has_enterprise_voice(user: &Person) -> bool {
    user.lync.as_ref().is_some_and(|l| matches!(l.telephony, TelephonyMode::Uc | TelephonyMode::Dual))
}

/// Whether what a user dials reaches Lync first: rows 2 and 5. Row 6 dials in Lync too, but CIC takes the call.
pub(super) fn dials_in_lync(user: &Person) -> bool {
    match row(user) {
        Some(Row::R2 | Row::R5) => true,
        Some(_) => false,
        None => !user.has_cic(),
    }
}
