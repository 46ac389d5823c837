//! What a call attempt means to one tenant: who calls, what is called, and whose it is (domain rules 3.1).
//!
//! [`decide`](super::decide) and [`plan`](super::plan::plan) both start here, so that they cannot differ about it.

use super::attempt::{CallAttempt, Facts, Ingress, Method};
use super::decision::{Owner, Reason};
use super::endpoint;
use super::lookup::{self, Cic};
use super::plan::Row;
use super::plan::way::Goal;
use super::trail::{Rule, Trail, Verdict};
use crate::document::directory::Workgroup;
use crate::document::terms::{InboundOption, RouteOwner, TrunkRole};
use crate::number::parse::{Dialled, Refusal};
use crate::number::{Digits, Number, Origin, canonical, parse};
use crate::tenant::{Config, ExplicitRoute, SiteIx, Trunk, TrunkIx};
use crate::view::{Person, TenantView};

/// By which way the call came to be asked about.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entry<'a> {
    /// By a trunk.
    Trunk(TrunkIx, &'a Trunk),
    /// From a user's own phone or client.
    User(&'a Person),
    /// From where nothing but a call for help is taken: a trunk or user that the tenant does not know.
    Stranger(Reason),
}

impl Entry<'_> {
    /// The role of the ingress trunk; none: a user's own phone.
    pub(super) const fn role(&self) -> Option<TrunkRole> {
        match self {
            Self::Trunk(_, trunk) => Some(trunk.role),
            Self::User(_) | Self::Stranger(_) => None,
        }
    }

    /// Whether identity that came in is believed (RFC 3325). A user's own phone is authenticated.
    pub(super) const fn trusted(&self) -> bool {
        match self {
            Self::Trunk(_, trunk) => trunk.identity.trusted,
            Self::User(_) => true,
            Self::Stranger(_) => false,
        }
    }
}

/// Who calls.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Caller<'a> {
    /// Their number, canonical, where they have one.
    pub(super) number: Option<Number>,
    /// Whether the number may be asserted to others (RFC 3325 5): the phone is authenticated, or the trunk believed.
    pub(super) believed: bool,
    /// Who of the tenant they are, as far as the ingress may say so.
    pub(super) user: Option<&'a Person>,
    /// Where they sit, or else where the trunk stands that the call came by.
    pub(super) site: Option<SiteIx>,
}

/// A call attempt, understood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) view: &'a TenantView,
    pub(super) config: &'a Config,
    pub(super) attempt: &'a CallAttempt<'a>,
    pub(super) facts: &'a Facts,
    pub(super) entry: Entry<'a>,
    pub(super) caller: Caller<'a>,
    pub(super) dialled: Result<Dialled<'a>, Refusal>,
}

impl<'a> Call<'a> {
    /// Reads an attempt: by which trunk, who calls, what was dialled.
    ///
    /// # Errors
    /// That the tenant has no policy. From where it came is asked after whether it is a call for help.
    pub(super) fn read(
        view: &'a TenantView,
        attempt: &'a CallAttempt<'a>,
        facts: &'a Facts,
    ) -> Result<Self, Reason> {
        let config: &'a Config = view.config().ok_or(Reason::NoPolicy)?;
        let entry = match attempt.ingress {
            Ingress::Trunk(name) => {
                let known = config.trunk_named(name).map(|ix| (ix, config.trunk(ix)));
                let caller = known.filter(|(_, trunk)| trunk.role != TrunkRole::MediaServer);
                caller.map_or(Entry::Stranger(Reason::UnknownTrunk), |(ix, trunk)| Entry::Trunk(ix, trunk))
            }
            Ingress::User(id) => view.person(id).map_or(Entry::Stranger(Reason::UnknownUser), Entry::User),
        };
        let dialled = parse(attempt.called);
        let mut call = Self { view, config, attempt, facts, entry, caller: Caller::default(), dialled };
        call.caller = call.who_calls();
        Ok(call)
    }

