//! The same suite, with its store on a real redis-server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use tandem_domain::record::{self, Record, TenantRecord};
use tandem_proto::station::v1 as pb;
use tandem_proto::station::v1::import_directory_request::Mode;
use tandem_servers::on::On;
use tandem_store::put;
use tokio::time::timeout;

const ON: On = On::Redis;

mod import;
mod limits;
mod read;
mod resume;
mod rig;
mod watch;

#[tokio::test]
async fn the_store_of_this_suite_is_on_redis() {
    let stats = rig::Rig::new().await.cell.store().stats().await.unwrap();
    assert!(stats.backend.to_lowercase().contains("redis"), "{}", stats.backend);
}

#[tokio::test]
async fn after_the_store_was_emptied_every_process_signs_as_the_cell_that_is_now() {
    let rig = rig::Rig::new().await;
    // It signs as the first cell.
    let mut watch = watch::Watch::of(&rig).await;
    assert_ne!(watch.short_and_token().await.1, "");
    let before = rig.cell.view().cell_id();
    rig.empty().await;
    let view = rig.cell.view();
    timeout(rig::SOON, view.until(|| view.cell_id() != before)).await.expect("learnt again");
    let mut watch = watch::Watch::of(&rig).await;
    let (event, token) = watch.short_and_token().await;
    assert_eq!(event, "end of snapshot");
    let replica = rig.replica(7).await;
    watch::Watch::asked(replica.client(), watch::after(&token)).await.expect("read by another process");
}

/// Empties the store, and has only what the writer of policy writes again there.
async fn lost(rig: &rig::Rig) {
    let policy = {
        let shown = rig.cell.view().load();
        shown.view.tenant_by_id(&rig.brandt).unwrap().policy().unwrap().clone()
    };
    rig.flush();
    // Time goes on: revisions of what is written again are larger than those of before.
    rig.hand.advance(Duration::from_secs(1));
    let view = rig.cell.view();
    timeout(rig::SOON, view.until(|| view.stale_since().is_some())).await.expect("noticed");
    let birth = Record::Tenant(TenantRecord { tenant: rig.brandt.clone(), deleting: false });
    rig::commit(&rig.cell, &record::cell(), vec![put("brandt", &birth)]).await;
    rig::commit(&rig.cell, &rig.brandt, vec![put("", &Record::Policy(policy))]).await;
}

/// The store as a process sees it that knows nothing of before.
async fn found(rig: &rig::Rig, n: u64) -> (usize, usize) {
    let fresh = rig.replica(n).await;
    let request = || {
        rig::with(
            rig::ADMIN,
            pb::ListUsersRequest { parent: "tenants/brandt".into(), page_size: 1000, ..Default::default() },
        )
    };
    let users = fresh.client().list_users(request()).await.unwrap().into_inner().users;
    (users.len(), users.iter().filter(|u| u.display_name == "Two").count())
}

#[tokio::test]
async fn a_directory_that_the_store_has_lost_is_written_again_by_who_remembers_it() {
    let rig = rig::Rig::new().await;
    // More than a commit holds: nobody sees half of it.
    rig.import(rig::header(Mode::Merge), rig::users(700, "One")).await.unwrap();
    lost(&rig).await;
    let view = rig.cell.view();
    let again = || view.stored().view.tenant_by_id(&rig.brandt).is_some_and(|t| t.users_len() == 700);
    let passing = async {
        loop {
            rig.hand.advance(Duration::from_millis(100));
            assert_eq!(view.load().view.tenant_by_id(&rig.brandt).unwrap().users_len(), 700);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = view.until(again) => {}
        () = passing => {}
        () = tokio::time::sleep(rig::SOON) => panic!("in time"),
    }
    assert_eq!(found(&rig, 7).await, (700, 0));
}

#[tokio::test]
async fn an_import_into_what_the_store_has_lost_comes_after_what_was_there() {
    let rig = rig::Rig::new().await;
    rig.import(rig::header(Mode::Merge), rig::users(700, "One")).await.unwrap();
    lost(&rig).await;
    // Whoever is first.
    let import = async || rig.import(rig::header(Mode::Merge), rig::users(3, "Two")).await;
    let importing = async {
        while let Err(refused) = import().await {
            assert_eq!(rig::reason(&refused), "STORE_UNAVAILABLE");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(rig::SOON, importing).await.expect("once its policy is there again");
    assert_eq!(found(&rig, 7).await, (700, 3));
}
