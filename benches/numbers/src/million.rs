//! A view of a million distinct number assignments, from a stream of records.

use std::time::Instant;

use tandem_domain::record::Change;
use tandem_domain::view::View;

use crate::measure::{Chance, bytes, cpu_ns};
use crate::people;

pub fn run() {
    for (tenants, numbers) in [(1_000_usize, 1_000_usize), (10_000, 100), (5, 200_000)] {
        println!("\na view of {tenants} tenants x {numbers} number assignments");
        let mut births: Vec<Change> = Vec::new();
        (0..tenants).for_each(|t| births.extend(people::birth(&people::tenant(t))));
        // In no order: a store lists records as their hashes lie.
        let (records, record_bytes) = bytes(|| {
            let mut records = Vec::with_capacity(tenants * numbers);
            for t in 0..tenants {
                let id = people::tenant(t);
                let number = |n: usize| format!("+4930{}", 10_000_000 + (n * 7_919) % 9_999_991);
                records.extend((0..numbers).map(|n| people::number(&id, &number(n), n)));
            }
            let chance = &mut Chance(7);
            for at in (1..records.len()).rev() {
                records.swap(at, chance.below(at as u64 + 1) as usize);
            }
            records
        });
        let total = records.len() as f64;
        println!("records as they came: {:.0} B each", record_bytes as f64 / total);
        let (empty, policy_bytes) = bytes(|| View::build(&births));
        drop(empty);
        for (name, at_once) in [("policy first, one by one", false), ("at once", true)] {
            let (from, cpu) = (Instant::now(), cpu_ns());
            let (view, bytes) = bytes(|| {
                if at_once {
                    return View::build(births.iter().chain(&records));
                }
                let mut view = View::new();
                births.iter().chain(&records).for_each(|c| view.apply(c));
                view
            });
            let (wall, cpu) = (from.elapsed(), cpu_ns() - cpu);
            let found: usize = view.tenants().map(|t| t.numbers_len()).sum();
            assert_eq!(found, records.len());
            println!(
                "{name:28} {:.2} s wall, {:.2} s CPU, {:.1} B/number beside the records",
                wall.as_secs_f64(),
                cpu as f64 / 1e9,
                (bytes as f64 - policy_bytes as f64) / total
            );
        }
    }
}
