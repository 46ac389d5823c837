use station::import_directory_request::{Header, Item};

use super::*;

fn fields<T: std::fmt::Debug>(read: Result<T, Violations>) -> Vec<String> {
    read.map_or_else(|v| v.iter().map(|v| v.field.clone()).collect(), |_| Vec::new())
}

#[test]
fn an_import_says_how_it_changes_the_directory() {
    let header = |mode: i32, source: i32, request_id: &str| {
        let request_id = request_id.into();
        Some(Item::Header(Header { parent: "tenants/acme".into(), mode, source, request_id, dry_run: true }))
    };
    let read = read_import_header(header(1, 2, "6f1c1a52")).unwrap();
    assert_eq!((read.mode, read.source, read.dry_run), (Mode::Merge, Some(Source::Cic), true));
    assert_eq!(read.request_id.as_deref(), Some("6f1c1a52"));
    assert_eq!(read_import_header(header(2, 0, "")).unwrap().request_id, None);
    assert_eq!(fields(read_import_header(header(0, 0, ""))), ["header.mode"]);
    let bad = header(9, 9, "with a space");
    assert_eq!(fields(read_import_header(bad)), ["header.mode", "header.source", "header.request_id"]);
    let long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
    assert_eq!(fields(read_import_header(header(1, 0, &long))), ["header.request_id"]);
    assert_eq!(fields(read_import_header(None)), ["header"]);
    assert_eq!(fields(read_import_header(Some(Item::Delete("x".into())))), ["header"]);
}

#[test]
fn an_import_deletes_only_of_its_own_directory() {
    let acme = TenantName::parse("acme").unwrap();
    let number = read_delete(&acme, "tenants/acme/numbers/+4930123456").unwrap();
    assert_eq!(number, Child::Number("+4930123456".into()));
    assert!(matches!(read_delete(&acme, "tenants/acme/users/jane"), Ok(Child::User(_))));
    for bad in ["tenants/acme", "tenants/globex/users/jane", "tenants/acme/decisions/r1-7", "users/jane"] {
        assert_eq!(fields(read_delete(&acme, bad)), ["delete"], "{bad}");
    }
}

#[test]
fn a_user_is_found_by_one_key() {
    let found = read_resolve_key(Some(Key::Number("030 123".into()))).unwrap();
    assert_eq!(found, ResolveKey::Number("030 123".into()));
    for (key, field) in [
        (None, "key"),
        (Some(Key::SipAddress(String::new())), "sip_address"),
        (Some(Key::CicUserId("x".repeat(ACCOUNT_BYTES_MAX + 1))), "cic_user_id"),
        (Some(Key::Number("1\r\n".into())), "number"),
        (Some(Key::Station("a/b".into())), "station"),
    ] {
        assert_eq!(fields(read_resolve_key(key)), [field]);
    }
}

#[test]
fn a_filter_of_decisions_is_read_and_bound_to_its_pages() {
    let request = routing::ListDecisionsRequest {
        number: "+4930123456".into(),
        from_us: 1,
        outcome: routing::OutcomeKind::Rejected.into(),
        ..Default::default()
    };
    let filter = DecisionFilter::read(&request).unwrap();
    assert_eq!((filter.from_us, filter.to_us, filter.routed), (Some(1), None, Some(false)));
    let all = DecisionFilter::read(&routing::ListDecisionsRequest::default()).unwrap();
    assert_eq!(all, DecisionFilter::default());
    assert_ne!(all.parts(), filter.parts());
    let bad = routing::ListDecisionsRequest {
        number: "030 123".into(),
        call_id: "x".repeat(CALL_ID_BYTES_MAX + 1),
        from_us: 2,
        to_us: 1,
        outcome: 9,
        ..Default::default()
    };
    assert_eq!(fields(DecisionFilter::read(&bad)), ["number", "call_id", "to_us", "outcome"]);
}

