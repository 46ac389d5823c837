//! Lookup of the longest start of a number, and of a number itself, against a hash map asked length by length.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::hint::black_box;

use tandem_domain::number::Digits;
use tandem_domain::number::index::Index;
use tandem_domain::number::prefixes::Prefixes;

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

fn digits(of: &[u8]) -> Digits {
    Digits::parse(of).unwrap_or_default()
}

/// A table by name, the bytes it holds, and how it is asked.
type Peer<'a> = (&'a str, usize, Box<dyn Fn(&Query) -> Option<u32> + 'a>);

fn peer<'a, T: 'a>(
    name: &'a str,
    rules: &Rules,
    make: impl Fn(&[(Vec<u8>, u32)]) -> T,
    get: impl Fn(&T, &[u8]) -> Option<u32> + 'a,
) -> Peer<'a> {
    let (tables, bytes) = bytes(|| rules.iter().map(|r| make(r)).collect::<Vec<T>>());
    (name, bytes, Box::new(move |(tenant, asked)| get(&tables[*tenant as usize], asked)))
}

pub fn run(tenants: usize, numbers: usize) {
    let chance = &mut Chance(88_172_645_463_325_252);
    let hashes = |rules: &Rules| {
        vec![
            peer("ahash per length", rules, PerLength::<ahash::RandomState>::new, |of, asked| of.get(asked)),
            peer("foldhash per length", rules, PerLength::<foldhash::fast::RandomState>::new, |of, asked| {
                of.get(asked)
            }),
        ]
    };

    let rules = prefixes(chance, tenants, numbers);
    println!("\nlongest start of random prefixes, {tenants} tenants x {numbers}");
    let mut peers = hashes(&rules);
    let start = |(p, v): &(Vec<u8>, u32)| (digits(p), *v);
    let built = |r: &[(Vec<u8>, u32)]| Prefixes::build(r.iter().map(start).collect());
    peers.push(peer("prefixes", &rules, built, |of, asked| of.find(digits(asked))));
    compare(&peers, &queries(chance, &rules), tenants * numbers);
    drop(peers);

    let rules = whole(chance, tenants, numbers);
    println!("\nrandom whole numbers, {tenants} tenants x {numbers}");
    let mut peers = hashes(&rules);
    let pair = |(p, v): &(Vec<u8>, u32)| (digits(p).spread(), *v);
    let built = |r: &[(Vec<u8>, u32)]| Index::build(r.iter().map(pair).collect());
    let grown = |r: &[(Vec<u8>, u32)]| {
        let mut index = Index::default();
        for (key, value) in r.iter().map(pair) {
            index.insert(key, value);
        }
        index
    };
    peers.push(peer("index, built", &rules, built, |of, asked| of.find(digits(asked).spread())));
    peers.push(peer("index, one by one", &rules, grown, |of, asked| of.find(digits(asked).spread())));
    compare(&peers, &queries(chance, &rules), tenants * numbers);
}

fn compare(peers: &[Peer<'_>], queries: &[Query], total: usize) {
    for query in queries.iter().take(20_000) {
        let expected = peers[0].2(query);
        assert!(expected.is_some());
        for (name, _, get) in peers {
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
    let medians: Vec<f64> = times.iter().cloned().map(median).collect();
    for (((name, bytes, _), time), rounds) in peers.iter().zip(&medians).zip(&times) {
        let (each, peer) = (*bytes as f64 / total as f64, peers[0].1 as f64 / total as f64);
        let mut ratios: Vec<f64> = rounds.iter().zip(&times[0]).map(|(own, peer)| own / peer).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "{name:20} {time:6.1} ns {:.2}x ({:.2} to {:.2} by round)   {each:5.1} B/number {:.2}x",
            ratios[ratios.len() / 2],
            ratios[0],
            ratios[ratios.len() - 1],
            each / peer
        );
    }
}
