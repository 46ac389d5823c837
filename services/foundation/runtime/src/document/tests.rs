use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Tenant {
    kind: String,
    spec: Spec,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    trunks: Vec<Trunk>,
    #[serde(default)]
    extensions: BTreeMap<String, String>,
    #[serde(default)]
    row5: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Trunk {
    name: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    srtp: Srtp,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
enum Srtp {
    #[default]
    Off,
    Optional,
    Required,
}

const LIST: &str = "a list (lines that begin with `- `)";

fn source(text: &str) -> Source {
    Source::new("acme.yaml", text, Limits::POLICY).unwrap()
}

fn rejected(text: &str) -> Rejected {
    let documents = match source(text).documents() {
        Ok(documents) => documents,
        Err(rejected) => return rejected,
    };
    documents[0].parse::<Tenant>().unwrap_err()
}

/// The only diagnostic's place, path, message and fix.
fn check(text: &str, line: usize, column: usize, path: &str, message: &str, fix: &str) {
    let Rejected(diagnostics) = rejected(text);
    let [one] = diagnostics.as_slice() else { panic!("{diagnostics:?}") };
    let found = (one.line, one.column, one.finding.path.as_str());
    assert_eq!(found, (line, column, path), "{one}");
    assert_eq!(one.finding.message, message, "{one}");
    assert_eq!(one.finding.fix.as_deref().unwrap_or_default(), fix, "{one}");
    assert_eq!(one.excerpt, text.lines().nth(line - 1).unwrap_or_default(), "{one}");
}

#[test]
fn a_good_document_is_read() {
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    port: 5060\n    srtp: Required\n";
    let tenant: Tenant = source(text).document().unwrap().parse().unwrap();
    assert_eq!(tenant.spec.trunks, [Trunk { name: "gw".into(), port: 5060, srtp: Srtp::Required }]);
}

#[test]
fn an_unknown_field_is_placed_at_its_name_with_what_was_meant() {
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    srpt: Required\n";
    check(text, 5, 5, "spec.trunks[0].srpt", "unknown field `srpt`", "did you mean `srtp`?");
    let text = "kind: Tenant\nspec:\n  colour: blue\n";
    check(text, 3, 3, "spec.colour", "unknown field `colour`", "fields here are trunks, extensions, row5");
    check("kid: Tenant\n", 1, 1, "kid", "unknown field `kid`", "did you mean `kind`?");
}

#[test]
fn an_unknown_value_is_placed_at_the_value() {
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    srtp: Requird\n";
    check(text, 5, 11, "spec.trunks[0].srtp", "unknown value `Requird`", "did you mean `Required`?");
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    srtp: Maybe\n";
    let fix = "it is one of Off, Optional, Required";
    check(text, 5, 11, "spec.trunks[0].srtp", "unknown value `Maybe`", fix);
}

#[test]
fn a_wrong_type_says_what_is_wanted() {
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    port: many\n";
    let (message, fix) = ("not a whole number from 0 to 65535", "write a whole number from 0 to 65535");
    check(text, 5, 11, "spec.trunks[0].port", message, fix);
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    port: 70000\n";
    check(text, 5, 11, "spec.trunks[0].port", message, fix);
    let text = "kind: Tenant\nspec:\n  row5: yes\n";
    check(text, 3, 9, "spec.row5", "not a boolean", "write true or false");
    let text = "kind: Tenant\nspec:\n  trunks: gw\n";
    check(text, 3, 11, "spec.trunks", &format!("not {LIST}"), &format!("write {LIST}"));
}

#[test]
fn a_number_is_no_text() {
    let text = "kind: Tenant\nspec:\n  extensions:\n    alice: 0815\n";
    let message = "`0815` is not text to YAML, and text is wanted here";
    check(text, 4, 12, "spec.extensions.alice", message, "put it in quotes: \"0815\"");
    source("kind: Tenant\nspec:\n  extensions:\n    alice: \"0815\"\n")
        .document()
        .unwrap()
        .parse::<Tenant>()
        .unwrap();
}

#[test]
fn a_missing_field_is_placed_at_what_lacks_it() {
    let text = "kind: Tenant\nspec:\n  trunks:\n  - port: 5060\n";
    check(text, 4, 5, "spec.trunks[0]", "field `name` is missing", "add `name: ...`");
    check("kind: Tenant\n", 1, 1, "", "field `spec` is missing", "add `spec: ...`");
}

#[test]
fn a_key_given_twice_is_placed_at_the_second() {
    let text = "kind: Tenant\nspec:\n  row5: true\n  trunks: []\n  row5: false\n";
    let Rejected(found) = rejected(text);
    assert_eq!((found[0].line, found[0].column), (5, 3), "{}", found[0]);
    assert_eq!(found[0].finding.message, "`row5` is given twice");
}

#[test]
fn a_tab_is_named() {
    let text = "kind: Tenant\nspec:\n\ttrunks: []\n";
    check(text, 3, 1, "", "a tab indents this line", "YAML indents by spaces; put spaces in its place");
    // The parser complains of what stands before it.
    let text = "kind: Tenant\nspec:\n  row5: plain\n\ttrunks: []\n";
    check(text, 4, 1, "", "a tab indents this line", "YAML indents by spaces; put spaces in its place");
}

#[test]
fn a_template_and_a_tag_are_named_with_what_to_write() {
    let trunk =
        |srtp: &str| format!("kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    port: 1\n    srtp: {srtp}\n");
    let fix = "write one word; if this is a template (`{{ ... }}`), fill it in before it is read";
    check(&trunk("{{ .Values.srtp }}"), 6, 11, "spec.trunks[0].srtp", "not a single word", fix);
    let (message, fix) = ("the tag `!srtp` has no meaning here", "write the value without a tag");
    check(&trunk("!srtp Required"), 6, 17, "spec.trunks[0].srtp", message, fix);
}

#[test]
fn what_is_no_yaml_is_placed() {
    for text in ["kind: [Tenant\nspec: {}\n", "kind: \"Tenant\nspec: {}\n", "a: b: c\n", "- a\nb: c\n"] {
        let Rejected(found) = rejected(text);
        assert!(found[0].line > 0 && found[0].finding.message.starts_with("not YAML: "), "{}", found[0]);
    }
}

#[test]
fn a_text_of_nothing_is_refused() {
    for text in ["", "\n\n", "# only words\n", "---\n", "---\n# a\n---\n"] {
        let Rejected(found) = source(text).documents().unwrap_err();
        assert_eq!(found[0].finding.message, "holds no document", "{text:?}");
    }
}

#[test]
fn a_text_too_large_is_refused_and_never_read_whole() {
    let limits = Limits { bytes: 1024, ..Limits::POLICY };
    let Rejected(found) = Source::new("big.yaml", "x".repeat(1025), limits).unwrap_err();
    assert_eq!(found[0].finding.message, "is larger than 1 KiB, the most that is taken");
    // An endless file ends at the limit.
    let Rejected(found) = Source::read(Path::new("/dev/zero"), limits).unwrap_err();
    assert_eq!(found[0].finding.message, "is larger than 1 KiB, the most that is taken");
}

#[test]
fn files_that_cannot_be_read_are_named_with_the_fix() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("none.yaml");
    let Rejected(found) = Source::read(&missing, Limits::POLICY).unwrap_err();
    assert_eq!(found[0].file, missing.display().to_string());
    assert_eq!(found[0].finding.fix.as_deref(), Some("check the path"));
    let Rejected(found) = Source::read(dir.path(), Limits::POLICY).unwrap_err();
    assert_eq!(found[0].finding.fix.as_deref(), Some("give a file"));
    let latin = dir.path().join("latin.yaml");
    std::fs::write(&latin, b"kind: Tenant\nname: M\xfcller\n").unwrap();
    let Rejected(found) = Source::read(&latin, Limits::POLICY).unwrap_err();
    assert_eq!((found[0].line, found[0].column), (2, 8));
    assert_eq!(found[0].finding.fix.as_deref(), Some("save it as UTF-8"));
}

#[test]
fn aliases_are_a_shorthand_and_no_bomb() {
    let text = "kind: Tenant\nspec:\n  extensions:\n    a: &n \"1\"\n    b: *n\n";
    let tenant: Tenant = source(text).document().unwrap().parse().unwrap();
    assert_eq!(tenant.spec.extensions["b"], "1");

    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let item = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![item; 9].join(", "));
    }
    let document = source(&bomb).document().unwrap();
    let Rejected(found) = document.parse::<serde_json::Value>().unwrap_err();
    assert_eq!(found[0].finding.message, "aliases repeat more than is taken", "{}", found[0]);
    assert!(found[0].line > 1, "{}", found[0]);
}

