//! The next hop from where it is asked (domain rules 9.1).
//!
//! ```text
//! read the attempt ─> emergency? ─> dialog? ─> too many alike? ─> whose number is it? ─> which system is next?
//!                                                                      │
//!             Decision  <─ targets, identity, treatment  <─ toll  <─ survivable?
//! ```
//!
//! Total and deterministic: every attempt has an answer, and the same view, attempt and facts give the same one.

mod out;

use super::attempt::{CallAttempt, Facts};
use super::call::{Call, Entry, Owned, name, shown};
use super::decision::{Carriage, Decision, Outcome, Owner, Reason, Rejection, Route, Treatment};
use super::lookup;
use super::plan::media;
use super::plan::way::Goal;
use super::targets;
use super::toll::{Judgement, Toll};
use super::trail::{Rule, Trail, Verdict};
use crate::document::directory::User;
use crate::document::terms::{
    InboundOption, LyncPstnEgress, MediaLost, Model, TrunkRole,
};
use crate::number::Number;
use crate::number::parse::Dialled;
use crate::tenant::{SiteIx, TrunkIx};
use crate::view::TenantView;

use out::{Request, Writer};

/// Trunks of one decision, in order.
pub(super) type Trunks = smallvec::SmallVec<[TrunkIx; 8]>;

/// Decides the next hop of a call from where it is asked.
///
/// The ingress says where: a gateway (option 1: at the proxy; 2 and 3: between gateway and the first system), CIC
/// (at its outbound proxy), Lync (between Mediation and the next), another proxy, or a user's own phone. A refusal
/// is a decision too. No words are composed for a trail that keeps nothing.
#[must_use]
pub fn decide<T: Trail>(
    view: &TenantView<'_>,
    attempt: &CallAttempt<'_>,
    facts: &Facts,
    trail: &mut T,
) -> Decision {
    let call = match Call::read(view, attempt, facts) {
        Ok(call) => call,
        Err(reason) => {
            let rejection = Rejection { reason, words: words::<T>(|| shown_ingress(attempt, reason)) };
            return Decision {
                revision: view.revision(),
                owner: Owner::NotLookedUp,
                called: None,
                emergency: false,
                outcome: Outcome::Reject(rejection),
            };
        }
    };
    call.decide(trail)
}

fn words<T: Trail>(compose: impl FnOnce() -> String) -> String {
    if T::KEEPS { compose() } else { String::new() }
}

fn shown_ingress(attempt: &CallAttempt<'_>, reason: Reason) -> String {
    let (super::attempt::Ingress::Trunk(name) | super::attempt::Ingress::User(name)) = attempt.ingress;
    format!("\"{}\": {}", shown(name), reason.hint())
}

/// Where a call goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Next {
    pub(super) trunks: Trunks,
    pub(super) number: Number,
    pub(super) survivable: bool,
    /// Whether CIC gets it, which has treatments of its own.
    pub(super) to_cic: bool,
}

impl<'a> Call<'a> {
    fn decide<T: Trail>(&self, trail: &mut T) -> Decision {
        if self.is_emergency() {
            return self.emergency(trail);
        }
        trail.step(Rule::Emergency, Verdict::Lost, || {
            format!("\"{}\" is no emergency string{}", shown(self.attempt.called), self.at_site()).into()
        });
        if let Some(decision) = self.dialog(trail) {
            return decision;
        }
        let limit = self.config.limits.attempts_alike;
        if self.facts.attempts_alike >= limit {
            trail.step(Rule::AttemptsAlike, Verdict::Won, || {
                format!("{} unanswered attempts alike at once, the limit is {limit}", self.facts.attempts_alike).into()
            });
            return self.reject::<T>(Owner::NotLookedUp, None, Reason::LoopDetected);
        }
        let number = match self.number(trail) {
            Ok(number) => number,
            Err(reason) => return self.reject::<T>(Owner::NotLookedUp, None, reason),
        };
        let owned = match self.owner(number, trail) {
            Ok(owned) => owned,
            Err((owner, reason)) => return self.reject::<T>(owner, Some(number), reason),
        };
        match self.next(number, &owned, trail) {
            Ok(next) => self.route(number, &owned, next, trail),
            Err(reason) => self.reject::<T>(owned.owner, Some(number), reason),
        }
    }

