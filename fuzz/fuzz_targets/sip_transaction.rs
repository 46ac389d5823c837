//! A script of events for transactions or the proxy core: what holds is said where it is run.
#![no_main]

#[path = "../../services/foundation/sip/tests/drive/mod.rs"]
mod drive;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| drive::run(script));
