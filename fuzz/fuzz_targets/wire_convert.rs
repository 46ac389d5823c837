//! Bytes as each message that the API and the feed take: what can be read is written, read again, and the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| tandem_wire::testing::read_all(bytes));
