use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Keys that are spread, as they should be, and keys that are not.
fn key(n: u64) -> u64 {
    if n.is_multiple_of(3) { n } else { n.wrapping_mul(0x9e37_79b9_7f4a_7c15) }
}

/// Checks the shape from within: order, and that no node is left which one page could take the place of.
fn check(index: &Index) {
    let pairs: Vec<_> = index.pairs().collect();
    assert_eq!(pairs.len(), index.len());
    assert!(pairs.is_sorted_by(|a, b| a < b));
    let mut todo = vec![&index.root];
    while let Some(child) = todo.pop() {
        let Child::Node(node) = child else { continue };
        assert!(Child::joined(node, 0).is_none());
        todo.extend(node.iter());
    }
}

#[test]
fn a_key_has_all_its_values_however_many_pages_they_fill() {
    let mut index = Index::default();
    for value in 0..1_000 {
        assert!(index.insert(7, value));
        assert!(!index.insert(7, value));
    }
    // Its neighbours differ in the last bits alone.
    index.insert(6, 1);
    index.insert(8, 1);
    check(&index);
    assert!(index.get(7).into_iter().eq(0..1_000));
    assert_eq!(index.find(7), Some(0));
    assert_eq!(index.get(6).as_slice(), [1]);
    assert_eq!(index.get(9).as_slice(), [0_u32; 0]);
    for value in 0..999 {
        assert!(index.remove(7, value));
    }
    check(&index);
    assert_eq!(index.get(7).as_slice(), [999]);
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
            let pair = (key(n), value << 16);
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
            let (values, key) = (index.get(key(n)), key(n));
            let expected: Vec<u32> = truth.range((key, 0)..=(key, u32::MAX)).map(|p| p.1).collect();
            prop_assert_eq!(values.as_slice(), &expected);
            prop_assert_eq!(index.find(key), expected.first().copied());
        }
    }
}
