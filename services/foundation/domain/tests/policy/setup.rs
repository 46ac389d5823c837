//! What the vendors' administrators are told.

use tandem_domain::tenant::{compile_document, setup};

use crate::{examples, golden};

#[test]
fn the_examples_are_set_up_as_reviewed() {
    for name in examples::NAMES {
        let config = compile_document(&examples::tenant(name)).unwrap().config;
        check(&format!("setup-{name}.txt"), &setup(&config, false).to_string());
    }
}

/// A terminal of a hundred columns shows each line whole.
fn check(name: &str, text: &str) {
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    golden::check(name, text);
}

/// Options 3 and 2, with Tandem's edge where it can stand; under option 1 it is the proxy anyway.
#[test]
fn with_the_edge_in_path_peers_are_pointed_at_it() {
    for name in ["brandt", "cascade"] {
        let config = compile_document(&examples::tenant(name)).unwrap().config;
        check(&format!("setup-{name}-edge.txt"), &setup(&config, true).to_string());
    }
    let albion = compile_document(&examples::tenant("albion")).unwrap().config;
    assert_eq!(setup(&albion, true), setup(&albion, false));
}

/// With everything encrypted, and the base's dial plan of two sites.
#[test]
fn an_encrypted_tenant_is_told_of_certificates_and_licences() {
    let config = compile_document(&crate::tenant()).unwrap().config;
    check("setup-encrypted.txt", &setup(&config, false).to_string());
}

/// What is long goes on in the next line: a command so that PowerShell reads it as one.
#[test]
fn a_long_name_breaks_lines_where_they_may_be_broken() {
    let mut tenant = examples::tenant("brandt");
    tenant.metadata.name = "a-tenant-with-a-name-as-long-as-a-name-can-be-and-that-is-63-ch".into();
    let config = compile_document(&tenant).unwrap().config;
    let text = setup(&config, false).to_string();
    let commands = text.lines().filter(|line| line.contains("-Cs") && line.ends_with('`')).count();
    assert!(commands > 0, "{text}");
    // The title, which is the tenant's own, aside.
    for (line, next) in text.lines().skip(1).zip(text.lines().skip(2)) {
        assert!(!line.ends_with('`') || next.trim_start().starts_with('-'), "{line}\n{next}");
        // A parameter's value is one word.
        assert!(line.chars().count() <= 100 || line.trim_start().starts_with('-'), "{line}");
    }
}
