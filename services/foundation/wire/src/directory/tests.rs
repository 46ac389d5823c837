use proptest::prelude::*;

use super::*;
use crate::testing;

fn acme() -> TenantName {
    TenantName::parse("acme").unwrap()
}

proptest! {
    #[test]
    fn a_user_survives_its_message(given in testing::user()) {
        prop_assert_eq!(read_user(&acme(), user(&acme(), &given)).unwrap(), given);
    }

    #[test]
    fn a_station_survives_its_message(given in testing::station()) {
        prop_assert_eq!(read_station(&acme(), station(&acme(), &given)).unwrap(), given);
    }

    #[test]
    fn a_workgroup_survives_its_message(given in testing::workgroup()) {
        prop_assert_eq!(read_workgroup(&acme(), workgroup(&acme(), &given)).unwrap(), given);
    }

    #[test]
    fn a_number_survives_its_message(given in testing::number()) {
        prop_assert_eq!(read_number(number(&given)).unwrap(), given);
    }
}

fn jane() -> pb::User {
    pb::User {
        name: "tenants/acme/users/jane".into(),
        call_control: pb::CallControl::CicClient.into(),
        cic: Some(pb::CicAccount { user_id: "jane".into(), ..Default::default() }),
        ..Default::default()
    }
}

/// The fields that are wrong with a message.
fn fields<T: std::fmt::Debug>(read: Result<T, Violations>) -> Vec<String> {
    read.map_or_else(|v| v.iter().map(|v| v.field.clone()).collect(), |_| Vec::new())
}

#[test]
fn what_is_wrong_with_a_user_is_named_all_at_once() {
    let bad = pb::User {
        name: "tenants/acme/stations/jane".into(),
        display_name: "x".repeat(DISPLAY_NAME_BYTES_MAX + 1),
        cic: Some(pb::CicAccount { source: 9, ..Default::default() }),
        lync: Some(pb::LyncAccount { line_uri: "tel:\r\n".into(), ..Default::default() }),
        call_control: 0,
        phone: Some(pb::Phone { kind: 77, ..Default::default() }),
        site: "No Site".into(),
        treatments: Some(pb::Treatments { no_answer_seconds: 70_000, ..Default::default() }),
        ..jane()
    };
    let expected = [
        "name",
        "display_name",
        "cic.user_id",
        "cic.source",
        "lync.sip_address",
        "lync.line_uri",
        "lync.telephony",
        "call_control",
        "phone.kind",
        "site",
        "treatments.no_answer_seconds",
    ];
    assert_eq!(fields(read_user(&acme(), bad)), expected);
    assert_eq!(fields(read_user(&acme(), jane())), [""; 0]);
}

#[test]
fn an_entry_of_another_tenant_is_refused_without_a_word_about_that_tenant() {
    let foreign = pb::User { name: "tenants/other/users/jane".into(), ..jane() };
    let violations = read_user(&acme(), foreign).unwrap_err();
    assert!(!violations.to_string().contains("other/"), "{violations}");
    assert!(violations.to_string().contains("tenants/acme/users/{user}"));
}

#[test]
fn a_workgroup_is_refused_by_name_when_it_is_too_large() {
    let group = |members: Vec<String>| pb::Workgroup {
        name: "tenants/acme/workgroups/sales".into(),
        members,
        ..Default::default()
    };
    let many = group((0..=MEMBERS_MAX).map(|n| n.to_string()).collect());
    assert_eq!(fields(read_workgroup(&acme(), many)), ["members"]);
    let large = group((0..MEMBERS_MAX).map(|n| format!("{n:0>100}")).collect());
    assert_eq!(fields(read_workgroup(&acme(), large)), ["members"]);
    let bad = group(vec!["jane".into(), "a/b".into()]);
    assert_eq!(fields(read_workgroup(&acme(), bad)), ["members[1]"]);
}

#[test]
fn output_only_fields_are_ignored_on_the_way_in() {
    let sent = pb::User { etag: "1".into(), row: 3, revision: 7, ..jane() };
    assert_eq!(read_user(&acme(), sent), read_user(&acme(), jane()));
}

#[test]
fn what_is_wrong_with_an_entry_can_be_told_as_findings() {
    let violations = read_user(&acme(), pb::User { call_control: 0, ..jane() }).unwrap_err();
    let findings = malformed(&violations);
    assert_eq!((findings[0].code.as_str(), findings[0].field.as_str()), (MALFORMED, "call_control"));
    assert_eq!(findings[0].severity(), pb::finding::Severity::Error);
    let found = Finding {
        code: "user.no_extension",
        severity: Severity::Warning,
        path: "cic.extension".into(),
        message: "there is none".into(),
        fix: "set it".into(),
    };
    assert_eq!(finding(&found).severity(), pb::finding::Severity::Warning);
    assert_eq!(finding(&found).field, "cic.extension");
}
