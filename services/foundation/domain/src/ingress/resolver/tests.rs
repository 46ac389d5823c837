use std::fmt::Write as _;

use crate::document::policy::{Ingress, TenantDocument};
use crate::document::terms::Model;
use crate::id::{Incarnation, ListenerName, Revision, TenantId, TenantName};
use crate::ingress::{Arrival, Resolution, claims};
use crate::record::{Change, Kind, PolicyRecord, Record, TenantRecord, cell};
use crate::tenant::compile;
use crate::view::View;

fn id(name: &str) -> TenantId {
    TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(1) }
}

fn change(tenant: TenantId, kind: Kind, key: String, record: Option<Record>) -> Change {
    Change { tenant, kind, key, record, revision: Revision(1), at: 1 }
}

/// A tenant whose gateway, CIC and Lync are known by these entries (listener, source, certificate, domain, called).
fn add(view: &mut View, name: &str, gateway: &[Entry<'_>]) {
    add_as(view, name, Model::LocalControl, gateway);
}

fn add_as(view: &mut View, name: &str, model: Model, gateway: &[Entry<'_>]) {
    let mut document: TenantDocument =
        serde_saphyr::from_str(include_str!("../../tenant/base.yaml")).unwrap();
    document.spec.model = model;
    for trunk in &mut document.spec.trunks {
        trunk.ingress.clear();
        if trunk.name == "gateway" {
            trunk.ingress = gateway.iter().map(entry).collect();
        }
    }
    let id = id(name);
    let config = compile(name, &document.spec).unwrap().config;
    let listeners = ["pstn", "vpn"].map(|l| ListenerName::parse(l).unwrap());
    for claim in claims(&config, &id, &listeners) {
        let mut key = String::new();
        write!(key, "{:?}", claim.what).unwrap();
        let record = Some(Record::IngressClaim(claim.into()));
        view.apply(&change(cell(), Kind::IngressClaim, key, record));
    }
    let birth = TenantRecord { tenant: id.clone(), deleting: false };
    view.apply(&change(cell(), Kind::Tenant, name.to_owned(), Some(Record::Tenant(birth))));
    let policy = PolicyRecord { generation: 1, spec: document.spec };
    view.apply(&change(id, Kind::Policy, String::new(), Some(Record::Policy(policy.into()))));
}

#[derive(Default, Clone, Copy)]
struct Entry<'a> {
    listener: Option<&'a str>,
    source: Option<&'a str>,
    certificate: Option<&'a str>,
    domain: Option<&'a str>,
    called: &'a [&'a str],
}

fn entry(e: &Entry<'_>) -> Ingress {
    let owned = |s: Option<&str>| s.map(str::to_owned);
    Ingress {
        listener: owned(e.listener),
        source: owned(e.source),
        certificate: owned(e.certificate),
        domain: owned(e.domain),
        called: e.called.iter().map(|s| (*s).to_owned()).collect(),
    }
}

fn who(view: &View, listener: &str, source: &str, names: &[&str], domain: &str, called: &str) -> String {
    let call = Arrival {
        listener,
        source: source.parse().unwrap(),
        certificate_names: names,
        domain: Some(domain),
        called: Some(called),
    };
    match view.resolve(&call) {
        Resolution::Tenant(tenant, trunk) => {
            format!("{} {}", tenant.id(), tenant.config().unwrap().trunk(trunk).name)
        }
        Resolution::ForeignDomain => "foreign".to_owned(),
        Resolution::Unknown => "unknown".to_owned(),
    }
}

#[test]
fn two_tenants_behind_one_carrier_gateway_are_told_apart_by_called_range() {
    // In remote control a carrier's gateway in the cloud is the gateway of many.
    let mut view = View::new();
    let carrier = Entry { listener: Some("pstn"), source: Some("192.0.2.1"), ..Entry::default() };
    let remote = Model::RemoteControl;
    add_as(&mut view, "acme", remote, &[Entry { called: &["+4930900", "+49309555"], ..carrier }]);
    add_as(&mut view, "bolt", remote, &[Entry { called: &["+4930901"], ..carrier }]);
    for (source, called, expected) in [
        ("192.0.2.1", "+4930900100", "acme gateway"),
        ("192.0.2.1", "4930900100", "acme gateway"),
        ("192.0.2.1", "sip:+49309555@edge;user=phone", "acme gateway"),
        ("192.0.2.1", "+4930901100", "bolt gateway"),
        ("::ffff:192.0.2.1", "+4930901100", "bolt gateway"),
        ("192.0.2.1", "+4930902100", "unknown"),
        ("192.0.2.1", "sip:jane@edge", "unknown"),
        ("192.0.2.2", "+4930900100", "unknown"),
    ] {
        assert_eq!(who(&view, "pstn", source, &[], "edge", called), expected, "{source} {called}");
    }
    assert_eq!(who(&view, "vpn", "192.0.2.1", &[], "edge", "+4930900100"), "unknown");
}