#[test]
fn depth_is_limited() {
    let text = "[".repeat(200) + &"]".repeat(200);
    let Rejected(found) = source(&text).documents().unwrap_err();
    assert_eq!((found[0].line, found[0].column), (1, 33));
    assert_eq!(found[0].finding.message, "nested more than 32 deep");
}

#[test]
fn several_documents_keep_their_lines() {
    let text = "# ours\nkind: Tenant\nspec: {}\n---\n# nothing\n---\nkind: Tenant\nspec:\n  row5: maybe\n";
    let documents = source(text).documents().unwrap();
    assert_eq!(documents.len(), 2);
    documents[0].parse::<Tenant>().unwrap();
    let Rejected(found) = documents[1].parse::<Tenant>().unwrap_err();
    assert_eq!((found[0].line, found[0].column, found[0].excerpt.as_str()), (9, 9, "  row5: maybe"));
    let Rejected(found) = source(text).document().unwrap_err();
    assert_eq!((found[0].line, found[0].excerpt.as_str()), (6, "---"));
}

#[test]
fn a_scalar_is_found_before_parsing() {
    let text = "# c\nkind: Tenant\nmetadata:\n  name: acme\n  labels: {\"a.b\": c}\n";
    let document = source(text).document().unwrap();
    assert_eq!(document.scalar("kind").as_deref(), Some("Tenant"));
    assert_eq!(document.scalar("metadata.name").as_deref(), Some("acme"));
    assert_eq!(document.scalar("metadata.labels[\"a.b\"]").as_deref(), Some("c"));
    assert_eq!(document.scalar("metadata"), None);
    assert_eq!(document.scalar("spec"), None);
}

