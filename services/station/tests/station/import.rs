//! Imports.

use std::time::Duration;

use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::import_directory_request::{Header, Item, Mode};
use tonic::Code;

use crate::rig::{ADMIN, Rig, SOON, header, name, people, policy, reason, user, users, with};

fn dry(header: &Header) -> Header {
    Header { dry_run: true, ..header.clone() }
}

pub(crate) fn number(number: &str, user: &str) -> Item {
    Item::Number(pb::NumberAssignment {
        number: number.into(),
        kind: pb::AssignmentKind::Did.into(),
        user: user.into(),
        ..Default::default()
    })
}

/// Imports twice, dry and for good, and holds the two answers together.
pub(crate) async fn both(rig: &Rig, header: Header, items: Vec<Item>) -> pb::ImportDirectoryResponse {
    let before = rig.cell.view().reached(&rig.brandt);
    let said = rig.import(dry(&header), items.clone()).await.unwrap();
    assert_eq!(said.revision, 0);
    assert_eq!(rig.cell.view().reached(&rig.brandt), before, "a dry run writes nothing");
    let done = rig.import(header, items).await.unwrap();
    assert_eq!(said, pb::ImportDirectoryResponse { revision: 0, ..done.clone() });
    done
}

#[tokio::test]
async fn an_import_is_read_back_at_its_revision_and_again_writes_nothing() {
    let rig = Rig::new().await;
    let done = both(&rig, header(Mode::Merge), people()).await;
    assert_eq!((done.refused, done.deleted, done.unchanged), (0, 0, 0), "{:?}", done.errors);
    assert_eq!(done.written as usize, people().len());
    assert!(rig.list(1000).await.len() > 1);
    let tenant = rig.cell.view().load().view.tenant_by_id(&rig.brandt).unwrap().clone();
    assert_eq!(tenant.revision().0, done.revision);
    let again = both(&rig, header(Mode::Merge), people()).await;
    assert_eq!((again.written, again.unchanged as usize), (0, people().len()));
    assert_eq!(again.warnings, done.warnings);
    let after = rig.cell.view().load().view.tenant_by_id(&rig.brandt).unwrap().clone();
    assert_eq!(after.revision(), tenant.revision(), "no record was written");
}

#[tokio::test]
async fn twenty_thousand_entries_are_imported_and_replaced() {
    let rig = Rig::new().await;
    let first = rig.import(header(Mode::Merge), users(20_000, "One")).await.unwrap();
    assert_eq!((first.written, first.refused), (20_000, 0));
    assert_eq!(rig.list(1000).await.len(), 20_000);
    let mut items = users(20_000, "One");
    for item in items.iter_mut().take(3) {
        let Item::User(user) = item else { unreachable!() };
        user.display_name = "Two".into();
    }
    items.truncate(19_000);
    let second = both(&rig, header(Mode::Replace), items).await;
    assert_eq!((second.written, second.deleted, second.unchanged), (3, 1_000, 18_997));
    assert_eq!(rig.list(1000).await.len(), 19_000);
    assert_eq!(rig.get("u000002").await.unwrap().display_name, "Two");
}

#[tokio::test]
async fn a_merge_writes_in_commits_of_at_most_512_and_a_replacement_at_once() {
    let rig = Rig::new().await;
    let scope = || tandem_cell::follower::Scope::Tenant(rig.brandt.clone());
    rig.import(header(Mode::Merge), users(2_000, "One")).await.unwrap();
    let seen = || rig.cell.view().load().view.tenant_by_id(&rig.brandt).unwrap().clone();
    // Every snapshot that anybody could have seen shows the old directory or the new one.
    let (_, mut changes) = rig.cell.view().subscribe(scope());
    let watching = async {
        let mut batches = Vec::new();
        while batches.iter().sum::<usize>() < 2_000 {
            batches.push(changes.next().await.unwrap().changes.len());
        }
        batches
    };
    let listing = async {
        let mut mixed = 0;
        for _ in 0..200 {
            let shown = seen();
            let two = shown.users().filter(|u| u.display_name.as_deref() == Some("Two")).count();
            mixed += usize::from(two != 0 && two != shown.users_len());
            tokio::task::yield_now().await;
        }
        mixed
    };
    let replacing = rig.import(header(Mode::Replace), users(2_000, "Two"));
    let (done, batches, mixed) = tokio::join!(replacing, watching, listing);
    assert_eq!(done.unwrap().written, 2_000);
    assert_eq!(batches, [2_000], "one batch");
    assert_eq!(mixed, 0);
}

