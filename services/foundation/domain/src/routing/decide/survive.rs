//! The survivable rules: what works in local control while the CIC in the cloud is silent (domain rules 2.4).

use super::super::call::{Call, Owned, name};
use super::super::decision::{Owner, Reason};
use super::super::lookup;
use super::super::plan::way::Goal;
use super::super::trail::{Rule, Trail, Verdict};
use super::{Next, Trunks};
use crate::document::terms::{Model, TrunkRole};
use crate::number::Number;
use crate::tenant::SiteIx;

impl<'a> Call<'a> {
    /// Whether the survivable rules hold: in local control, while the CIC in the cloud is silent.
    pub(in super::super) fn survivable(&self) -> bool {
        let limit = u32::from(self.config.survivable.cic_silent_seconds);
        self.config.model == Model::LocalControl
            && self.config.places.cic == SiteIx::CLOUD
            && self.facts.cic_silent_seconds.is_some_and(|s| s >= limit)
    }

    pub(super) fn survive<T: Trail>(
        &self,
        number: Number,
        owned: &Owned<'a>,
        trail: &mut T,
    ) -> Result<Next, Reason> {
        match owned.goal {
            _ if owned.queue() || owned.owner == Owner::Attendant => self.hunt(owned, trail),
            Goal::Station(line) => {
                trail.step(Rule::Survivable, Verdict::Applied, || {
                    let whose = owned.user.map(name).unwrap_or_default();
                    format!("{whose}'s Lync phone is reached by its Line URI {line}, without CIC's features")
                        .into()
                });
                self.by_lync_trunk(line, true, trail)
            }
            Goal::LyncPhone | Goal::Lync => self.by_lync_trunk(self.line(number, owned), true, trail),
            Goal::Pstn => self.by_gateway(number, true, trail),
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
    pub(in super::super) fn hunt<T: Trail>(&self, owned: &Owned<'a>, trail: &mut T) -> Result<Next, Reason> {
        let target = self.hunt_target(owned).ok_or(Reason::NoHuntTarget)?;
        trail.step(Rule::Survivable, Verdict::Applied, || {
            format!("queues live in the silent CIC: the call goes to the hunt target {target}").into()
        });
        let found = lookup::number(self.view, target);
        let line = match found.cic {
            Some(lookup::Cic::User(user)) if lookup::has_enterprise_voice(user) => user.line(),
            Some(_) => None,
            None => found.line.map(|_| target),
        };
        match line {
            Some(line) => self.by_lync_trunk(line, true, trail),
            None if found.cic.is_some() => Err(Reason::NoHuntTarget),
            None if target.is_global() && self.config.range(target).is_none() => {
                self.hunt_by_pstn(target, trail)
            }
            None => Err(Reason::NoHuntTarget),
        }
    }

    /// The administrator wrote the target: it needs no forwarder, but the toll policy holds.
    pub(super) fn hunt_by_pstn<T: Trail>(&self, target: Number, trail: &mut T) -> Result<Next, Reason> {
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

    pub(in super::super) fn hunt_target(&self, owned: &Owned<'a>) -> Option<Number> {
        let own = owned.workgroup.and_then(|w| w.hunt_target.as_deref()).and_then(Number::parse_canonical);
        own.or(self.config.survivable.hunt_target)
    }
}