    fn answer(&self, owner: Owner, called: Option<Number>, emergency: bool, outcome: Outcome) -> Decision {
        Decision { revision: self.view.revision(), owner, called, emergency, outcome }
    }

    fn reject<T: Trail>(&self, owner: Owner, called: Option<Number>, reason: Reason) -> Decision {
        let words = words::<T>(|| match called {
            Some(number) => format!("{number}: {}", reason.hint()),
            None => format!("\"{}\": {}", shown(self.attempt.called), reason.hint()),
        });
        self.answer(owner, called, false, Outcome::Reject(Rejection { reason, words }))
    }

    fn at_site(&self) -> String {
        self.caller.site.map_or_else(String::new, |s| format!(" at {}", self.config.site(s).name))
    }

    /// The next hop of a number (domain rules 3.2, 9.1).
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn next<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        match self.entry.role() {
            Some(TrunkRole::Cic) => self.from_cic(number, owned, trail),
            Some(TrunkRole::Lync) => self.from_lync(number, owned, trail),
            Some(TrunkRole::Gateway | TrunkRole::SipProxy | TrunkRole::MediaServer) => {
                self.from_outside(number, owned, trail)
            }
            None => self.from_phone(number, owned, trail),
        }
    }

    fn from_outside<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        if owned.goal == Goal::Pstn {
            return self.to_pstn(number, false, trail);
        }
        let inbound = self.config.inbound;
        let first = match inbound {
            InboundOption::ProxyFirst if owned.goal.is_cic() => TrunkRole::Cic,
            InboundOption::ProxyFirst => TrunkRole::Lync,
            InboundOption::CicFirst => TrunkRole::Cic,
            InboundOption::LyncFirst => TrunkRole::Lync,
        };
        trail.step(Rule::InboundOption, Verdict::Applied, || match inbound {
            InboundOption::ProxyFirst => format!("{inbound}: the proxy sends the owner's calls to {first}").into(),
            _ => format!("{inbound}: every call from outside meets {first} first, whoever owns it").into(),
        });
        if first == TrunkRole::Cic {
            return self.to_cic(number, owned, trail);
        }
        self.to_lync(number, false, trail)
    }

    /// What CIC sends out leaves by Mediation or gateway, and never goes back to CIC (domain rules 3.3, L3).
    fn from_cic<T: Trail>(&self, number: Number, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        match owned.goal {
            Goal::Pstn => self.to_pstn(number, false, trail),
            Goal::LyncPhone | Goal::Lync => self.to_lync(number, false, trail),
            Goal::Station(line) => {
                let line = line.ok_or(Reason::UnsupportedEndpoint)?;
                trail.step(Rule::EndpointRow, Verdict::Applied, || {
                    let whose = owned.user.map(name).unwrap_or_default();
                    format!("CIC rings {whose}'s station: the number becomes the Line URI {line}").into()
                });
                self.to_lync(line, false, trail)
            }
            Goal::CicPhone | Goal::Cic if self.retargeted() => self.to_cic(number, owned, trail),
            Goal::CicPhone | Goal::Cic => Err(self.would_return(number, TrunkRole::Cic, trail)),
        }
    }

    fn from_lync<T: Trail>(&self, number: Number, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        match owned.goal {
            Goal::Pstn => self.lync_to_pstn(number, owned, trail),
            Goal::LyncPhone | Goal::Lync if self.retargeted() => self.to_lync(number, false, trail),
            Goal::LyncPhone | Goal::Lync => Err(self.would_return(number, TrunkRole::Lync, trail)),
            Goal::Station(Some(line)) if line == number => {
                trail.step(Rule::Loop, Verdict::Won, || {
                    format!("{number} is DID and Line URI in one: CIC would send it back to Lync unchanged").into()
                });
                Err(Reason::PlannedLoop)
            }
            Goal::Station(_) | Goal::CicPhone | Goal::Cic => self.to_cic(number, owned, trail),
        }
    }

    /// A user's own phone asks its own system: CIC for CIC's phones and clients, Lync for the others.
    fn from_phone<T: Trail>(&self, number: Number, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        let Entry::User(user) = self.entry else { return Err(Reason::UnknownUser) };
        let by_lync = lookup::dials_in_lync(user);
        trail.step(Rule::EndpointRow, Verdict::Applied, || {
            let system = if by_lync { "Lync" } else { "CIC" };
            format!("{} dials in {system}, which decides further", name(user)).into()
        });
        match (by_lync, owned.goal) {
            (true, _) => self.to_lync(number, false, trail),
            (false, Goal::Pstn) => {
                let toll = self.judge(Some(number), trail);
                if let Some(reason) = toll.refusal() {
                    return Err(reason);
                }
                if self.survivable() { self.to_pstn(number, true, trail) } else { self.to_cic(number, owned, trail) }
            }
            (false, _) => self.to_cic(number, owned, trail),
        }
    }

    fn would_return<T: Trail>(&self, number: Number, role: TrunkRole, trail: &mut T) -> Reason {
        trail.step(Rule::NoReturn, Verdict::Won, || {
            format!("{number} came from {role} and is {role}'s: it does not go back").into()
        });
        Reason::WouldReturn
    }
}

