//! Files without a server: checked, drawn, set up.

use crate::harness::{golden, run};

const FILES: &str = "services/tandem/tests/command/files";

#[test]
fn the_examples_are_taken_and_what_is_found_is_said() {
    let said = run(&["tenant", "check", "examples/tenants", "examples/directories"]).ended(0);
    golden("check-examples.txt", &said.out);
    run(&["tenant", "check", "examples/tenants", "examples/directories", "--strict"]).ended(1);
}

#[test]
fn what_is_wrong_is_said_with_line_reason_and_fix() {
    for name in ["no-yaml", "unknown-field", "unknown-egress", "unknown-kind"] {
        let said = run(&["tenant", "check", &format!("{FILES}/{name}.yaml")]).ended(1);
        golden(&format!("check-{name}.txt"), &said.out);
    }
    let file = format!("{FILES}/unknown-egress.yaml");
    let json = run(&["tenant", "check", &file, "--output", "json"]).ended(1).json();
    assert_eq!(json["errors"], 1, "{json}");
    assert_eq!(json["diagnostics"][0]["file"], file);
}

#[test]
fn a_listener_that_no_edge_has_is_found_where_the_edges_are_said() {
    let file = format!("{FILES}/elsewhere.yaml");
    let said = run(&["tenant", "check", &file]).ended(0);
    assert!(!said.out.contains("listener_unknown"), "{}", said.out);
    let said = run(&["tenant", "check", &file, "--listener", "public", "--listener", "carrier"]).ended(0);
    let words = "ingress.listener_unknown: there is no listener `pubic` here, but `public`, `carrier`";
    assert_eq!(said.out.matches("listener_unknown").count(), 1, "{}", said.out);
    assert!(said.out.contains(words) && said.out.contains("--listen NAME=udp"), "{}", said.out);
}

#[test]
fn a_directory_without_its_tenant_is_not_checked_and_that_is_said() {
    let said = run(&["tenant", "check", "examples/directories/brandt.yaml"]).ended(0);
    assert!(said.out.contains("no tenant brandt was given"), "{}", said.out);
}

#[test]
fn a_file_that_is_not_there_is_one_line() {
    let said = run(&["tenant", "show", "nowhere.yaml"]).ended(65);
    assert!(said.err.contains("nowhere.yaml") && said.out.is_empty(), "{said:#?}");
}

#[test]
fn a_tenant_is_drawn_and_set_up() {
    let file = "examples/tenants/brandt.yaml";
    let drawn = run(&["tenant", "show", file]).ended(0);
    assert!(drawn.out.contains("berlin") && drawn.out.contains("5068"), "{}", drawn.out);
    let json = run(&["tenant", "show", file, "--output", "json"]).ended(0).json();
    // A list, whether one file is named or many.
    let json = &json[0];
    assert_eq!(
        (json["tenant"].as_str(), json["model"].as_str()),
        (Some("brandt"), Some("OnPremises")),
        "{json}"
    );
    assert!(json["links"].as_array().unwrap().iter().any(|l| l["from"]["element"] == "MED"), "{json}");

    let told = run(&["tenant", "setup", file]).ended(0);
    assert!(told.out.contains("Interaction Administrator"), "{}", told.out);
    for command in ["show", "setup"] {
        let with = run(&["tenant", command, file, "--edge-in-path"]).ended(0);
        assert!(
            with.out.contains("by way of Tandem's edge") && !told.out.contains("Tandem's edge"),
            "{}",
            with.out
        );
    }
    let all = run(&["tenant", "setup", "examples/tenants", "--output", "json"]).ended(0).json();
    assert_eq!(all.as_array().unwrap().len(), 3);
}

#[test]
fn schemas_are_json() {
    for kind in ["tenant", "directory"] {
        assert!(run(&["tenant", "schema", kind]).ended(0).json().is_object());
    }
}
