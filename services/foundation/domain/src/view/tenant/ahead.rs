//! Memory that is asked for ahead of decisions.

use std::hint::black_box;

use smallvec::SmallVec;

use super::{Person, Role, TenantView};
use crate::number::Number;

/// A call that will be decided soon.
#[derive(Clone, Copy, Debug)]
pub struct Ahead<'v> {
    /// Whose it is.
    pub tenant: &'v TenantView,
    /// What is called.
    pub called: Number,
    /// The trunk that it came by, if it is one.
    pub trunk: Option<&'v str>,
}

/// Looks at what decisions about these calls will need, and does nothing with it.
///
/// A cell's view is far larger than any cache, and a decision waits for memory some ten times, for one thing after the
/// other: where the next lies stands in the one before. The waits of several calls overlap where all of them are
/// looked at, step by step, before the first is decided.
pub fn read_ahead(calls: &[Ahead<'_>]) {
    for Ahead { tenant, .. } in calls {
        black_box((tenant.config.is_some(), tenant.revision));
    }
    for Ahead { tenant, called, .. } in calls {
        tenant.numbers.look_at(*called);
        if let Some(config) = &tenant.config {
            config.look_at();
        }
    }
    let found: SmallVec<[Option<u32>; 32]> =
        calls.iter().map(|call| call.tenant.numbers.first(call.called)).collect();
    for Ahead { tenant, trunk, .. } in calls {
        tenant.config.iter().for_each(|config| config.look_further(*trunk));
    }
    let people: SmallVec<[Option<&Person>; 32]> =
        calls.iter().zip(found).map(|(call, value)| call.tenant.person_behind(value?)).collect();
    for person in people.into_iter().flatten() {
        black_box((person.line(), person.endpoint()));
    }
}

impl TenantView {
    /// The user that a value of the number index leads to at once.
    fn person_behind(&self, value: u32) -> Option<&Person> {
        match Role::split(value) {
            (slot, Role::Did | Role::LineUri | Role::Extension) => {
                self.users.get(slot).map(|person| &**person)
            }
            _ => None,
        }
    }
}
