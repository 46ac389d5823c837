//! What a decision looks up in the directory.
use super::plan::Row;
use crate::directory::{self, Endpoint};
use crate::document::directory::{NumberAssignment, User, Workgroup};
use crate::document::terms::{AssignmentKind, TelephonyMode};
use crate::number::parse::{Dialled, parse};
use crate::number::{Digits, Number};
use crate::tenant::SiteIx;
use crate::view::TenantView;

#[derive(Clone, Copy, Debug)]
pub(super) enum Cic<'a> { User(&'a User), Workgroup(&'a Workgroup), Attendant }

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found<'a> {
    pub(super) cic: Option<Cic<'a>>,
    pub(super) assignment: Option<&'a NumberAssignment>,
    pub(super) line: Option<&'a User>,
}

pub(super) fn user<'a>(view: &TenantView<'a>, id: &str) -> Option<&'a User> {
    view.dir.users.iter().find(|u| u.id.as_str() == id)
}
pub(super) fn workgroup<'a>(view: &TenantView<'a>, id: &str) -> Option<&'a Workgroup> {
    view.dir.workgroups.iter().find(|u| u.id.as_str() == id)
}
pub(super) fn number<'a>(view: &TenantView<'a>, number: Number) -> Found<'a> {
    let d = view.dir;
    let assignment = d.numbers.iter().find(|n| Number::parse_canonical(&n.number) == Some(number));
    let cic = match assignment {
        Some(a) => match a.kind {
            AssignmentKind::Did => a.user.as_ref().and_then(|u| user(view, u.as_str())).map(Cic::User),
            AssignmentKind::Workgroup => a.workgroup.as_ref().and_then(|u| workgroup(view, u.as_str())).map(Cic::Workgroup),
            AssignmentKind::Attendant => Some(Cic::Attendant),
        },
        None => d.users.iter().find(|u| extension_of(u) == Some(number)).map(Cic::User)
            .or_else(|| d.workgroups.iter().find(|w| w.extension.as_deref().and_then(local) == Some(number)).map(Cic::Workgroup)),
    };
    let line = d.users.iter().find(|u| line_of(u) == Some(number));
    Found { cic, assignment, line }
}
fn local(s: &str) -> Option<Number> { Number::local(Digits::parse(s.as_bytes())?) }
pub(super) fn user_by_number<'a>(view: &TenantView<'a>, n: Number) -> Option<&'a User> {
    let found = number(view, n);
    match found.cic { Some(Cic::User(u)) => Some(u), Some(_) => None, None => found.line }
}
pub(super) fn user_by_sip<'a>(view: &TenantView<'a>, address: &str) -> Option<&'a User> {
    view.dir.users.iter().find(|u| u.lync.as_ref().is_some_and(|l| l.sip_address.eq_ignore_ascii_case(address)))
}
pub(super) fn did_of(view: &TenantView<'_>, user: &User) -> Option<Number> {
    view.dir.numbers.iter().find(|n| n.user.as_ref() == Some(&user.id)).and_then(|n| Number::parse_canonical(&n.number))
}
pub(super) fn site_of_phone(view: &TenantView<'_>, user: &User) -> Option<SiteIx> {
    let station = user.station.as_ref().and_then(|id| view.dir.stations.iter().find(|s| s.id == *id));
    let name = station.and_then(|s| s.site.as_ref()).or(user.site.as_ref())?;
    view.config().site_named(name.as_str())
}
pub(super) fn site_of_caller(view: &TenantView<'_>, user: &User) -> Option<SiteIx> {
    site_of_phone(view, user).or(Some(view.config().places.phones))
}

/// The endpoint row that the directory gives a user.
pub(super) fn row(user: &User) -> Option<Row> {
    match directory::endpoint(user) {
        Endpoint::Row(row) => Some(row),
        Endpoint::Unsupported(_) => None,
    }
}

/// The number of a user's Line URI.
pub(super) fn line_of(user: &User) -> Option<Number> {
    match parse(user.lync.as_ref()?.line_uri.as_deref()?) {
        Ok(Dialled::Global(number)) => Some(number),
        _ => None,
    }
}

/// A user's extension in CIC.
pub(super) fn extension_of(user: &User) -> Option<Number> {
    let extension = user.cic.as_ref()?.extension.as_deref()?;
    Digits::parse(extension.as_bytes()).and_then(Number::local)
}

/// Whether Lync's reverse number lookup rings a user: there is a Line URI, and Enterprise Voice is on.
pub(super) fn rings_in_lync(user: &User) -> bool {
    let voice = user.lync.as_ref().is_some_and(|l| matches!(l.telephony, TelephonyMode::Uc | TelephonyMode::Dual));
    voice && line_of(user).is_some()
}

/// Whether what a user dials reaches Lync first: rows 2 and 5. Row 6 dials in Lync too, but CIC takes the call.
pub(super) fn dials_in_lync(user: &User) -> bool {
    match row(user) {
        Some(Row::R2 | Row::R5) => true,
        Some(_) => false,
        None => user.cic.is_none(),
    }
}
