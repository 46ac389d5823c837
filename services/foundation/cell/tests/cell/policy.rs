//! Policy from files: what is saved is in force, what is wrong is named, and nothing is lost by mistake.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_cell::policy::{FileStatus, GONE_FOR, Held, Policy, Settings, State, Status};
use tandem_domain::id::{ListenerName, TenantId, TenantName};
use tandem_domain::record;
use tandem_runtime::clock::{Clock, ManualClock};
use tandem_runtime::drain::Phase;
use tandem_store::embedded::Place;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::rig::{Rig, SOON, START, store, until};

/// A tenant whose gateway is known by `ingress`, in YAML's flow style.
fn document(name: &str, display_name: &str, ingress: &str) -> String {
    format!(
        "apiVersion: tandem.dev/v1
kind: Tenant
metadata: {{name: {name}}}
spec:
  displayName: {display_name}
  model: OnPremises
  inbound: ProxyFirst
  sites: [{{name: berlin, countryCode: \"49\", emergency: {{egress: [gw], callback: \"+49305550100\"}}}}]
  trunks:
    - {{name: gw, role: Gateway, transport: Udp, addresses: [{{host: 10.0.0.1}}], domains: [gw.{name}.example], identity: {{defaultNumber: \"+49305550100\"}}, ingress: {ingress}}}
    - {{name: cic, role: Cic, transport: Udp, addresses: [{{host: 10.0.1.1}}], domains: [cic.{name}.example]}}
    - {{name: lync, role: Lync, transport: Tcp, addresses: [{{host: 10.0.2.1}}], domains: [med.{name}.example]}}
    - {{name: ms, role: MediaServer, transport: Udp, addresses: [{{host: 10.0.3.1}}]}}
  numbers: {{ranges: [{{prefix: \"+49305550\"}}]}}
  toll: [{{from: [Cic, Lync], allow: true}}]
  media: {{recorded: false}}
  emergency: {{numbers: [\"112\"]}}
"
    )
}

struct Desk {
    rig: Rig,
    policy: Policy,
    dir: TempDir,
    hand: ManualClock,
}

fn settings(dir: &TempDir) -> Settings {
    Settings {
        directory: dir.path().to_owned(),
        listeners: vec![ListenerName::parse("main").unwrap()],
        cell: Some("here".to_owned()),
    }
}

impl Desk {
    async fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        Self::at(dir, Place::Memory).await
    }

    async fn at(dir: TempDir, place: Place) -> Self {
        let (clock, hand) = Clock::manual(START);
        let rig = Rig::of(
            clock,
            tandem_cell::Settings {
                home: tandem_store::Home::Embedded(place),
                ..tandem_cell::Settings::memory("up")
            },
            1,
        )
        .await;
        let policy = Policy::start(&rig.life, &rig.cell, settings(&dir));
        let desk = Self { rig, policy, dir, hand };
        desk.until(|s| s.writing).await;
        desk
    }

    fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    fn save(&self, file: &str, text: &str) {
        // As an editor does: beside it, then in its place.
        let beside = self.path(&format!(".{file}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path(file)).unwrap();
    }

    async fn until(&self, holds: impl FnMut(&Status) -> bool) -> Arc<Status> {
        let found = timeout(SOON, self.policy.until(holds)).await;
        found.unwrap_or_else(|_| panic!("in time: {:#?}", self.policy.status())).expect("running")
    }

    async fn file(&self, file: &str, mut holds: impl FnMut(&FileStatus) -> bool) -> FileStatus {
        let path = self.path(file);
        let status = self.until(|s| s.files.get(&path).is_some_and(&mut holds)).await;
        status.files[&path].clone()
    }

    fn tenant(&self, name: &str) -> Option<TenantId> {
        self.rig.cell.view().load().view.tenant(name).map(|t| t.id().clone())
    }

    fn display_name(&self, name: &str) -> Option<String> {
        let shown = self.rig.cell.view().load();
        shown.view.tenant(name)?.config()?.display_name.as_deref().map(str::to_owned)
    }

    fn claims(&self) -> Vec<(String, String)> {
        let shown = self.rig.cell.view().load();
        shown.registry.claims().map(|(k, c)| (k.to_owned(), c.tenant.name.to_string())).collect()
    }

    /// Lets time pass until something holds.
    async fn pass_until(&self, mut holds: impl FnMut() -> bool) {
        let passing = async {
            while !holds() {
                self.hand.advance(Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON, passing).await.expect("in time");
    }

    /// Lets time pass, in steps that a heartbeat keeps up with.
    async fn pass(&self, time: Duration) {
        let mut passed = Duration::ZERO;
        self.pass_until(|| {
            passed += Duration::from_secs(1);
            passed > time
        })
        .await;
    }

    /// Whether all the writer's wakes and looks up to now are done: a save is dealt with after them.
    async fn dealt_with(&self, round: u32) {
        let text = document("probe", &format!("Round {round}"), "[{source: 10.7.0.1}]");
        self.save("probe.yaml", &text);
        let named = format!("Round {round}");
        until(&self.rig.cell, || self.display_name("probe").as_deref() == Some(&named)).await;
    }
}

fn name(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

fn in_force(status: &FileStatus, tenant: &str) -> Option<u64> {
    match status.tenants.get(&name(tenant)) {
        Some(State::InForce { generation, .. }) => Some(*generation),
        _ => None,
    }
}

const A: &str = "[{source: 10.9.0.1}]";
const B: &str = "[{source: 10.9.0.2}]";

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

#[tokio::test]
async fn two_tenants_share_a_carrier_by_called_numbers() {
    let desk = Desk::with(&[
        ("acme.yaml", &document("acme", "Acme", "[{source: 10.9.0.1, called: [\"+4930\"]}]")),
        ("beta.yaml", &document("beta", "Beta", "[{source: 10.9.0.1, called: [\"+4940\"]}]")),
        ("core.yaml", &document("core", "Core", "[{source: 10.9.0.1, called: [\"+49301\"]}]")),
    ])
    .await;
    desk.file("acme.yaml", |f| in_force(f, "acme") == Some(1)).await;
    desk.file("beta.yaml", |f| in_force(f, "beta") == Some(1)).await;
    let refused = desk.file("core.yaml", FileStatus::is_rejected).await;
    assert!(refused.diagnostics.iter().any(|d| d.to_string().contains("to +49301")), "{refused:?}");
}

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
    // The directory is mounted again.
    desk.save("acme.yaml", &document("acme", "Acme", A));
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
    let first = Policy::start(&one.life, &one.cell, settings(&dir));
    let wrote = timeout(SOON, first.until(|s| s.writing && s.settled)).await.unwrap().unwrap();
    assert_eq!(wrote.files.len(), 1);
    let two = Rig::join(&store, &clock, "two", 2).await;
    let second = Policy::start(&two.life, &two.cell, settings(&dir));
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
    let claim = |tenant: &TenantId, listener: &str| {
        let what = record::Claimed::Domain {
            listener: ListenerName::parse(listener).unwrap(),
            domain: "old.example".to_owned(),
        };
        let key = tandem_cell::policy::claim_key(&what);
        let trunk = tandem_domain::id::TrunkName::parse("gw").unwrap();
        let claim = record::IngressClaim { what, tenant: tenant.clone(), trunk };
        tandem_store::put(&key, &record::Record::IngressClaim(Arc::new(claim)))
    };
    rig.commit(&record::cell(), vec![claim(&acme, "a"), claim(&ghost, "b")]).await;
    until(&rig.cell, || rig.cell.view().load().registry.claims().count() == 2).await;
    let policy = Policy::start(&rig.life, &rig.cell, settings(&dir));
    timeout(SOON, policy.until(|s| s.writing && s.settled && !s.files.is_empty())).await.unwrap().unwrap();
    let shown = rig.cell.view().load();
    let keys: Vec<_> = shown.registry.claims().map(|(k, _)| k).collect();
    assert_eq!(keys, ["source/main/10.9.0.1/"]);
    assert_eq!(shown.view.tenant("acme").unwrap().id(), &acme, "the birth that was written counts");
}
