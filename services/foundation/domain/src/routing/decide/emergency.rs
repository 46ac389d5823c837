//! Emergency calls: before ownership, policy and limits, always (domain rules 9.1).

use super::super::call::{Call, Entry};
use super::super::decision::{Decision, Outcome, Owner, Reason, Treatment};
use super::super::trail::{Rule, Trail, Verdict};
use super::Trunks;
use super::out::{Request, Writer};
use crate::document::terms::TrunkRole;
use crate::number::Number;
use crate::tenant::SiteIx;

impl<'a> Call<'a> {
    /// Egress by the caller's site, before everything (domain rules 9.1): no toll, limit, loop guard or treatment.
    pub(super) fn emergency<T: Trail>(&self, trail: &mut T) -> Decision {
        let site = self.emergency_site();
        let Some((site, mut trunks)) = site else {
            trail.step(Rule::Emergency, Verdict::Lost, || "no site of the tenant has a gateway".into());
            let mut decision = self.reject::<T>(Owner::NotLookedUp, None, Reason::NoEmergencyEgress);
            decision.emergency = true;
            return decision;
        };
        self.with_backups(&mut trunks);
        // A gateway that itself sent the call gets it back only when its site has no other.
        if let Entry::Trunk(ix, _) = self.entry {
            trunks.sort_by_key(|t| *t == ix);
        }
        trail.step(Rule::Emergency, Verdict::Won, || {
            let name = &self.config.site(site).name;
            let own = match self.caller.user {
                _ if Some(site) != self.caller.site => {
                    "it has no egress, or is not dialled so, where the caller is"
                }
                Some(_) => "the caller's site",
                None => "where the call came in: the caller's site is not known",
            };
            format!("an emergency call{}: out by {name} ({own}), before everything", self.at_site()).into()
        });
        let writer = Writer { call: self, request: self.emergency_request(site), emergency: Some(site) };
        let route = self.carry(&writer, &trunks, Treatment::default(), false, trail);
        self.answer(Owner::NotLookedUp, None, true, Outcome::Route(route))
    }

    /// The site whose egress an emergency call takes: the caller's; where that has none, the phones', then any that
    /// has one, for a call that reaches a rescuer elsewhere is better than none; at last any gateway. What was dialled
    /// means something only where it holds: such a site comes before one that does not know it.
    pub(in super::super) fn emergency_site(&self) -> Option<(SiteIx, Trunks)> {
        let all = (0_u8..).zip(&self.config.sites).map(|(at, _)| SiteIx(at));
        let order = self.caller.site.into_iter().chain([self.config.places.phones]).chain(all);
        let mut order = order.filter(|site| !self.config.site(*site).emergency.egress.is_empty());
        let string = self.dial_string();
        let holds = |site: &SiteIx| string.is_none_or(|d| self.config.is_emergency(Some(*site), d));
        let first = order.clone().find(holds).or_else(|| order.next());
        let with_egress =
            first.map(|site| (site, Trunks::from_slice(&self.config.site(site).emergency.egress)));
        with_egress.or_else(|| {
            let any: Trunks = self.config.trunks_of(TrunkRole::Gateway).collect();
            let first = *any.first()?;
            Some((self.config.trunk(first).site, any))
        })
    }

    /// What a gateway dials for help: the string that was dialled, or for the urn the site's first string.
    pub(super) fn emergency_request(&self, site: SiteIx) -> Request<'a> {
        let string = self.dial_string().or_else(|| self.config.site(site).emergency.numbers.first().copied());
        string.and_then(Number::local).map_or(Request::Verbatim(self.attempt.called), Request::Number)
    }
}
