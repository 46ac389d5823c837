//! The way back: whom a rescuer means who calls a site's callback number (domain rules 9.1).
//!
//! An emergency call shows the callback number of its site, whoever makes it. Who calls that number from outside within
//! half an hour means whoever called for help last. Where that person does not take the call, whoever the number is for
//! takes it: a rescuer is never worse off than without this.
//!
//! Who remembers the calls for help is the element that carried them; what it remembers is a fact of the moment.

use super::attempt::{CallAttempt, Facts, Method, Returns};
use super::call::{Call, name};
use super::lookup;
use super::trail::{Rule, Trail, Verdict};
use crate::document::terms::TrunkRole;
use crate::number::Number;
use crate::view::TenantView;

/// For how long after a call for help its callback number leads to the caller, in seconds.
pub const RETURNS_SECONDS: u32 = 30 * 60;

/// What is to be remembered of a call for help: its site's callback number, and by which number the caller is called
/// back. None: it is no call for help, or by nobody whom the tenant knows.
#[must_use]
pub fn returns(view: &TenantView, attempt: &CallAttempt<'_>) -> Option<(Number, Number)> {
    let facts = Facts::default();
    let call = Call::read(view, attempt, &facts).ok().filter(Call::is_emergency)?;
    let (site, _) = call.emergency_site()?;
    let callback = call.config.site(site).emergency.callback?;
    let user = call.caller.user?;
    let is_theirs = |n: &Number| lookup::user_by_number(view, *n).is_some_and(|u| u.id == user.id);
    let number = call.caller.number.filter(is_theirs).or_else(|| call.number_of(user).filter(is_theirs))?;
    (number != callback).then_some((callback, number))
}

impl Call<'_> {
    /// The number of whoever called for help, if a rescuer calls back. What the element itself sends elsewhere is not
    /// called back once more.
    pub(super) fn called_back<T: Trail>(&self, called: Number, trail: &mut T) -> Option<Number> {
        let outside = matches!(self.entry.role(), Some(TrunkRole::Gateway | TrunkRole::SipProxy));
        if self.facts.returns.is_empty() || !outside || self.attempt.method != Method::Invite {
            return None;
        }
        let mut theirs = self.facts.returns.iter().filter(|r| r.callback == called);
        let Returns { to, ago_seconds, .. } = *theirs.next()?;
        let user = lookup::user_by_number(self.view, to);
        if ago_seconds > RETURNS_SECONDS || user.is_none() {
            trail.step(Rule::EmergencyCallback, Verdict::Lost, || match user {
                Some(user) => format!("{} called for help more than half an hour ago", name(user)).into(),
                None => format!("nobody has the number {to} any more that called for help").into(),
            });
            return None;
        }
        trail.step(Rule::EmergencyCallback, Verdict::Won, || {
            let who = user.map(name).unwrap_or_default();
            let ago = ago_seconds / 60;
            format!("{called} was shown for {who}, who called for help {ago} min ago: it leads back to {to}")
                .into()
        });
        Some(to)
    }
}
