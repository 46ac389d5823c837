//! One directory change, in a tenant of 100 users and one of 100,000, while somebody holds the view before it.

use std::hint::black_box;

use tandem_domain::record::Change;
use tandem_domain::view::View;

use crate::measure::{Chance, median, per};
use crate::people;

const CHANGES: usize = 20_000;
const ROUNDS: usize = 9;

pub fn run() {
    println!("\none change of a user (the line moves), a snapshot held at each change, 1,000 other tenants");
    let chance = &mut Chance(88_172_645_463_325_252);
    let mut view = View::new();
    for n in 0..1_000 {
        let id = people::tenant(n);
        people::birth(&id).iter().for_each(|c| view.apply(c));
        view.apply(&people::user(&id, 0, 1_000_000));
    }
    let sizes = [100_usize, 100_000];
    let tenants = sizes.map(|size| {
        let id = people::tenant(10_000 + size);
        people::birth(&id).iter().for_each(|c| view.apply(c));
        for n in 0..size {
            view.apply(&people::user(&id, n, 1_000_000 + 2 * n as u64));
        }
        (id, size)
    });
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for ((id, size), times) in tenants.iter().zip(&mut times) {
            let changes: Vec<Change> = (0..CHANGES)
                .map(|_| {
                    let n = chance.below(*size as u64);
                    let moved = chance.below(2);
                    people::user(id, n as usize, 1_000_000 + 2 * n + moved)
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
    let [small, large] = times.map(median);
    println!("100 users {small:7.0} ns    100,000 users {large:7.0} ns    {:.2}x", large / small);
}
