use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tandem_runtime::document::{Limits, Source};
use tandem_runtime::serve::Peer;
use tonic::{Code, Status};

use super::*;
use crate::status::UNAUTHENTICATED_TEXT;

const FILE: &str = r#"
apiVersion: tandem.dev/v1
kind: Callers
callers:
  - subject: acme-connector
    tenants: [acme]
    scopes: [routing.decide, directory.read]
    uris: ["spiffe://cell.example/acme"]
    dnsNames: [Connector.acme.example]
    tokenDigests: [DIGEST]
  - subject: operator
    tenants: ["*"]
    scopes: ["*"]
    dnsNames: [ops.cell.example]
"#;

fn table(text: &str) -> Result<Table, String> {
    let source = Source::new("callers.yaml", text, Limits::POLICY).unwrap();
    Table::read(&source).map_err(|rejected| rejected.to_string())
}

fn callers() -> Callers {
    Callers::new(table(&FILE.replace("DIGEST", &digest("open sesame"))).unwrap())
}

fn peer(remote: &str) -> Peer {
    let remote: SocketAddr = remote.parse().unwrap();
    Peer { local: Some(SocketAddr::new(remote.ip(), 1)), remote: Some(remote), certificates: None }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn subject(callers: &Callers, peer: &Peer, pairs: &[(&'static str, &str)]) -> Option<String> {
    callers.identify(peer, &headers(pairs)).ok().map(|caller| caller.subject().to_owned())
}

fn with_certificate(names: &[&str]) -> Peer {
    let mut params = rcgen::CertificateParams::default();
    params.subject_alt_names = names
        .iter()
        .map(|name| match name.contains(':') {
            true => rcgen::SanType::URI((*name).try_into().unwrap()),
            false => rcgen::SanType::DnsName((*name).try_into().unwrap()),
        })
        .collect();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Peer { certificates: Some(Arc::from([certificate.der().clone()])), ..peer("192.0.2.1:5000") }
}

#[test]
fn a_bearer_token_is_known_by_its_digest() {
    let known = Some("acme-connector".to_owned());
    let cases = [
        (vec![("authorization", "Bearer open sesame")], known.clone()),
        (vec![("authorization", "bearer open sesame")], known),
        (vec![("authorization", "Bearer open sesame ")], None),
        (vec![("authorization", "Bearer open")], None),
        (vec![("authorization", "Bearer ")], None),
        (vec![("authorization", "Basic open sesame")], None),
        (vec![("authorization", "Bearer open sesame"), ("authorization", "Bearer x")], None),
        (vec![], None),
    ];
    for (pairs, expected) in cases {
        assert_eq!(subject(&callers(), &peer("192.0.2.1:5000"), &pairs), expected, "{pairs:?}");
    }
    let long = format!("Bearer {}", "x".repeat(crate::limits::TOKEN_BYTES_MAX + 1));
    assert_eq!(subject(&callers(), &peer("192.0.2.1:5000"), &[("authorization", &long)]), None);
}

#[test]
fn a_certificate_is_known_by_its_alternative_names() {
    let acme = Some("acme-connector".to_owned());
    let cases: [(&[&str], Option<String>); 6] = [
        (&["spiffe://cell.example/acme"], acme.clone()),
        (&["connector.acme.example"], acme.clone()),
        (&["CONNECTOR.acme.example", "unknown.example"], acme),
        (&["ops.cell.example"], Some("operator".into())),
        (&["ops.cell.example", "connector.acme.example"], None),
        (&["other.example"], None),
    ];
    let callers = callers();
    for (names, expected) in cases {
        let peer = with_certificate(names);
        // Twice: the second time the names are remembered.
        assert_eq!(subject(&callers, &peer, &[]), expected, "{names:?}");
        assert_eq!(subject(&callers, &peer, &[]), expected, "{names:?}");
    }
}

#[test]
fn a_token_that_nobody_has_is_not_made_good_by_a_certificate() {
    let peer = with_certificate(&["ops.cell.example"]);
    assert_eq!(subject(&callers(), &peer, &[("authorization", "Bearer wrong")]), None);
}

#[test]
fn whoever_is_not_known_hears_the_same_words() {
    let say = |pairs: &[(&'static str, &str)], peer: &Peer| {
        let refusal = callers().identify(peer, &headers(pairs)).unwrap_err();
        let status = Status::from(refusal);
        (status.code(), status.message().to_owned(), status.details().to_vec())
    };
    let nothing = say(&[], &peer("192.0.2.1:5000"));
    assert_eq!((nothing.0, nothing.1.as_str()), (Code::Unauthenticated, UNAUTHENTICATED_TEXT));
    assert_eq!(say(&[("authorization", "Bearer wrong")], &peer("192.0.2.1:5000")), nothing);
    assert_eq!(say(&[], &with_certificate(&["other.example"])), nothing);
    assert_eq!(say(&[(DEV_TENANT, "acme")], &peer("127.0.0.1:5000")), nothing, "without --dev");
}

#[test]
fn dev_believes_metadata_on_loopback_only() {
    let dev = callers().dev();
    let acme = dev
        .identify(
            &peer("127.0.0.1:5000"),
            &headers(&[(DEV_TENANT, "acme, globex"), (DEV_SCOPES, "routing.read")]),
        )
        .unwrap();
    assert!(acme.may("acme") && acme.may("globex") && !acme.may("initech"));
    assert!(acme.has(Scope::RoutingRead) && !acme.has(Scope::RoutingDecide));
    let everyone = dev.identify(&peer("[::1]:5000"), &HeaderMap::new()).unwrap();
    assert!(everyone.may("any") && everyone.has(Scope::DirectoryWrite));
    assert_eq!(subject(&dev, &peer("192.0.2.1:5000"), &[(DEV_TENANT, "acme")]), None);
    let half = Peer { remote: peer("127.0.0.1:5000").remote, ..peer("192.0.2.1:5000") };
    assert_eq!(subject(&dev, &half, &[]), None);
    for bad in [(DEV_TENANT, "Acme"), (DEV_SCOPES, "routing.everything")] {
        let refusal = dev.identify(&peer("127.0.0.1:5000"), &headers(&[bad])).unwrap_err();
        assert_eq!(refusal.reason(), crate::status::Reason::FieldInvalid);
        assert!(refusal.message().starts_with(bad.0), "{}", refusal.message());
    }
}

#[test]
fn a_part_of_this_process_is_known_by_the_pipe() {
    let pipe = Peer::default();
    assert_eq!(subject(&callers(), &pipe, &[]), None);
    let edge = Caller::new("edge", Tenants::All, [Scope::FeedFollow].into_iter().collect());
    let callers = callers().in_process(edge);
    assert_eq!(subject(&callers, &pipe, &[]).as_deref(), Some("edge"));
    assert_eq!(subject(&callers, &peer("127.0.0.1:5000"), &[]), None);
    let dev = callers.dev();
    assert_eq!(subject(&dev, &pipe, &[]).as_deref(), Some("edge"));
    assert_eq!(subject(&dev, &pipe, &[(DEV_TENANT, "acme")]).as_deref(), Some("dev"));
}

#[test]
fn a_foreign_tenant_and_none_are_refused_in_the_same_bytes() {
    let caller = callers()
        .identify(&peer("192.0.2.1:5000"), &headers(&[("authorization", "Bearer open sesame")]))
        .unwrap();
    let there = ["acme", "globex"];
    let find = |name: &str| there.iter().find(|t| **t == name).copied();
    let say = |name: &str, exists: bool| {
        let refusal = caller.tenant("parent", name, |n| if exists { Some(n) } else { None }).unwrap_err();
        let status = Status::from(refusal);
        (status.code(), status.message().to_owned(), status.details().to_vec())
    };
    assert_eq!(caller.tenant("parent", "tenants/acme", find).unwrap(), "acme");
    assert_eq!(say("tenants/globex", true), say("tenants/globex", false));
    assert_eq!(say("tenants/globex", true).0, Code::NotFound);
    assert_eq!(say("globex", true).0, Code::InvalidArgument);
}

#[test]
fn a_callers_file_that_is_wrong_says_where_and_shows_no_token() {
    let digest = digest("open sesame");
    let good = FILE.replace("DIGEST", &digest);
    let cases = [
        (FILE.replace("DIGEST", "hunter2-the-token"), "token digest that is none"),
        (good.replace("tenants: [acme]", "tenants: []"), "names no tenant"),
        (good.replace("tenants: [acme]", "tenants: [Acme]"), "names no tenant"),
        (good.replace("directory.read", "directory.reed"), "is no scope"),
        (good.replace("subject: operator", "subject: acme-connector"), "another caller's too"),
        (good.replace("[ops.cell.example]", "[connector.acme.example]"), "given twice"),
        (good.replace("[ops.cell.example]", "[\"*.cell.example\"]"), "no DNS name"),
        (good.replace("spiffe://cell.example/acme", "acme"), "is no URI"),
        (good.replace("    dnsNames: [ops.cell.example]\n", ""), "has no credential"),
        (good.replace("kind: Callers", "kind: Tenant"), "another kind"),
        (good.replace("v1", "v9"), "not known"),
        (good.replace("uris:", "uri:"), "unknown field"),
        ("callers: [".into(), "callers.yaml"),
    ];
    for (text, expected) in cases {
        let said = table(&text).expect_err(expected);
        assert!(said.contains(expected), "{expected:?} in {said}");
        assert!(said.contains("callers.yaml:"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains(&digest), "{said}");
    }
}

#[test]
fn a_reload_changes_who_is_known_and_a_bad_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("callers.yaml");
    std::fs::write(&path, FILE.replace("DIGEST", &digest("second"))).unwrap();
    let callers = callers();
    let clone = callers.clone();
    let knows = |token: &str| {
        subject(&clone, &peer("192.0.2.1:5000"), &[("authorization", &format!("Bearer {token}"))]).is_some()
    };
    assert!(knows("open sesame") && !knows("second"));
    callers.reload(&path).unwrap();
    assert!(!knows("open sesame") && knows("second"));
    std::fs::write(&path, "kind: Callers").unwrap();
    assert!(callers.reload(&path).is_err());
    assert!(knows("second"));
}

#[tokio::test]
async fn a_saved_file_is_read_again_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("callers.yaml");
    std::fs::write(&path, FILE.replace("DIGEST", &digest("open sesame"))).unwrap();
    let (callers, life) = (callers(), tandem_runtime::drain::Life::new());
    callers.follow(path.clone(), &life);
    let knows = |token: &str| {
        subject(&callers, &peer("192.0.2.1:5000"), &[("authorization", &format!("Bearer {token}"))]).is_some()
    };
    std::fs::write(&path, FILE.replace("DIGEST", &digest("second"))).unwrap();
    let seen = async {
        while !knows("second") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), seen).await.unwrap();
    assert!(!knows("open sesame"));
    life.shutdown.leave();
}

#[test]
fn a_digest_is_sha_256_in_hexadecimal() {
    // FIPS 180-4's example: SHA-256("abc").
    assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn scopes_are_named_and_found_by_name() {
    for scope in Scope::ALL {
        assert_eq!(Scope::parse(scope.name()), Some(*scope));
        let only: Scopes = [*scope].into_iter().collect();
        assert!(Scope::ALL.iter().all(|other| only.has(*other) == (other == scope)));
    }
    assert_eq!(Scope::parse("everything"), None);
}
