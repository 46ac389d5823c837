//! A view of a million distinct number assignments: followed from the store, decoded, built.

use std::time::Instant;

use tandem_domain::document::directory::NumberAssignment;
use tandem_domain::document::policy::{TenantDocument, Treatments};
use tandem_domain::document::terms::AssignmentKind;
use tandem_domain::id::{TenantId, UserId};
use tandem_domain::record::{Change, PolicyRecord, Record, TenantRecord, cell};
use tandem_domain::view::View;
use tandem_store::{Backend, Followed, Follower, Outcome, codec, put};

use crate::{commit, cpu_seconds, open, resident_mb, tenant};

/// What every tenant's policy is: without one a view knows no numbers.
const POLICY: &str = include_str!("../../../services/foundation/domain/src/tenant/base.yaml");
const PER_COMMIT: usize = 500;

fn number(n: usize) -> NumberAssignment {
    NumberAssignment {
        number: format!("+4930{}", 10_000_000 + n),
        kind: AssignmentKind::Did,
        user: Some(UserId::parse(&format!("user-{n}")).expect("a name")),
        workgroup: None,
        treatments: Treatments::default(),
    }
}

async fn fill(store: &dyn Backend, tenants: usize, numbers: usize) {
    let document: TenantDocument = serde_saphyr::from_str(POLICY).expect("the policy is valid");
    let policy = Record::Policy(PolicyRecord { generation: 1, spec: document.spec }.into());
    let mut id = 0;
    let mut at = 0;
    for t in 0..tenants {
        let tenant: TenantId = tenant(t);
        let born = Record::Tenant(TenantRecord { tenant: tenant.clone(), deleting: false });
        let mut commits = vec![commit(cell(), id + 1, vec![put(tenant.name.as_str(), &born)])];
        commits.push(commit(tenant.clone(), id + 2, vec![put("", &policy)]));
        id += 2;
        for from in (0..numbers).step_by(PER_COMMIT) {
            let record = |n| {
                let record = number(at + n);
                put(&record.number.clone(), &Record::Number(record.into()))
            };
            id += 1;
            let writes = (from..numbers.min(from + PER_COMMIT)).map(record).collect();
            commits.push(commit(tenant.clone(), id, writes));
        }
        at += numbers;
        for commit in commits {
            let done = store.commit(commit).await.expect("a commit");
            assert!(matches!(done, Outcome::Committed(_)), "{done:?}");
        }
    }
}

pub async fn run() {
    for (tenants, numbers) in [(1_000, 1_000), (5, 200_000)] {
        println!("\na view of {tenants} tenants x {numbers} number assignments, from the store");
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(&dir);
        let from = Instant::now();
        fill(&*store, tenants, numbers).await;
        println!("written, {PER_COMMIT} records a commit, one writer: {:.1} s", from.elapsed().as_secs_f64());
        store.close().await.expect("closed");
        drop(store);
        for round in 1..=3 {
            measure(&dir, tenants, tenants * numbers, round).await;
        }
    }
}

/// As a process starts: opens the store, lists every shard, decodes, builds.
async fn measure(dir: &tempfile::TempDir, tenants: usize, total: usize, round: usize) {
    let (from, cpu) = (Instant::now(), cpu_seconds());
    let store = open(dir);
    let opened = from.elapsed().as_secs_f64();
    let memory = resident_mb();
    let mut follower = Follower::new(store.clone());
    let mut changes: Vec<Change> = Vec::new();
    let (mut bytes, mut decoding) = (0, 0.0);
    loop {
        match follower.next().await.expect("a listing") {
            Followed::Listed(_, listing) => {
                let at = Instant::now();
                bytes += listing.records.iter().map(|r| r.value.len()).sum::<usize>();
                changes.extend(listing.records.iter().map(|r| codec::listed(r).expect("a record")));
                decoding += at.elapsed().as_secs_f64();
            }
            Followed::Synchronised => break,
            other => panic!("{other:?}"),
        }
    }
    let followed = from.elapsed().as_secs_f64();
    let view = View::build(&changes);
    let built = from.elapsed().as_secs_f64();
    assert_eq!(changes.len(), total + 2 * tenants);
    assert_eq!(view.tenants().map(|t| t.numbers_len()).sum::<usize>(), total);
    drop(changes);
    println!(
        "round {round}: opened {opened:.2} s, listed {:.2} s, decoded {decoding:.2} s, built {:.2} s: {built:.2} s \
         in all, {:.2} s CPU; {:.0} B a value, {:.0} B a number in memory",
        followed - opened - decoding,
        built - followed,
        cpu_seconds() - cpu,
        bytes as f64 / total as f64,
        (resident_mb() - memory) * 1024.0 * 1024.0 / total as f64,
    );
    store.close().await.expect("closed");
}