#[tokio::test]
async fn an_entry_that_cannot_be_taken_says_where_and_why_and_changes_nothing() {
    let rig = Rig::new().await;
    let good = user("good", "Good");
    let items = vec![
        Item::User(good.clone()),
        Item::User(pb::User { name: "tenants/albion/users/bad".into(), ..user("bad", "") }),
        Item::User(pb::User { display_name: "a\u{7}b".into(), ..user("bell", "") }),
        Item::User(pb::User { call_control: 99, ..user("odd", "") }),
        Item::User(pb::User { display_name: "x".repeat(5000), ..user("long", "") }),
        number("eleven", "good"),
        Item::User(pb::User { display_name: "Again".into(), ..good }),
        Item::Delete("tenants/brandt/users/nobody".into()),
        Item::Delete("tenants/albion/users/nobody".into()),
        number("030 23125100", "good"),
        number("+493023125100", "good"),
    ];
    let done = both(&rig, header(Mode::Merge), items.clone()).await;
    assert_eq!((done.written, done.deleted, done.unchanged, done.refused), (2, 0, 1, 8), "{done:#?}");
    let errors: Vec<(u64, &str, &str, &str)> = done
        .errors
        .iter()
        .map(|e| {
            let f = e.finding.as_ref().unwrap();
            assert!(!f.message.is_empty() && !f.fix.is_empty(), "{f:?}");
            assert_eq!(f.severity, pb::finding::Severity::Error as i32);
            (e.index, e.entry.as_str(), f.code.as_str(), f.field.as_str())
        })
        .collect();
    let long = name("long");
    assert_eq!(
        errors,
        [
            (2, "tenants/albion/users/bad", "entry.malformed", "name"),
            (3, name("bell").as_str(), "entry.malformed", "display_name"),
            (4, name("odd").as_str(), "entry.malformed", "call_control"),
            (5, long.as_str(), "entry.malformed", "display_name"),
            (6, "eleven", "number.invalid", "number"),
            (7, name("good").as_str(), "entry.twice", ""),
            (9, "tenants/albion/users/nobody", "entry.malformed", "delete"),
            (11, "+493023125100", "entry.twice", ""),
        ]
    );
    assert!(!done.warnings.is_empty(), "the user has no station");
    assert_eq!(rig.list(10).await, ["good"]);
    assert_eq!(rig.get("good").await.unwrap().display_name, "Good");
    // The same as a whole changes nothing at all.
    let refused = both(&rig, header(Mode::Replace), items).await;
    assert_eq!((refused.written, refused.deleted, refused.unchanged), (0, 0, 0));
    assert_eq!(refused.refused, 9, "a deletion has no place in a replacement");
    assert_eq!(rig.list(10).await, ["good"]);
}

#[tokio::test]
async fn entries_are_deleted_by_name_and_by_any_form_of_a_number() {
    let rig = Rig::new().await;
    let mut items = users(3, "x");
    items.push(number("+493023125100", "u000000"));
    rig.import(header(Mode::Merge), items).await.unwrap();
    let gone = vec![
        Item::Delete(name("u000001")),
        Item::Delete("tenants/brandt/numbers/03023125100".into()),
        Item::Delete("tenants/brandt/stations/none".into()),
    ];
    let done = both(&rig, header(Mode::Merge), gone).await;
    assert_eq!((done.deleted, done.unchanged, done.refused), (2, 1, 0), "{:?}", done.errors);
    assert_eq!(rig.list(10).await, ["u000000", "u000002"]);
    assert_eq!(rig.cell.view().load().view.tenant_by_id(&rig.brandt).unwrap().assignments().count(), 0);
}

