//! Users, read: by name, by page, by what they are known by.

use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::import_directory_request::{Item, Mode};
use tandem_proto::station::v1::resolve_user_request::Key;
use tonic::{Code, Request};

use crate::rig::{ADMIN, READER, Rig, STRANGER, header, heard, id, name, people, reason, user, users, with};

#[tokio::test]
async fn a_user_is_read_with_row_findings_and_etag() {
    let rig = Rig::new().await;
    let answer = rig.import(header(Mode::Merge), people()).await.unwrap();
    assert_eq!((answer.refused, answer.errors.len()), (0, 0), "{answer:?}");
    let ids = rig.list(1000).await;
    let first = rig.get(&ids[0]).await.unwrap();
    assert_eq!(first.revision, answer.revision);
    assert_ne!(first.row, 0, "{first:?}");
    assert_eq!(first.etag.len(), 16);
    assert_eq!(rig.get(&ids[0]).await.unwrap(), first, "read again, the same");
    // Another user's change moves the revision and not the etag.
    rig.import(header(Mode::Merge), vec![Item::User(user("new", "New"))]).await.unwrap();
    let later = rig.get(&ids[0]).await.unwrap();
    assert!(later.revision > first.revision);
    assert_eq!(later.etag, first.etag);
    let renamed = pb::User { display_name: "Renamed".into(), ..first.clone() };
    rig.import(header(Mode::Merge), vec![Item::User(renamed)]).await.unwrap();
    assert_ne!(rig.get(&ids[0]).await.unwrap().etag, first.etag);
    let missing = rig.get("nobody").await.unwrap_err();
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"));
}

/// What one user alone may have, and two were given: both are told, by name and with the fix, until it is mended.
#[tokio::test]
async fn two_users_with_one_address_are_found() {
    let rig = Rig::new().await;
    let lync = |address: &str, line: &str| {
        let telephony = pb::TelephonyMode::Uc.into();
        let (sip_address, line_uri) = (address.into(), line.into());
        Some(pb::LyncAccount { sip_address, line_uri, telephony, ..Default::default() })
    };
    let account = |id: &str, lync| Item::User(pb::User { lync, cic: None, ..user(id, "x") });
    let shared = async |id: &str| -> Vec<(String, String, String)> {
        let all = rig.get(id).await.unwrap().findings;
        let shared = all.into_iter().filter(|f| f.code.ends_with("_shared"));
        shared.map(|f| (f.code, f.field, f.message)).collect()
    };
    let one = account("one", lync("sip:one@x.example", "tel:+493023125801"));
    let two = account("two", lync("SIP:One@x.example", "tel:+49-30-23125-801"));
    rig.import(header(Mode::Merge), vec![one, two]).await.unwrap();
    for (id, other) in [("one", "two"), ("two", "one")] {
        let words = format!("the user {other} has it too");
        let expected =
            [("user.line_uri_shared", "lync.lineUri"), ("user.sip_address_shared", "lync.sipAddress")];
        let expected = expected.map(|(code, field)| (code.into(), field.into(), words.clone()));
        assert_eq!(shared(id).await, expected, "{id}");
    }
    let mended = account("two", lync("sip:two@x.example", "tel:+493023125802"));
    rig.import(header(Mode::Merge), vec![mended]).await.unwrap();
    assert_eq!((shared("one").await, shared("two").await), (vec![], vec![]));
}

