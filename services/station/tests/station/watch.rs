//! Watches.

use std::time::Duration;

use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::directory_client::DirectoryClient;
use tandem_proto::station::v1::import_directory_request::{Item, Mode};
use tandem_proto::station::v1::watch_users_response::Event;
use tandem_runtime::drain::Phase;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::rig::{ADMIN, Rig, SOON, header, id, name, reason, user, users, with};

pub(crate) struct Watch(Streaming<pb::WatchUsersResponse>);

/// A request for the watch of brandt's users that goes on from a token.
pub(crate) fn after(token: &str) -> pb::WatchUsersRequest {
    let (parent, resume_token) = ("tenants/brandt".into(), token.into());
    pb::WatchUsersRequest { parent, resume_token, ..Default::default() }
}

impl Watch {
    pub(crate) async fn of(rig: &Rig) -> Self {
        Self::asked(rig.client(), after("")).await.unwrap()
    }

    pub(crate) async fn asked(
        mut client: DirectoryClient<Channel>,
        request: pb::WatchUsersRequest,
    ) -> Result<Self, Status> {
        Ok(Self(client.watch_users(with(ADMIN, request)).await?.into_inner()))
    }

    pub(crate) async fn next(&mut self) -> Result<Option<pb::WatchUsersResponse>, Status> {
        timeout(SOON, self.0.message()).await.expect("in time")
    }

    /// The next event, in short.
    pub(crate) async fn short(&mut self) -> String {
        self.short_and_token().await.0
    }

    /// The next event, in short, and its token.
    pub(crate) async fn short_and_token(&mut self) -> (String, String) {
        let next = self.next().await.unwrap();
        let token = next.as_ref().map(|m| m.resume_token.clone()).unwrap_or_default();
        let short = match next.map(|m| m.event.unwrap()) {
            Some(Event::Upsert(user)) => format!("{}={}", id(&user.name), user.display_name),
            Some(Event::Delete(name)) => format!("-{}", id(&name)),
            Some(Event::InitialEnd(_)) => "end of snapshot".into(),
            Some(Event::Bookmark(_)) => "bookmark".into(),
            Some(Event::Restart(_)) => "restart".into(),
            Some(Event::Expired(_)) => "expired".into(),
            None => "end".into(),
        };
        (short, token)
    }

    pub(crate) async fn shorts(&mut self, n: usize) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..n {
            events.push(self.short().await);
        }
        events
    }
}

#[tokio::test]
async fn a_watch_is_a_snapshot_then_every_change_with_its_revision() {
    let rig = Rig::new().await;
    let first = rig.import(header(Mode::Merge), users(2, "One")).await.unwrap();
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.shorts(2).await, ["u000000=One", "u000001=One"]);
    let end = watch.next().await.unwrap().unwrap();
    assert!(matches!(end.event, Some(Event::InitialEnd(_))));
    assert_eq!(end.revision, first.revision);
    let second = rig.import(header(Mode::Merge), vec![Item::User(user("u000001", "Two"))]).await.unwrap();
    let change = watch.next().await.unwrap().unwrap();
    assert_eq!(change.revision, second.revision);
    let Some(Event::Upsert(seen)) = change.event else { panic!("{change:?}") };
    assert_eq!((seen.display_name.as_str(), seen.revision), ("Two", second.revision));
    assert_eq!(seen.etag, rig.get("u000001").await.unwrap().etag);
    rig.import(header(Mode::Merge), vec![Item::Delete(name("u000000"))]).await.unwrap();
    assert_eq!(watch.short().await, "-u000000");
}

#[tokio::test]
async fn an_idle_watch_is_marked_every_thirty_seconds() {
    let rig = Rig::new().await;
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.short().await, "end of snapshot");
    let passing = async {
        loop {
            rig.hand.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        mark = watch.short() => assert_eq!(mark, "bookmark"),
        () = passing => {}
    }
}

#[tokio::test]
async fn a_reader_that_is_slow_is_told_each_user_s_last_state() {
    let rig = Rig::new().await;
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.short().await, "end of snapshot");
    // Far more than the pipe and its windows hold: most of it waits in the watch, one state a user.
    for round in 0..30 {
        let done = rig.import(header(Mode::Merge), users(500, &format!("{round} {}", "x".repeat(240)))).await;
        assert_eq!(done.unwrap().written, 500);
    }
    let mut events = 0;
    let mut last = std::collections::HashMap::new();
    while last.len() < 500 || last.values().any(|round| round != "29") {
        let event = watch.next().await.unwrap().unwrap();
        let Some(Event::Upsert(user)) = event.event else { panic!("{event:?}") };
        let round = user.display_name.split(' ').next().unwrap().to_owned();
        last.insert(user.name, round);
        events += 1;
    }
    assert!(events < 30 * 500, "{events} events: some states were passed over");
}