#[tokio::test]
async fn a_side_changes_what_it_owns_and_leaves_what_another_does() {
    let rig = Rig::new().await;
    let of = |source: pb::Source, mode| Header { source: source.into(), ..header(mode) };
    let lync = |address: &str, source: pb::Source| {
        Some(pb::LyncAccount {
            sip_address: format!("sip:{address}@brandt.example"),
            telephony: pb::TelephonyMode::None.into(),
            source: source.into(),
            ..Default::default()
        })
    };
    let jane = |display: &str, cic_name: &str, address: &str| pb::User {
        cic: Some(pb::CicAccount { user_id: cic_name.into(), ..Default::default() }),
        lync: lync(address, pb::Source::Unspecified),
        ..user("jane", display)
    };
    let run = async |side, entry: pb::User| both(&rig, of(side, Mode::Merge), vec![Item::User(entry)]).await;
    // The Lync side's import makes the account its own.
    run(pb::Source::Lync, jane("By Lync", "jane", "jane")).await;
    let seen = rig.get("jane").await.unwrap();
    assert_eq!(seen.lync.as_ref().unwrap().source, pb::Source::Lync as i32);
    assert_eq!(seen.cic.as_ref().unwrap().source, 0);
    // CIC's changes its own account and not Lync's, and hears of it.
    let done = run(pb::Source::Cic, jane("By CIC", "janed", "other")).await;
    let owned: Vec<_> =
        done.warnings.iter().filter_map(|w| w.finding.as_ref()).filter(|f| f.code == "entry.owned").collect();
    assert_eq!(owned.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), ["lync"]);
    let seen = rig.get("jane").await.unwrap();
    assert_eq!(seen.lync.as_ref().unwrap().sip_address, "sip:jane@brandt.example");
    assert_eq!(
        (seen.cic.as_ref().unwrap().user_id.as_str(), seen.display_name.as_str()),
        ("janed", "By CIC")
    );
    // Entered here: neither account changes, the rest does.
    run(pb::Source::Unspecified, jane("By hand", "x", "x")).await;
    let seen = rig.get("jane").await.unwrap();
    assert_eq!((seen.cic.unwrap().user_id.as_str(), seen.display_name.as_str()), ("janed", "By hand"));
    assert_eq!(seen.lync.unwrap().sip_address, "sip:jane@brandt.example");
    // Lync changes its own again.
    run(pb::Source::Lync, jane("By Lync", "x", "jane.doe")).await;
    assert_eq!(rig.get("jane").await.unwrap().lync.unwrap().sip_address, "sip:jane.doe@brandt.example");
    // Nobody deletes what another owns: not by name, not by leaving it out.
    let by_name = vec![Item::Delete(name("jane"))];
    let done = both(&rig, of(pb::Source::Cic, Mode::Merge), by_name).await;
    assert_eq!(done.errors[0].finding.as_ref().unwrap().code, "entry.owned");
    let done = both(&rig, header(Mode::Replace), vec![Item::User(user("joe", "Joe"))]).await;
    assert_eq!((done.written, done.deleted, done.unchanged), (1, 0, 1));
    assert_eq!(rig.list(10).await, ["jane", "joe"]);
    // An account cannot be said to be another side's than the import's.
    let wrong = pb::User { lync: lync("joe", pb::Source::Cic), ..user("joe", "Joe") };
    let done = run(pb::Source::Lync, wrong).await;
    assert_eq!(done.errors[0].finding.as_ref().unwrap().field, "lync.source");
}