#[test]
fn an_edge_greets_with_names_that_are_names() {
    let hello = |tenants: Vec<String>, listeners: Vec<String>| Hello {
        edge: "edge-1".into(),
        version: "0.1.0".into(),
        tenants,
        listeners,
    };
    let greeting = read_hello(hello(vec!["acme".into()], vec!["udp-5060".into()])).unwrap();
    assert_eq!((greeting.tenants.len(), greeting.listeners.len()), (1, 1));
    let bad = read_hello(hello(vec!["acme".into(), "_cell".into()], vec!["x".into(); LISTENERS_MAX + 1]));
    assert_eq!(fields(bad), ["hello.tenants[1]", "hello.listeners"]);
    assert_eq!(fields(read_hello(Hello::default())), ["hello.edge"]);
}

#[test]
fn what_an_edge_reports_is_bounded() {
    let incarnation = Incarnation(7).to_string();
    let event = routing::CallEvent { tenant: "acme".into(), incarnation, ..Default::default() };
    let tenant = read_call_event(event.clone()).unwrap().tenant;
    assert_eq!((tenant.name.as_str(), tenant.incarnation), ("acme", Incarnation(7)));
    let nameless = routing::CallEvent { incarnation: String::new(), ..event.clone() };
    assert_eq!(fields(read_call_event(nameless)), ["event.incarnation"]);
    let long = routing::CallEvent { call_id: "x".repeat(CALL_ID_BYTES_MAX + 1), ..event };
    assert_eq!(fields(read_call_event(long)), ["event.call_id"]);
    let rejected = "x".repeat(REJECTION_BYTES_MAX + 1);
    assert!(check_acknowledgement(&Acknowledgement { nonce: 1, rejected }).is_err());
}

#[test]
fn a_decision_that_an_edge_made_is_its_tenants_and_bounded() {
    let attempt = routing::CallAttempt {
        ingress: Some(routing::call_attempt::Ingress::Trunk("gateway".into())),
        called: "sip:+4930123@edge.example".into(),
        ..Default::default()
    };
    let decision = |name: &str| routing::Decision { name: name.into(), ..Default::default() };
    let event = |attempt: &routing::CallAttempt, decision| routing::CallEvent {
        tenant: "acme".into(),
        incarnation: Incarnation(7).to_string(),
        decision: "edge-1-1".into(),
        made: Some(Box::new(DecisionFact { at_us: 1, attempt: Some(attempt.clone()), decision })),
        ..Default::default()
    };
    let good = event(&attempt, Some(decision("tenants/acme/decisions/edge-1-1")));
    assert_eq!(read_call_event(good.clone()).unwrap().made, good.made);
    for name in [
        "",
        "tenants/acme",
        "tenants/acme/users/a",
        "tenants/other/decisions/edge-1-1",
        "tenants/acme/decisions/r1-7",
    ] {
        let bad = event(&attempt, Some(decision(name)));
        assert_eq!(fields(read_call_event(bad)), ["event.made.decision.name"], "{name}");
    }
    assert_eq!(fields(read_call_event(event(&attempt, None))), ["event.made.decision"]);
    let large = routing::Decision {
        called: "1".repeat(DECISION_BYTES_MAX),
        ..decision("tenants/acme/decisions/edge-1-1")
    };
    assert_eq!(fields(read_call_event(event(&attempt, Some(large)))), ["event.made.decision"]);
    // It is shown on terminals.
    let target = routing::Target { request_uri: "sip:\u{1b}[2J".into(), ..Default::default() };
    let route = routing::Route { targets: vec![target], ..Default::default() };
    let escapes = routing::Decision {
        outcome: Some(routing::decision::Outcome::Route(route)),
        ..decision("tenants/acme/decisions/edge-1-1")
    };
    assert_eq!(fields(read_call_event(event(&attempt, Some(escapes)))), ["event.made.decision"]);
    let nowhere = routing::CallAttempt { called: String::new(), ..attempt };
    let bad = event(&nowhere, Some(decision("tenants/acme/decisions/edge-1-1")));
    assert_eq!(fields(read_call_event(bad)), ["event.made.attempt"]);
}
