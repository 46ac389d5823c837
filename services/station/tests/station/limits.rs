//! What an import may be and take, and what each tenant has of the process.

use std::time::Duration;

use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::import_directory_request::{Header, Item, Mode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::import::{both, number};
use crate::rig::{ADMIN, Rig, SOON, header, name, reason, user, users, with};

#[tokio::test]
async fn a_directory_has_so_many_users_and_numbers_and_no_more() {
    let limits = tandem_station::Limits { users: 3, numbers: 2, ..Default::default() };
    let rig = Rig::with(tandem_station::Config { limits, ..Default::default() }).await;
    let mut items = users(4, "x");
    items.extend((0..3).map(|n| number(&format!("+49302312510{n}"), "u000000")));
    let done = both(&rig, header(Mode::Merge), items.clone()).await;
    let full = |done: &pb::ImportDirectoryResponse| -> Vec<(u64, String)> {
        done.errors.iter().map(|e| (e.index, e.finding.as_ref().unwrap().code.clone())).collect()
    };
    assert_eq!((done.written, done.refused), (5, 2));
    assert_eq!(full(&done), [(4, "directory.full".into()), (7, "directory.full".into())]);
    // Who is there can be changed, and one who goes makes room.
    let done = both(&rig, header(Mode::Merge), vec![Item::User(user("u000000", "Renamed"))]).await;
    assert_eq!((done.written, done.refused), (1, 0));
    let swap = vec![Item::Delete(name("u000001")), Item::User(user("u000009", "New"))];
    let done = both(&rig, header(Mode::Merge), swap).await;
    assert_eq!((done.written, done.deleted, done.refused), (1, 1, 0), "{:?}", done.errors);
    // A replacement is as large as itself.
    let done = both(&rig, header(Mode::Replace), items).await;
    assert_eq!((done.written, done.deleted, done.refused), (0, 0, 2));
    let done = both(&rig, header(Mode::Replace), users(3, "y")).await;
    assert_eq!((done.refused, rig.list(10).await.len()), (0, 3));
}

#[tokio::test]
async fn an_import_over_its_limits_is_refused_by_name() {
    let large = tandem_station::Limits { entries: 10, ..Default::default() };
    let rig = Rig::with(tandem_station::Config { limits: large, ..Default::default() }).await;
    assert_eq!(rig.import(header(Mode::Merge), users(10, "x")).await.unwrap().written, 10);
    let refused = rig.import(header(Mode::Merge), users(11, "x")).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    assert!(refused.message().contains("more than 10 entries"), "{refused:?}");
    let heavy = tandem_station::Limits { bytes: 2_000, ..Default::default() };
    let rig = Rig::with(tandem_station::Config { limits: heavy, ..Default::default() }).await;
    let refused = rig.import(header(Mode::Merge), users(20, &"x".repeat(200))).await.unwrap_err();
    assert!(refused.message().contains("more than 2000 bytes"), "{refused:?}");
    assert!(rig.list(10).await.is_empty(), "nothing of it was written");
}

/// An import that is being sent: its entries go into the sender, its answer comes from the task.
fn sending(
    rig: &Rig,
    tenant: &str,
) -> (mpsc::Sender<Item>, JoinHandle<Result<pb::ImportDirectoryResponse, Status>>) {
    let (send, items) = mpsc::channel(8);
    let head = Header { parent: format!("tenants/{tenant}"), ..header(Mode::Merge) };
    let messages = tokio_stream::iter([Item::Header(head)]).chain(ReceiverStream::new(items));
    let messages = messages.map(|item| pb::ImportDirectoryRequest { item: Some(item) });
    let mut client = rig.client();
    let answer = async move { Ok(client.import_directory(with(ADMIN, messages)).await?.into_inner()) };
    (send, tokio::spawn(answer))
}

#[tokio::test]
async fn imports_that_are_sent_slowly_keep_nobody_else_from_importing() {
    let rig = Rig::with(tandem_station::Config { imports_max: 2, ..Default::default() }).await;
    let mut slow = Vec::new();
    for n in 0..5 {
        let (send, answer) = sending(&rig, "brandt");
        send.send(Item::User(user(&format!("slow{n}"), "Slow"))).await.unwrap();
        slow.push((send, answer));
    }
    // Five of brandt are under way or wait for their turn: albion's goes through.
    let (send, answer) = sending(&rig, "albion");
    drop(send);
    assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().unwrap().refused, 0);
    // And they take turns among themselves.
    for (send, answer) in slow {
        drop(send);
        assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().unwrap().written, 1);
    }
}

#[tokio::test]
async fn an_import_that_pauses_or_takes_too_long_ends_and_writes_nothing() {
    let rig = Rig::new().await;
    // Nothing comes for thirty seconds.
    let (send, answer) = sending(&rig, "brandt");
    send.send(Item::User(user("jane", "Jane"))).await.unwrap();
    let began = rig.cell.clock().monotonic();
    let refused = pass(&rig, answer).await.unwrap_err();
    let took = rig.cell.clock().monotonic() - began;
    assert!(took < Duration::from_secs(120), "it was waited for {took:?}");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert!(refused.message().contains("30 s"), "{refused:?}");
    drop(send);
    // Something comes all the time, and never the end.
    let (send, answer) = sending(&rig, "brandt");
    let trickle = async {
        for n in 0.. {
            if send.send(Item::User(user(&format!("u{n}"), "x"))).await.is_err() {
                break;
            }
            rig.hand.advance(Duration::from_secs(5));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        std::future::pending::<()>().await
    };
    let refused = tokio::select! {
        answer = timeout(SOON, answer) => answer.unwrap().unwrap().unwrap_err(),
        () = trickle => unreachable!(),
    };
    assert_eq!(reason(&refused), "DEADLINE_EXCEEDED");
    assert!(refused.message().contains("5 minutes"), "{refused:?}");
    assert!(rig.list(10).await.is_empty());
}

#[tokio::test]
async fn what_imports_keep_in_memory_is_bounded() {
    let rig = Rig::with(tandem_station::Config { imports_bytes_max: 4_000, ..Default::default() }).await;
    let refused = rig.import(header(Mode::Merge), users(20, &"x".repeat(200))).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert!(refused.get_error_details().retry_info().is_some());
    for _ in 0..3 {
        rig.import(header(Mode::Merge), users(10, &"x".repeat(200))).await.expect("there is room again");
    }
}

/// Lets time pass until an answer comes.
async fn pass<T>(rig: &Rig, answer: JoinHandle<T>) -> T {
    let passing = async {
        loop {
            rig.hand.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = timeout(SOON, answer) => answer.unwrap().unwrap(),
        () = passing => unreachable!(),
    }
}
