//! One directory change, in tenants of 100 users and in one of 100,000, while somebody holds the view before it.
//!
//! `of 1,000` changes a thousand small tenants at random, so that they are as cold in the caches as the large one:
//! what is left is the cost of size. `the same` hammers one small tenant, which stays in the caches.

use std::hint::black_box;

use tandem_domain::id::TenantId;
use tandem_domain::record::Change;
use tandem_domain::view::View;

use crate::measure::{Chance, median, per};
use crate::people;

const CHANGES: usize = 20_000;
const ROUNDS: usize = 9;
const SMALL: usize = 100;
const LARGE: usize = 100_000;

pub fn run() {
    println!("\none change of a user (the line moves), a snapshot held at each change");
    let chance = &mut Chance(88_172_645_463_325_252);
    let mut view = View::new();
    let mut tenant = |n: usize, users: usize| {
        let id = people::tenant(n);
        people::birth(&id).iter().for_each(|c| view.apply(c));
        (0..users).for_each(|u| view.apply(&people::user(&id, u, 1_000_000 + 2 * u as u64)));
        id
    };
    let small: Vec<TenantId> = (0..1_000).map(|n| tenant(n, SMALL)).collect();
    let large = [tenant(1_000, LARGE)];
    let cases: [(&str, &[TenantId], usize); 3] = [
        ("of 1,000 tenants of 100", &small, SMALL),
        ("the same tenant of 100", &small[..1], SMALL),
        ("a tenant of 100,000", &large, LARGE),
    ];
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for ((_, tenants, users), times) in cases.iter().zip(&mut times) {
            let changes: Vec<Change> = (0..CHANGES)
                .map(|_| {
                    let id = &tenants[chance.below(tenants.len() as u64) as usize];
                    let n = chance.below(*users as u64);
                    people::user(id, n as usize, 1_000_000 + 2 * n + chance.below(2))
                })
                .collect();
            let time = per(CHANGES, || {
                for change in &changes {
                    let snapshot = view.clone();
                    view.apply(black_box(change));
                    drop(snapshot);
                }
            });
            if round > 0 {
                times.push(time);
            }
        }
    }
    let medians = times.map(median);
    for ((name, ..), time) in cases.iter().zip(medians) {
        println!("{name:26} {time:7.0} ns    100,000 is {:.2}x", medians[2] / time);
    }
}
