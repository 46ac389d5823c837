use proptest::collection::vec;
use proptest::prelude::*;
use tandem_domain::document::directory::User;
use tandem_domain::document::terms::CallControl;
use tandem_domain::id::UserId;
use tandem_domain::record::ProcessRecord;

use super::*;
use crate::testing;

fn read_all(chunks: Vec<pb::Chunk>) -> Vec<Change> {
    let mut changes = Vec::new();
    for chunk in chunks {
        match read(chunk).unwrap() {
            Read::Changes(these) => changes.extend(these),
            Read::Skipped => panic!("a kind of our own was skipped"),
        }
    }
    changes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changes_survive_their_chunks_in_their_order(given in vec(testing::change(), 0..12)) {
        let chunks = chunks(&given);
        for chunk in &chunks {
            let last = chunk.entries.iter().map(|entry| entry.revision).max();
            prop_assert_eq!(Some(chunk.revision), last);
        }
        prop_assert_eq!(read_all(chunks), given);
    }

    #[test]
    fn a_policy_survives_its_message(given in testing::policy()) {
        prop_assert_eq!(read_policy(&policy(&given)).unwrap(), given);
    }

    #[test]
    fn an_ingress_claim_survives_its_message(given in testing::ingress_claim()) {
        prop_assert_eq!(read_ingress_claim(ingress_claim(&given)).unwrap(), given);
    }
}

fn change(tenant: &str, n: u64) -> Change {
    let id = UserId::parse(&format!("u{n}")).unwrap();
    let user = User {
        id: id.clone(),
        display_name: None,
        cic: None,
        lync: None,
        call_control: CallControl::CicClient,
        phone: None,
        plug_in: false,
        station: None,
        site: None,
        treatments: Default::default(),
    };
    Change {
        tenant: TenantId { name: TenantName::parse(tenant).unwrap(), incarnation: Incarnation(1) },
        kind: Kind::User,
        key: id.to_string(),
        record: Some(Record::User(Arc::new(user))),
        revision: Revision(n),
        at: n,
    }
}

#[test]
fn neighbours_share_a_chunk_until_it_is_full_and_tenants_never_do() {
    let mut given: Vec<_> = (0..CHUNK_ENTRIES_MAX as u64 + 3).map(|n| change("acme", n)).collect();
    given.extend((0..2).map(|n| change("globex", n)));
    given.push(change("acme", 9_000));
    let chunks = chunks(&given);
    let sizes: Vec<_> = chunks.iter().map(|c| (c.tenant.as_str(), c.entries.len())).collect();
    assert_eq!(sizes, [("acme", CHUNK_ENTRIES_MAX), ("acme", 3), ("globex", 2), ("acme", 1)]);
    assert_eq!(read_all(chunks), given);
}

#[test]
fn of_a_large_list_no_more_than_a_chunk_is_made_before_it_is_asked_for() {
    let made = std::cell::Cell::new(0);
    let endless = (0..).inspect(|_| made.set(made.get() + 1)).map(|n| change("acme", n));
    let mut chunks = each_chunk(endless);
    for n in 1..4 {
        assert_eq!(chunks.next().unwrap().entries.len(), CHUNK_ENTRIES_MAX);
        assert!(made.get() <= n * CHUNK_ENTRIES_MAX + 1, "{} were made", made.get());
    }
}

#[test]
fn processes_are_not_told_to_edges() {
    let process = ProcessRecord {
        id: "routing-1".into(),
        role: "routing".into(),
        version: "0.1.0".into(),
        formats: (1, 1),
        listeners: Vec::new(),
    };
    let given = Change {
        tenant: cell(),
        kind: Kind::Process,
        key: process.id.clone(),
        record: Some(Record::Process(Arc::new(process))),
        revision: Revision(1),
        at: 1,
    };
    assert_eq!(chunks([&given]), []);
}

#[test]
fn a_kind_of_a_later_release_is_skipped() {
    let later = pb::Chunk { kind: "binding".into(), tenant: "acme".into(), ..Default::default() };
    assert_eq!(read(later), Ok(Read::Skipped));
}

#[test]
fn a_chunk_that_cannot_be_read_says_where() {
    let good = || chunks([&change("acme", 1), &change("acme", 2)]).remove(0);
    let break_entry = |with: fn(&mut Entry)| {
        let mut chunk = good();
        with(&mut chunk.entries[1]);
        chunk
    };
    let cases = [
        (pb::Chunk { tenant: "Acme".into(), ..good() }, "tenant"),
        (pb::Chunk { tenant: String::new(), incarnation: String::new(), ..good() }, "tenant"),
        (pb::Chunk { incarnation: "12".into(), ..good() }, "incarnation"),
        (pb::Chunk { kind: "station".into(), ..good() }, "entries[0].record"),
        (break_entry(|e| e.key = "k".repeat(KEY_BYTES_MAX + 1)), "entries[1].key"),
        (break_entry(|e| e.record = Some(Carried::User(Default::default()))), "entries[1].user.name"),
    ];
    for (chunk, field) in cases {
        let violations = read(chunk).unwrap_err();
        assert_eq!(violations.iter().next().unwrap().field, field, "{violations}");
    }
}

#[test]
fn a_policy_of_another_shape_is_refused_with_the_place() {
    let spec = r#"{"model":"OnPremises","inbound":"ProxyFirst","sites":[],"trunks":[],"colour":1}"#;
    let violations = read_policy(&pb::Policy { generation: 1, spec_json: spec.into() }).unwrap_err();
    assert!(violations.to_string().contains("unknown field `colour`"), "{violations}");
    let large = pb::Policy { generation: 1, spec_json: " ".repeat(POLICY_BYTES_MAX + 1) };
    assert!(read_policy(&large).is_err());
}