/// Which trunks.
impl<'a> Call<'a> {
    fn to_lync<T: Trail>(&self, number: Number, survivable: bool, trail: &mut T) -> Result<Next, Reason> {
        let trunks = self.trunks(TrunkRole::Lync, trail)?;
        Ok(Next { trunks, number, survivable, to_cic: false })
    }

    fn to_cic<T: Trail>(&self, number: Number, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        if self.survivable() {
            let seconds = self.facts.cic_silent_seconds.unwrap_or_default();
            trail.step(Rule::Survivable, Verdict::Won, || {
                format!("the CIC in the cloud has been silent for {seconds} s: the survivable rules hold").into()
            });
            return self.survive(number, owned, trail);
        }
        if self.config.model == Model::LocalControl {
            trail.step(Rule::Survivable, Verdict::Lost, || "the CIC in the cloud is not known to be silent".into());
        }
        let media = &self.config.media;
        let server = media::media_server(
            self.config,
            self.config.places.cic,
            self.facts.premises_media_server_down,
        );
        if media.recorded && server.is_none() {
            let refused = media.media_server_lost == MediaLost::Refuse;
            trail.step(Rule::MediaAnchor, if refused { Verdict::Won } else { Verdict::Applied }, || {
                let then = media.media_server_lost;
                format!("no media server may record the call, and media may not leave the premises: {then}").into()
            });
            if refused {
                return Err(Reason::NoMediaServer);
            }
        }
        let trunks = self.trunks(TrunkRole::Cic, trail)?;
        Ok(Next { trunks, number, survivable: false, to_cic: true })
    }

    /// The first trunk of a role and its backups.
    fn trunks<T: Trail>(&self, role: TrunkRole, trail: &mut T) -> Result<Trunks, Reason> {
        let Some(first) = self.config.trunks_of(role).next() else {
            trail.step(Rule::Targets, Verdict::Lost, || format!("the tenant has no {role} trunk").into());
            return Err(Reason::NoTrunk);
        };
        let mut trunks = Trunks::from_slice(&[first]);
        self.with_backups(&mut trunks);
        Ok(trunks)
    }

    fn with_backups(&self, trunks: &mut Trunks) {
        for at in 0..trunks.len() {
            for backup in &self.config.trunk(trunks[at]).backup {
                if !trunks.contains(backup) {
                    trunks.push(*backup);
                }
            }
        }
    }

    fn lync_to_pstn<T: Trail>(&self, number: Number, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        let egress = self.config.lync_pstn_egress;
        let direct = egress == LyncPstnEgress::Gateway || self.survivable();
        trail.step(Rule::PstnEgress, Verdict::Applied, || {
            let why = if direct && egress == LyncPstnEgress::Cic { ", but CIC is silent: by the gateway" } else { "" };
            format!("Lync's calls to the PSTN go out by {egress}{why}").into()
        });
        if direct {
            return self.to_pstn(number, egress == LyncPstnEgress::Cic, trail);
        }
        match self.judge(Some(number), trail).refusal() {
            Some(reason) => Err(reason),
            None => self.to_cic(number, owned, trail),
        }
    }

