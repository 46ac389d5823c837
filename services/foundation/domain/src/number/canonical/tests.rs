use super::*;
use crate::document::policy::{DialOverride, DialRule, Length, TenantDocument};
use crate::number::parse;
use crate::tenant::compile;

fn rule(prefix: &str, length: Option<(u8, u8)>, strip: u8, prepend: &str) -> DialRule {
    let length = length.map(|(min, max)| Length { min, max });
    DialRule { prefix: prefix.to_owned(), length, strip, prepend: prepend.to_owned() }
}

/// Berlin dials 0 for the country and 00 for abroad; `form` is how the gateway there writes numbers.
fn config(form: NumberForm) -> Config {
    let mut document: TenantDocument =
        serde_saphyr::from_str(include_str!("../../tenant/base.yaml")).unwrap();
    let plan = &mut document.spec.dial_plan;
    plan.rules = vec![
        rule("00", None, 2, "+"),
        rule("0", Some((6, 15)), 1, "+49"),
        rule("3XXX", Some((4, 4)), 0, "+4930123"),
    ];
    plan.overrides = vec![
        DialOverride {
            trunk: Some("gateway".to_owned()),
            site: None,
            rules: vec![rule("49", Some((8, 15)), 0, "+")],
        },
        DialOverride {
            trunk: None,
            site: Some("vienna".to_owned()),
            rules: vec![rule("0", Some((6, 15)), 1, "+43")],
        },
    ];
    for trunk in &mut document.spec.trunks {
        if trunk.name == "gateway" {
            trunk.number_form_in = Some(form);
        }
    }
    compile("acme", &document.spec).unwrap().config
}

fn check(config: &Config, trunk: &str, site: &str, dialled: &str, expected: &str) {
    let origin = Origin { trunk: config.trunk_named(trunk), site: config.site_named(site) };
    let found = canonical(config, origin, &parse(dialled).unwrap());
    let found = found.map_or_else(|e| format!("refused: {e}"), |n| n.to_string());
    assert_eq!(found, expected, "{dialled} by {trunk:?} at {site:?}");
}

#[test]
fn the_first_rule_that_fits_makes_the_number() {
    let config = config(NumberForm::AsReceived);
    for (trunk, site, dialled, expected) in [
        ("", "", "00441234567", "+441234567"),
        ("", "", "030 123456", "+4930123456"),
        ("", "", "3456", "+49301233456"),
        ("", "", "34567", "34567"),
        ("", "", "4456", "4456"),
        ("", "", "tel:+44123;ext=7", "+44123;ext=7"),
        ("", "", "4930123456", "4930123456"),
        ("gateway", "", "4930123456", "+4930123456"),
        ("gateway", "", "030123456", "+4930123456"),
        ("cic", "", "4930123456", "4930123456"),
        ("", "vienna", "01123456", "+431123456"),
        ("", "vienna", "3456", "+49301233456"),
        // An override comes first, even where it makes nonsense of 00: it must say its length.
        ("", "vienna", "0049301234", "+43049301234"),
        ("gateway", "vienna", "4930123456", "+4930123456"),
        ("gateway", "vienna", "01123456", "+431123456"),
    ] {
        check(&config, trunk, site, dialled, expected);
    }
}

#[test]
fn a_trunks_number_form_reads_what_its_rules_leave() {
    for (form, dialled, expected) in [
        (NumberForm::E164, "442012345", "+442012345"),
        (NumberForm::E164, "3456", "+49301233456"),
        (NumberForm::National, "030123456", "+4930123456"),
        (NumberForm::National, "00442012345", "+442012345"),
        (NumberForm::National, "3456", "+49301233456"),
        (NumberForm::National, "442012345", "442012345"),
        (NumberForm::E164Plus, "442012345", "442012345"),
    ] {
        check(&config(form), "gateway", "", dialled, expected);
    }
}

#[test]
fn what_is_no_number_or_becomes_too_long_is_refused() {
    let config = config(NumberForm::AsReceived);
    for (dialled, expected) in [
        ("001234567890123456", "refused: a number has at most 15 digits (E.164)"),
        ("1234567890123456", "refused: a number has at most 15 digits (E.164)"),
        ("00", "refused: nothing was dialled"),
        ("sip:jane@example.com", "refused: an address or service is no number"),
        ("urn:service:sos", "refused: an address or service is no number"),
    ] {
        check(&config, "", "", dialled, expected);
    }
}
