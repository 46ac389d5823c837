//! Calls for help of the last half hour: whom a rescuer means who calls back. Kept by the edge that carried the call, in
//! memory only; how long it counts is the domain's to say.

use std::collections::HashMap;
use std::time::Duration;

use tandem_domain::number::Number;
use tandem_domain::routing::attempt::Returns;
use tandem_domain::routing::callback::RETURNS_SECONDS;
use tandem_sip::time::Now;

/// Tenants of whom calls for help are remembered: more than call for help at one edge in half an hour, unless somebody
/// makes them up; then the tenant goes whose last one is the oldest. Of each there are as many as it has callback
/// numbers.
const TENANTS_MAX: usize = 4_096;

/// By scope of tenant.
#[derive(Debug, Default)]
pub(crate) struct CallsForHelp(HashMap<u64, Vec<Help>, foldhash::quality::RandomState>);

#[derive(Debug)]
struct Help {
    callback: Number,
    to: Number,
    at: Now,
}

impl CallsForHelp {
    /// Somebody called for help: of each callback number the last one counts.
    pub(crate) fn note(&mut self, scope: u64, (callback, to): (Number, Number), now: Now) {
        if self.0.len() >= TENANTS_MAX && !self.0.contains_key(&scope) {
            self.make_room(now);
        }
        let theirs = self.0.entry(scope).or_default();
        theirs.retain(|help| help.callback != callback && lasts(help, now));
        theirs.push(Help { callback, to, at: now });
    }

    /// Those of a tenant.
    pub(crate) fn of(&self, scope: u64, now: Now) -> Vec<Returns> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let theirs = self.0.get(&scope).into_iter().flatten();
        theirs.map(|h| Returns { callback: h.callback, to: h.to, ago_seconds: ago(h, now) }).collect()
    }

    fn make_room(&mut self, now: Now) {
        self.0.retain(|_, theirs| theirs.iter().any(|help| lasts(help, now)));
        if self.0.len() >= TENANTS_MAX {
            let last = |theirs: &[Help]| theirs.iter().map(|help| help.at).max();
            let oldest = self.0.iter().min_by_key(|(_, theirs)| last(theirs)).map(|(scope, _)| *scope);
            self.0.remove(&oldest.unwrap_or_default());
        }
    }
}

fn ago(help: &Help, now: Now) -> u32 {
    u32::try_from(now.saturating_sub(help.at).as_secs()).unwrap_or(u32::MAX)
}

fn lasts(help: &Help, now: Now) -> bool {
    now.saturating_sub(help.at) <= Duration::from_secs(RETURNS_SECONDS.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn number(text: &str) -> Number {
        Number::parse_canonical(text).unwrap()
    }

    #[test]
    fn of_each_callback_number_the_last_call_counts() {
        let mut calls = CallsForHelp::default();
        let (berlin, vienna) = (number("+4930100"), number("+431100"));
        calls.note(1, (berlin, number("101")), MINUTE);
        calls.note(1, (berlin, number("102")), MINUTE * 2);
        calls.note(1, (vienna, number("103")), MINUTE * 3);
        let of = |calls: &CallsForHelp, scope, now| {
            let all = calls.of(scope, now);
            all.iter().map(|r| (r.callback, r.to, r.ago_seconds / 60)).collect::<Vec<_>>()
        };
        assert_eq!(of(&calls, 1, MINUTE * 4), [(berlin, number("102"), 2), (vienna, number("103"), 1)]);
        assert_eq!(of(&calls, 2, MINUTE * 4), []);
        // What is over goes when another comes.
        calls.note(1, (vienna, number("104")), MINUTE * 40);
        assert_eq!(of(&calls, 1, MINUTE * 40), [(vienna, number("104"), 0)]);
    }

    #[test]
    fn any_number_of_tenants_have_bounded_room_and_the_oldest_goes() {
        let mut calls = CallsForHelp::default();
        for scope in 0..5_000 {
            calls.note(scope, (number("+4930100"), number("101")), Duration::from_millis(scope));
        }
        assert_eq!(calls.0.len(), TENANTS_MAX);
        assert!(!calls.0.contains_key(&0) && calls.0.contains_key(&4_999));
        calls.note(9_999, (number("+4930100"), number("101")), MINUTE * 40);
        assert_eq!(calls.0.len(), 1);
    }
}