    /// Out to the PSTN: who may, and by which gateway.
    fn to_pstn<T: Trail>(&self, number: Number, survivable: bool, trail: &mut T) -> Result<Next, Reason> {
        if self.is_off_net() && !self.forwarded_by_user(trail) {
            return Err(Reason::NoForwarder);
        }
        if self.entry.role() == Some(TrunkRole::Gateway) && !self.retargeted() {
            return Err(self.would_return(number, TrunkRole::Gateway, trail));
        }
        let toll = self.judge(Some(number), trail);
        if let Some(reason) = toll.refusal() {
            return Err(reason);
        }
        let site = self.caller.site;
        let mut trunks: Trunks = self.config.trunks_of(TrunkRole::Gateway).filter(|t| toll.by(*t)).collect();
        if trunks.is_empty() {
            trail.step(Rule::PstnEgress, Verdict::Lost, || "no gateway is left that the toll rule allows".into());
            let any = self.config.trunks_of(TrunkRole::Gateway).next().is_some();
            return Err(if any { Reason::Toll } else { Reason::NoTrunk });
        }
        // The caller's own gateway if there is one (domain rules 2.3: the station's location decides), else the
        // first; then its backups, as far as the toll rule allows them.
        let own = trunks.iter().position(|t| Some(self.config.trunk(*t).site) == site);
        let first = trunks[own.unwrap_or(0)];
        trail.step(Rule::PstnEgress, Verdict::Won, || {
            let trunk = self.config.trunk(first);
            match own {
                Some(_) => format!("{} stands where the caller is{}", trunk.name, self.at_site()).into(),
                None => format!("no gateway stands where the caller is{}: {}", self.at_site(), trunk.name).into(),
            }
        });
        trunks = Trunks::from_slice(&[first]);
        self.with_backups(&mut trunks);
        trunks.retain(|t| toll.by(*t));
        Ok(Next { trunks, number, survivable, to_cic: false })
    }

    /// Whether the caller is outside the tenant, as far as it may say so.
    fn is_off_net(&self) -> bool {
        match self.entry {
            Entry::User(_) => false,
            Entry::Trunk(_, trunk) => match trunk.role {
                TrunkRole::Gateway | TrunkRole::SipProxy => self.caller.user.is_none(),
                // CIC and Lync ring out for their users; a caller from outside is one whose number is neither a
                // user's nor in the tenant's ranges.
                _ => {
                    self.caller.user.is_none()
                        && self.caller.number.is_some_and(|n| n.is_global() && self.config.range(n).is_none())
                }
            },
        }
    }

    /// Whether a user of the tenant is shown to have forwarded the call.
    fn forwarded_by_user<T: Trail>(&self, trail: &mut T) -> bool {
        let by = self.attempt.hints.forwarded_by;
        // Evidence counts from CIC and Lync, from a trusted trunk, and where the element itself retargets.
        let believed = self.retargeted()
            || self.entry.trusted()
            || matches!(self.entry.role(), Some(TrunkRole::Cic | TrunkRole::Lync));
        let user = by.filter(|_| believed).and_then(|text| self.user_named(text));
        trail.step(Rule::Toll, if user.is_some() { Verdict::Applied } else { Verdict::Lost }, || match (user, by) {
            (Some(user), _) => format!("from outside to outside: {} forwarded the call", name(user)).into(),
            (None, Some(text)) => {
                format!("from outside to outside: \"{}\" is not shown to be a user who forwarded it", shown(text)).into()
            }
            (None, None) => "from outside to outside, and nobody is shown to have forwarded it".into(),
        });
        user.is_some()
    }

    fn user_named(&self, text: &'a str) -> Option<&'a User> {
        let ix = match self.entry {
            Entry::Trunk(ix, _) => ix,
            Entry::User(user) => return Some(user),
        };
        let (number, address) = self.identified(text, ix);
        number
            .and_then(|n| lookup::user_by_number(self.view, n))
            .or_else(|| lookup::user_by_sip(self.view, address?))
    }

    fn judge<T: Trail>(&self, called: Option<Number>, trail: &mut T) -> Judgement<'a> {
        let toll = Toll { config: self.config, from: self.entry.role(), site: self.caller.site };
        let judgement = toll.judge(called);
        trail.step(Rule::Toll, Verdict::Applied, || match judgement {
            Judgement::Allowed(at, _) => format!("toll rule {} allows it", at + 1).into(),
            Judgement::Forbidden(at) => format!("toll rule {} forbids it", at + 1).into(),
            Judgement::NoRule => "no toll rule speaks of it, and what no rule allows is refused".into(),
        });
        judgement
    }
}

