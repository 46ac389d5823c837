//! Memory that is asked for ahead of decisions.

use std::hint::black_box;

use smallvec::SmallVec;

use super::{Role, TenantView};
use crate::number::Number;

/// Looks at what decisions about calls to these numbers will need, and does nothing with it.
///
/// A cell's view is far larger than any cache, and a decision waits for memory some ten times, for one thing after the
/// other: where the next lies stands in the one before. The waits of several calls overlap where all of them are
/// looked at, step by step, before the first is decided.
pub fn read_ahead(calls: &[(&TenantView, Number)]) {
    for (tenant, _) in calls {
        black_box((tenant.config.is_some(), tenant.numbers.len(), tenant.users.len()));
    }
    for (tenant, number) in calls {
        tenant.numbers.look_at(*number);
        if let Some(config) = &tenant.config {
            config.look_at();
        }
    }
    let found: SmallVec<[Option<u32>; 32]> = calls.iter().map(|(t, number)| t.numbers.first(*number)).collect();
    for (tenant, _) in calls {
        tenant.config.iter().flat_map(|config| &config.trunks).for_each(|trunk| trunk.look_at());
    }
    for ((tenant, _), value) in calls.iter().zip(found) {
        if let Some((slot, Role::Did | Role::LineUri | Role::Extension)) = value.map(Role::split)
            && let Some(person) = tenant.users.get(slot)
        {
            black_box((person.line(), person.endpoint()));
        }
    }
}
