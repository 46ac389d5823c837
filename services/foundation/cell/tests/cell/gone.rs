//! Tenants that no file names: deleted when it is meant, kept when it is more likely an accident.

use std::fs;
use std::time::Duration;

use tandem_cell::policy::{FileStatus, GONE_FOR, Held};
use tandem_domain::id::TenantId;
use tandem_store::embedded::Place;

use crate::desk::{A, B, Desk, document, in_force, name};
use crate::rig::{SOON, until};

#[tokio::test]
async fn a_tenant_whose_file_is_gone_is_deleted_with_all_it_has_and_made_again_is_another() {
    let both = format!("{}---\n{}", document("acme", "Acme", A), document("beta", "Beta", B));
    let desk = Desk::with(&[("both.yml", &both)]).await;
    desk.file("both.yml", |f| in_force(f, "acme").is_some() && in_force(f, "beta").is_some()).await;
    let acme = desk.tenant("acme").unwrap();
    for part in 0..3 {
        let writes = (0..500)
            .map(|n| format!("u{part}-{n}"))
            .map(|id| tandem_store::put(&id, &crate::rig::user(&id, "Jane")))
            .collect();
        let revision = desk.rig.commit(&acme, writes).await;
        let shown = desk.rig.cell.view().wait_for(&acme, revision, tokio::time::Instant::now() + SOON);
        shown.await.unwrap();
    }
    let (_, mut changes) = desk.rig.cell.view().subscribe(tandem_cell::follower::Scope::Tenant(acme.clone()));
    desk.save("both.yml", &document("beta", "Beta", B));
    desk.until(|s| s.unnamed == [name("acme")]).await;
    assert_eq!(desk.tenant("acme"), Some(acme.clone()), "not at once");
    desk.pass_until(|| desk.tenant("acme").is_none()).await;
    let mut gone = 0;
    while let Ok(Some(batch)) = changes.try_next() {
        gone += batch.changes.iter().filter(|c| c.tenant == acme && c.record.is_none()).count();
    }
    assert_eq!(gone, 1501, "the policy and every user");
    assert_eq!(desk.claims(), [("source/main/10.9.0.2/".to_owned(), "beta".to_owned())]);
    desk.until(|s| s.settled).await;
    desk.save("acme.yaml", &document("acme", "Acme", A));
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    let again = desk.tenant("acme").unwrap();
    assert_ne!(again.incarnation, acme.incarnation);
    assert_eq!(desk.rig.cell.view().load().view.tenant("acme").unwrap().users_len(), 0);
}

/// Two tenants, each in a file of its own.
async fn two() -> (Desk, TenantId, TenantId) {
    let files = [("acme.yaml", &*document("acme", "Acme", A)), ("beta.yaml", &*document("beta", "Beta", B))];
    let desk = Desk::with(&files).await;
    desk.file("acme.yaml", |f| in_force(f, "acme").is_some()).await;
    desk.file("beta.yaml", |f| in_force(f, "beta").is_some()).await;
    let (acme, beta) = (desk.tenant("acme").unwrap(), desk.tenant("beta").unwrap());
    (desk, acme, beta)
}

#[tokio::test]
async fn a_file_that_comes_back_in_time_deletes_nothing() {
    let (desk, acme, _) = two().await;
    fs::remove_file(desk.path("acme.yaml")).unwrap();
    desk.until(|s| s.unnamed == [name("acme")] && s.held.is_none()).await;
    desk.pass(GONE_FOR - Duration::from_secs(10)).await;
    desk.save("acme.yaml", &document("acme", "Acme", A));
    desk.until(|s| s.unnamed.is_empty()).await;
    desk.pass(GONE_FOR).await;
    desk.dealt_with(1).await;
    assert_eq!(desk.tenant("acme"), Some(acme));
}

/// A directory that is unmounted, checked out anew or half copied looks as if every tenant were meant to go.
#[tokio::test]
async fn a_directory_that_is_emptied_deletes_nothing() {
    let (desk, acme, beta) = two().await;
    fs::remove_file(desk.path("acme.yaml")).unwrap();
    fs::remove_file(desk.path("beta.yaml")).unwrap();
    desk.until(|s| s.unnamed.len() == 2 && s.held == Some(Held::NoneNamed)).await;
    desk.pass(GONE_FOR * 2).await;
    // Something else came: two are still more than a person deletes at once.
    desk.dealt_with(1).await;
    desk.until(|s| s.held == Some(Held::Several)).await;
    desk.pass(GONE_FOR * 2).await;
    desk.dealt_with(2).await;
    assert_eq!((desk.tenant("acme"), desk.tenant("beta")), (Some(acme.clone()), Some(beta.clone())));
    // The directory is mounted again, one file after another: the last to come is not late.
    desk.save("acme.yaml", &document("acme", "Acme", A));
    desk.until(|s| s.unnamed == [name("beta")] && s.held.is_none()).await;
    desk.pass(GONE_FOR - Duration::from_secs(10)).await;
    desk.dealt_with(3).await;
    desk.save("beta.yaml", &document("beta", "Beta", B));
    desk.until(|s| s.unnamed.is_empty() && s.held.is_none()).await;
    assert_eq!((desk.tenant("acme"), desk.tenant("beta")), (Some(acme), Some(beta)));
}

