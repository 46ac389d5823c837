//! Expiry while some processes do not sweep.

use std::time::Duration;

use tandem_cell::Cell;
use tandem_domain::id::TenantId;
use tandem_domain::record::{self, ProcessRecord, Record};
use tandem_runtime::clock::{Clock, ManualClock};
use tandem_store::embedded::Place;
use tandem_store::{Key, Until, What, Write, put};
use tokio::time::timeout;

use crate::rig::{Rig, SOON, START, store, until};

/// What is claimed for a second, of a kind that nobody follows.
fn claim() -> (Key, Write) {
    let key = Key::new(200, "claim");
    let what = What::Claim(b"1".as_slice().into(), Until::After(Duration::from_secs(1)));
    (key.clone(), Write { key, what })
}

/// Lets time pass in steps of half a second until the claim of each tenant has expired.
async fn pass(cell: &Cell, hand: &ManualClock, tenants: &[TenantId]) {
    let (key, _) = claim();
    let passing = async {
        for tenant in tenants {
            while cell.store().backend().get(tenant, &key).await.unwrap().is_some() {
                hand.advance(Duration::from_millis(500));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    timeout(SOON, passing).await.expect("it expires");
}

#[tokio::test]
async fn what_the_first_by_rendezvous_leaves_the_others_sweep() {
    let (clock, hand) = Clock::manual(START);
    let store = store(Place::Memory, &clock, 9);
    let rig = Rig::join(&store, &clock, "one", 1).await;
    // Processes that are registered and do nothing, as ones that hang: so many that nearly every shard's first is one
    // of them.
    let idle = |n: usize| {
        let id = format!("idle-{n}");
        let (role, version) = ("idle".to_owned(), "0".to_owned());
        let record = ProcessRecord { id: id.clone(), role, version, formats: (1, 1), listeners: Vec::new() };
        put(&id, &Record::Process(record.into()))
    };
    rig.commit(&record::cell(), (0..200).map(idle).collect()).await;
    until(&rig.cell, || rig.cell.view().load().registry.processes().count() == 201).await;
    let mut tenants = Vec::new();
    for n in 0..4 {
        let tenant = rig.birth(&format!("t{n}")).await;
        rig.commit(&tenant, vec![claim().1]).await;
        tenants.push(tenant);
    }
    pass(&rig.cell, &hand, &tenants).await;
}
