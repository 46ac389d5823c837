//! What tenants claim for themselves alone.

use std::fs;
use std::sync::Arc;

use tandem_cell::policy::{FileStatus, Policy, State};
use tandem_domain::id::{ListenerName, TenantId};
use tandem_domain::record;
use tandem_runtime::clock::Clock;
use tandem_store::embedded::Place;
use tandem_store::{Write, put};
use tokio::time::timeout;

use crate::desk::{A, Desk, document, in_force, name, settings};
use crate::rig::{Rig, SOON, START, store, until};

#[tokio::test]
async fn what_another_tenant_claims_is_refused_without_its_name_and_free_when_released() {
    let desk = Desk::with(&[("acme.yaml", &document("acme", "Acme", A))]).await;
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    // The network holds acme's address; behind another listener it would be no conflict.
    desk.save(
        "beta.yaml",
        &document("beta", "Beta", "[{listener: side, source: 10.9.0.1}, {source: 10.9.0.0/24}]"),
    );
    let refused = desk.file("beta.yaml", FileStatus::is_rejected).await;
    let said = refused.diagnostics.iter().map(ToString::to_string).collect::<String>();
    assert!(said.contains("INGRESS_TAKEN") && said.contains("spec.trunks[0].ingress[1]"), "{said}");
    assert!(said.contains("10.9.0.0/24"), "{said}");
    assert!(!said.contains("acme"), "{said}");
    assert_eq!(desk.tenant("beta"), None, "nothing of it was written");
    assert_eq!(desk.claims().len(), 1);
    // Acme moves away: what waited is taken at once.
    desk.save("acme.yaml", &document("acme", "Acme", "[{source: 10.8.0.1}]"));
    desk.file("beta.yaml", |f| in_force(f, "beta") == Some(1) && !f.is_rejected()).await;
    let owners: Vec<_> = desk.claims().into_iter().map(|(_, t)| t).collect();
    assert_eq!(owners, ["acme", "beta", "beta"]);
}

/// A domain that callers ask for and a name of a certificate are claimed as an address is.
#[tokio::test]
async fn a_domain_and_a_certificate_are_one_tenants_alone() {
    let named = "[{source: 10.9.0.1}, {domain: sip.acme.example}, {certificate: sbc.acme.example}]";
    let desk = Desk::with(&[("acme.yaml", &document("acme", "Acme", named))]).await;
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    for (ingress, words) in [
        ("{domain: SIP.acme.example}", "the domain sip.acme.example at listener main is another tenant's"),
        (
            "{certificate: sbc.acme.example, called: [\"+4930\"]}",
            "whose certificate names sbc.acme.example are",
        ),
    ] {
        let ingress = format!("[{{source: 10.9.0.2}}, {ingress}]");
        desk.save("beta.yaml", &document("beta", "Beta", &ingress));
        let is =
            |f: &FileStatus| f.is_rejected() && f.diagnostics.iter().any(|d| d.to_string().contains(words));
        let refused = desk.file("beta.yaml", is).await;
        let said = refused.diagnostics.iter().map(ToString::to_string).collect::<String>();
        assert!(said.contains("INGRESS_TAKEN") && said.contains("spec.trunks[0].ingress[1]"), "{said}");
        assert!(desk.tenant("beta").is_none() && desk.claims().len() == 3);
    }
    // A name of its own is nobody's but beta's.
    desk.save("beta.yaml", &document("beta", "Beta", "[{source: 10.9.0.2}, {domain: sip.beta.example}]"));
    desk.file("beta.yaml", |f| in_force(f, "beta") == Some(1)).await;
}

#[tokio::test]
async fn two_tenants_share_a_carrier_by_called_numbers() {
    // All in remote control: one carrier's gateway in the cloud is the gateway of many.
    let remote = |tenant: &str, called: &str| {
        let ingress = format!("[{{source: 10.9.0.1, called: [\"{called}\"]}}]");
        document(tenant, tenant, &ingress).replace("model: OnPremises", "model: RemoteControl")
    };
    let desk = Desk::with(&[
        ("acme.yaml", &remote("acme", "+4930")),
        ("beta.yaml", &remote("beta", "+4940")),
        ("core.yaml", &remote("core", "+49301")),
    ])
    .await;
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    desk.file("beta.yaml", |f| in_force(f, "beta") == Some(1)).await;
    let refused = desk.file("core.yaml", FileStatus::is_rejected).await;
    assert!(refused.diagnostics.iter().any(|d| d.to_string().contains("to +49301")), "{refused:?}");
}

