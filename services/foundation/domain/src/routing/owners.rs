//! Why a number is whose it is, in words: which source of domain rules 3.1 won, and why each other lost.

use super::call::{Call, Owned, name};
use super::lookup::{self, Cic, Found};
use super::trail::{Rule, Trail, Verdict};
use crate::number::Number;
use crate::tenant::ExplicitRoute;
use crate::view::Person;

const HAS_OWNER: &str = "the number has an owner";

impl<'a> Call<'a> {
    /// The administrator's own route won over whatever the directory says.
    pub(super) fn tell_route_won<T: Trail>(
        &self,
        number: Number,
        route: &ExplicitRoute,
        found: &Found<'a>,
        trail: &mut T,
    ) {
        trail.step(Rule::ExplicitRoute, Verdict::Won, || {
            format!("the explicit route {route} gives {number} to {}", route.owner).into()
        });
        trail.step(Rule::CicOwner, Verdict::Lost, || match found.cic {
            Some(cic) => {
                let whose = holder(number, cic, found.assigned.is_some());
                format!("{number} is {whose} (directory), but an explicit route comes before the directory")
                    .into()
            }
            None => format!("{number} is no DID, extension, workgroup or Attendant number of CIC").into(),
        });
        trail.step(Rule::LyncOwner, Verdict::Lost, || match found.line {
            Some(user) => format!(
                "{number} is {}'s Line URI, but an explicit route comes before the directory",
                name(user)
            )
            .into(),
            None => format!("{number} is nobody's Line URI").into(),
        });
        trail.step(Rule::DefaultOwner, Verdict::Lost, || HAS_OWNER.into());
    }

    /// A number that the directory assigns to a user of Lync alone.
    pub(super) fn tell_assigned_to_lync<T: Trail>(&self, number: Number, owned: &Owned<'a>, trail: &mut T) {
        let user = || owned.user.map(name).unwrap_or_default();
        trail.step(Rule::CicOwner, Verdict::Lost, || {
            format!("{number} is assigned to {}, who has no CIC account", user()).into()
        });
        trail.step(Rule::LyncOwner, Verdict::Won, || {
            let line = owned.user.and_then(|u| u.line()).filter(|line| *line != number);
            match line {
                Some(line) => {
                    format!("{}'s Line URI is {line}: Lync owns what is assigned to them", user()).into()
                }
                None => format!("{number} is assigned to {}: Lync owns it", user()).into(),
            }
        });
        trail.step(Rule::DefaultOwner, Verdict::Lost, || HAS_OWNER.into());
    }

    /// A Line URI called as such.
    pub(super) fn tell_line_uri_won<T: Trail>(
        &self,
        number: Number,
        user: &'a Person,
        rung_by_cic: bool,
        trail: &mut T,
    ) {
        trail.step(Rule::LyncOwner, Verdict::Won, || {
            let name = name(user);
            match (&user.cic, lookup::row(user)) {
                (None, _) => {
                    format!("{number} is the Line URI of {name}, who has no CIC account: Lync owns it").into()
                }
                (_, Some(super::plan::Row::R6)) => format!(
                    "{number} is {name}'s Line URI under remote call control, which is the number of a CIC \
                     phone: CIC owns it"
                )
                .into(),
                _ if rung_by_cic => {
                    format!("{number} is {name}'s Line URI: CIC rings the station there").into()
                }
                _ => format!("{number} is {name}'s Line URI, not a DID: Lync rings it without CIC").into(),
            }
        });
        trail.step(Rule::DefaultOwner, Verdict::Lost, || HAS_OWNER.into());
    }

    /// A number of CIC's side.
    pub(super) fn tell_cic_won<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        found: &Found<'a>,
        trail: &mut T,
    ) {
        trail.step(Rule::CicOwner, Verdict::Won, || {
            let whose = found.cic.map(|cic| holder(number, cic, found.assigned.is_some()));
            let whose = whose.unwrap_or_default();
            format!("{number} is {whose} (directory), so CIC owns it").into()
        });
        trail.step(Rule::LyncOwner, Verdict::Lost, || match (found.line, owned.user) {
            (Some(user), _) => format!(
                "{number} is also {}'s Line URI, but a CIC entry comes before a Lync entry",
                name(user)
            )
            .into(),
            (None, Some(user)) => match user.line() {
                Some(line) => format!("{number} is nobody's Line URI; {}'s is {line}", name(user)).into(),
                None => format!("{number} is nobody's Line URI").into(),
            },
            (None, None) => format!("{number} is nobody's Line URI").into(),
        });
        trail.step(Rule::DefaultOwner, Verdict::Lost, || HAS_OWNER.into());
    }
}

/// Whose a number of CIC's side is.
fn holder(number: Number, cic: Cic<'_>, assigned: bool) -> String {
    match cic {
        Cic::User(user) => {
            let what = match (assigned, number.is_global()) {
                (true, _) => "DID",
                (false, true) => "number",
                (false, false) => "extension",
            };
            format!("{}'s {what}", name(user))
        }
        Cic::Workgroup(workgroup) => format!("the number of workgroup {}", workgroup.id),
        Cic::Station(station) => format!("the extension of station {}", station.id),
        Cic::Attendant => "an Attendant number".into(),
        Cic::Unknown => "assigned to somebody whom the directory does not know".into(),
    }
}
