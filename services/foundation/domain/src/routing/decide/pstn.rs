//! Out to the PSTN: who may, and by which gateway (domain rules 3.4, 9.1).

use super::super::attempt::Method;
use super::super::call::{Call, Entry, Owned, name, shown};
use super::super::decision::Reason;
use super::super::lookup;
use super::super::toll::{Judgement, Toll};
use super::super::trail::{Rule, Trail, Verdict};
use super::{Next, Trunks};
use crate::document::terms::{LyncPstnEgress, TrunkRole};
use crate::number::Number;
use crate::view::Person;

impl<'a> Call<'a> {
    pub(super) fn lync_to_pstn<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        let egress = self.config.lync_pstn_egress;
        let direct = egress == LyncPstnEgress::Gateway || self.survivable();
        trail.step(Rule::PstnEgress, Verdict::Applied, || {
            let why = if direct && egress == LyncPstnEgress::Cic {
                ", but CIC is silent: by the gateway"
            } else {
                ""
            };
            format!("Lync's calls to the PSTN go out by {egress}{why}").into()
        });
        if direct {
            return self.by_gateway(number, egress == LyncPstnEgress::Cic, trail);
        }
        match self.judge(Some(number), trail).refusal() {
            Some(reason) => Err(reason),
            None => self.by_cic_trunk(number, owned, trail),
        }
    }

    /// Out to the PSTN: who may, and by which gateway.
    pub(super) fn by_gateway<T: Trail>(
        &self,
        number: Number,
        survivable: bool,
        trail: &mut T,
    ) -> Result<Next, Reason> {
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
            trail.step(Rule::PstnEgress, Verdict::Lost, || {
                "no gateway is left that the toll rule allows".into()
            });
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
                None => {
                    format!("no gateway stands where the caller is{}: {}", self.at_site(), trunk.name).into()
                }
            }
        });
        trunks = Trunks::from_slice(&[first]);
        self.with_backups(&mut trunks);
        trunks.retain(|t| toll.by(*t));
        Ok(Next { trunks, number, survivable, to_cic: false })
    }

    /// Whether the caller is outside the tenant, as far as it may say so.
    pub(super) fn is_off_net(&self) -> bool {
        match self.entry {
            Entry::User(_) | Entry::Stranger(_) => false,
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
    pub(super) fn forwarded_by_user<T: Trail>(&self, trail: &mut T) -> bool {
        let by = self.attempt.hints.forwarded_by;
        // Evidence counts from CIC and Lync, from a trusted trunk, and where the element itself retargets. A REFER
        // retargets by its sender's word.
        let believed = self.attempt.method == Method::Redirect
            || self.entry.trusted()
            || matches!(self.entry.role(), Some(TrunkRole::Cic | TrunkRole::Lync));
        let user = by.filter(|_| believed).and_then(|text| self.user_named(text));
        trail.step(Rule::Toll, if user.is_some() { Verdict::Applied } else { Verdict::Lost }, || {
            match (user, by) {
                (Some(user), _) => {
                    format!("from outside to outside: {} forwarded the call", name(user)).into()
                }
                (None, Some(text)) => format!(
                    "from outside to outside: \"{}\" is not shown to be a user who forwarded it",
                    shown(text)
                )
                .into(),
                (None, None) => "from outside to outside, and nobody is shown to have forwarded it".into(),
            }
        });
        user.is_some()
    }

    pub(super) fn user_named(&self, text: &'a str) -> Option<&'a Person> {
        let ix = match self.entry {
            Entry::Trunk(ix, _) => ix,
            Entry::User(user) => return Some(user),
            Entry::Stranger(_) => return None,
        };
        let (number, address) = self.identified(text, ix);
        number
            .and_then(|n| lookup::user_by_number(self.view, n))
            .or_else(|| self.view.person_by_sip(address?))
    }

    pub(super) fn judge<T: Trail>(&self, called: Option<Number>, trail: &mut T) -> Judgement<'a> {
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
