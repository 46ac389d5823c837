//! Requests that are not looked up: they name the trunk that they are for (domain rules 9.1).

use super::super::call::{Call, shown};
use super::super::decision::{Decision, Outcome, Owner, Reason, Treatment};
use super::super::trail::{Rule, Trail, Verdict};
use super::Trunks;
use super::out::{self, Request, Writer};
use crate::document::terms::TrunkRole;
use crate::number::parse::Dialled;
use crate::tenant::TrunkIx;

impl<'a> Call<'a> {
    /// A request that belongs to a dialog elsewhere, or whose Request-URI is no number: it goes to the trunk whose
    /// domain it names, and is not looked up (domain rules 9.1).
    pub(super) fn dialog<T: Trail>(&self, trail: &mut T) -> Option<Decision> {
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
                format!("\"{}\" is in no domain of a trunk", shown(host.unwrap_or(self.attempt.called)))
                    .into()
            });
            return address.then(|| self.reject::<T>(Owner::NotLookedUp, None, Reason::NotANumber));
        };
        let trunk = self.config.trunk(ix);
        trail.step(Rule::Dialog, Verdict::Won, || {
            let what =
                if self.attempt.hints.replaces { "it replaces a dialog there" } else { "it is no number" };
            format!("\"{}\" is in the domain of trunk {}, and {what}", shown(self.attempt.called), trunk.name)
                .into()
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

    pub(super) fn dialog_refusal<T: Trail>(&self, ix: TrunkIx, trail: &mut T) -> Option<Reason> {
        let role = self.config.trunk(ix).role;
        if role == TrunkRole::MediaServer {
            return Some(Reason::NotANumber);
        }
        if self.entry.role() == Some(role) && !self.retargeted() {
            trail.step(Rule::NoReturn, Verdict::Won, || {
                format!("it came from {role}: it does not go back").into()
            });
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
