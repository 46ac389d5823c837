//! Starts of numbers and what they lead to; of those that a number has, the longest counts. Built once, never changed.
//!
//! ```text
//! Prefixes ── leaves, in order, each with the start that it begins with
//!               └─ leaf: up to 120 starts, packed (leaf.rs)
//! ```

mod leaf;

use smallvec::SmallVec;

use super::Digits;
use leaf::{Leaf, STARTS_MAX};

/// Starts of numbers. See the module's text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prefixes(SmallVec<[Leaf; 1]>);

impl Prefixes {
    /// Of starts in any order; of equal ones the first stays. An empty start is one that every number has.
    #[must_use]
    pub fn build(mut starts: Vec<(Digits, u32)>) -> Self {
        starts.sort_by_key(|(start, _)| *start);
        starts.dedup_by_key(|(start, _)| *start);
        let leaves = starts.len().div_ceil(STARTS_MAX);
        let even = |leaf: usize| leaf * starts.len() / leaves;
        Self((0..leaves).map(|leaf| Leaf::pack(&starts[even(leaf)..even(leaf + 1)])).collect())
    }

    /// What the longest start of these digits leads to.
    #[must_use]
    pub fn find(&self, digits: Digits) -> Option<u32> {
        let mut digits = digits.packed();
        loop {
            let after = self.0.partition_point(|leaf| leaf.first() <= digits);
            match self.0.get(after.checked_sub(1)?)?.find(digits) {
                Ok(value) => return Some(value),
                Err(start) => digits = start,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Numbers as tenants have them: few starts, many ends.
    fn digits() -> impl Strategy<Value = String> {
        prop_oneof!["(49|1|44)[0-3]{0,4}", "4930123[0-9]{0,4}", "[0-9]{0,15}"]
    }

    fn packed(digits: &str) -> Digits {
        Digits::parse(digits.as_bytes()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn the_longest_start_wins(
            starts in proptest::collection::vec((digits(), any::<u32>()), 0..600),
            asked in proptest::collection::vec(digits(), 1..100),
        ) {
            let prefixes = Prefixes::build(starts.iter().map(|(s, v)| (packed(s), *v)).collect());
            let truth: BTreeMap<&str, u32> = starts.iter().rev().map(|(s, v)| (s.as_str(), *v)).collect();
            for asked in asked.iter().chain(starts.iter().map(|(s, _)| s).take(50)) {
                let expected = (0..=asked.len()).rev().find_map(|n| truth.get(&asked[..n]).copied());
                prop_assert_eq!(prefixes.find(packed(asked)), expected, "{}", asked);
            }
        }
    }
}