/// Domain rules 2.4.
impl<'a> Call<'a> {
    /// Whether the survivable rules hold: in local control, while the CIC in the cloud is silent.
    pub(super) fn survivable(&self) -> bool {
        let limit = u32::from(self.config.survivable.cic_silent_seconds);
        self.config.model == Model::LocalControl
            && self.config.places.cic == SiteIx::CLOUD
            && self.facts.cic_silent_seconds.is_some_and(|s| s >= limit)
    }

    fn survive<T: Trail>(&self, number: Number, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        match owned.goal {
            _ if owned.queue() || owned.owner == Owner::Attendant => self.hunt(owned, trail),
            Goal::Station(line) => {
                let line = line.ok_or(Reason::UnsupportedEndpoint)?;
                trail.step(Rule::Survivable, Verdict::Applied, || {
                    let whose = owned.user.map(name).unwrap_or_default();
                    format!("{whose}'s Lync phone is reached by its Line URI {line}, without CIC's features").into()
                });
                self.to_lync(line, true, trail)
            }
            Goal::LyncPhone | Goal::Lync => self.to_lync(number, true, trail),
            Goal::Pstn => self.to_pstn(number, true, trail),
            Goal::CicPhone => {
                trail.step(Rule::Survivable, Verdict::Lost, || {
                    let whose = owned.user.map(name).unwrap_or_default();
                    format!("{whose}'s CIC phone is registered with no element of its site").into()
                });
                Err(Reason::PhoneNotRegistered)
            }
            Goal::Cic => Err(Reason::WanLost),
        }
    }

    /// A queue's calls go to its hunt target, if that is reached without CIC.
    pub(super) fn hunt<T: Trail>(&self, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        let target = self.hunt_target(owned).ok_or(Reason::NoHuntTarget)?;
        trail.step(Rule::Survivable, Verdict::Applied, || {
            format!("queues live in the silent CIC: the call goes to the hunt target {target}").into()
        });
        let found = lookup::number(self.view, target);
        let line = match found.cic {
            Some(lookup::Cic::User(user)) => lookup::line_of(user).filter(|_| lookup::rings_in_lync(user)),
            Some(_) => None,
            None => found.line.map(|_| target),
        };
        match line {
            Some(line) => self.to_lync(line, true, trail),
            None if found.cic.is_some() => Err(Reason::NoHuntTarget),
            None if target.is_global() && self.config.range(target).is_none() => self.hunt_by_pstn(target, trail),
            None => Err(Reason::NoHuntTarget),
        }
    }

    /// The administrator wrote the target: it needs no forwarder, but the toll policy holds.
    fn hunt_by_pstn<T: Trail>(&self, target: Number, trail: &mut T) -> Result<Next, Reason> {
        let toll = self.judge(Some(target), trail);
        if let Some(reason) = toll.refusal() {
            return Err(reason);
        }
        let trunks: Trunks = self.config.trunks_of(TrunkRole::Gateway).filter(|t| toll.by(*t)).collect();
        if trunks.is_empty() {
            return Err(Reason::NoTrunk);
        }
        Ok(Next { trunks, number: target, survivable: true, to_cic: false })
    }

    pub(super) fn hunt_target(&self, owned: &Owned<'a>) -> Option<Number> {
        let own = owned.workgroup.and_then(|w| w.hunt_target.as_deref()).and_then(Number::parse_canonical);
        own.or(self.config.survivable.hunt_target)
    }
}

/// What is carried out.
impl<'a> Call<'a> {
    fn route<T: Trail>(&self, number: Number, owned: &Owned<'a>, next: Next, trail: &mut T) -> Decision {
        let writer = Writer { call: self, request: Request::Number(next.number), emergency: None };
        let treatment = self.treatment(number, owned, &next, trail);
        let route = self.carry(&writer, &next.trunks, treatment, next.survivable, trail);
        self.answer(owned.owner.clone(), Some(number), false, Outcome::Route(route))
    }

