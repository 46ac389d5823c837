//! Watches that go on.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::import_directory_request::{Item, Mode};
use tandem_proto::station::v1::watch_users_response::Event;
use tandem_runtime::drain::Phase;
use tandem_store::Shard;
use tokio::time::timeout;
use tonic::Code;

use crate::rig::{ADMIN, READER, Rig, SOON, header, id, name, reason, user, users, with};
use crate::watch::{Watch, after};

/// The token of a watch that has told everything.
async fn told(rig: &Rig) -> String {
    let mut watch = Watch::of(rig).await;
    loop {
        let (event, token) = watch.short_and_token().await;
        if event == "end of snapshot" {
            return token;
        }
        assert_eq!(token, "", "nothing is to go on from within the snapshot");
    }
}

async fn merge(rig: &Rig, items: Vec<Item>) -> u64 {
    rig.import(header(Mode::Merge), items).await.unwrap().revision
}

#[tokio::test]
async fn a_watch_goes_on_in_another_process_with_what_changed_meanwhile_and_no_snapshot() {
    let rig = Rig::new().await;
    let other = rig.replica(7).await;
    merge(&rig, users(50, "One")).await;
    let token = told(&rig).await;
    merge(&rig, vec![Item::User(user("u000007", "Two")), Item::User(user("u000009", "Two"))]).await;
    merge(&rig, vec![Item::User(user("u000007", "Three")), Item::Delete(name("u000003"))]).await;
    let last = merge(&rig, vec![Item::User(user("v", "New"))]).await;

    // One that was there all the time, and one that began after all of it.
    for replica in [other, rig.replica(8).await] {
        let request = pb::WatchUsersRequest { min_revision: last, ..after(&token) };
        let mut watch = Watch::asked(replica.client(), request).await.unwrap();
        assert_eq!(watch.shorts(4).await, ["-u000003", "u000007=Three", "u000009=Two", "v=New"]);
        merge(&rig, vec![Item::User(user("v", "Newer"))]).await;
        assert_eq!(watch.short().await, "v=Newer");
        merge(&rig, vec![Item::User(user("v", "New"))]).await;
        assert_eq!(watch.short().await, "v=New");
        drop(watch);
        replica.life.shutdown.advance(Phase::Draining);
        timeout(SOON, replica.life.tasks.ended()).await.expect("ended");
    }
}

#[tokio::test]
async fn whatever_token_a_reader_goes_on_from_it_ends_with_what_is_there() {
    let rig = Rig::new().await;
    merge(&rig, users(5, "0")).await;
    let mut watch = Watch::of(&rig).await;
    // What a reader knows, with the token that it would go on from.
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut kept = Vec::new();
    for round in 1..=6 {
        let gone = format!("u00000{}", round % 5);
        let mut items = users(5, &round.to_string());
        items.push(Item::Delete(name(&gone)));
        merge(&rig, items).await;
        if round % 2 == 0 {
            continue;
        }
        for _ in 0..3 {
            let event = watch.next().await.unwrap().unwrap();
            apply(&mut known, event.event.unwrap());
            if !event.resume_token.is_empty() {
                kept.push((known.clone(), event.resume_token));
            }
        }
    }
    assert!(kept.len() > 3, "{}", kept.len());
    let there: BTreeMap<String, String> = {
        let mut there = BTreeMap::new();
        for id in rig.list(100).await {
            there.insert(id.clone(), rig.get(&id).await.unwrap().display_name);
        }
        there
    };
    for (mut known, token) in kept {
        let mut watch = Watch::asked(rig.client(), after(&token)).await.unwrap();
        let catching_up = async {
            while known != there {
                apply(&mut known, watch.next().await.unwrap().unwrap().event.unwrap());
            }
        };
        timeout(SOON, catching_up).await.expect("it comes to what is there");
    }
}

fn apply(known: &mut BTreeMap<String, String>, event: Event) {
    match event {
        Event::Upsert(user) => drop(known.insert(id(&user.name), user.display_name)),
        Event::Delete(name) => drop(known.remove(&id(&name))),
        Event::Restart(_) => known.clear(),
        _ => {}
    }
}