/// The last tenant, and several at once, are deleted by who says that it is meant.
#[tokio::test]
async fn what_is_marked_is_deleted_at_once_and_only_if_no_file_names_it() {
    let (desk, _, beta) = two().await;
    // A mark beside a file that names the tenant says nothing.
    fs::write(desk.path("beta.deleted"), "").unwrap();
    desk.dealt_with(1).await;
    fs::rename(desk.path("acme.yaml"), desk.path("acme.deleted")).unwrap();
    until(&desk.rig.cell, || desk.tenant("acme").is_none()).await;
    desk.until(|s| s.settled).await;
    assert_eq!(desk.tenant("beta"), Some(beta));
    // As long as the mark is there, nobody is born by the name.
    desk.save("acme.yaml", &document("acme", "Acme", A));
    let refused = desk.file("acme.yaml", FileStatus::is_rejected).await;
    assert!(
        refused.diagnostics.iter().any(|d| d.to_string().contains("tenant.marked_deleted")),
        "{refused:?}"
    );
    assert_eq!(desk.tenant("acme"), None);
    fs::remove_file(desk.path("acme.deleted")).unwrap();
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1) && !f.is_rejected()).await;
    fs::rename(desk.path("acme.yaml"), desk.path("acme.deleted")).unwrap();
    until(&desk.rig.cell, || desk.tenant("acme").is_none()).await;
    // What is not understood might name it.
    fs::write(desk.path("odd.yaml"), ": : [").unwrap();
    fs::remove_file(desk.path("beta.yaml")).unwrap();
    desk.until(|s| s.held == Some(Held::By(desk.path("odd.yaml")))).await;
    fs::remove_file(desk.path("probe.yaml")).unwrap();
    fs::remove_file(desk.path("odd.yaml")).unwrap();
    until(&desk.rig.cell, || desk.tenant("beta").is_none()).await;
    let status = desk.until(|s| s.settled && s.unnamed.len() == 1).await;
    assert_eq!((&status.unnamed[0], &status.held), (&name("probe"), &Some(Held::NoneNamed)));
}

#[tokio::test]
async fn what_was_never_understood_and_what_is_not_there_delete_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let place = Place::Directory(data.path().to_owned());
    fs::write(dir.path().join("acme.yaml"), document("acme", "Acme", A)).unwrap();
    let desk = Desk::at(dir, place.clone()).await;
    desk.file("acme.yaml", |f| in_force(f, "acme").is_some()).await;
    let acme = desk.tenant("acme").unwrap();
    let Desk { rig, dir, .. } = desk;
    rig.close().await;
    // Begun again with a directory that holds no tenant: as one that is not mounted.
    fs::remove_file(dir.path().join("acme.yaml")).unwrap();
    let desk = Desk::at(dir, place.clone()).await;
    desk.until(|s| s.settled && s.held == Some(Held::NoneNamed)).await;
    desk.pass(GONE_FOR).await;
    // With one that might name any tenant.
    fs::write(desk.path("odd.yaml"), ": : [").unwrap();
    desk.save("beta.yaml", &document("beta", "Beta", B));
    desk.until(|s| s.held == Some(Held::By(desk.path("odd.yaml"))) && s.files.len() == 2 && s.settled).await;
    desk.pass(GONE_FOR).await;
    desk.save("beta.yaml", &document("beta", "Beta 2", B));
    desk.file("beta.yaml", |f| in_force(f, "beta") == Some(2)).await;
    assert_eq!(desk.tenant("acme"), Some(acme));
    // Mended: now it is known that nobody names acme.
    fs::remove_file(desk.path("odd.yaml")).unwrap();
    desk.until(|s| s.held.is_none()).await;
    desk.pass_until(|| desk.tenant("acme").is_none()).await;
    let Desk { rig, .. } = desk;
    rig.close().await;
}
