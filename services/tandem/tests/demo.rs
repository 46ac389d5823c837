//! `tandem demo` as a person or a script runs it: real calls over loopback.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::process::{Command, Output};

use serde_json::Value;

fn demo(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .arg("demo")
        .args(args)
        .env_remove("TANDEM_LOG")
        .output()
        .expect("the binary runs")
}

#[track_caller]
fn text(output: &Output, code: i32) -> String {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    out
}

fn row(number: &str) -> Value {
    let out = text(&demo(&["--row", number, "--output", "json"]), 0);
    serde_json::from_str(&out).expect("one JSON value")
}

/// The way of a call in the table's words.
fn hops(call: &Value) -> String {
    let hops = call["hops"].as_array().expect("hops");
    let names: Vec<&str> = hops.iter().filter_map(|hop| hop["element"].as_str()).collect();
    names.join(" > ")
}

#[test]
fn the_tour_is_nine_calls_that_go_as_planned() {
    let out = text(&demo(&[]), 0);
    assert_eq!(out.matches("\n  as planned").count(), 9, "{out}");
    assert!(out.contains("9 calls, 0 of them another way than planned"), "{out}");
    for words in ["on-premises, option 1", "local control, option 2", "remote control, option 3"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    // Who decided each hop, by which rule, and why row 4 is answered by hand.
    for words in
        ["decided by tandem", "sent by simulated cic", "+ cic-owner:", "the Lync plug-in is not connected"]
    {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(!out.contains('\u{1b}'), "no colour where nobody looks");
    let widest = out.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(widest <= 100, "a terminal of a hundred columns shows each line whole, not {widest}");
}

#[test]
fn a_row_is_walked_with_the_edge_in_path_and_without() {
    let value = row("92");
    let calls = value["calls"].as_array().expect("calls");
    let seen: Vec<(String, &str, bool)> = calls
        .iter()
        .map(|call| (hops(call), call["edge"].as_str().expect("edge"), call["asPlanned"] == true))
        .collect();
    let with = "GW > EDGE > MED > FE > MED > EDGE > CIC > EDGE > MED > FE > LPH".to_owned();
    let without = "GW > MED > FE > MED > CIC > MED > FE > LPH".to_owned();
    assert_eq!(seen, [(with, "in path", true), (without, "not in path", true)]);
    // Remote control, option 3, recorded: the audio crosses the WAN three times.
    let crossings =
        calls[0]["columns"].as_array().expect("columns").iter().find(|c| c["name"] == "media crossings");
    assert_eq!(crossings.map(|c| &c["observed"]), Some(&Value::from("3")));
}

#[test]
fn a_redirected_call_was_decided_by_tandem() {
    let value = row("12");
    let hops = value["calls"][0]["hops"].as_array().expect("hops");
    let decided: Vec<_> = hops.iter().map(|h| (h["element"].as_str(), h["decidedBy"].as_str())).collect();
    assert_eq!(
        decided,
        [
            (Some("GW"), None),
            (Some("EDGE"), Some("gateway")),
            (Some("CIC"), Some("tandem")),
            (Some("CPH"), Some("cic")),
        ]
    );
}

#[test]
fn a_simulator_that_is_set_up_wrong_is_noticed() {
    let check = |whose: &str, row: &str, observed: &str| {
        let out = text(&demo(&["--row", row, "--misconfigure", whose]), 1);
        assert!(out.contains("another way than planned"), "{whose}: {out}");
        assert!(out.contains(observed), "{whose}: {out}");
    };
    // The gateway passes the proxy by and asks Mediation, CIC rings another's Line URI, Lync knows no Line URI.
    check("gateway", "1", "observed GW > MED");
    check("cic", "3", "observed 2x12065550103 2x12065550122");
    check("lync", "3", "observed GW > PX > CIC > MED > FE\n");
}

#[test]
fn several_run_side_by_side() {
    let runs: Vec<_> = (0..3).map(|_| std::thread::spawn(|| row("37"))).collect();
    for run in runs {
        let value = run.join().expect("it ended");
        assert_eq!(hops(&value["calls"][0]), "GW > PX > CIC > MED > FE > LPH");
        assert_eq!(value["notAsPlanned"], 0);
    }
}

#[test]
fn a_capture_holds_raw_ip() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("calls.pcap");
    let out = text(&demo(&["--row", "2", "--pcap", &path.to_string_lossy()]), 0);
    assert!(out.contains("packets written"), "{out}");
    let bytes = std::fs::read(&path).expect("the capture");
    assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_le_bytes());
    assert_eq!(bytes[20..24], 101_u32.to_le_bytes());
    let count = |what: &[u8]| bytes.windows(what.len()).filter(|window| *window == what).count();
    // GW to PX, PX to MED, MED to FE, FE to the phone: each leg once.
    assert_eq!(count(b"INVITE sip:"), 4);
    // A file that cannot be made is an error that names it.
    let output = demo(&["--row", "2", "--pcap", "/nowhere/calls.pcap"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/calls.pcap"));
}

#[test]
fn every_row_goes_as_planned_and_the_mistakes_come_out_wrong() {
    let out = text(&demo(&["--all", "--output", "json"]), 0);
    let value: Value = serde_json::from_str(&out).expect("one JSON value");
    let calls = value["calls"].as_array().expect("calls");
    assert!(calls.iter().all(|call| call["asPlanned"] == true));
    // Every row with the edge in path; those of options 2 and 3 without it too.
    for (edge, rows) in [("in path", 99), ("not in path", 66)] {
        let mut seen: Vec<u64> = calls
            .iter()
            .filter(|call| call["edge"] == edge && call["wanCut"] == false)
            .filter_map(|call| call["row"].as_u64())
            .collect();
        seen.dedup();
        assert_eq!(seen.len(), rows, "{edge}");
    }
    // The WAN cut: rows 2 to 5 reach the Lync phone past CIC, a CIC phone is reached by nobody.
    let cut: Vec<(u64, String, u64)> = calls
        .iter()
        .filter(|call| call["wanCut"] == true)
        .filter_map(|call| Some((call["row"].as_u64()?, hops(call), call["status"].as_u64()?)))
        .take(5)
        .collect();
    let past = |row| (row, "GW > PX > MED > FE > LPH".to_owned(), 200);
    assert_eq!(cut, [(34, "GW > PX".to_owned(), 480), past(35), past(36), past(37), past(38)]);
    let controls = value["controls"].as_array().expect("controls");
    let ways: Vec<_> =
        controls.iter().map(|call| (hops(call), call["cameOutWrongAsItMust"] == true)).collect();
    assert_eq!(ways, [("GW > MED > FE".to_owned(), true), ("GW > MED > FE > LPH".to_owned(), true)]);
}