    fn carry<T: Trail>(
        &self,
        writer: &Writer<'_, 'a>,
        trunks: &[TrunkIx],
        treatment: Treatment,
        survivable: bool,
        trail: &mut T,
    ) -> Route {
        let targets =
            targets::targets(self.config, self.facts, targets::chance(self.attempt), trunks, writer);
        self.tell_targets(&targets, trunks, trail);
        // An emergency call is never handed back to be placed anew: its identity must arrive.
        let carriage = match self.entry {
            Entry::Trunk(_, trunk) if trunk.accept_302 && writer.emergency.is_none() => Carriage::Redirect,
            _ => Carriage::Proxy,
        };
        Route { carriage, targets, treatment, survivable }
    }

    /// What happens when nobody takes the call: the number's own treatment, the user's or workgroup's, the tenant's.
    fn treatment<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        next: &Next,
        trail: &mut T,
    ) -> Treatment {
        let user = matches!(owned.owner, Owner::LyncUser(_) | Owner::CicUser(_) | Owner::Workgroup(_));
        if next.to_cic || !user {
            trail.step(Rule::Treatment, Verdict::Lost, || {
                let why = if next.to_cic { "CIC has treatments of its own" } else { "the number is no user's" };
                format!("no treatment of ours: {why}").into()
            });
            return Treatment::default();
        }
        // The station leg that CIC itself began is CIC's to treat.
        if self.entry.role() == Some(TrunkRole::Cic) && owned.user.is_some_and(|u| u.cic.is_some()) {
            trail.step(Rule::Treatment, Verdict::Lost, || "CIC rings its own station and treats the call".into());
            return Treatment::default();
        }
        let mut all = self.config.treatments;
        if let Some(workgroup) = owned.workgroup {
            all = all.with(&workgroup.treatments);
        } else if let Some(user) = owned.user {
            all = all.with(&user.treatments);
        }
        if let Some(assignment) = owned.assignment {
            all = all.with(&assignment.treatments);
        }
        // A call is not forwarded to the number that was called.
        let other = |to: Option<Number>| to.filter(|n| *n != number && *n != next.number);
        let treatment = Treatment {
            on_busy: other(all.on_busy).map(out::boxed),
            on_no_answer: other(all.on_no_answer).map(|n| (out::boxed(n), all.no_answer_seconds)),
            on_unreachable: other(all.on_unreachable).map(out::boxed),
        };
        trail.step(Rule::Treatment, Verdict::Applied, || out::treatment_words(&treatment).into());
        treatment
    }

    /// Egress by the caller's site, before everything (domain rules 9.1): no toll, limit, loop guard or treatment.
    fn emergency<T: Trail>(&self, trail: &mut T) -> Decision {
        let site = self.emergency_site();
        let Some((site, mut trunks)) = site else {
            trail.step(Rule::Emergency, Verdict::Lost, || "no site of the tenant has a gateway".into());
            let mut decision = self.reject::<T>(Owner::NotLookedUp, None, Reason::NoEmergencyEgress);
            decision.emergency = true;
            return decision;
        };
        self.with_backups(&mut trunks);
        // A gateway that itself sent the call gets it back only when there is no other.
        if let Entry::Trunk(ix, _) = self.entry {
            trunks.sort_by_key(|t| *t == ix);
        }
        trail.step(Rule::Emergency, Verdict::Won, || {
            let name = &self.config.site(site).name;
            let own = if Some(site) == self.caller.site { "the caller's site" } else { "no egress where the caller is" };
            format!("an emergency call{}: out by {name} ({own}), before everything", self.at_site()).into()
        });
        let writer = Writer { call: self, request: self.emergency_request(site), emergency: Some(site) };
        let route = self.carry(&writer, &trunks, Treatment::default(), false, trail);
        self.answer(Owner::NotLookedUp, None, true, Outcome::Route(route))
    }

    /// The site whose egress an emergency call takes: the caller's; where that has none, the phones', then any that
    /// has one, for a call that reaches a rescuer elsewhere is better than none; at last any gateway.
    pub(super) fn emergency_site(&self) -> Option<(SiteIx, Trunks)> {
        let all = (0_u8..).zip(&self.config.sites).map(|(at, _)| SiteIx(at));
        let order = self.caller.site.into_iter().chain([self.config.places.phones]).chain(all);
        let with_egress = order
            .map(|site| (site, Trunks::from_slice(&self.config.site(site).emergency.egress)))
            .find(|(_, egress)| !egress.is_empty());
        with_egress.or_else(|| {
            let any: Trunks = self.config.trunks_of(TrunkRole::Gateway).collect();
            let first = *any.first()?;
            Some((self.config.trunk(first).site, any))
        })
    }

    /// What a gateway dials for help: the string that was dialled, or for the urn the site's first string.
    fn emergency_request(&self, site: SiteIx) -> Request<'a> {
        let dialled = match &self.dialled {
            Ok(Dialled::Local(digits)) => crate::number::Digits::parse(digits.as_bytes()),
            _ => self.config.site(site).emergency.numbers.first().copied(),
        };
        dialled.and_then(Number::local).map_or(Request::Verbatim(self.attempt.called), Request::Number)
    }

    /// A request that belongs to a dialog elsewhere, or whose Request-URI is no number: it goes to the trunk whose
    /// domain it names, and is not looked up (domain rules 9.1).
    fn dialog<T: Trail>(&self, trail: &mut T) -> Option<Decision> {
        let address = matches!(self.dialled, Ok(Dialled::Address { .. }));
        if !address && !self.attempt.hints.replaces {
            trail.step(Rule::Dialog, Verdict::Lost, || "a number is called, in no dialog of others".into());
            return None;
        }
        let host = out::host(self.attempt.called);
        let of = |ix: &TrunkIx| {
            let domains = &self.config.trunk(*ix).domains;
            host.is_some_and(|h| domains.iter().any(|d| d.eq_ignore_ascii_case(h)))
        };
        let all = (0_u16..).zip(&self.config.trunks).map(|(at, _)| TrunkIx(at));
        let Some(ix) = all.into_iter().find(of) else {
            trail.step(Rule::Dialog, Verdict::Lost, || {
                format!("\"{}\" is in no domain of a trunk", shown(host.unwrap_or(self.attempt.called))).into()
            });
            return address.then(|| self.reject::<T>(Owner::NotLookedUp, None, Reason::NotANumber));
        };
        let trunk = self.config.trunk(ix);
        trail.step(Rule::Dialog, Verdict::Won, || {
            let what = if self.attempt.hints.replaces { "it replaces a dialog there" } else { "it is no number" };
            format!("\"{}\" is in the domain of trunk {}, and {what}", shown(self.attempt.called), trunk.name).into()
        });
        if let Some(reason) = self.dialog_refusal(ix, trail) {
            return Some(self.reject::<T>(Owner::NotLookedUp, None, reason));
        }
        let mut trunks = Trunks::from_slice(&[ix]);
        self.with_backups(&mut trunks);
        let writer = Writer { call: self, request: Request::Verbatim(self.attempt.called), emergency: None };
        let route = self.carry(&writer, &trunks, Treatment::default(), false, trail);
        Some(self.answer(Owner::NotLookedUp, None, false, Outcome::Route(route)))
    }

    fn dialog_refusal<T: Trail>(&self, ix: TrunkIx, trail: &mut T) -> Option<Reason> {
        let role = self.config.trunk(ix).role;
        if role == TrunkRole::MediaServer {
            return Some(Reason::NotANumber);
        }
        if self.entry.role() == Some(role) && !self.retargeted() {
            trail.step(Rule::NoReturn, Verdict::Won, || format!("it came from {role}: it does not go back").into());
            return Some(Reason::WouldReturn);
        }
        if role != TrunkRole::Gateway {
            return None;
        }
        if self.is_off_net() && !self.forwarded_by_user(trail) {
            return Some(Reason::NoForwarder);
        }
        let number = self.number(trail).ok();
        let toll = self.judge(number, trail);
        if toll.by(ix) { None } else { Some(Reason::Toll) }
    }
}