#[tokio::test]
async fn the_same_request_id_answers_as_the_first_and_with_another_body_is_refused() {
    let rig = Rig::new().await;
    let named = |id: &str| Header { request_id: id.into(), ..header(Mode::Merge) };
    let first = rig.import(named("one"), users(2, "x")).await.unwrap();
    rig.import(named("two"), vec![Item::Delete(name("u000000"))]).await.unwrap();
    let again = rig.import(named("one"), users(2, "x")).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(rig.list(10).await, ["u000001"], "nothing was applied again");
    let reused = rig.import(named("one"), users(3, "x")).await.unwrap_err();
    assert_eq!((reused.code(), reason(&reused).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    // A dry run is no import: it neither keeps an answer nor is it answered by one.
    let dry_run = rig.import(dry(&named("one")), users(2, "x")).await.unwrap();
    assert_eq!((dry_run.written, dry_run.unchanged), (1, 1));
    let bad = rig.import(named(&"x".repeat(37)), users(1, "x")).await.unwrap_err();
    assert_eq!(reason(&bad), "FIELD_INVALID");
}

#[tokio::test]
async fn a_stream_that_is_no_import_is_refused_by_name() {
    let rig = Rig::new().await;
    let send = async |items: Vec<Option<Item>>| {
        let messages: Vec<_> = items.into_iter().map(|item| pb::ImportDirectoryRequest { item }).collect();
        let request = with(ADMIN, tokio_stream::iter(messages));
        rig.client().import_directory(request).await.unwrap_err()
    };
    let head = || Some(Item::Header(header(Mode::Merge)));
    for (items, field) in [
        (vec![], "header"),
        (vec![Some(users(1, "x").remove(0))], "header"),
        (
            vec![Some(Item::Header(Header { parent: "tenants/brandt".into(), ..Default::default() }))],
            "header.mode",
        ),
        (vec![head(), head()], "header"),
    ] {
        let refused = send(items).await;
        assert_eq!(reason(&refused), "FIELD_INVALID");
        assert!(refused.message().starts_with(field), "{}", refused.message());
    }
    let done = rig.client();
    drop(done);
    assert!(rig.list(10).await.is_empty());
}

#[tokio::test]
async fn two_imports_of_a_tenant_take_turns() {
    let rig = Rig::new().await;
    let import = |who: &'static str| rig.import(header(Mode::Replace), users(1_500, who));
    let (a, b, c) = tokio::join!(import("A"), import("B"), import("C"));
    assert!([&a, &b, &c].iter().all(|done| done.is_ok()), "{a:?} {b:?} {c:?}");
    let tenant = rig.cell.view().load().view.tenant_by_id(&rig.brandt).unwrap().clone();
    let names: std::collections::BTreeSet<_> = tenant.users().map(|u| u.display_name.clone()).collect();
    assert_eq!(names.len(), 1, "the last one as a whole");
}

#[tokio::test]
async fn more_imports_than_are_taken_at_once_are_told_to_come_again() {
    let rig = Rig::with(tandem_station::Config { imports_max: 0, ..Default::default() }).await;
    let refused = rig.import(header(Mode::Merge), users(1, "x")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
}

#[tokio::test]
async fn a_policy_that_changes_under_an_import_is_planned_by_anew() {
    let rig = Rig::new().await;
    let changing = async {
        for generation in 2..5 {
            policy(&rig.cell, &rig.brandt, generation, |spec| {
                spec.display_name = Some(format!("Brandt {generation}"));
            })
            .await;
        }
    };
    let (done, ()) = tokio::join!(rig.import(header(Mode::Merge), users(3_000, "x")), changing);
    let done = done.unwrap();
    assert_eq!((done.written, done.unchanged, done.refused), (3_000, 0, 0));
    assert_eq!(rig.list(1000).await.len(), 3_000);
}

#[tokio::test]
async fn a_lease_that_a_dead_process_left_ends_in_its_time() {
    let rig = Rig::new().await;
    let left = tandem_store::Write {
        key: tandem_store::Key::new(64, "import"),
        what: tandem_store::What::Claim(
            b"gone".as_slice().into(),
            tandem_store::Until::After(Duration::from_secs(5)),
        ),
    };
    crate::rig::commit(&rig.cell, &rig.brandt, vec![left]).await;
    let passing = async {
        loop {
            rig.hand.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let importing = tokio::time::timeout(SOON, rig.import(header(Mode::Merge), users(1, "x")));
    tokio::select! {
        done = importing => assert_eq!(done.unwrap().unwrap().written, 1),
        () = passing => {}
    }
}

#[tokio::test]
async fn a_tenant_without_policy_and_one_that_is_being_deleted_take_no_import() {
    use tandem_domain::record::{self, Kind, Record, TenantRecord};
    let rig = Rig::new().await;
    crate::rig::commit(&rig.cell, &rig.brandt, vec![tandem_store::delete(Kind::Policy, "")]).await;
    for header in [header(Mode::Merge), dry(&header(Mode::Merge))] {
        let refused = rig.import(header, users(1, "x")).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::FailedPrecondition, "PRECONDITION_FAILED")
        );
    }
    policy(&rig.cell, &rig.brandt, 2, |_| {}).await;
    let marked = Record::Tenant(TenantRecord { tenant: rig.brandt.clone(), deleting: true });
    crate::rig::commit(&rig.cell, &record::cell(), vec![tandem_store::put("brandt", &marked)]).await;
    for header in [header(Mode::Merge), dry(&header(Mode::Merge))] {
        let refused = rig.import(header, users(1, "x")).await.unwrap_err();
        assert_eq!(reason(&refused), "TENANT_DELETING");
    }
}

#[tokio::test]
async fn an_import_that_ended_in_the_midst_holds_up_the_next_for_seconds_only() {
    let rig = Rig::new().await;
    let (lease, store) = (tandem_store::Key::new(64, "import"), rig.cell.store().backend());
    let held = async {
        while store.get(&rig.brandt, &lease).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Nothing of it goes on: as where its process is killed.
    tokio::select! {
        biased;
        () = held => {}
        done = rig.import(header(Mode::Merge), users(5_000, "x")) => panic!("{done:?}"),
    }
    let mut importing = std::pin::pin!(rig.import(header(Mode::Merge), users(1, "y")));
    let passing = async {
        for _ in 0..26 {
            rig.hand.advance(Duration::from_millis(500));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let done = tokio::select! {
        done = &mut importing => done,
        () = passing => tokio::time::timeout(SOON, &mut importing).await.expect("after 13 s"),
    };
    assert_eq!(done.unwrap().refused, 0);
}
