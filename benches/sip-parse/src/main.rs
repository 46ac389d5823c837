//! What it costs to read an INVITE down to the keys that routing needs, against other crates on the same bytes.

mod measure;
mod messages;
mod readers;

use std::hint::black_box;

use readers::{READERS, Reader};

/// Messages read in one turn.
const TURN: usize = 20_000;
/// Odd, so that the median is one of them.
const ROUNDS: usize = 21;

fn main() {
    for message in [messages::small(), messages::large()] {
        check(&message);
        let mut times = vec![Vec::new(); READERS.len()];
        for _ in 0..ROUNDS {
            for (reader, times) in READERS.iter().zip(&mut times) {
                times.push(measure::per(TURN, || turn(reader, &message)));
            }
        }
        let times: Vec<f64> = times.into_iter().map(measure::median).collect();
        println!("INVITE of {} bytes, median of {ROUNDS} rounds of {TURN}", message.len());
        for (reader, time) in READERS.iter().zip(&times) {
            println!(
                "  {:<32} {time:>6.0} ns   ours to keys takes {:.3}x, ours for lines {:.3}x of it",
                reader.name,
                times[0] / time,
                times[1] / time,
            );
        }
    }
}

fn turn(reader: &Reader, message: &[u8]) {
    (reader.many)(black_box(message), TURN);
}

/// Each reader finds what is there, and ours allocates nothing.
fn check(message: &[u8]) {
    for reader in READERS {
        (reader.many)(message, 1);
    }
    let before = measure::allocations();
    (READERS[0].many)(message, 1_000);
    assert_eq!(measure::allocations() - before, 0, "tandem-sip allocates");
}
