//! What a decision looks up in the directory.

use super::plan::Row;
use crate::directory::{self, Endpoint};
use crate::document::directory::{NumberAssignment, Station, User, Workgroup};
use crate::document::terms::{AssignmentKind, TelephonyMode};
use crate::id::SiteName;
use crate::number::{Number, Origin, canonical, parse};
use crate::tenant::SiteIx;
use crate::view::{Entry, TenantView};

/// An object of CIC that has a number (domain rules 3.1, source 2).
#[derive(Clone, Copy, Debug)]
pub(super) enum Cic<'a> {
    User(&'a User),
    Workgroup(&'a Workgroup),
    /// A station at which nobody sits.
    Station(&'a Station),
    Attendant,
    /// A number assigned to somebody whom the directory does not know.
    Unknown,
}

impl<'a> Cic<'a> {
    /// The user, if it is one.
    pub(super) const fn user(self) -> Option<&'a User> {
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
    /// The assignment that gives it to CIC's side; none: it is an extension.
    pub(super) assignment: Option<&'a NumberAssignment>,
    /// Whose Line URI it is.
    pub(super) line: Option<&'a User>,
}

pub(super) fn number(view: &TenantView, number: Number) -> Found<'_> {
    let entries = view.number(number);
    let assignment = match entries.cic {
        Some(Entry::Assignment(assignment)) => Some(&**assignment),
        _ => None,
    };
    let cic = entries.cic.map(|entry| match entry {
        Entry::Assignment(assignment) => assigned(view, assignment),
        Entry::Extension(user) | Entry::LineUri(user) => Cic::User(user),
        Entry::Workgroup(workgroup) => Cic::Workgroup(workgroup),
        Entry::Station(station) => {
            view.user_by_station(station.id.as_str()).map_or(Cic::Station(station), |user| Cic::User(user))
        }
    });
    Found { cic, assignment, line: entries.lync.map(|user| &**user) }
}

fn assigned<'a>(view: &'a TenantView, assignment: &NumberAssignment) -> Cic<'a> {
    let found = match assignment.kind {
        AssignmentKind::Did => {
            assignment.user.as_ref().and_then(|id| view.user(id.as_str())).map(|user| Cic::User(user))
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
pub(super) fn user_by_number(view: &TenantView, called: Number) -> Option<&User> {
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
pub(super) fn site_of_phone(view: &TenantView, user: &User) -> Option<SiteIx> {
    let station = user.station.as_ref().and_then(|id| view.station(id.as_str()));
    site(view, station.and_then(|s| s.site.as_ref())).or_else(|| site(view, user.site.as_ref()))
}

/// Where a user who calls sits: the station's location counts before the user's (domain rules 2.3).
pub(super) fn site_of_caller(view: &TenantView, user: &User) -> Option<SiteIx> {
    site_of_phone(view, user).or_else(|| view.config().map(|c| c.places.phones))
}

/// The endpoint row that the directory gives a user.
pub(super) fn row(user: &User) -> Option<Row> {
    directory::endpoint(user).row()
}

/// Why no row of the table fits a user.
pub(super) fn unsupported(user: &User) -> &'static str {
    match directory::endpoint(user) {
        Endpoint::Row(row) => row.words(),
        Endpoint::Unsupported(why) => why.words(),
    }
}

/// The number of a user's Line URI.
pub(super) fn line_of(view: &TenantView, user: &User) -> Option<Number> {
    own(view, user, user.lync.as_ref()?.line_uri.as_deref()?)
}

/// A user's extension in CIC.
pub(super) fn extension_of(view: &TenantView, user: &User) -> Option<Number> {
    own(view, user, user.cic.as_ref()?.extension.as_deref()?)
}

/// A number as the user's own site understands it.
fn own(view: &TenantView, user: &User, text: &str) -> Option<Number> {
    let origin = Origin { trunk: None, site: site(view, user.site.as_ref()) };
    canonical(view.config()?, origin, &parse(text).ok()?).ok()
}

/// Whether Lync's reverse number lookup rings a user by the Line URI: Enterprise Voice is on.
pub(super) fn has_enterprise_voice(user: &User) -> bool {
    user.lync.as_ref().is_some_and(|l| matches!(l.telephony, TelephonyMode::Uc | TelephonyMode::Dual))
}

/// Whether what a user dials reaches Lync first: rows 2 and 5. Row 6 dials in Lync too, but CIC takes the call.
pub(super) fn dials_in_lync(user: &User) -> bool {
    match row(user) {
        Some(Row::R2 | Row::R5) => true,
        Some(_) => false,
        None => user.cic.is_none(),
    }
}
