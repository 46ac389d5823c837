//! Drives transactions and the proxy core by a script of bytes, in virtual time: any bytes are a script. The fuzz target
//! `sip_transaction` and the test beside this folder run it.
//!
//! A script's first byte chooses what is driven, the others are operations with their arguments, each byte one: a
//! letter is an operation, a digit an argument, so that a person can write one (`fuzz/seeds/sip_transaction`); other bytes
//! count by their low four bits. A script that ends within an operation reads zeros.
//!
//! What holds, or the run panics:
//! - nothing panics;
//! - there are never more transactions than allowed, and no more calls than transactions;
//! - what is sent can be parsed; a call is gone once, and nothing is told of it after that;
//! - a caller gets one final response, again and again; only a 2xx may follow another;
//! - when everybody has given up and the longest timer has run out, nothing is left and nothing is waited for.

mod layer;
mod proxy;

use std::net::SocketAddr;
use std::time::Duration;

use tandem_sip::transaction::{Peer, Transport};

/// Few, so that a script reaches the limit.
const TRANSACTIONS_MAX: usize = 24;
/// With the reserve for what is in a dialog, and for CANCEL.
const TRANSACTIONS_MOST: usize = TRANSACTIONS_MAX + TRANSACTIONS_MAX / 8 + 8;
/// Longer than every timer: Timer C, then a cancelled branch's wait, then 64 x T1 twice, and ringing.
const LONGEST: Duration = Duration::from_secs(1_200);

/// Runs a script to its end.
///
/// # Panics
/// When something does not hold: that is a fault of what was driven.
pub(crate) fn run(script: &[u8]) {
    match script.split_first() {
        Some((b'l', rest)) => layer::run(&mut Script(rest)),
        Some((_, rest)) => proxy::run(&mut Script(rest)),
        None => {}
    }
}

/// What is left of a script.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below 16: of a digit its value, of a letter its place in the alphabet ('a' is 1, 'p' is 0).
    fn number(&mut self) -> usize {
        usize::from(self.byte().unwrap_or(0) & 15)
    }

    /// One of these.
    fn of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.number() % these.len()]
    }

    /// This many bytes, or what there is.
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Pauses between and at the timers' own times.
const PAUSES: [Duration; 10] = [
    Duration::ZERO,
    Duration::from_millis(1),
    Duration::from_millis(500),
    Duration::from_millis(1_500),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(11),
    Duration::from_secs(32),
    Duration::from_secs(64),
    Duration::from_secs(186),
];

const STATUSES: [u16; 16] = [100, 180, 183, 199, 200, 202, 302, 401, 404, 407, 408, 486, 487, 500, 503, 603];

fn peer(number: usize) -> Peer {
    let transport = if number % 4 == 3 { Transport::Tcp } else { Transport::Udp };
    let address = SocketAddr::from(([192, 0, 2, 10 + (number % 4) as u8], 5060));
    Peer { address, transport, listener: u16::from(transport == Transport::Tcp), connection: 0 }
}
