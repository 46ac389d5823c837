//! What an element carries out: targets, and what follows when nobody takes the call (domain rules 3.2).

use super::super::call::{Call, Entry, Owned};
use super::super::decision::{Carriage, Decision, Outcome, Owner, Route, Treatment};
use super::super::lookup;
use super::super::targets;
use super::super::trail::{Rule, Trail, Verdict};
use super::out::{self, Request, Writer};
use super::{Called, Next};
use crate::document::terms::TrunkRole;
use crate::number::Number;
use crate::tenant::TrunkIx;

impl<'a> Call<'a> {
    pub(super) fn route<T: Trail>(
        &self,
        called: Called,
        owned: &Owned<'a>,
        next: Next,
        trail: &mut T,
    ) -> Decision {
        let writer = Writer { call: self, request: Request::Number(next.number), emergency: None };
        let treatment = self.treatment(called, owned, &next, trail);
        let route = self.carry(&writer, &next.trunks, treatment, next.survivable, trail);
        self.answer(owned.owner.clone(), Some(called.called), false, Outcome::Route(route))
    }

    pub(super) fn carry<T: Trail>(
        &self,
        writer: &Writer<'_, 'a>,
        trunks: &[TrunkIx],
        treatment: Treatment,
        survivable: bool,
        trail: &mut T,
    ) -> Route {
        let targets = targets::targets(self.config, self.facts, self.attempt, trunks, writer);
        self.tell_targets(&targets, trunks, trail);
        // An emergency call is never handed back to be placed anew: its identity must arrive.
        let redirects =
            writer.emergency.is_none() && matches!(self.entry, Entry::Trunk(_, trunk) if trunk.accept_302);
        let treats = treatment != Treatment::default();
        if redirects && treats {
            trail.step(Rule::Treatment, Verdict::Applied, || {
                "the call is not redirected: only an element that stays in its way can treat it".into()
            });
        }
        let carriage = if redirects && !treats { Carriage::Redirect } else { Carriage::Proxy };
        Route { carriage, targets, treatment, survivable }
    }

    /// What happens when nobody takes the call: the number's own treatment, the user's or workgroup's, the tenant's.
    pub(super) fn treatment<T: Trail>(
        &self,
        Called { called, number }: Called,
        owned: &Owned<'a>,
        next: &Next,
        trail: &mut T,
    ) -> Treatment {
        let user = matches!(owned.owner, Owner::LyncUser(_) | Owner::CicUser(_) | Owner::Workgroup(_));
        // Whose call ends at CIC is treated there, whichever system it meets first.
        let by_cic = next.to_cic || (owned.goal.is_cic() && !next.survivable);
        if by_cic || !user {
            trail.step(Rule::Treatment, Verdict::Lost, || {
                let why = if by_cic { "CIC has treatments of its own" } else { "the number is no user's" };
                format!("no treatment of ours: {why}").into()
            });
            return Treatment::default();
        }
        // The station leg that CIC itself began is CIC's to treat.
        if self.entry.role() == Some(TrunkRole::Cic) && owned.user.is_some_and(|u| u.cic.is_some()) {
            trail.step(Rule::Treatment, Verdict::Lost, || {
                "CIC rings its own station and treats the call".into()
            });
            return Treatment::default();
        }
        let mut all = self.config.treatments;
        if let Some(workgroup) = owned.workgroup {
            all = all.with(&workgroup.treatments);
        } else if let Some(user) = owned.user {
            all = all.with(&user.treatments);
        }
        if let Some(assignment) = owned.assigned.and_then(|n| lookup::assignment(self.view, n)) {
            all = all.with(&assignment.treatments);
        }
        // A call is not forwarded to the number that was called; a rescuer who calls back is, to whoever it is for.
        let back = (called != number).then_some(called);
        let to =
            |to: Option<Number>| back.or(to.filter(|n| *n != number && *n != next.number)).map(out::boxed);
        let treatment = Treatment {
            on_busy: to(all.on_busy),
            on_no_answer: to(all.on_no_answer).map(|to| (to, all.no_answer_seconds)),
            on_unreachable: to(all.on_unreachable),
        };
        trail.step(Rule::Treatment, Verdict::Applied, || out::treatment_words(&treatment).into());
        treatment
    }
}
