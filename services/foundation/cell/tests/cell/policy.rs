//! Policy from files: what is saved is in force, what is wrong is named, and nothing is lost by mistake.

use std::fs;
use std::time::{Duration, Instant};

use tandem_cell::policy::{FileStatus, GONE_FOR, Policy, State};
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Phase;
use tandem_store::embedded::Place;
use tokio::time::timeout;

use crate::desk::{A, B, Desk, document, in_force, name, settings};
use crate::rig::{Rig, SOON, START, store, until};

#[tokio::test]
async fn a_saved_file_is_in_force_with_its_claims_and_what_did_not_change_writes_nothing() {
    let desk = Desk::with(&[("acme.yaml", &document("acme", "One", A))]).await;
    let first = desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    assert!(!first.is_rejected(), "{:?}", first.diagnostics);
    assert_eq!(desk.display_name("acme").unwrap(), "One");
    let acme = desk.tenant("acme").unwrap();
    assert_eq!(desk.claims(), [("source/main/10.9.0.1/".to_owned(), "acme".to_owned())]);
    let began = Instant::now();
    desk.save("acme.yaml", &document("acme", "Two", B));
    until(&desk.rig.cell, || desk.display_name("acme").as_deref() == Some("Two")).await;
    let took = began.elapsed();
    // The whole product has a second from the save to the edge that decides by it.
    assert!(took < Duration::from_secs(1), "{took:?} from the save to the view");
    let second = desk.file("acme.yaml", |f| in_force(f, "acme") == Some(2)).await;
    assert_eq!(desk.tenant("acme").unwrap(), acme, "the same tenant");
    assert_eq!(desk.claims(), [("source/main/10.9.0.2/".to_owned(), "acme".to_owned())]);
    let reached = desk.rig.cell.view().reached(&acme);
    // A comment is no change of the spec, and another file no change of this one.
    desk.save("acme.yaml", &format!("# mended\n{}", document("acme", "Two", B)));
    desk.save("beta.yaml", &document("beta", "Beta", A));
    desk.file("beta.yaml", |f| in_force(f, "beta") == Some(1)).await;
    assert_eq!(desk.rig.cell.view().reached(&acme), reached);
    assert_eq!(desk.policy.status().files[&desk.path("acme.yaml")].tenants, second.tenants);
}

#[tokio::test]
async fn an_invalid_file_keeps_the_last_good_one_and_says_where_it_is_wrong() {
    let desk = Desk::with(&[("acme.yaml", &document("acme", "One", A))]).await;
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    let acme = desk.tenant("acme").unwrap();
    for (wrong, line, said) in [
        (document("acme", "Two", A).replace("inbound: ProxyFirst", "inbound: Sideways"), 7, "Sideways"),
        (document("acme", "Two", A).replace("inbound:", "inbuond:"), 7, "inbuond"),
        (document("acme", "Two", "[{source: ten}]"), 10, "trunk.ingress_invalid"),
        ("kind: Tenant\nmetadata: {name: [".to_owned(), 0, ""),
        ("kind: Tennant\nmetadata: {name: acme}\n".to_owned(), 1, "Tennant"),
        (String::new(), 0, "no document"),
    ] {
        desk.save("acme.yaml", &wrong);
        let found = desk
            .file("acme.yaml", |f| {
                f.diagnostics.iter().any(|d| d.to_string().contains(said)) && f.is_rejected()
            })
            .await;
        if line > 0 {
            assert_eq!(found.diagnostics[0].line, line, "{}", found.diagnostics[0]);
            assert!(found.diagnostics[0].finding.fix.is_some(), "{}", found.diagnostics[0]);
        }
        assert_eq!(found.tenants.get(&name("acme")), Some(&State::Rejected));
        desk.hand.advance(GONE_FOR * 2);
        assert_eq!(desk.display_name("acme").unwrap(), "One");
    }
    desk.save("acme.yaml", &document("acme", "Three", A));
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(2)).await;
    assert_eq!(desk.display_name("acme").unwrap(), "Three");
    assert_eq!(desk.tenant("acme").unwrap(), acme);
}

#[tokio::test]
async fn of_two_documents_of_one_tenant_the_first_counts() {
    let desk =
        Desk::with(&[("a.yaml", &document("acme", "First", A)), ("b.yaml", &document("acme", "Second", B))])
            .await;
    let second = desk.file("b.yaml", FileStatus::is_rejected).await;
    assert!(second.diagnostics.iter().any(|d| d.to_string().contains("tenant.twice")), "{second:?}");
    assert_eq!(desk.display_name("acme").unwrap(), "First");
    fs::remove_file(desk.path("a.yaml")).unwrap();
    until(&desk.rig.cell, || desk.display_name("acme").as_deref() == Some("Second")).await;
    desk.file("b.yaml", |f| in_force(f, "acme") == Some(2) && !f.is_rejected()).await;
}

#[tokio::test]
async fn directories_and_other_cells_are_passed_over_and_a_tenant_never_changes_its_cell() {
    let elsewhere = document("far", "Far", B).replace("spec:\n", "spec:\n  cell: there\n");
    let people = "apiVersion: tandem.dev/v1\nkind: Directory\nmetadata: {name: acme}\nspec: {}\n";
    let acme = document("acme", "Acme", A);
    let desk = Desk::with(&[("acme.yaml", &format!("{people}---\n{acme}")), ("far.yaml", &elsewhere)]).await;
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1) && !f.is_rejected()).await;
    desk.file("far.yaml", |f| f.tenants.get(&name("far")) == Some(&State::Elsewhere)).await;
    assert_eq!(desk.tenant("far"), None);
    desk.save("acme.yaml", &acme.replace("spec:\n", "spec:\n  cell: there\n"));
    let refused = desk.file("acme.yaml", FileStatus::is_rejected).await;
    assert!(refused.diagnostics.iter().any(|d| d.to_string().contains("tenant.cell_changed")));
    assert_eq!(desk.display_name("acme").unwrap(), "Acme");
}

#[tokio::test]
async fn one_writer_writes_and_another_takes_over_when_it_is_gone() {
    let (clock, hand) = Clock::manual(START);
    let store = store(Place::Memory, &clock, 9);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("acme.yaml"), document("acme", "One", A)).unwrap();
    let one = Rig::join(&store, &clock, "one", 1).await;
    let first = Policy::start(&one.life, &one.cell, settings(&dir, "here"));
    let wrote = timeout(SOON, first.until(|s| s.writing && s.settled)).await.unwrap().unwrap();
    assert_eq!(wrote.files.len(), 1);
    let two = Rig::join(&store, &clock, "two", 2).await;
    let second = Policy::start(&two.life, &two.cell, settings(&dir, "here"));
    until(&two.cell, || two.cell.view().load().registry.leases().any(|(_, p)| p.id.starts_with("one-")))
        .await;
    assert!(!second.status().writing);
    // Killed, not asked to leave: its lease lasts as long as its session.
    one.life.shutdown.advance(Phase::Stopped);
    one.life.tasks.join().await;
    let takes_over = async {
        while !second.status().writing {
            hand.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, takes_over).await.expect("the second takes over");
    fs::write(dir.path().join("acme.yaml"), document("acme", "Two", A)).unwrap();
    let named = |cell: &tandem_cell::Cell| {
        let shown = cell.view().load();
        shown.view.tenant("acme").and_then(|t| t.config()?.display_name.as_deref().map(str::to_owned))
    };
    until(&two.cell, || named(&two.cell).as_deref() == Some("Two")).await;
}