    /// Who calls: the user of the phone, or whose number the message gives. From is believed of CIC and Lync,
    /// which are the tenant's own; of others only what a trusted trunk asserts.
    fn who_calls(&self) -> Caller<'a> {
        let Entry::Trunk(ix, trunk) = self.entry else {
            let Entry::User(user) = self.entry else { return Caller::default() };
            let from = parse(self.attempt.caller.from).ok();
            let site = lookup::site_of_caller(self.view, user);
            let from = from.and_then(|d| canonical(self.config, Origin { trunk: None, site }, &d).ok());
            // A phone may say which of the user's numbers it calls by, but not somebody else's.
            let own = from.filter(|n| lookup::user_by_number(self.view, *n).is_some_and(|u| u.id == user.id));
            let number = own.or_else(|| self.number_of(user));
            return Caller { number, believed: true, user: Some(user), site };
        };
        let own = matches!(trunk.role, TrunkRole::Cic | TrunkRole::Lync);
        let asserted = self.attempt.caller.asserted.filter(|_| trunk.identity.trusted);
        let (number, address) = self.identified(asserted.unwrap_or(self.attempt.caller.from), ix);
        let believed = own || asserted.is_some();
        let user = if believed { number.and_then(|n| lookup::user_by_number(self.view, n)) } else { None };
        let user = user.or_else(|| if believed { self.view.person_by_sip(address?) } else { None });
        let site = user.and_then(|u| lookup::site_of_caller(self.view, u)).or(Some(trunk.site));
        let number = number.or_else(|| self.number_of(user?));
        Caller { number, believed: own || trunk.identity.trusted, user, site }
    }

    /// The number or address that a text names.
    pub(super) fn identified(&self, text: &'a str, ix: TrunkIx) -> (Option<Number>, Option<&'a str>) {
        match parse(text) {
            Ok(dialled @ (Dialled::Global(_) | Dialled::Local(_))) => {
                let origin = Origin { trunk: Some(ix), site: None };
                (canonical(self.config, origin, &dialled).ok(), None)
            }
            Ok(Dialled::Address { .. }) => (None, Some(text)),
            _ => (None, None),
        }
    }

    /// The number that a text of the message names, as the caller dials it.
    pub(super) fn number_said(&self, text: &str) -> Option<Number> {
        let trunk = match self.entry {
            Entry::Trunk(ix, _) => Some(ix),
            Entry::User(_) | Entry::Stranger(_) => None,
        };
        canonical(self.config, Origin { trunk, site: self.caller.site }, &parse(text).ok()?).ok()
    }

    /// The number that a user calls by, where the call itself names none. The Line URI of rows 3 to 5 is the
    /// station's address, for inside only (domain rules 3.1).
    pub(super) fn number_of(&self, user: &Person) -> Option<Number> {
        user.extension().or_else(|| user.line())
    }

    /// Whether the call is one for help: the urn, or a dial string that holds where the caller sits. Who is not known
    /// may sit anywhere: the trunk says where its peer stands, not where the phone does. But what a gateway brings comes
    /// from no phone of ours; the last digits of a DID may read like another country's emergency string.
    pub(super) fn is_emergency(&self) -> bool {
        let outside = self.entry.role() == Some(TrunkRole::Gateway);
        let site = self.caller.site.filter(|_| outside || self.caller.user.is_some());
        match &self.dialled {
            Ok(dialled @ Dialled::Service(_)) => dialled.is_sos(),
            Ok(_) => self.dial_string().is_some_and(|d| self.config.is_emergency(site, d)),
            Err(_) => false,
        }
    }

    /// The digits that were dialled, if they could be a dial string for help. Lync writes such a string with a plus
    /// before it (its voice route for it is `^\+112$`), and no number of E.164 is as short.
    pub(super) fn dial_string(&self) -> Option<Digits> {
        match &self.dialled {
            Ok(Dialled::Local(digits)) => Digits::parse(digits.as_bytes()),
            Ok(Dialled::Global(number)) if number.ext().is_empty() => Some(number.digits()),
            _ => None,
        }
    }

    /// What was called as a number of the tenant or the world.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn number<T: Trail>(&self, trail: &mut T) -> Result<Number, Reason> {
        let refuse = |refusal: Refusal| match refusal {
            Refusal::TooLong { .. } => Reason::NumberTooLong,
            Refusal::Empty | Refusal::NotANumber(_) => Reason::NotANumber,
        };
        let dialled = self.dialled.as_ref().map_err(|r| refuse(*r))?;
        let trunk = match self.entry {
            Entry::Trunk(ix, _) => Some(ix),
            Entry::User(_) | Entry::Stranger(_) => None,
        };
        let number = canonical(self.config, Origin { trunk, site: self.caller.site }, dialled);
        let number = number.map_err(refuse)?;
        trail.step(Rule::Normalisation, Verdict::Applied, || {
            let place = self.caller.site.map(|s| format!(" (caller at {})", self.config.site(s).name));
            format!("\"{}\" is {number}{}", shown(self.attempt.called), place.unwrap_or_default()).into()
        });
        Ok(number)
    }
}

