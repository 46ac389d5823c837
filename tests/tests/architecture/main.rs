//! Holds the lines of ARCHITECTURE.md: who may import whom, and what must stay pure.
//!
//! `Cargo.toml` is the architecture, so it is read as the compiler reads it (`cargo metadata`), and so are the sources
//! of the pure crates (`syn`), for a clock or a socket needs no dependency.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test")]

mod pure;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// What each of our crates may import of ours. A crate that is not listed fails the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("tandem-proto", &[]),
    ("tandem-domain", &[]),
    ("tandem-sip", &[]),
    ("tandem-runtime", &[]),
    ("tandem-store", &["tandem-domain"]),
    ("tandem-wire", &["tandem-domain", "tandem-proto", "tandem-runtime"]),
    ("tandem-cell", &["tandem-domain", "tandem-store", "tandem-runtime"]),
    ("tandem-routing", SERVICE),
    ("tandem-station", SERVICE),
    ("tandem-edge", &["tandem-domain", "tandem-sip", "tandem-proto", "tandem-wire", "tandem-runtime"]),
    ("tandem-sim", &["tandem-sip", "tandem-proto", "tandem-runtime"]),
    (
        "tandem",
        &[
            "tandem-domain",
            "tandem-sip",
            "tandem-proto",
            "tandem-wire",
            "tandem-store",
            "tandem-cell",
            "tandem-runtime",
            "tandem-routing",
            "tandem-station",
            "tandem-edge",
            "tandem-sim",
        ],
    ),
    // Its dependencies are for tests only.
    ("tandem-tests", &[]),
    // Itself for tests only: see `what_is_for_tests_is_shipped_with_nothing`.
    ("tandem-servers", &["tandem-store"]),
    // A judge that shared code with the judged would prove nothing.
    ("tandem-history", &[]),
    (
        "tandem-faults",
        &[
            "tandem-domain",
            "tandem-store",
            "tandem-cell",
            "tandem-runtime",
            "tandem-servers",
            "tandem-history",
        ],
    ),
];

const SERVICE: &[&str] =
    &["tandem-domain", "tandem-proto", "tandem-wire", "tandem-store", "tandem-cell", "tandem-runtime"];

/// What must not be reached from a crate, however many crates lie between.
const MUST_NOT_REACH: &[(&str, &[&str])] = &[
    // A simulator that shared our rules would prove nothing.
    ("tandem-sim", &["tandem-domain", "tandem-store", "tandem-wire"]),
    ("tandem-domain", IMPURE),
    ("tandem-sip", IMPURE),
    ("tandem-history", IMPURE),
    ("tandem-store", &["tonic", "prost", "kube", "tandem-proto"]),
    ("tandem-cell", &["tandem-proto", "kube"]),
    ("tandem-edge", &["tandem-store", "redb", "redis", "kube"]),
    ("tandem-runtime", &["tandem-domain", "redis", "kube"]),
];

/// Crates that do I/O, read a clock or roll dice.
const IMPURE: &[&str] = &[
    "tokio",
    "tonic",
    "prost",
    "redis",
    "redb",
    "kube",
    "tracing",
    "rand",
    "getrandom",
    "socket2",
    "mio",
    "jiff",
    "chrono",
    "time",
    "hyper",
];

fn metadata() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata")
}

fn ours(meta: &Metadata) -> Vec<&Package> {
    meta.workspace_packages()
}

fn is_shipped(kind: DependencyKind) -> bool {
    matches!(kind, DependencyKind::Normal | DependencyKind::Build)
}

