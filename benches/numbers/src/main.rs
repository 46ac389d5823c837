//! What the number index and the view cost, in CPU time of the thread and in bytes of live heap.
//!
//! `bench-numbers lookup [TENANTS NUMBERS]`, `apply`, `swap`, `million`. Peers run in the same process, round by round in turn;
//! the median of the rounds is printed.

mod apply;
mod lookup;
mod measure;
mod million;
mod people;
mod swap;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let n = |at: usize, default: usize| args.get(at).and_then(|a| a.parse().ok()).unwrap_or(default);
    match args.first().map(String::as_str) {
        Some("lookup") => lookup::run(n(1, 1_000), n(2, 1_000)),
        Some("apply") => apply::run(),
        Some("swap") => swap::run(),
        Some("million") => million::run(),
        _ => {
            lookup::run(1_000, 1_000);
            lookup::run(10_000, 100);
            apply::run();
            swap::run();
            million::run();
        }
    }
}
