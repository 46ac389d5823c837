//! The examples: they compile, and what is found in them is meant.

use std::collections::BTreeSet;
use std::path::PathBuf;

use tandem_domain::directory::{self, Entries};
use tandem_domain::document::directory::DirectoryDocument;
use tandem_domain::document::policy::TenantDocument;
use tandem_domain::finding::Finding;
use tandem_domain::routing::plan::Row;
use tandem_domain::tenant::{Config, compile_document};

use crate::golden;

pub(crate) const NAMES: [&str; 3] = ["brandt", "albion", "cascade"];

fn text(folder: &str, name: &str) -> String {
    let path: PathBuf = crate::top().join("examples").join(folder).join(name).with_extension("yaml");
    std::fs::read_to_string(path).unwrap()
}

pub(crate) fn tenant(name: &str) -> TenantDocument {
    serde_saphyr::from_str(&text("tenants", name)).unwrap()
}

fn people(name: &str) -> DirectoryDocument {
    serde_saphyr::from_str(&text("directories", name)).unwrap()
}

/// Every finding in a directory, with the record that it is of.
fn findings(config: &Config, people: &DirectoryDocument) -> Vec<(String, Finding)> {
    let spec = &people.spec;
    let around = Entries::new(config, spec);
    let of = |record: String, found: Vec<Finding>| found.into_iter().map(move |f| (record.clone(), f));
    let mut all = Vec::new();
    for u in &spec.users {
        all.extend(of(format!("user {}", u.id), directory::check(config, u, &around).states));
    }
    for s in &spec.stations {
        all.extend(of(format!("station {}", s.id), directory::check_station(config, s, &around)));
    }
    for w in &spec.workgroups {
        all.extend(of(format!("workgroup {}", w.id), directory::check_workgroup(config, w, &around)));
    }
    for n in &spec.numbers {
        all.extend(of(format!("number {}", n.number), directory::check_number(config, n, &around)));
    }
    all.extend(of("policy".to_owned(), directory::check_routes(config, &around)));
    all
}

#[test]
fn what_is_found_in_the_examples_is_meant() {
    let mut said = String::new();
    for name in NAMES {
        let compiled = compile_document(&tenant(name)).unwrap_or_else(|found| panic!("{name}: {found:#?}"));
        said += &format!("{name}\n");
        for w in &compiled.warnings {
            said += &format!("  {w}\n");
        }
        for (record, f) in findings(&compiled.config, &people(name)) {
            said += &format!("  {record}: {f}\n");
        }
    }
    golden::check("examples.txt", &said);
}

#[test]
fn the_examples_have_each_model_each_option_and_each_row() {
    let (mut models, mut options) = (BTreeSet::new(), BTreeSet::new());
    for name in NAMES {
        let config = compile_document(&tenant(name)).unwrap().config;
        models.insert(config.model);
        options.insert(config.inbound);
        let rows: BTreeSet<Row> =
            people(name).spec.users.iter().filter_map(|u| directory::endpoint(u).row()).collect();
        assert_eq!(rows.len(), 7, "{name} has {rows:?}");
    }
    assert_eq!((models.len(), options.len()), (3, 3));
}

#[test]
fn every_address_of_the_examples_is_a_loopback_address_of_its_own() {
    let mut seen = BTreeSet::new();
    for name in NAMES {
        for trunk in tenant(name).spec.trunks {
            for address in trunk.addresses {
                assert!(address.host.starts_with("127."), "{}", address.host);
                assert!(seen.insert(address.host.clone()), "{} stands twice", address.host);
            }
        }
    }
}
