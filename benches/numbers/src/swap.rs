//! Readers of a view, quiet, and while a changed one is swapped in each millisecond.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use tandem_domain::number::Number;
use tandem_domain::view::View;

use crate::measure::{Chance, median, per};
use crate::people;

const LOOKUPS: usize = 500_000;
const ROUNDS: usize = 9;
const TENANTS: usize = 1_000;
const USERS: usize = 500;

pub fn run() {
    println!("\nlookups in a view of {TENANTS} tenants x {} numbers", 2 * USERS);
    let mut view = View::new();
    for t in 0..TENANTS {
        let id = people::tenant(t);
        people::birth(&id).iter().for_each(|c| view.apply(c));
        (0..USERS).for_each(|n| view.apply(&people::user(&id, n, 1_000_000 + 2 * n as u64)));
    }
    let chance = &mut Chance(88_172_645_463_325_252);
    let queries: Vec<(String, Number)> = (0..1 << 16)
        .map(|_| {
            let number = format!("+4930{}", 1_000_000 + 2 * chance.below(USERS as u64));
            let number = Number::parse_canonical(&number).expect("it is a number");
            (people::tenant(chance.below(TENANTS as u64) as usize).name.to_string(), number)
        })
        .collect();
    let shared = Arc::new(ArcSwap::from_pointee(view));
    let on = Arc::new(AtomicBool::new(false));
    let stop = Arc::new(AtomicBool::new(false));
    let swaps = Arc::new(AtomicUsize::new(0));
    let writer = {
        let (shared, on, stop, swaps) = (shared.clone(), on.clone(), stop.clone(), swaps.clone());
        std::thread::spawn(move || {
            let chance = &mut Chance(1);
            while !stop.load(Relaxed) {
                if on.load(Relaxed) {
                    let n = chance.below(USERS as u64);
                    let id = people::tenant(chance.below(TENANTS as u64) as usize);
                    let mut next = View::clone(&shared.load());
                    next.apply(&people::user(&id, n as usize, 1_000_000 + 2 * n + chance.below(2)));
                    shared.store(Arc::new(next));
                    swaps.fetch_add(1, Relaxed);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        })
    };
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (busy, times) in [false, true].into_iter().zip(&mut times) {
            on.store(busy, Relaxed);
            times.push(per(LOOKUPS, || {
                let mut found = 0;
                for at in 0..LOOKUPS {
                    let (tenant, number) = &queries[at & 0xffff];
                    let view = shared.load();
                    let tenant = view.tenant(black_box(tenant)).expect("it was born");
                    found += usize::from(tenant.number(*number).lync.is_some());
                }
                black_box(found);
            }));
        }
    }
    stop.store(true, Relaxed);
    writer.join().expect("the writer does not panic");
    let [quiet, busy] = times.map(median);
    println!(
        "quiet {quiet:6.1} ns    swapped {busy:6.1} ns    {:.3}x    ({} swaps)",
        busy / quiet,
        swaps.load(Relaxed)
    );
}