#[test]
fn a_call_is_bound_by_certificate_then_source_then_domain() {
    let mut view = View::new();
    let source =
        |listener, source| Entry { listener: Some(listener), source: Some(source), ..Entry::default() };
    add(
        &mut view,
        "acme",
        &[
            source("pstn", "10.1.0.0/16"),
            Entry { certificate: Some("gw.acme.example"), ..Entry::default() },
            Entry { listener: Some("pstn"), domain: Some("acme.example"), ..Entry::default() },
        ],
    );
    // The same private network behind another listener is another tenant's.
    add(&mut view, "bolt", &[source("vpn", "10.1.0.0/16"), source("pstn", "10.2.0.7")]);
    for (listener, source, names, domain, expected) in [
        ("pstn", "10.1.2.3", &[][..], "edge", "acme gateway"),
        ("vpn", "10.1.2.3", &[], "edge", "bolt gateway"),
        ("pstn", "10.2.0.7", &[], "edge", "bolt gateway"),
        ("pstn", "10.2.0.8", &[], "edge", "unknown"),
        ("pstn", "10.2.0.7", &["GW.acme.example"], "edge", "acme gateway"),
        ("vpn", "172.16.0.1", &["other", "gw.acme.example"], "edge", "acme gateway"),
        ("vpn", "172.16.0.1", &["other"], "edge", "unknown"),
        ("pstn", "172.16.0.1", &[], "ACME.example", "acme gateway"),
        ("vpn", "172.16.0.1", &[], "acme.example", "unknown"),
        ("pstn", "10.2.0.7", &[], "acme.example", "foreign"),
        ("pstn", "10.1.2.3", &[], "acme.example", "acme gateway"),
        ("nowhere", "10.1.2.3", &[], "edge", "unknown"),
        ("pstn", "2001:db8::1", &[], "edge", "unknown"),
    ] {
        let found = who(&view, listener, source, names, domain, "112");
        assert_eq!(found, expected, "{listener} {source} {names:?} {domain}");
    }
}

#[test]
fn a_claim_that_is_given_up_binds_no_more() {
    let mut view = View::new();
    add(&mut view, "acme", &[Entry { source: Some("10.1.0.0/16"), ..Entry::default() }]);
    assert_eq!(who(&view, "vpn", "10.1.2.3", &[], "edge", "112"), "acme gateway");
    let config = view.tenant("acme").unwrap().config().unwrap().clone();
    for claim in claims(&config, &id("acme"), &[ListenerName::parse("vpn").unwrap()]) {
        view.apply(&change(cell(), Kind::IngressClaim, format!("{:?}", claim.what), None));
    }
    assert_eq!(who(&view, "vpn", "10.1.2.3", &[], "edge", "112"), "unknown");
    assert_eq!(who(&view, "pstn", "10.1.2.3", &[], "edge", "112"), "acme gateway");
}

#[test]
fn an_entry_binds_only_when_all_that_it_names_is_so() {
    let mut view = View::new();
    let both =
        Entry { certificate: Some("gw.acme.example"), source: Some("10.1.0.0/16"), ..Entry::default() };
    add(&mut view, "acme", &[both]);
    assert_eq!(who(&view, "pstn", "10.1.2.3", &["gw.acme.example"], "edge", "112"), "acme gateway");
    assert_eq!(who(&view, "pstn", "10.9.2.3", &["gw.acme.example"], "edge", "112"), "unknown");
    assert_eq!(who(&view, "pstn", "10.1.2.3", &[], "edge", "112"), "unknown");
}