#[test]
fn each_crate_imports_only_what_the_table_allows() {
    let meta = metadata();
    let table: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let names: BTreeSet<&str> = ours(&meta).iter().map(|p| p.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in ours(&meta) {
        let Some(allowed) = table.get(package.name.as_str()) else {
            wrong.push(format!("{} is not in the table", package.name));
            continue;
        };
        for dep in package.dependencies.iter().filter(|d| is_shipped(d.kind)) {
            if names.contains(dep.name.as_str()) && !allowed.contains(&dep.name.as_str()) {
                wrong.push(format!("{} imports {}", package.name, dep.name));
            }
        }
    }
    for name in table.keys().filter(|n| !names.contains(*n)) {
        wrong.push(format!("{name} is in the table and not in the workspace"));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_for_tests_is_shipped_with_nothing() {
    let meta = metadata();
    let uses = |p: &Package| {
        let of_tests = |name: &str| ["tandem-servers", "tandem-history", "tandem-faults"].contains(&name);
        p.name != "tandem-faults" && p.dependencies.iter().any(|d| of_tests(&d.name) && is_shipped(d.kind))
    };
    let wrong: Vec<&str> = ours(&meta).into_iter().filter(|p| uses(p)).map(|p| p.name.as_str()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_forbidden_is_reached_through_another_crate() {
    let meta = metadata();
    let resolve = meta.resolve.as_ref().expect("a resolved graph");
    let name_of: BTreeMap<_, _> = meta.packages.iter().map(|p| (&p.id, p.name.as_str())).collect();
    let edges: BTreeMap<_, Vec<_>> = resolve
        .nodes
        .iter()
        .map(|n| {
            let shipped = n.deps.iter().filter(|d| d.dep_kinds.iter().any(|k| is_shipped(k.kind)));
            (&n.id, shipped.map(|d| &d.pkg).collect())
        })
        .collect();
    let mut wrong = Vec::new();
    for (from, forbidden) in MUST_NOT_REACH {
        let start = ours(&meta).into_iter().find(|p| p.name.as_str() == *from).expect("in the workspace");
        let (mut seen, mut todo) = (BTreeSet::new(), vec![&start.id]);
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(edges.get(id).into_iter().flatten());
            }
        }
        for reached in seen.iter().filter_map(|id| name_of.get(id)).filter(|n| forbidden.contains(n)) {
            wrong.push(format!("{from} reaches {reached}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn domain_and_sip_read_no_clock_and_do_no_io() {
    let meta = metadata();
    let mut wrong = Vec::new();
    for package in
        ours(&meta).into_iter().filter(|p| matches!(p.name.as_str(), "tandem-domain" | "tandem-sip"))
    {
        let src = package.manifest_path.parent().expect("a folder").join("src");
        let files = rust_files(src.as_std_path());
        assert!(files.len() > 5, "{} has sources", package.name);
        for file in files.iter().filter(|f| !is_test_file(f)) {
            let text = fs::read_to_string(file).expect("readable");
            let impure = pure::impure(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            wrong.extend(impure.into_iter().map(|word| format!("{} names {word}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn is_test_file(path: &Path) -> bool {
    path.file_name().is_some_and(|n| n == "tests.rs") || path.components().any(|c| c.as_os_str() == "tests")
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_source_file_belongs_to_a_crate() {
    // A file that no `mod` names is compiled by nobody, and its tests never run.
    let meta = metadata();
    let mut orphans = Vec::new();
    for package in ours(&meta) {
        let src = package.manifest_path.parent().expect("a folder").join("src");
        for file in rust_files(src.as_std_path()) {
            let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
            if matches!(stem.as_str(), "lib" | "main") || file.components().any(|c| c.as_os_str() == "bin") {
                continue;
            }
            if !named_by_a_parent(&file, &stem) {
                orphans.push(file.display().to_string());
            }
        }
    }
    assert!(orphans.is_empty(), "{orphans:#?}");
}

fn named_by_a_parent(file: &Path, stem: &str) -> bool {
    let dir = file.parent().expect("a folder");
    let (name, dir) = if stem == "mod" {
        (
            dir.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned(),
            dir.parent().expect("a folder"),
        )
    } else {
        (stem.to_owned(), dir)
    };
    let own = dir.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let parents = [
        dir.join("lib.rs"),
        dir.join("main.rs"),
        dir.join("mod.rs"),
        dir.with_file_name(format!("{own}.rs")),
    ];
    parents
        .iter()
        .filter_map(|p| fs::read_to_string(p).ok())
        .any(|text| text.contains(&format!("mod {name};")))
}
