use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn key(digits: &str) -> u64 {
    Digits::parse(digits.as_bytes()).unwrap().packed()
}

/// Checks the shape from within: order, fill, first pairs.
fn check(index: &Index) {
    let pairs: Vec<_> = index.pairs().collect();
    assert_eq!(pairs.len(), index.len());
    assert!(pairs.is_sorted_by(|a, b| a < b));
    let mut todo: Vec<&Child> = index.root.iter().collect();
    while let Some(child) = todo.pop() {
        let Child::Node(node) = child else { continue };
        assert!((1..=CHILDREN_MAX).contains(&node.len));
        assert_eq!(node.children.iter().flatten().count(), node.len);
        for (at, child) in node.children.iter().flatten().enumerate() {
            assert_eq!(child.first(), (node.keys[at], node.values[at]));
            todo.push(child);
        }
    }
}

/// Numbers as tenants have them: few starts, many ends.
fn digits() -> impl Strategy<Value = String> {
    prop_oneof!["(49|1|44)[0-3]{0,4}", "4930123[0-9]{0,4}", "[0-9]{0,15}"]
}

#[test]
fn a_key_has_all_its_values_however_many_leaves_they_fill() {
    let mut index = Index::default();
    for value in 0..1_000 {
        assert!(index.insert(7 << 4, value));
        assert!(!index.insert(7 << 4, value));
    }
    index.insert(6 << 4, 1);
    index.insert(8 << 4, 1);
    check(&index);
    let mut found = index.get(7 << 4);
    found.sort_unstable();
    assert!(found.iter().copied().eq(0..1_000));
    assert_eq!(index.get(6 << 4).as_slice(), [1]);
    assert_eq!(index.get(9 << 4).as_slice(), [0_u32; 0]);
}

#[test]
fn a_clone_keeps_what_it_was() {
    let pairs: Vec<_> = (0..5_000_u64).map(|n| (n << 8, n as u32)).collect();
    let mut index = Index::build(pairs.clone());
    let before = index.clone();
    for n in 0..5_000_u64 {
        index.remove(n << 8, n as u32);
        index.insert(n << 8 | 16, 1);
    }
    check(&index);
    assert!(before.pairs().eq(pairs));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn changes_one_by_one_equal_a_build_at_once(
        ops in proptest::collection::vec((any::<bool>(), 0_u64..400, 0_u32..3), 0..3_000)
    ) {
        let mut index = Index::default();
        let mut truth = BTreeSet::new();
        for (put, n, value) in ops {
            let pair = (n << 36, value << 10);
            if put {
                prop_assert_eq!(index.insert(pair.0, pair.1), truth.insert(pair));
            } else {
                prop_assert_eq!(index.remove(pair.0, pair.1), truth.remove(&pair));
            }
        }
        check(&index);
        let built = Index::build(truth.iter().rev().copied().collect());
        check(&built);
        prop_assert!(index.pairs().eq(truth.iter().copied()));
        prop_assert!(built.pairs().eq(truth.iter().copied()));
        for n in 0..400_u64 {
            let mut values = index.get(n << 36);
            values.sort_unstable();
            let expected: Vec<u32> = truth.range((n << 36, 0)..=(n << 36, u32::MAX)).map(|p| p.1).collect();
            prop_assert_eq!(values.as_slice(), &expected);
            prop_assert_eq!(index.find(n << 36).is_some(), !expected.is_empty());
        }
    }

    #[test]
    fn the_longest_start_wins(
        starts in proptest::collection::vec(digits(), 0..600),
        asked in proptest::collection::vec(digits(), 1..100),
    ) {
        let mut index = Index::default();
        let mut truth = std::collections::BTreeMap::new();
        for (at, start) in starts.iter().enumerate() {
            if truth.insert(start.clone(), at as u32).is_none_or(|old| index.remove(key(start), old)) {
                index.insert(key(start), at as u32);
            }
        }
        check(&index);
        let built = Index::build(truth.iter().map(|(s, v)| (key(s), *v)).collect());
        for asked in asked.iter().chain(starts.iter().take(50)) {
            let expected = (0..=asked.len()).rev().find_map(|n| truth.get(&asked[..n]).copied());
            let digits = Digits::parse(asked.as_bytes()).unwrap();
            prop_assert_eq!(index.longest_prefix(digits), expected, "{}", asked);
            prop_assert_eq!(built.longest_prefix(digits), expected, "{}", asked);
        }
    }
}
