//! The next hop from where it is asked (domain rules 9.1).
//!
//! ```text
//! read the attempt ─> emergency? ─> leaving? ─> dialog? ─> too many alike? ─> whose number is it? ─> which system is next?
//!                                                                      │
//!             Decision  <─ targets, identity, treatment  <─ toll  <─ survivable?
//! ```
//!
//! Total and deterministic: every attempt has an answer, and the same view, attempt and facts give the same one.

mod carry;
mod dialog;
mod diverted;
mod emergency;
mod out;
mod pstn;
mod survive;
mod trunks;

use super::attempt::{CallAttempt, Facts, Ingress};
use super::call::{Call, Entry, Owned, name, shown};
use super::decision::{Decision, Outcome, Owner, Reason, Rejection};
use super::lookup;
use super::plan::way::Goal;
use super::trail::{Rule, Trail, Verdict};
use crate::document::terms::{InboundOption, TrunkRole};
use crate::number::Number;
use crate::tenant::TrunkIx;
use crate::view::TenantView;

/// Trunks of one decision, in order.
pub(super) type Trunks = smallvec::SmallVec<[TrunkIx; 8]>;

/// Decides the next hop of a call from where it is asked.
///
/// The ingress says where: a gateway (option 1: at the proxy; 2 and 3: between gateway and the first system), CIC
/// (at its outbound proxy), Lync (between Mediation and the next), another proxy, or a user's own phone. A refusal
/// is a decision too. No words are composed for a trail that keeps nothing.
#[must_use]
pub fn decide<T: Trail>(
    view: &TenantView,
    attempt: &CallAttempt<'_>,
    facts: &Facts,
    trail: &mut T,
) -> Decision {
    let call = match Call::read(view, attempt, facts) {
        Ok(call) => call,
        Err(reason) => {
            let rejection = Rejection { reason, words: words::<T>(|| reason.hint().into()) };
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
    let (Ingress::Trunk(name) | Ingress::User(name)) = attempt.ingress;
    format!("\"{}\": {}", shown(name), reason.hint())
}

/// What is called, and whose way is taken: of a rescuer who calls back the number of who called for help.
#[derive(Clone, Copy, Debug)]
struct Called {
    called: Number,
    number: Number,
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
        if let Entry::Stranger(reason) = self.entry {
            let words = words::<T>(|| shown_ingress(self.attempt, reason));
            let rejection = Rejection { reason, words };
            return self.answer(Owner::NotLookedUp, None, false, Outcome::Reject(rejection));
        }
        trail.step(Rule::Emergency, Verdict::Lost, || {
            let called = shown(self.attempt.called);
            match self.caller.user {
                Some(_) => format!("\"{called}\" is no emergency string{}", self.at_site()).into(),
                None => format!("\"{called}\" is no emergency string of any site").into(),
            }
        });
        if self.facts.leaving {
            trail.step(Rule::Leaving, Verdict::Won, || {
                "the edge is leaving, and this is no call for help".into()
            });
            return self.reject::<T>(Owner::NotLookedUp, None, Reason::Leaving);
        }
        if let Some(decision) = self.dialog(trail) {
            return decision;
        }
        let limits = self.config.limits.alike(self.entry.role(), self.caller.number.is_some());
        let (alike, by_number) = (self.facts.attempts_alike, self.facts.attempts_by_number);
        if let Some((count, limit)) = limits.and_then(|l| l.reached(alike, by_number)) {
            trail.step(Rule::AttemptsAlike, Verdict::Won, || {
                format!("{count} unanswered attempts alike at once, the limit is {limit}").into()
            });
            return self.reject::<T>(Owner::NotLookedUp, None, Reason::LoopDetected);
        }
        let called = match self.number(trail) {
            Ok(number) => number,
            Err(reason) => return self.reject::<T>(Owner::NotLookedUp, None, reason),
        };
        let number = self.called_back(called, trail).unwrap_or(called);
        let owned = match self.owner(number, trail) {
            Ok(owned) => owned,
            Err((owner, reason)) => return self.reject::<T>(owner, Some(called), reason),
        };
        match self.next(number, &owned, trail) {
            Ok(next) => self.route(Called { called, number }, &owned, next, trail),
            Err(reason) => self.reject::<T>(owned.owner, Some(called), reason),
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
            Some(TrunkRole::Cic) => self.asked_by_cic(number, owned, trail),
            Some(TrunkRole::Lync) => self.asked_by_lync(number, owned, trail),
            Some(TrunkRole::Gateway | TrunkRole::SipProxy | TrunkRole::MediaServer) => {
                self.asked_by_outside(number, owned, trail)
            }
            None => self.asked_by_phone(number, owned, trail),
        }
    }

    fn asked_by_outside<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        if owned.goal == Goal::Pstn {
            return self.by_gateway(number, false, trail);
        }
        let inbound = self.config.inbound;
        let first = match inbound {
            InboundOption::ProxyFirst if owned.goal.is_cic() => TrunkRole::Cic,
            InboundOption::ProxyFirst => TrunkRole::Lync,
            InboundOption::CicFirst => TrunkRole::Cic,
            InboundOption::LyncFirst => TrunkRole::Lync,
        };
        trail.step(Rule::InboundOption, Verdict::Applied, || match inbound {
            InboundOption::ProxyFirst => {
                format!("{inbound}: the proxy sends the owner's calls to {first}").into()
            }
            _ => format!("{inbound}: every call from outside meets {first} first, whoever owns it").into(),
        });
        // Nobody beyond knows a Lync user by another number than the Line URI.
        let number = self.line(number, owned);
        if first != TrunkRole::Cic {
            return self.by_lync_trunk(number, false, trail);
        }
        if self.passes_proxy_twice() && owned.goal == Goal::Station(number) && !self.survivable() {
            trail.step(Rule::Loop, Verdict::Won, || {
                format!("{number} is DID and Line URI in one: CIC would send it back to this proxy unchanged")
                    .into()
            });
            return Err(Reason::PlannedLoop);
        }
        self.by_cic_trunk(number, owned, trail)
    }

    /// Whether a call from outside to a Lync phone that is CIC's station meets this proxy before CIC and behind it.
    fn passes_proxy_twice(&self) -> bool {
        self.config.inbound == InboundOption::ProxyFirst && !self.config.lync.cic_line_direct
    }

    /// What Lync is asked for: of a Lync user the Line URI, for Lync knows no other number of theirs.
    fn line(&self, number: Number, owned: &Owned<'a>) -> Number {
        let user = owned.user.filter(|_| owned.goal == Goal::LyncPhone);
        user.and_then(|u| u.line()).unwrap_or(number)
    }

    /// What CIC sends out leaves by Mediation or gateway, and never goes back to CIC (domain rules 3.3, L3).
    fn asked_by_cic<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        match owned.goal {
            Goal::Pstn => self.by_gateway(number, false, trail),
            Goal::LyncPhone | Goal::Lync => self.by_lync_trunk(self.line(number, owned), false, trail),
            Goal::Station(line) => {
                trail.step(Rule::EndpointRow, Verdict::Applied, || {
                    let whose = owned.user.map(name).unwrap_or_default();
                    format!("CIC rings {whose}'s station: the number becomes the Line URI {line}").into()
                });
                self.by_lync_trunk(line, false, trail)
            }
            Goal::CicPhone | Goal::Cic if self.retargeted() => self.by_cic_trunk(number, owned, trail),
            // CIC asks for a station that has no address to be rung at.
            Goal::Cic if owned.user.is_some() && !owned.queue() => Err(Reason::UnsupportedEndpoint),
            Goal::CicPhone | Goal::Cic => Err(self.would_return(number, TrunkRole::Cic, trail)),
        }
    }

    fn asked_by_lync<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        match owned.goal {
            Goal::Pstn => self.lync_to_pstn(number, owned, trail),
            Goal::LyncPhone | Goal::Lync if self.retargeted() => {
                self.by_lync_trunk(self.line(number, owned), false, trail)
            }
            Goal::LyncPhone | Goal::Lync => Err(self.would_return(number, TrunkRole::Lync, trail)),
            Goal::Station(line) if line == number => {
                trail.step(Rule::Loop, Verdict::Won, || {
                    format!("{number} is DID and Line URI in one: CIC would send it back to Lync unchanged")
                        .into()
                });
                Err(Reason::PlannedLoop)
            }
            Goal::Station(_) | Goal::CicPhone | Goal::Cic => self.by_cic_trunk(number, owned, trail),
        }
    }

    /// A user's own phone asks its own system: CIC for CIC's phones and clients, Lync for the others.
    fn asked_by_phone<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        let Entry::User(user) = self.entry else { return Err(Reason::UnknownUser) };
        let by_lync = lookup::dials_in_lync(user);
        trail.step(Rule::EndpointRow, Verdict::Applied, || {
            let system = if by_lync { "Lync" } else { "CIC" };
            format!("{} dials in {system}, which decides further", name(user)).into()
        });
        match (by_lync, owned.goal) {
            (true, _) => self.by_lync_trunk(self.line(number, owned), false, trail),
            (false, Goal::Pstn) => {
                let toll = self.judge(Some(number), trail);
                if let Some(reason) = toll.refusal() {
                    return Err(reason);
                }
                if self.survivable() {
                    self.by_gateway(number, true, trail)
                } else {
                    self.by_cic_trunk(number, owned, trail)
                }
            }
            (false, _) => self.by_cic_trunk(number, owned, trail),
        }
    }

    fn would_return<T: Trail>(&self, number: Number, role: TrunkRole, trail: &mut T) -> Reason {
        trail.step(Rule::NoReturn, Verdict::Won, || {
            format!("{number} came from {role} and is {role}'s: it does not go back").into()
        });
        Reason::WouldReturn
    }
}
