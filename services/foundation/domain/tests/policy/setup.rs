//! What the vendors' administrators are told.

use tandem_domain::tenant::{compile_document, setup};

use crate::{examples, golden};

#[test]
fn the_examples_are_set_up_as_reviewed() {
    for name in examples::NAMES {
        let config = compile_document(&examples::tenant(name)).unwrap().config;
        golden::check(&format!("setup-{name}.txt"), &setup(&config, false).to_string());
    }
}

/// Options 3 and 2, with Tandem's edge where it can stand; under option 1 it is the proxy anyway.
#[test]
fn with_the_edge_in_path_peers_are_pointed_at_it() {
    for name in ["brandt", "cascade"] {
        let config = compile_document(&examples::tenant(name)).unwrap().config;
        golden::check(&format!("setup-{name}-edge.txt"), &setup(&config, true).to_string());
    }
    let albion = compile_document(&examples::tenant("albion")).unwrap().config;
    assert_eq!(setup(&albion, true), setup(&albion, false));
}

/// With everything encrypted, and the base's dial plan of two sites.
#[test]
fn an_encrypted_tenant_is_told_of_certificates_and_licences() {
    let config = compile_document(&crate::tenant()).unwrap().config;
    golden::check("setup-encrypted.txt", &setup(&config, false).to_string());
}
