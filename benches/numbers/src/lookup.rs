//! Lookup of the longest start of a number, and of a number itself, against a hash map asked length by length.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::hint::black_box;

use tandem_domain::number::Digits;
use tandem_domain::number::index::Index;

use crate::measure::{Chance, bytes, median, per};

const LOOKUPS: usize = 1_000_000;
const ROUNDS: usize = 9;
const COUNTRIES: [&str; 15] =
    ["1", "44", "49", "33", "81", "7", "39", "34", "61", "86", "91", "55", "353", "420", "971"];

/// One map a tenant, by packed prefix; the lengths in use are asked for, the longest first.
struct PerLength<S> {
    map: HashMap<u64, u32, S>,
    lengths: Vec<u8>,
}

impl<S: BuildHasher + Default> PerLength<S> {
    fn new(rules: &[(Vec<u8>, u32)]) -> Self {
        let mut map = HashMap::with_capacity_and_hasher(rules.len(), S::default());
        let mut used = [false; 16];
        for (prefix, value) in rules {
            map.insert(pack(prefix), *value);
            used[prefix.len()] = true;
        }
        let lengths = (0..16).rev().filter(|n| used[usize::from(*n)]).collect();
        Self { map, lengths }
    }

    fn get(&self, digits: &[u8]) -> Option<u32> {
        let full = pack(digits);
        let fit = self.lengths.iter().filter(|n| usize::from(**n) <= digits.len());
        fit.map(|n| full & (!0 << (64 - 4 * u32::from(*n)))).find_map(|key| self.map.get(&key).copied())
    }
}

fn pack(digits: &[u8]) -> u64 {
    digits.iter().enumerate().fold(0, |v, (i, d)| v | u64::from(d - b'0' + 1) << (60 - 4 * i))
}

type Rules = Vec<Vec<(Vec<u8>, u32)>>;
type Query = (u32, [u8; 12]);

/// Country code and up to eight digits more, clustered as tariffs are.
fn prefixes(chance: &mut Chance, tenants: usize, numbers: usize) -> Rules {
    let tenant = |_| {
        let mut seen = HashSet::new();
        let mut rules = Vec::new();
        let mut tried = 0;
        while rules.len() < numbers {
            let mut p = COUNTRIES[chance.below(15) as usize].as_bytes().to_vec();
            let more = chance.below(9);
            for _ in 0..more {
                p.push(b'0' + chance.below(if more > 5 { 10 } else { 6 }) as u8);
            }
            if seen.insert(p.clone()) {
                rules.push((p, tried));
            }
            tried += 1;
        }
        rules
    };
    (0..tenants).map(tenant).collect()
}

/// Twelve digits of a random country each.
fn whole(chance: &mut Chance, tenants: usize, numbers: usize) -> Rules {
    let tenant = |_| {
        let mut seen = HashSet::new();
        while seen.len() < numbers {
            let mut p = COUNTRIES[chance.below(15) as usize].as_bytes().to_vec();
            while p.len() < 12 {
                p.push(b'0' + chance.below(10) as u8);
            }
            seen.insert(p);
        }
        seen.into_iter().zip(0..).collect()
    };
    (0..tenants).map(tenant).collect()
}

fn queries(chance: &mut Chance, rules: &Rules) -> Vec<Query> {
    (0..1 << 16)
        .map(|_| {
            let tenant = chance.below(rules.len() as u64) as usize;
            let rule = &rules[tenant][chance.below(rules[tenant].len() as u64) as usize].0;
            let mut digits = [0; 12];
            for (at, d) in digits.iter_mut().enumerate() {
                *d = rule.get(at).copied().unwrap_or_else(|| b'0' + chance.below(10) as u8);
            }
            (tenant as u32, digits)
        })
        .collect()
}

pub fn run(tenants: usize, numbers: usize) {
    let chance = &mut Chance(88_172_645_463_325_252);
    for (name, rules, longest) in [
        ("longest start of random prefixes", prefixes(chance, tenants, numbers), true),
        ("random whole numbers", whole(chance, tenants, numbers), false),
    ] {
        println!("\n{name}, {tenants} tenants x {numbers}");
        let queries = queries(chance, &rules);
        compare(&rules, &queries, longest);
    }
}

fn compare(rules: &Rules, queries: &[Query], longest: bool) {
    let (ahash, ahash_bytes) =
        bytes(|| rules.iter().map(|r| PerLength::<ahash::RandomState>::new(r)).collect::<Vec<_>>());
    let (fold, fold_bytes) =
        bytes(|| rules.iter().map(|r| PerLength::<foldhash::fast::RandomState>::new(r)).collect::<Vec<_>>());
    let build = |r: &Vec<(Vec<u8>, u32)>| Index::build(r.iter().map(|(p, v)| (pack(p), *v)).collect());
    let (built, built_bytes) = bytes(|| rules.iter().map(build).collect::<Vec<_>>());
    let (grown, grown_bytes) = bytes(|| {
        let grow = |r: &Vec<(Vec<u8>, u32)>| {
            let mut index = Index::default();
            for (p, v) in r {
                index.insert(pack(p), *v);
            }
            index
        };
        rules.iter().map(grow).collect::<Vec<_>>()
    });
    let ask = |of: &Vec<Index>, (t, d): &Query| {
        let digits = Digits::parse(d).unwrap_or_default();
        let index = &of[*t as usize];
        if longest { index.longest_prefix(digits) } else { index.find(digits.packed()) }
    };
    type Peer<'a> = (&'a str, usize, Box<dyn Fn(&Query) -> Option<u32> + 'a>);
    let peers: Vec<Peer<'_>> = vec![
        ("ahash per length", ahash_bytes, Box::new(|(t, d)| ahash[*t as usize].get(d))),
        ("foldhash per length", fold_bytes, Box::new(|(t, d)| fold[*t as usize].get(d))),
        ("index, built", built_bytes, Box::new(|q| ask(&built, q))),
        ("index, one by one", grown_bytes, Box::new(|q| ask(&grown, q))),
    ];
    for query in queries.iter().take(20_000) {
        let expected = peers[0].2(query);
        assert!(expected.is_some());
        for (name, _, get) in &peers {
            assert_eq!(get(query), expected, "{name} differs at {query:?}");
        }
    }
    let mut times = vec![Vec::new(); peers.len()];
    for _ in 0..ROUNDS {
        for ((_, _, get), times) in peers.iter().zip(&mut times) {
            times.push(per(LOOKUPS, || {
                let mut sum = 0_u64;
                for at in 0..LOOKUPS {
                    sum += u64::from(get(black_box(&queries[at & 0xffff])).unwrap_or(9));
                }
                black_box(sum);
            }));
        }
    }
    let total: usize = rules.iter().map(Vec::len).sum();
    let medians: Vec<f64> = times.into_iter().map(median).collect();
    for ((name, bytes, _), time) in peers.iter().zip(&medians) {
        let (each, peer) = (*bytes as f64 / total as f64, peers[0].1 as f64 / total as f64);
        println!(
            "{name:20} {time:6.1} ns {:.2}x   {each:5.1} B/number {:.2}x",
            time / medians[0],
            each / peer
        );
    }
}
