use super::*;
use crate::document::policy::{DialOverride, DialRule, Length};
use crate::number::parse;

fn rule(prefix: &str, length: Option<(u8, u8)>, strip: u8, prepend: &str) -> DialRule {
    let length = length.map(|(min, max)| Length { min, max });
    DialRule { prefix: prefix.to_owned(), length, strip, prepend: prepend.to_owned() }
}

fn german() -> DialPlan {
    compile(&policy::DialPlan {
        rules: vec![
            rule("00", None, 2, "+"),
            rule("0", Some((6, 15)), 1, "+49"),
            rule("3XXX", Some((4, 4)), 0, "+4930123"),
        ],
        overrides: vec![
            DialOverride {
                trunk: Some("carrier".to_owned()),
                site: None,
                rules: vec![rule("49", Some((8, 15)), 0, "+")],
            },
            DialOverride {
                trunk: None,
                site: Some("vienna".to_owned()),
                rules: vec![rule("0", Some((6, 15)), 1, "+43")],
            },
        ],
    })
    .unwrap()
}

#[test]
fn the_first_rule_that_fits_makes_the_number() {
    let plan = german();
    let carrier = Origin { trunk: Some("carrier"), ..Origin::TENANT };
    let vienna = Origin { site: Some("vienna"), ..Origin::TENANT };
    let both = Origin { site: Some("vienna"), ..carrier };
    for (origin, dialled, expected) in [
        (Origin::TENANT, "00441234567", "+441234567"),
        (Origin::TENANT, "030 123456", "+4930123456"),
        (Origin::TENANT, "3456", "+49301233456"),
        (Origin::TENANT, "34567", "34567"),
        (Origin::TENANT, "4456", "4456"),
        (Origin::TENANT, "tel:+44123;ext=7", "+44123;ext=7"),
        (Origin::TENANT, "4930123456", "4930123456"),
        (carrier, "4930123456", "+4930123456"),
        (carrier, "030123456", "+4930123456"),
        (vienna, "01123456", "+431123456"),
        // An override comes first, even where it makes nonsense of an international number: it must say its length.
        (vienna, "0049301234", "+43049301234"),
        (both, "4930123456", "+4930123456"),
        (both, "01123456", "+431123456"),
    ] {
        let dialled = parse::parse(dialled).unwrap();
        assert_eq!(plan.canonical(&origin, &dialled).unwrap().to_string(), expected, "{dialled:?}");
    }
}

#[test]
fn a_trunks_number_form_reads_what_its_rules_leave() {
    let plan = german();
    let berlin = Numbering {
        country_code: Digits::parse(b"49").unwrap(),
        national_prefix: Digits::parse(b"0").unwrap(),
    };
    let us = Numbering { country_code: Digits::parse(b"1").unwrap(), ..Numbering::default() };
    for (form, numbering, dialled, expected) in [
        (NumberForm::E164, berlin, "442012345", "+442012345"),
        (NumberForm::E164, berlin, "3456", "+49301233456"),
        (NumberForm::National, berlin, "030123456", "+4930123456"),
        (NumberForm::National, berlin, "00442012345", "+442012345"),
        (NumberForm::National, berlin, "3456", "+49301233456"),
        (NumberForm::National, us, "2125550123", "+12125550123"),
        (NumberForm::National, Numbering::default(), "2125550123", "2125550123"),
        (NumberForm::E164Plus, berlin, "442012345", "442012345"),
    ] {
        let origin = Origin { trunk: Some("gateway"), form, numbering, site: None };
        let dialled = parse::parse(dialled).unwrap();
        assert_eq!(plan.canonical(&origin, &dialled).unwrap().to_string(), expected, "{form:?} {dialled:?}");
    }
}

#[test]
fn what_becomes_too_long_or_is_no_number_is_refused() {
    let plan = german();
    for text in ["0123456789012345", "sip:jane@example.com", "urn:service:sos"] {
        let dialled = parse::parse(text).unwrap();
        assert!(plan.canonical(&Origin::TENANT, &dialled).is_err(), "{text}");
    }
    let long = parse::parse("001234567890123456").unwrap();
    assert!(matches!(plan.canonical(&Origin::TENANT, &long), Err(Refusal::TooLong { max: 15, .. })));
}

#[test]
fn a_wrong_rule_is_named_with_its_field_and_the_fix() {
    for (rule, expected) in [
        (
            rule("+49", None, 0, ""),
            r#"dialPlan.rules[0].match: "+49": write digits, and X for any digit; + is not dialled"#,
        ),
        (rule("1234567890123456", None, 0, ""), "dialPlan.rules[0].match: at most 15 digits can be matched"),
        (
            rule("0", Some((5, 3)), 0, ""),
            "dialPlan.rules[0].length: give min and max from 1 to 32, min not above max",
        ),
        (
            rule("0", Some((0, 3)), 0, ""),
            "dialPlan.rules[0].length: give min and max from 1 to 32, min not above max",
        ),
        (
            rule("0", None, 2, "+49"),
            "dialPlan.rules[0].strip: 2 digits cannot be taken off 1: raise length.min",
        ),
        (
            rule("0", Some((1, 1)), 1, ""),
            "dialPlan.rules[0].strip: nothing would be left of the number: strip less or prepend digits",
        ),
        (
            rule("", None, 0, "49+"),
            r#"dialPlan.rules[0].prepend: "49+": write at most 15 digits, with + before them for a global number"#,
        ),
        (
            rule("", Some((10, 12)), 0, "+123456"),
            "dialPlan.rules[0].prepend: the shortest number would have 16 digits: at most 15 are allowed",
        ),
    ] {
        let plan = policy::DialPlan { rules: vec![rule], overrides: vec![] };
        let faults = compile(&plan).unwrap_err();
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
    }
    let neither = DialOverride { trunk: None, site: None, rules: vec![] };
    let one = DialOverride { trunk: Some("a".to_owned()), site: None, rules: vec![] };
    let plan = policy::DialPlan { rules: vec![], overrides: vec![neither, one.clone(), one] };
    let faults = compile(&plan).unwrap_err();
    assert_eq!(
        faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "dialPlan.overrides[0]: give either trunk or site",
            r#"dialPlan.overrides[2]: there is an override for "a" already: put its rules in one"#,
        ]
    );
    let plan = policy::DialPlan { rules: vec![rule("1", None, 0, ""); RULES_MAX + 1], overrides: vec![] };
    assert_eq!(compile(&plan).unwrap_err().len(), 1);
}
