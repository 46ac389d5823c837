//! What the vendors' administrators are told.

use tandem_domain::tenant::{compile_document, setup};

use crate::{examples, golden};

#[test]
fn the_examples_are_set_up_as_reviewed() {
    for name in examples::NAMES {
        let config = compile_document(&examples::tenant(name)).unwrap().config;
        golden::check(&format!("setup-{name}.txt"), &setup(&config).to_string());
    }
}

/// With everything encrypted, and the base's dial plan of two sites.
#[test]
fn an_encrypted_tenant_is_told_of_certificates_and_licences() {
    let config = compile_document(&crate::tenant()).unwrap().config;
    golden::check("setup-encrypted.txt", &setup(&config).to_string());
}
