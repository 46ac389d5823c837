//! Calls decided from files, without a server.

use crate::harness::{golden, run};

const TENANT: &str = "examples/tenants/brandt.yaml";
const PEOPLE: &str = "examples/directories/brandt.yaml";

fn call<'a>(what: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["call", what, "--tenant", TENANT, "--directory", PEOPLE, "--called"];
    args.extend_from_slice(more);
    args
}

#[test]
fn an_explanation_is_the_ladder_the_losers_and_the_revision() {
    let said = run(&call("explain", &["+493023125103", "--caller", "+4915112345678"])).ended(0);
    golden("explain-brandt-clara.txt", &said.out);
    let json = run(&call("explain", &["+493023125103", "--output", "json"])).ended(0).json();
    assert_eq!(json["decision"]["owner"]["id"], "clara.hoffmann", "{json}");
    assert!(json["trail"].as_array().unwrap().iter().any(|step| step["verdict"] == "LOST"), "{json}");
}

#[test]
fn a_next_hop_is_short() {
    let said = run(&call("route", &["+493023125103"])).ended(0);
    golden("route-brandt-clara.txt", &said.out);
}

#[test]
fn a_call_that_goes_nowhere_is_1_and_says_why() {
    let said = run(&call("route", &["hello", "--output", "json"])).ended(1);
    assert!(said.json()["rejection"]["reason"].is_string(), "{said:#?}");
}

#[test]
fn what_is_assumed_is_believed() {
    let people = "examples/directories/albion.yaml";
    let args =
        ["call", "explain", "--tenant", "examples/tenants/albion.yaml", "--directory", people, "--called"];
    let ask = |more: &[&str]| run(&[&args[..], &["+442079460103"], more].concat()).ended(0).out;
    assert_ne!(ask(&[]), ask(&["--wan-lost", "--cic-silent", "60"]));
    // Without the WAN nothing is heard of CIC, so that it is no target any more.
    assert!(ask(&[]).contains("target 1   cic"), "{}", ask(&[]));
    let lost = ask(&["--wan-lost"]);
    assert!(
        lost.contains("target 1   lync") && lost.contains("CIC in the cloud is lost with the WAN"),
        "{lost}"
    );
    let silent = ask(&["--cic-silent", "60"]);
    assert!(silent.contains("CIC in the cloud has been silent for 60 s"), "{silent}");
    // A call for help is said to be one, once, and with its way out.
    let help = run(&[&args[..], &["999", "--from", "cic"]].concat()).ended(0).out;
    assert!(
        help.contains("called     for help\n") && help.matches("emergency        9.1").count() == 1,
        "{help}"
    );
    let help = run(&["call", "route", "--tenant", TENANT, "--called", "112", "--from", "cic"]).ended(0).out;
    assert!(help.starts_with("called    for help: nothing else applies\n"), "{help}");
}

#[test]
fn what_cannot_be_asked_is_named() {
    let check = |args: &[&str], code: i32, part: &str| {
        let said = run(args).ended(code);
        assert!(said.err.contains(part), "{said:#?}");
        assert_eq!(said.err.trim_end().lines().count(), 1, "{said:#?}");
    };
    check(&call("route", &[""]), 65, "--called: is empty");
    check(&call("explain", &["+493023125103", "--agent", "nosuch"]), 65, "--agent: nosuch is no user");
    let people_alone = ["call", "route", "--tenant", "brandt", "--directory", PEOPLE, "--called", "1"];
    check(&people_alone, 65, "--directory needs the tenant's file");
    let nobody = ["call", "route", "--tenant", "brandt", "--called", "1", "--server", "http://127.0.0.1:1"];
    check(&nobody, 69, "http://127.0.0.1:1 cannot be reached");
    check(&["sim", "status", "127.0.0.1:1"], 69, "is a simulator running with `--status` and this address?");
    let json = run(&[&nobody[..], &["--output", "json"]].concat()).ended(69);
    let json: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert!(json["error"].as_str().unwrap().starts_with("http://127.0.0.1:1 cannot"), "{json}");
    let people = "examples/directories/albion.yaml";
    let other = ["call", "route", "--tenant", TENANT, "--directory", people, "--called", "1"];
    check(&other, 65, "no directory of tenant brandt");
    let no_url = ["call", "route", "--tenant", "brandt", "--called", "1", "--server", "ftp://x"];
    check(&no_url, 65, "write http://HOST:PORT");
}