#[tokio::test]
async fn what_a_crash_left_between_claim_and_policy_is_put_right() {
    let (clock, _hand) = Clock::manual(START);
    let store = store(Place::Memory, &clock, 9);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("acme.yaml"), document("acme", "One", A)).unwrap();
    let rig = Rig::join(&store, &clock, "one", 1).await;
    // A tenant that claimed and was never born, and a tenant of ours that has a claim too many.
    let acme = rig.birth("acme").await;
    let ghost = crate::rig::unknown();
    rig.commit(&record::cell(), vec![claim(&acme, "a"), claim(&ghost, "b")]).await;
    until(&rig.cell, || rig.cell.view().load().registry.claims().count() == 2).await;
    let policy = Policy::start(&rig.life, &rig.cell, settings(&dir, "here"));
    timeout(SOON, policy.until(|s| s.writing && s.settled && !s.files.is_empty())).await.unwrap().unwrap();
    let shown = rig.cell.view().load();
    let keys: Vec<_> = shown.registry.claims().map(|(k, _)| k).collect();
    assert_eq!(keys, ["source/main/10.9.0.1/"]);
    assert_eq!(shown.view.tenant("acme").unwrap().id(), &acme, "the birth that was written counts");
}

/// A claim on a domain, as it lies in `_cell`.
fn claim(tenant: &TenantId, listener: &str) -> Write {
    let what = record::Claimed::Domain {
        listener: ListenerName::parse(listener).unwrap(),
        domain: "old.example".to_owned(),
    };
    let key = tandem_cell::policy::claim_key(&what);
    let trunk = tandem_domain::id::TrunkName::parse("gw").unwrap();
    let claim = record::IngressClaim { what, tenant: tenant.clone(), trunk };
    put(&key, &record::Record::IngressClaim(Arc::new(claim)))
}

#[tokio::test]
async fn claims_are_put_right_where_no_document_says_what_they_are() {
    let data = tempfile::tempdir().unwrap();
    let place = Place::Directory(data.path().to_owned());
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("acme.yaml"), document("acme", "Acme", A)).unwrap();
    let desk = Desk::at(dir, place.clone()).await;
    desk.file("acme.yaml", |f| in_force(f, "acme").is_some()).await;
    let acme = desk.tenant("acme").unwrap();
    let right = desk.claims();
    // What a writer that was killed may leave: a claim too few, one too many, and one of a tenant that bore the name
    // before.
    let before = TenantId { incarnation: tandem_domain::id::Incarnation(1), ..acme.clone() };
    let less = tandem_store::delete(record::Kind::IngressClaim, &right[0].0);
    let Desk { rig, dir, .. } = desk;
    rig.commit(&record::cell(), vec![less, claim(&acme, "a"), claim(&before, "b")]).await;
    rig.close().await;
    // Its file turned invalid meanwhile: the policy in force says what is claimed.
    fs::write(dir.path().join("acme.yaml"), "kind: Tenant\nmetadata: {name: [").unwrap();
    let desk = Desk::at(dir, place).await;
    desk.until(|s| s.settled && !s.files.is_empty()).await;
    assert_eq!(desk.claims(), right);
    assert_eq!(desk.tenant("acme"), Some(acme));
    desk.rig.close().await;
}

#[tokio::test]
async fn a_tenant_moves_to_another_cell_by_ending_here_and_beginning_there() {
    let here = Desk::with(&[("acme.yaml", &document("acme", "Acme", A))]).await;
    here.file("acme.yaml", |f| in_force(f, "acme").is_some()).await;
    let moved = document("acme", "Acme", A).replace("spec:\n", "spec:\n  cell: there\n");
    // A change of the cell is no move: it stays where it is, with all that it has.
    here.save("acme.yaml", &moved);
    here.file("acme.yaml", FileStatus::is_rejected).await;
    assert_eq!(here.claims().len(), 1);
    fs::rename(here.path("acme.yaml"), here.path("acme.deleted")).unwrap();
    until(&here.rig.cell, || here.tenant("acme").is_none()).await;
    here.save("acme.yaml", &moved);
    here.file("acme.yaml", |f| f.tenants.get(&name("acme")) == Some(&State::Elsewhere)).await;
    assert_eq!((here.tenant("acme"), here.claims()), (None, vec![]), "its addresses are free");
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("acme.yaml"), &moved).unwrap();
    let there = Desk::of(dir, Place::Memory, "there").await;
    there.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    assert_eq!(there.claims().len(), 1);
}

/// Whoever writes a listener's name wrongly hears nothing of the calls: that it is said is all there is to go by.
#[tokio::test]
async fn a_listener_that_is_not_known_is_said_at_its_line_and_keeps_nothing_from_being_taken() {
    let ingress = "[{source: 10.9.0.2}, {listener: pubic, source: 10.9.0.1}]";
    let desk = Desk::with(&[("acme.yaml", &document("acme", "Acme", ingress))]).await;
    let file = desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    assert!(!file.is_rejected());
    let said: Vec<String> = file.diagnostics.iter().map(ToString::to_string).collect();
    let said: Vec<&String> = said.iter().filter(|d| d.contains("ingress.listener_unknown")).collect();
    let [said] = said[..] else { panic!("{:?}", file.diagnostics) };
    for part in ["acme.yaml:", "`pubic`", "spec.trunks[0].ingress[1].listener", "--listen NAME=udp"] {
        assert!(said.contains(part), "{said}");
    }
}