/// Text from a message, for people: cut short and without control characters.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// Whose number it is, and where that leads.
#[derive(Clone, Debug)]
pub(super) struct Owned<'a> {
    pub(super) owner: Owner,
    pub(super) goal: Goal,
    /// The user called, or the agent that CIC chose.
    pub(super) user: Option<&'a Person>,
    /// Their endpoint row as the directory has it.
    pub(super) row: Option<Row>,
    pub(super) workgroup: Option<&'a Workgroup>,
    /// The number, where its assignment may have treatments of its own ([`lookup::assignment`]).
    pub(super) assigned: Option<Number>,
}

impl<'a> Owned<'a> {
    const fn system(owner: Owner, goal: Goal) -> Self {
        Self { owner, goal, user: None, row: None, workgroup: None, assigned: None }
    }

    /// Out to the PSTN, not looked up: an emergency call.
    pub(super) const fn pstn() -> Self {
        Self::system(Owner::NotLookedUp, Goal::Pstn)
    }

    /// Whether the call is a queue's.
    pub(super) const fn queue(&self) -> bool {
        matches!(self.owner, Owner::Workgroup(_))
    }
}

impl<'a> Call<'a> {
    /// Whose number it is, by the precedence of domain rules 3.1: explicit route, CIC objects, Lync objects, the
    /// inbound option's default.
    ///
    /// # Errors
    /// Why nobody is called.
    pub(super) fn owner<T: Trail>(
        &self,
        number: Number,
        trail: &mut T,
    ) -> Result<Owned<'a>, (Owner, Reason)> {
        let found = lookup::number(self.view, number);
        if let Some(route) = self.config.explicit_route(number) {
            self.tell_route_won(number, route, &found, trail);
            return self.by_route(route, &found, trail);
        }
        trail.step(Rule::ExplicitRoute, Verdict::Lost, || {
            format!("no explicit route names {number} or a start of it").into()
        });
        if let Some(cic) = found.cic {
            let owned = self.by_cic(cic, found.assigned);
            if matches!(owned.owner, Owner::LyncUser(_)) {
                self.tell_assigned_to_lync(number, &owned, trail);
                return Ok(owned);
            }
            self.tell_cic_won(number, &owned, &found, trail);
            return self.fit(owned, trail);
        }
        trail.step(Rule::CicOwner, Verdict::Lost, || {
            format!("{number} is no DID, extension, workgroup or Attendant number of CIC").into()
        });
        if let Some(user) = found.line {
            return self.by_line_uri(number, user, trail);
        }
        trail.step(Rule::LyncOwner, Verdict::Lost, || format!("{number} is nobody's Line URI").into());
        self.by_default(number, trail)
    }

    /// To whom the administrator's own route gives a number, whoever the directory says owns it.
    fn by_route<T: Trail>(
        &self,
        route: &ExplicitRoute,
        found: &lookup::Found<'a>,
        trail: &mut T,
    ) -> Result<Owned<'a>, (Owner, Reason)> {
        let lync_only = |user: &&'a Person| !user.has_cic();
        let owned = match route.owner {
            RouteOwner::Reject => return Err((Owner::Refused, Reason::RefusedByRoute)),
            // Whom Lync's own lookup rings, or who has no other system; what else it does with the number is Lync's.
            RouteOwner::Lync => {
                let assigned = found.cic.and_then(Cic::user).filter(lync_only);
                let rings = |user: &&'a Person| lync_only(user) || lookup::has_enterprise_voice(user);
                let user = found.line.filter(rings).or(assigned);
                return Ok(user.map_or_else(|| Owned::system(Owner::Lync, Goal::Lync), |u| self.lync_user(u)));
            }
            RouteOwner::Workgroup => {
                let named = route.workgroup.as_deref().and_then(|name| self.view.workgroup(name));
                let owned = named.map(|w| self.by_cic(Cic::Workgroup(w), None));
                owned.unwrap_or_else(|| Owned::system(Owner::Cic, Goal::Cic))
            }
            RouteOwner::Cic => match found.cic {
                // A user without a CIC account is none of CIC's: the number alone is.
                Some(cic) if !cic.user().is_some_and(|u| lync_only(&u)) => self.by_cic(cic, found.assigned),
                // What CIC itself asks for is not CIC's to take: it rings its station at that Line URI.
                _ => match found.line.filter(|u| self.is_asked_by_cic() && u.has_cic()) {
                    Some(user) => self.lync_user(user),
                    None => Owned::system(Owner::Cic, Goal::Cic),
                },
            },
        };
        self.fit(owned, trail)
    }

    fn by_cic(&self, cic: Cic<'a>, assigned: Option<Number>) -> Owned<'a> {
        match cic {
            Cic::User(user) if !user.has_cic() => Owned { assigned, ..self.lync_user(user) },
            Cic::User(user) => self.cic_user(user, assigned),
            Cic::Attendant => Owned { assigned, ..Owned::system(Owner::Attendant, Goal::Cic) },
            Cic::Station(_) => Owned { assigned, ..Owned::system(Owner::Cic, Goal::CicPhone) },
            Cic::Unknown => Owned { assigned, ..Owned::system(Owner::Cic, Goal::Cic) },
            Cic::Workgroup(workgroup) => {
                let agent = self.facts.agent.as_ref().and_then(|id| self.view.person(id.as_str()));
                let by_agent = agent.map(|user| self.cic_user(user, assigned));
                let owned = by_agent.unwrap_or_else(|| Owned::system(Owner::Cic, Goal::Cic));
                let owner = Owner::Workgroup(workgroup.id.clone());
                Owned { owner, workgroup: Some(workgroup), assigned, ..owned }
            }
        }
    }

    fn cic_user(&self, user: &'a Person, assigned: Option<Number>) -> Owned<'a> {
        let row = lookup::row(user);
        let goal = match row {
            // Instant messages only, and nothing that rings: CIC still takes the call, with voicemail and handlers.
            Some(Row::ImOnly) if user.phone.is_none() => Goal::Cic,
            Some(Row::R1 | Row::R6 | Row::ImOnly) => Goal::CicPhone,
            // A station without a contact address cannot be rung: CIC takes the call alike.
            Some(Row::R3 | Row::R4 | Row::R5) => user.line().map_or(Goal::Cic, Goal::Station),
            Some(Row::R2) | None => Goal::Cic,
        };
        Owned {
            owner: Owner::CicUser(user.id.clone()),
            goal,
            user: Some(user),
            row,
            workgroup: None,
            assigned,
        }
    }

    pub(super) fn lync_user(&self, user: &'a Person) -> Owned<'a> {
        Owned {
            owner: Owner::LyncUser(user.id.clone()),
            goal: Goal::LyncPhone,
            user: Some(user),
            row: lookup::row(user),
            workgroup: None,
            assigned: None,
        }
    }

    /// A Line URI called as such. Of a Lync user it is the number; of rows 3 to 5 the station's contact address,
    /// which rings in Lync unless CIC itself calls it; of row 6 the CIC phone's own number.
    fn by_line_uri<T: Trail>(
        &self,
        number: Number,
        user: &'a Person,
        trail: &mut T,
    ) -> Result<Owned<'a>, (Owner, Reason)> {
        let row = lookup::row(user);
        let by_cic = self.is_asked_by_cic() && user.has_cic();
        self.tell_line_uri_won(number, user, by_cic, trail);
        match row {
            Some(Row::R6) => self.fit(self.cic_user(user, None), trail),
            // What CIC rings is a station, and row 5 is one only where the tenant turned it on.
            _ if by_cic => self.fit(self.lync_user(user), trail),
            _ => Ok(self.lync_user(user)),
        }
    }

    fn by_default<T: Trail>(&self, number: Number, trail: &mut T) -> Result<Owned<'a>, (Owner, Reason)> {
        let range = self.config.range(number);
        if number.is_global() && range.is_none() {
            trail.step(Rule::DefaultOwner, Verdict::Won, || {
                format!("{number} lies in none of the tenant's ranges: it is the PSTN's").into()
            });
            return Ok(Owned::system(Owner::Pstn, Goal::Pstn));
        }
        let owner = match self.config.inbound {
            InboundOption::ProxyFirst => self.config.default_route,
            InboundOption::CicFirst => Some(RouteOwner::Cic),
            InboundOption::LyncFirst => Some(RouteOwner::Lync),
        };
        trail.step(Rule::DefaultOwner, Verdict::Won, || {
            let inbound = self.config.inbound;
            match owner {
                Some(owner) => format!("nobody owns {number}: the default of {inbound} is {owner}").into(),
                None => format!("nobody owns {number}, and {inbound} has no default route").into(),
            }
        });
        match owner {
            Some(RouteOwner::Cic) => Ok(Owned::system(Owner::Cic, Goal::Cic)),
            Some(RouteOwner::Lync) => Ok(Owned::system(Owner::Lync, Goal::Lync)),
            Some(RouteOwner::Reject) => Err((Owner::Refused, Reason::RefusedByRoute)),
            Some(RouteOwner::Workgroup) | None => Err((Owner::Nobody, Reason::UnknownNumber)),
        }
    }

    /// Whether the user or agent can be called by the table at all (domain rules 1.2, 9).
    fn fit<T: Trail>(&self, owned: Owned<'a>, trail: &mut T) -> Result<Owned<'a>, (Owner, Reason)> {
        if owned.queue() && owned.user.is_some_and(|u| !u.has_cic()) {
            trail.step(Rule::EndpointRow, Verdict::Lost, || {
                let agent = owned.user.map(name).unwrap_or_default();
                format!("{agent} has no CIC account and cannot be an agent").into()
            });
            return Err((owned.owner, Reason::AgentNotCicUser));
        }
        let Some(user) = owned.user else { return Ok(owned) };
        let Some(row) = owned.row else {
            trail.step(Rule::EndpointRow, Verdict::Lost, || {
                format!("{}: {}; CIC takes the call itself", name(user), lookup::unsupported(user)).into()
            });
            return Ok(owned);
        };
        if row == Row::R5 && !self.config.features.row5 {
            trail.step(Rule::EndpointRow, Verdict::Lost, || {
                format!("{} is of row 5 ({}), which the tenant has not turned on", name(user), row.words())
                    .into()
            });
            return Err((owned.owner, Reason::NotReleased));
        }
        trail.step(Rule::EndpointRow, Verdict::Applied, || {
            let now = endpoint::in_force(user, row, self.facts).row;
            format!("{} is of row {}: {}", name(user), now.name(), now.words()).into()
        });
        Ok(owned)
    }

    fn is_asked_by_cic(&self) -> bool {
        self.entry.role() == Some(TrunkRole::Cic)
    }

    /// Whether the method asks where something else than a new call goes: a number that a transfer or redirection
    /// names did not come from the system that the call came from.
    pub(super) const fn retargeted(&self) -> bool {
        matches!(self.attempt.method, Method::Refer | Method::Redirect)
    }
}

/// A user, as people call them.
pub(super) fn name(user: &Person) -> &str {
    user.display_name.as_deref().unwrap_or(user.id.as_str())
}