#[tokio::test]
async fn users_are_listed_in_order_page_by_page() {
    let rig = Rig::new().await;
    rig.import(header(Mode::Merge), users(257, "x")).await.unwrap();
    let expected: Vec<String> = (0..257).map(|n| format!("u{n:06}")).collect();
    for size in [0, 1, 100, 257, 1000] {
        assert_eq!(rig.list(size).await, expected, "pages of {size}");
    }
    let list = |page_token: &str, size: u32| {
        let (parent, page_token) = ("tenants/brandt".into(), page_token.into());
        pb::ListUsersRequest { parent, page_size: size, page_token, ..Default::default() }
    };
    let mut client = rig.client();
    let page = client.list_users(with(ADMIN, list("", 10))).await.unwrap().into_inner();
    let refused = client.list_users(with(ADMIN, list("forged", 10))).await.unwrap_err();
    assert_eq!(reason(&refused), "PAGE_TOKEN_INVALID");
    let others = client.list_users(with(READER, list(&page.next_page_token, 10))).await.unwrap_err();
    assert_eq!(reason(&others), "PAGE_TOKEN_INVALID", "a token is its caller's");
    let large = client.list_users(with(ADMIN, list("", 1001))).await.unwrap_err();
    assert_eq!((large.code(), reason(&large).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
}

#[tokio::test]
async fn the_pages_of_a_list_are_of_one_moment_as_long_as_its_reader_goes_on() {
    let rig = Rig::new().await;
    let first = rig.import(header(Mode::Merge), users(30, "x")).await.unwrap();
    let page = |page_token: &str, min_revision: u64| {
        let (parent, page_token) = ("tenants/brandt".to_owned(), page_token.to_owned());
        let request =
            pb::ListUsersRequest { parent, page_size: 10, page_token, min_revision, ..Default::default() };
        let mut client = rig.client();
        async move { client.list_users(with(ADMIN, request)).await.unwrap().into_inner() }
    };
    let ids = |page: &pb::ListUsersResponse| page.users.iter().map(|u| id(&u.name)).collect::<Vec<_>>();
    let begun = page("", 0).await;
    assert_eq!(begun.revision, first.revision);
    // Somebody comes between, and somebody goes.
    let changes = vec![Item::User(user("u000010a", "New")), Item::Delete(name("u000015"))];
    let second = rig.import(header(Mode::Merge), changes).await.unwrap();
    let old = page(&begun.next_page_token, 0).await;
    assert_eq!(old.revision, first.revision);
    assert_eq!(ids(&old), (10..20).map(|n| format!("u{n:06}")).collect::<Vec<_>>());
    // Who asks for the new revision has it, after the same id.
    let new = page(&begun.next_page_token, second.revision).await;
    assert_eq!((new.revision, new.users[1].name.as_str()), (second.revision, name("u000010a").as_str()));
    assert!(!ids(&new).contains(&"u000015".to_owned()));
    // A list begun now is of now, and a reader that sleeps goes on from what is there then.
    assert_eq!(page("", 0).await.revision, second.revision);
    rig.hand.advance(std::time::Duration::from_secs(61));
    let late = page(&begun.next_page_token, 0).await;
    assert_eq!(ids(&late), ids(&new));
}

#[tokio::test]
async fn only_users_with_findings_are_listed_when_asked() {
    let rig = Rig::new().await;
    rig.import(header(Mode::Merge), people()).await.unwrap();
    let nothing_rings = pb::User { phone: None, ..user("incomplete", "X") };
    rig.import(header(Mode::Merge), vec![Item::User(nothing_rings)]).await.unwrap();
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListUsersRequest {
            parent: "tenants/brandt".into(),
            page_size: 1,
            page_token,
            only_with_findings: true,
            ..Default::default()
        };
        let page = rig.client().list_users(with(ADMIN, request)).await.unwrap().into_inner();
        assert!(page.users.iter().all(|u| !u.findings.is_empty()));
        found.extend(page.users.into_iter().map(|u| id(&u.name)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let mut expected = Vec::new();
    for id in rig.list(1000).await {
        if !rig.get(&id).await.unwrap().findings.is_empty() {
            expected.push(id);
        }
    }
    assert!(found.contains(&"incomplete".to_owned()));
    assert_eq!(found, expected);
}

/// Jane with all that she can be known by, and Joe whose DID is her Line URI.
fn known() -> Vec<Item> {
    let jane = pb::User {
        station: "DESK-1".into(),
        cic: Some(pb::CicAccount {
            user_id: "Jane.Doe".into(),
            extension: "3456".into(),
            ..Default::default()
        }),
        lync: Some(pb::LyncAccount {
            sip_address: "sip:Jane@brandt.example".into(),
            line_uri: "tel:+493023125777".into(),
            telephony: pb::TelephonyMode::Uc.into(),
            ..Default::default()
        }),
        ..user("jane", "Jane")
    };
    let station = pb::Station {
        name: "tenants/brandt/stations/DESK-1".into(),
        kind: pb::StationKind::Workstation.into(),
        extension: "4711".into(),
        audio_licence: true,
        ..Default::default()
    };
    let did = |number: &str, user: &str| {
        Item::Number(pb::NumberAssignment {
            number: number.into(),
            kind: pb::AssignmentKind::Did.into(),
            user: user.into(),
            ..Default::default()
        })
    };
    let workgroup = pb::Workgroup {
        name: "tenants/brandt/workgroups/Sales".into(),
        extension: "5000".into(),
        ..Default::default()
    };
    vec![
        Item::User(jane),
        Item::User(user("joe", "Joe")),
        Item::Station(station),
        Item::Workgroup(workgroup),
        did("030 23125100", "jane"),
        // Whose DID is another's Line URI: the CIC side answers.
        did("+493023125777", "joe"),
    ]
}

#[tokio::test]
async fn a_user_is_found_by_everything_they_are_known_by() {
    let rig = Rig::new().await;
    let answer = rig.import(header(Mode::Merge), known()).await.unwrap();
    assert_eq!(answer.refused, 0, "{:?}", answer.errors);
    for (key, expected) in [
        (Key::SipAddress("sip:jane@brandt.example".into()), Some("jane")),
        (Key::SipAddress("JANE@BRANDT.EXAMPLE".into()), Some("jane")),
        (Key::SipAddress("sip:nobody@brandt.example".into()), None),
        (Key::CicUserId("jane.doe".into()), Some("jane")),
        (Key::CicUserId("joe".into()), Some("joe")),
        (Key::Number("3456".into()), Some("jane")),
        (Key::Number("+493023125100".into()), Some("jane")),
        (Key::Number("+49 (30) 23125-100".into()), Some("jane")),
        (Key::Number("03023125100".into()), Some("jane")),
        (Key::Number("004930 23125100".into()), Some("jane")),
        (Key::Number("tel:+493023125100".into()), Some("jane")),
        (Key::Number("4711".into()), Some("jane")),
        (Key::Number("+493023125777".into()), Some("joe")),
        (Key::Number("5000".into()), None),
        (Key::Number("not a number".into()), None),
        (Key::Station("DESK-1".into()), Some("jane")),
        (Key::Station("DESK-2".into()), None),
    ] {
        let request = pb::ResolveUserRequest {
            parent: "tenants/brandt".into(),
            key: Some(key.clone()),
            ..Default::default()
        };
        let found = rig.client().resolve_user(with(ADMIN, request)).await;
        match (found, expected) {
            (Ok(user), Some(expected)) => assert_eq!(id(&user.into_inner().name), expected, "{key:?}"),
            (Err(status), None) => assert_eq!(reason(&status), "RESOURCE_NOT_FOUND", "{key:?}"),
            (found, _) => panic!("{key:?}: {found:?}"),
        }
    }
    for (key, code) in [(None, "FIELD_INVALID"), (Some(Key::Number(String::new())), "FIELD_INVALID")] {
        let request = pb::ResolveUserRequest { parent: "tenants/brandt".into(), key, ..Default::default() };
        let refused = rig.client().resolve_user(with(ADMIN, request)).await.unwrap_err();
        assert_eq!(reason(&refused), code);
    }
}

#[tokio::test]
async fn a_revision_is_waited_for_within_the_deadline() {
    let rig = Rig::new().await;
    let answer = rig.import(header(Mode::Merge), users(1, "x")).await.unwrap();
    let get = |min_revision| pb::GetUserRequest { name: name("u000000"), min_revision };
    let now = rig.client().get_user(with(ADMIN, get(answer.revision))).await.unwrap().into_inner();
    assert!(now.revision >= answer.revision);
    // Each says why before its own deadline says no more than that it has passed.
    let min_revision = answer.revision + 1_000_000;
    let parent = "tenants/brandt".to_owned();
    let list = pb::ListUsersRequest { parent: parent.clone(), min_revision, ..Default::default() };
    let key = Some(Key::CicUserId("u000000".into()));
    let resolve = pb::ResolveUserRequest { parent, key, min_revision };
    let (mut one, mut two, mut three) = (rig.client(), rig.client(), rig.client());
    let (one, two, three) = tokio::join!(
        one.get_user(within(get(min_revision))),
        two.list_users(within(list)),
        three.resolve_user(within(resolve)),
    );
    for late in [one.unwrap_err(), two.unwrap_err(), three.unwrap_err()] {
        let told = (late.code(), reason(&late));
        assert_eq!(told, (Code::DeadlineExceeded, "REVISION_NOT_REACHED".to_owned()), "{late:?}");
    }
}

/// As the admin, with half a second.
fn within<T>(message: T) -> Request<T> {
    let mut request = with(ADMIN, message);
    request.set_timeout(std::time::Duration::from_millis(500));
    request
}

#[tokio::test]
async fn a_foreign_tenant_and_an_unknown_one_are_the_same_bytes() {
    let there = Rig::new().await;
    // The same question where the tenant is, and where it is not.
    let not_there = Rig::new().await;
    let gone = vec![tandem_store::delete(tandem_domain::record::Kind::Tenant, "brandt")];
    crate::rig::commit(&not_there.cell, &tandem_domain::record::cell(), gone).await;
    let mut answers = Vec::new();
    for rig in [&there, &not_there] {
        let mut client = rig.client();
        let parent = "tenants/brandt".to_owned();
        let get = pb::GetUserRequest { name: name("jane"), ..Default::default() };
        let list = pb::ListUsersRequest { parent: parent.clone(), ..Default::default() };
        let watch = pb::WatchUsersRequest { parent: parent.clone(), ..Default::default() };
        let key = Some(Key::CicUserId("jane".into()));
        let resolve = pb::ResolveUserRequest { parent, key, ..Default::default() };
        answers.push([
            heard(&client.get_user(with(STRANGER, get)).await.unwrap_err()),
            heard(&client.list_users(with(STRANGER, list)).await.unwrap_err()),
            heard(&client.watch_users(with(STRANGER, watch)).await.unwrap_err()),
            heard(&client.resolve_user(with(STRANGER, resolve)).await.unwrap_err()),
            heard(&rig.import_as(STRANGER, header(Mode::Merge), users(1, "x")).await.unwrap_err()),
        ]);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(answers[0].iter().all(|(code, ..)| *code == Code::NotFound), "{answers:?}");
}

#[tokio::test]
async fn who_may_only_read_writes_nothing_and_who_is_nobody_reads_nothing() {
    let rig = Rig::new().await;
    let refused = rig.import_as(READER, header(Mode::Merge), users(1, "x")).await.unwrap_err();
    assert_eq!(reason(&refused), "SCOPE_MISSING");
    let list = pb::ListUsersRequest { parent: "tenants/brandt".into(), ..Default::default() };
    let page = rig.client().list_users(with(READER, list.clone())).await.unwrap().into_inner();
    assert!(page.users.is_empty());
    let nobody = rig.client().list_users(Request::new(list)).await.unwrap_err();
    assert_eq!(nobody.code(), Code::Unauthenticated);
}
