//! Transactions and the proxy core under arbitrary scripts: those that the fuzz target keeps, and those of chance.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

mod drive;

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;

#[test]
fn the_kept_scripts_end_well() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../fuzz/seeds/sip_transaction");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        drive::run(&std::fs::read(file.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

/// One script by hand: `SIP_TRACE=1 SIP_SCRIPT=FILE cargo test -p tandem-sip --test scripts by_hand -- --nocapture`.
#[test]
fn a_script_by_hand_ends_well() {
    let script = std::env::var_os("SIP_SCRIPT").map(std::fs::read);
    drive::run(&script.map_or_else(|| b"pa0000g010".to_vec(), Result::unwrap));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Letters are operations, digits arguments: most of these do something.
    #[test]
    fn scripts_of_chance_end_well(kind in "[lp]", script in vec(prop_oneof![
        "[a-m]", "a0[0-9]00g0[1-3]0", "e[0-9]{2}0", "f[0-9]", "b[1-5][0-9]{2}0",
    ], 0..60)) {
        drive::run((kind + &script.concat()).as_bytes());
    }

    #[test]
    fn bytes_of_chance_end_well(script in vec(any::<u8>(), 0..400)) {
        drive::run(&script);
    }
}