#[tokio::test]
async fn a_reader_that_sleeps_too_long_begins_anew() {
    let rig = Rig::new().await;
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.short().await, "end of snapshot");
    for round in 0..60 {
        let done = rig.import(header(Mode::Merge), users(500, &format!("{round} {}", "x".repeat(240)))).await;
        assert_eq!(done.unwrap().written, 500);
    }
    let mut restarted = false;
    let mut snapshot = std::collections::BTreeMap::new();
    loop {
        match watch.next().await.unwrap().unwrap().event.unwrap() {
            Event::Restart(_) => {
                restarted = true;
                snapshot.clear();
            }
            Event::Upsert(user) => {
                snapshot.insert(user.name, user.display_name);
            }
            Event::InitialEnd(_) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(restarted);
    assert_eq!(snapshot.len(), 500);
    assert!(snapshot.values().all(|d| d.starts_with("59 ")));
}

#[tokio::test]
async fn a_watch_ends_with_a_last_mark_when_the_process_drains() {
    let rig = Rig::new().await;
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.short().await, "end of snapshot");
    rig.life.shutdown.advance(Phase::Draining);
    let mut rest = Vec::new();
    loop {
        let event = watch.short().await;
        let ended = event == "end";
        rest.push(event);
        if ended {
            break;
        }
    }
    assert!(rest == ["bookmark", "end"] || rest == ["end"], "{rest:?}");
    timeout(SOON, rig.life.tasks.ended()).await.expect("nothing is left over");
}

#[tokio::test]
async fn a_watch_of_a_tenant_that_goes_away_ends_as_one_of_none() {
    let rig = Rig::new().await;
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.short().await, "end of snapshot");
    let gone = vec![tandem_store::delete(tandem_domain::record::Kind::Tenant, "brandt")];
    crate::rig::commit(&rig.cell, &tandem_domain::record::cell(), gone).await;
    let ended = watch.next().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::NotFound, "RESOURCE_NOT_FOUND"));
}

#[tokio::test]
async fn a_tenant_that_has_all_its_watches_leaves_the_others_theirs() {
    let rig = Rig::with(tandem_station::Config { watchers_of_tenant_max: 2, ..Default::default() }).await;
    let (mut one, mut two) = (Watch::of(&rig).await, Watch::of(&rig).await);
    assert_eq!([one.short().await, two.short().await], ["end of snapshot"; 2]);
    let of = |tenant: &str| {
        with(ADMIN, pb::WatchUsersRequest { parent: format!("tenants/{tenant}"), ..Default::default() })
    };
    let refused = rig.client().watch_users(of("brandt")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert!(rig.client().watch_users(of("albion")).await.is_ok());
    drop(one);
    let again = async {
        while rig.client().watch_users(of("brandt")).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("its place is free again");
}

/// Whose station is missing: a finding that comes and goes without a change of the user.
fn without_station(n: usize) -> Item {
    let station = "DESK-1".to_owned();
    Item::User(pb::User { station, ..user(&format!("u{n:06}"), &"x".repeat(250)) })
}

#[tokio::test]
async fn the_findings_of_an_event_are_of_its_revision() {
    let rig = Rig::new().await;
    // Far more than the pipe and its windows hold: the last are told long after the first.
    let many: Vec<Item> = (0..5_000).map(without_station).collect();
    let first = rig.import(header(Mode::Merge), many).await.unwrap();
    let found = rig.get("u000000").await.unwrap().findings;
    let mut watch = Watch::of(&rig).await;
    assert!(matches!(watch.next().await.unwrap().unwrap().event, Some(Event::Upsert(_))));
    let desk = pb::Station {
        name: "tenants/brandt/stations/DESK-1".into(),
        kind: pb::StationKind::Workstation.into(),
        extension: "4711".into(),
        audio_licence: true,
        ..Default::default()
    };
    rig.import(header(Mode::Merge), vec![Item::Station(desk)]).await.unwrap();
    assert_ne!(rig.get("u000000").await.unwrap().findings, found, "the station is there now");
    loop {
        let event = watch.next().await.unwrap().unwrap();
        assert_eq!(event.revision, first.revision);
        match event.event.unwrap() {
            Event::Upsert(user) => assert_eq!(user.findings, found, "{}", user.name),
            Event::InitialEnd(_) => break,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn more_watches_than_are_served_are_told_to_come_again() {
    let rig = Rig::with(tandem_station::Config { watchers_max: 1, ..Default::default() }).await;
    let mut watch = Watch::of(&rig).await;
    assert_eq!(watch.short().await, "end of snapshot");
    let request =
        || with(ADMIN, pb::WatchUsersRequest { parent: "tenants/brandt".into(), ..Default::default() });
    let refused = rig.client().watch_users(request()).await.unwrap_err();
    assert_eq!(reason(&refused), "QUOTA_EXCEEDED");
    drop(watch);
    let again = async {
        while rig.client().watch_users(request()).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("its place is free again");
}
