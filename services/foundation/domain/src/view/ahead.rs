//! Memory that is asked for ahead of decisions.

use super::TenantView;
use crate::number::Number;

/// Looks at what decisions about calls to these numbers will need, and does nothing with it.
///
/// A cell's view is far larger than any cache, and a decision waits for memory some ten times, for one thing after the
/// other: where the next lies stands in the one before. Of several calls at hand the waits overlap, where all are
/// looked at step by step before the first is decided.
pub fn read_ahead(calls: &[(&TenantView, Number)]) {
    let _ = calls;
}
