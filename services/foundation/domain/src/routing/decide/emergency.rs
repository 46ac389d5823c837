//! Emergency calls: before ownership, policy and limits, always (domain rules 9.1).

use super::super::call::{Call, Entry};
use super::super::decision::{Decision, Outcome, Owner, Reason, Treatment};
use super::super::trail::{Rule, Trail, Verdict};
use super::Trunks;
use super::out::{Request, Writer};
use crate::document::terms::TrunkRole;
use crate::number::parse::Dialled;
use crate::number::{Digits, Number};
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
        // A gateway that itself sent the call gets it back only when there is no other.
        if let Entry::Trunk(ix, _) = self.entry {
            trunks.sort_by_key(|t| *t == ix);
        }
        trail.step(Rule::Emergency, Verdict::Won, || {
            let name = &self.config.site(site).name;
            let own = if Some(site) == self.caller.site {
                "the caller's site"
            } else {
                "no egress where the caller is"
            };
            format!("an emergency call{}: out by {name} ({own}), before everything", self.at_site()).into()
        });
        let writer = Writer { call: self, request: self.emergency_request(site), emergency: Some(site) };
        let route = self.carry(&writer, &trunks, Treatment::default(), false, trail);
        self.answer(Owner::NotLookedUp, None, true, Outcome::Route(route))
    }

    /// The site whose egress an emergency call takes: the caller's; where that has none, the phones', then any that
    /// has one, for a call that reaches a rescuer elsewhere is better than none; at last any gateway.
    pub(in super::super) fn emergency_site(&self) -> Option<(SiteIx, Trunks)> {
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
    pub(super) fn emergency_request(&self, site: SiteIx) -> Request<'a> {
        let dialled = match &self.dialled {
            Ok(Dialled::Local(digits)) => Digits::parse(digits.as_bytes()),
            _ => self.config.site(site).emergency.numbers.first().copied(),
        };
        dialled.and_then(Number::local).map_or(Request::Verbatim(self.attempt.called), Request::Number)
    }
}