fn finding(path: &str) -> Finding {
    Finding { severity: Severity::Error, path: path.into(), message: "wrong".into(), fix: None }
}

#[test]
fn findings_are_placed_by_path_in_the_order_of_the_text() {
    let text = "kind: Tenant\nspec:\n  trunks:\n  - {name: gw, srtp: Off}\n  - name: px\n    port: 1\n  extensions:\n    a.b: \"1\"\n    ? [x]\n    : \"2\"\n    c: \"3\"\n";
    let document = source(text).document().unwrap();
    let at = |path: &str| {
        let placed = document.place([finding(path)]);
        (placed[0].line, placed[0].column, placed[0].width)
    };
    assert_eq!(at("kind"), (1, 7, 6));
    assert_eq!(at("spec.trunks[0].srtp"), (4, 22, 3));
    assert_eq!(at("spec.trunks[1].port"), (6, 11, 1));
    assert_eq!(at("spec.extensions[\"a.b\"]"), (8, 10, 3));
    assert_eq!(at("spec.extensions.c"), (11, 8, 3));
    // What is not there is placed at the nearest that is.
    assert_eq!(at("spec.trunks[1].srtp").0, 5);
    assert_eq!(at("spec.trunks[9].srtp"), (3, 3, 6));
    assert_eq!(at("spec.media.policy"), (2, 1, 4));
    assert_eq!(at("nothing.like.it"), (1, 1, 1));
    let paths = ["spec.trunks[1].port", "kind", "spec.trunks[0].srtp"];
    let lines: Vec<usize> = document.place(paths.map(finding)).iter().map(|placed| placed.line).collect();
    assert_eq!(lines, [1, 4, 6]);
}

#[test]
fn a_diagnostic_is_printed_as_a_compiler_does() {
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    srpt: Required\n";
    let found = rejected(text);
    let expected = "\
acme.yaml:5:5: error: unknown field `srpt`
  |
5 |     srpt: Required
  |     ^^^^
  = at spec.trunks[0].srpt
  = fix: did you mean `srtp`?";
    assert_eq!(found.to_string(), expected);
    let colored = render(&found.0[0], true);
    assert!(colored.contains("\u{1b}[1;31merror\u{1b}[0m"), "{colored}");
    let mut plain = colored;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[1;31m", "\u{1b}[1;32m", "\u{1b}[1;34m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, expected);
}

#[test]
fn a_long_line_is_cut_and_nothing_reaches_the_terminal_raw() {
    let extensions = format!("extensions: {{ a: \"{}\" }}", "z".repeat(500));
    let text = format!("kind: Tenant\nspec: {{ {extensions}, row5: maybe }}\n");
    let found = rejected(&text);
    let printed = found.to_string();
    assert!(printed.lines().all(|line| line.chars().count() < 140), "{printed}");
    assert!(printed.contains("row5: maybe"), "{printed}");
    let lines: Vec<&str> = printed.lines().collect();
    let caret = lines[3].find('^').unwrap();
    assert!(lines[2][caret..].starts_with("maybe"), "{printed}");
    let text = "kind: Tenant\nspec:\n  trunks:\n  - name: gw\n    srtp: \"\\e[31mOff\"\n";
    let printed = rejected(text).to_string();
    assert!(printed.contains("unknown value") && !printed.contains('\u{1b}'), "{printed}");
}

#[test]
fn diagnostics_are_data_too() {
    let found = rejected("kid: Tenant\n");
    let json = serde_json::to_value(&found.0[0]).unwrap();
    assert_eq!(
        (&json["line"], &json["severity"], &json["path"]),
        (&1.into(), &"error".into(), &"kid".into())
    );
}