#[tokio::test]
async fn a_token_whose_entry_is_forgotten_is_answered_by_name_and_begins_nothing() {
    let rig = Rig::new().await;
    merge(&rig, users(2, "One")).await;
    let token = told(&rig).await;
    // 15 minutes of the shard's time, which no step moves by more than 2 s.
    let shard = Shard::of(&rig.brandt);
    for _ in 0..460 {
        rig.hand.advance(Duration::from_secs(2));
        rig.cell.store().sweep(shard).await.unwrap();
    }
    // Nothing was written since: what was told last is still known, however old.
    let mut watch = Watch::asked(rig.client(), after(&token)).await.unwrap();
    merge(&rig, vec![Item::User(user("u000000", "Two"))]).await;
    assert_eq!(watch.short().await, "u000000=Two");
    merge(&rig, vec![Item::User(user("u000000", "Three"))]).await;
    let mut watch = Watch::asked(rig.client(), after(&token)).await.unwrap();
    assert_eq!(watch.short().await, "expired");
    let ended = watch.next().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::OutOfRange, "RESUME_TOKEN_EXPIRED"));
}

#[tokio::test]
async fn a_token_that_is_not_of_this_watch_is_refused_by_name() {
    let rig = Rig::new().await;
    merge(&rig, users(60, "One")).await;
    let token = told(&rig).await;
    let page = rig
        .client()
        .list_users(with(
            ADMIN,
            pb::ListUsersRequest { parent: "tenants/brandt".into(), ..Default::default() },
        ))
        .await
        .unwrap()
        .into_inner()
        .next_page_token;
    let refused = |request: pb::WatchUsersRequest, caller: &'static str| {
        let mut client = rig.client();
        async move { client.watch_users(with(caller, request)).await.map(|_| ()).unwrap_err() }
    };
    let mut bent = token.clone().into_bytes();
    bent[10] = if bent[10] == b'A' { b'B' } else { b'A' };
    let bent = String::from_utf8(bent).unwrap();
    let albion = pb::WatchUsersRequest { parent: "tenants/albion".into(), ..after(&token) };
    let hostile = [
        (after("x"), ADMIN),
        (after(&"A".repeat(100_000)), ADMIN),
        (after(&bent), ADMIN),
        (after(&token[..token.len() - 1]), ADMIN),
        (after(&page), ADMIN),
        (albion, ADMIN),
        (after(&token), READER),
    ];
    for (request, caller) in hostile {
        let status = refused(request, caller).await;
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::InvalidArgument, "RESUME_TOKEN_INVALID")
        );
    }
    assert!(Watch::asked(rig.client(), after(&token)).await.is_ok());
}

#[tokio::test]
async fn a_snapshot_shows_what_its_reader_wrote_elsewhere() {
    let rig = Rig::new().await;
    let other = rig.replica(7).await;
    for round in 0..20 {
        let written = merge(&rig, vec![Item::User(user("u", &round.to_string()))]).await;
        let request = pb::WatchUsersRequest { min_revision: written, ..after("") };
        let mut watch = Watch::asked(other.client(), request).await.unwrap();
        assert_eq!(watch.short().await, format!("u={round}"));
    }
    let never = pb::WatchUsersRequest { min_revision: 1 << 52, ..after("") };
    // A watch that has hours does not begin for hours.
    for within in [Duration::from_millis(300), Duration::from_secs(7200)] {
        let mut request = with(ADMIN, never.clone());
        request.set_timeout(within);
        let mut client = other.client();
        let late = timeout(SOON, client.watch_users(request)).await.expect("in time").unwrap_err();
        assert_eq!(reason(&late), "REVISION_NOT_REACHED");
    }
}

#[tokio::test]
async fn a_mark_moves_on_with_what_is_written_about_other_things() {
    let rig = Rig::new().await;
    merge(&rig, users(1, "One")).await;
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.shorts(2).await, ["u000000=One", "end of snapshot"]);
    crate::rig::policy(&rig.cell, &rig.brandt, 2, |_| {}).await;
    let written = rig.cell.view().reached(&rig.brandt);
    let passing = async {
        loop {
            rig.hand.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let mark = tokio::select! {
        mark = watch.next() => mark.unwrap().unwrap(),
        () = passing => unreachable!(),
    };
    assert!(matches!(mark.event, Some(Event::Bookmark(_))));
    assert!(mark.revision >= written.0, "{} of {}", mark.revision, written.0);
}
