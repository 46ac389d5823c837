//! A view against the plain truth: the records that are left, searched one by one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::document::directory::{CicAccount, LyncAccount, NumberAssignment, Station, User, Workgroup};
use crate::document::policy::TenantDocument;
use crate::document::terms::{AssignmentKind, CallControl, StationKind, TelephonyMode};
use crate::id::{Incarnation, Revision, StationId, TenantName, UserId, WorkgroupId};
use crate::number::Number;
use crate::record::{PolicyRecord, TenantRecord, cell};

/// One step of a made-up log: what is changed, in which tenant, to which of a few shapes (none: deleted).
type Step = (u8, u8, u8, Option<u8>);

fn id(tenant: u8) -> TenantId {
    // Tenants 3 and 4 are later incarnations of 0 and 1.
    let name = TenantName::parse(&format!("t{}", tenant % 3)).unwrap();
    TenantId { name, incarnation: Incarnation(u128::from(tenant)) }
}

fn change(tenant: TenantId, kind: Kind, key: &str, record: Option<Record>, at: u64) -> Change {
    Change { tenant, kind, key: key.to_owned(), record, revision: Revision(at), at }
}

fn policy(shape: u8) -> PolicyRecord {
    let mut document: TenantDocument = serde_saphyr::from_str(include_str!("../tenant/base.yaml")).unwrap();
    match shape % 3 {
        0 => {}
        1 => document.spec.dial_plan = Default::default(),
        _ => document.spec.display_name = Some("other".to_owned()),
    }
    PolicyRecord { generation: u64::from(shape), spec: document.spec }
}

fn user(n: u8, shape: u8) -> User {
    let cic = CicAccount {
        user_id: format!("User{n}"),
        extension: Some(format!("34{:02}", shape % 7)),
        nt_domain_account: None,
        source: None,
    };
    let line = match shape % 4 {
        0 => "tel:+4930900100".to_owned(),
        1 => format!("tel:+4930900100;ext={n}"),
        2 => format!("0 30 9001{:02}", shape % 5),
        _ => "no number".to_owned(),
    };
    let lync = LyncAccount {
        sip_address: format!("sip:User{}@acme.example", n % 4),
        line_uri: Some(line),
        line_server: None,
        telephony: TelephonyMode::Uc,
        source: None,
    };
    User {
        id: UserId::parse(&format!("user{n}")).unwrap(),
        display_name: None,
        cic: (!shape.is_multiple_of(5)).then_some(cic),
        lync: (!shape.is_multiple_of(3)).then_some(lync),
        call_control: CallControl::CicClient,
        phone: None,
        plug_in: false,
        station: (shape.is_multiple_of(2)).then(|| StationId::parse(&format!("station{}", n % 2)).unwrap()),
        site: (shape.is_multiple_of(6)).then(|| "vienna".parse().unwrap()),
        treatments: Default::default(),
    }
}

fn record(kind: u8, n: u8, shape: u8) -> (Kind, String, Record) {
    match kind % 5 {
        0 => (Kind::Policy, String::new(), Record::Policy(policy(shape).into())),
        1 => {
            let extension = Some(format!("34{:02}", shape % 7));
            let station = Station {
                id: StationId::parse(&format!("station{n}")).unwrap(),
                kind: StationKind::Workstation,
                contact_address: None,
                extension,
                site: None,
                audio_licence: true,
                acd_licence: true,
                ring_seconds: None,
            };
            (Kind::Station, station.id.to_string(), Record::Station(station.into()))
        }
        2 => {
            let group = Workgroup {
                id: WorkgroupId::parse(&format!("group{n}")).unwrap(),
                display_name: None,
                extension: Some(format!("34{:02}", shape % 7)),
                members: vec![],
                treatments: Default::default(),
                hunt_target: None,
            };
            (Kind::Workgroup, group.id.to_string(), Record::Workgroup(group.into()))
        }
        3 => {
            let number = format!("+49309001{:02}", n % 5);
            let assignment = NumberAssignment {
                number: if shape.is_multiple_of(2) { number.clone() } else { format!("0{}", &number[3..]) },
                kind: AssignmentKind::Did,
                user: Some(UserId::parse(&format!("user{}", shape % 6)).unwrap()),
                workgroup: None,
                treatments: Default::default(),
            };
            (Kind::Number, number, Record::Number(assignment.into()))
        }
        _ => (Kind::User, format!("user{n}"), Record::User(user(n, shape).into())),
    }
}

fn made((tenant, kind, n, shape): Step, at: u64) -> Change {
    if kind % 12 == 11 {
        let id = id(tenant);
        let key = id.name.to_string();
        let birth = Record::Tenant(TenantRecord { tenant: id, deleting: false });
        return change(cell(), Kind::Tenant, &key, shape.map(|_| birth), at);
    }
    let (kind, key, record) = record(kind, n, shape.unwrap_or_default());
    change(id(tenant), kind, &key, shape.map(|_| record), at)
}

fn steps(tenants: u8) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..tenants, 0_u8..12, 0_u8..8, proptest::option::weighted(0.8, any::<u8>()));
    proptest::collection::vec(step, 0..120)
}

fn asked() -> Vec<Number> {
    let local = (0..7).map(|n| format!("34{n:02}"));
    let global = (0..5).map(|n| format!("+49309001{n:02}"));
    let extended = (0..8).map(|n| format!("+4930900100;ext={n}"));
    let vienna = (0..5).map(|n| format!("+43309001{n:02}"));
    local.chain(global).chain(extended).chain(vienna).map(|s| Number::parse_canonical(&s).unwrap()).collect()
}

/// Everything that a tenant answers, in words.
fn answers(tenant: &TenantView) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut say = |asked: String, answer: String| all.insert(asked, answer);
    let uid = |u: Option<&Arc<User>>| u.map_or_else(String::new, |u| format!("{u:?}"));
    for n in 0..8 {
        say(format!("user {n}"), uid(tenant.user(&format!("user{n}"))));
        say(format!("sip {n}"), uid(tenant.user_by_sip(&format!("SIP:user{n}@ACME.example"))));
        say(format!("cic {n}"), uid(tenant.user_by_cic(&format!("USER{n}"))));
        say(format!("at {n}"), uid(tenant.user_by_station(&format!("station{n}"))));
        say(format!("station {n}"), format!("{:?}", tenant.station(&format!("station{n}"))));
        say(format!("group {n}"), format!("{:?}", tenant.workgroup(&format!("group{n}"))));
        say(format!("key {n}"), format!("{:?}", tenant.assignment(&format!("+49309001{n:02}"))));
    }
    for number in asked() {
        say(format!("number {number}"), format!("{:?} {:?}", tenant.number(number), tenant.entries(number)));
    }
    say("conflicts".to_owned(), format!("{:?}", tenant.conflicts()));
    say("policy".to_owned(), format!("{:?}", tenant.config()));
    all
}

fn all_answers(view: &View) -> BTreeMap<String, BTreeMap<String, String>> {
    view.tenants().map(|t| (format!("{:?}", t.id()), answers(t))).collect()
}

/// The changes that a store would list after these: births, and the last of each record.
fn left(changes: &[Change]) -> Vec<Change> {
    let mut left = BTreeMap::new();
    for c in changes {
        left.insert((c.tenant.clone(), c.kind, c.key.clone()), c.clone());
    }
    left.into_values().filter(|c| c.record.is_some()).collect()
}

/// A log in which incarnations come one after the other, as stores have it: no name goes back to one that is dead,
/// and a dead one sends nothing new.
fn sound(steps: Vec<Step>) -> Vec<Change> {
    let mut newest: BTreeMap<TenantName, Incarnation> = BTreeMap::new();
    let changes = steps.into_iter().zip(1..).map(|(step, at)| made(step, at));
    let kept = changes.filter(|c| {
        let subject = match &c.record {
            Some(Record::Tenant(t)) => &t.tenant,
            None if c.kind == Kind::Tenant => return false,
            _ => &c.tenant,
        };
        let newest = newest.entry(subject.name.clone()).or_insert(subject.incarnation);
        *newest = (*newest).max(subject.incarnation);
        subject.incarnation == *newest
    });
    kept.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn applied_changes_equal_a_rebuild(steps in steps(5), turn in any::<u64>()) {
        let changes = sound(steps);
        let mut view = View::new();
        changes.iter().for_each(|c| view.apply(c));
        let expected = all_answers(&view);
        let mut left = left(&changes);
        prop_assert_eq!(&all_answers(&View::build(&left)), &expected, "built at once");
        prop_assert_eq!(&all_answers(&View::build(&changes)), &expected, "the log built at once");
        // Records lie in different shards and hashes: any order of them makes the same view.
        let mut seed = turn | 1;
        for at in (1..left.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            left.swap(at, (seed >> 33) as usize % (at + 1));
        }
        let mut other = View::new();
        left.iter().for_each(|c| other.apply(c));
        prop_assert_eq!(&all_answers(&other), &expected, "in another order");
    }

    #[test]
    fn a_directory_change_alters_only_the_numbers_it_names(steps in steps(1), last in (1_u8..5, 0_u8..8, any::<u8>())) {
        let mut view = View::new();
        view.apply(&made((0, 11, 0, Some(0)), 1));
        view.apply(&made((0, 0, 0, Some(0)), 2));
        let kept = steps.into_iter().filter(|s| s.1 % 12 != 11);
        kept.zip(3..).for_each(|(s, at)| view.apply(&made(s, at)));
        let before = view.clone();
        let frozen = all_answers(&before);
        view.apply(&made((0, last.0, last.1, Some(last.2)), 1_000));
        let (old, new) = (before.tenant("t0").unwrap(), view.tenant("t0").unwrap());
        let (_, key, record) = record(last.0, last.1, last.2);
        let names = |tenant: &TenantView, n: Number| {
            tenant.entries(n).iter().any(|e| match (e, &record) {
(Entry::Assignment(_) | Entry::Did(_), Record::Number(_)) => n.to_string().ends_with(&key[3..]),
                (Entry::Did(u) | Entry::Extension(u) | Entry::LineUri(u), Record::User(_)) => u.id.as_str() == key,
                (Entry::Assignment(a), Record::User(_)) => a.user.as_ref().is_some_and(|u| u.as_str() == key),
                (Entry::Workgroup(w), Record::Workgroup(_)) => w.id.as_str() == key,
                (Entry::Station(s), Record::Station(_)) => s.id.as_str() == key,
                _ => false,
            })
        };
        for n in asked() {
            if !names(old, n) && !names(new, n) {
                prop_assert_eq!(old.entries(n), new.entries(n), "{}", n);
            }
        }
        prop_assert_eq!(all_answers(&before), frozen, "a snapshot changed");
    }

    #[test]
    fn adding_a_tenant_changes_no_others_answer(steps in steps(2), more in steps(1)) {
        let mut view = View::new();
        sound(steps).iter().for_each(|c| view.apply(c));
        let before = all_answers(&view);
        // Tenant 2 bears a name of its own.
        for (step, at) in more.into_iter().zip(1_000..) {
            view.apply(&made((2, step.1, step.2, step.3), at));
        }
        let mut after = all_answers(&view);
        after.retain(|id, _| before.contains_key(id));
        prop_assert_eq!(after, before);
    }
}

#[test]
fn another_incarnation_is_another_tenant() {
    let mut view = View::new();
    view.apply(&made((0, 11, 0, Some(0)), 1));
    view.apply(&made((0, 0, 0, Some(0)), 2));
    view.apply(&made((0, 4, 1, Some(1)), 3));
    assert!(view.tenant("t0").unwrap().user("user1").is_some());
    // The next one's directory may come before its birth.
    view.apply(&made((3, 4, 2, Some(1)), 4));
    assert!(view.tenant("t0").unwrap().user("user2").is_none());
    view.apply(&made((3, 11, 0, Some(0)), 5));
    let tenant = view.tenant("t0").unwrap();
    assert!(tenant.user("user2").is_some() && tenant.user("user1").is_none());
    assert!(view.tenant_by_id(&id(0)).is_none());
    // What the dead one still sends is dropped, and its deletions touch nobody.
    view.apply(&made((0, 4, 3, Some(1)), 6));
    view.apply(&made((0, 4, 2, None), 7));
    let tenant = view.tenant("t0").unwrap();
    assert!(tenant.user("user2").is_some() && tenant.user("user3").is_none());
    assert_eq!(view.tenants.len(), 1);
    view.apply(&made((3, 11, 0, None), 8));
    assert!(view.tenant("t0").is_none());
    assert_eq!(view.tenants.len(), 0);
}

#[test]
fn both_sides_of_a_number_and_every_conflict_are_told() {
    let mut view = View::new();
    view.apply(&made((0, 11, 0, Some(0)), 1));
    view.apply(&made((0, 0, 0, Some(0)), 2));
    let apply = |view: &mut View, mut user: User, extension: &str, line: &str| {
        if let Some(cic) = &mut user.cic {
            cic.extension = Some(extension.to_owned());
        }
        if let Some(lync) = &mut user.lync {
            lync.line_uri = Some(line.to_owned());
        }
        let key = user.id.to_string();
        view.apply(&change(id(0), Kind::User, &key, Some(Record::User(user.into())), 9));
    };
    apply(&mut view, user(2, 1), "3401", "tel:+4930900102");
    apply(&mut view, user(1, 1), "3401", "tel:+49-30-900.102");
    view.apply(&made((0, 3, 2, Some(2)), 10));
    let tenant = view.tenant("t0").unwrap();
    let number = Number::parse_canonical("+4930900102").unwrap();
    let found = tenant.number(number);
    assert!(matches!(found.cic, Some(Entry::Did(u)) if u.id.as_str() == "user2"));
    assert_eq!(found.lync.unwrap().id.as_str(), "user1");
    let extension = tenant.number(Number::parse_canonical("3401").unwrap());
    assert!(matches!(extension.cic, Some(Entry::Extension(u)) if u.id.as_str() == "user1"));
    let conflicts: Vec<String> = tenant.conflicts().iter().map(|c| c.number.to_string()).collect();
    assert_eq!(conflicts, ["3401", "+4930900102"]);
    // One user with both a DID and an extension under one number is no conflict.
    apply(&mut view, user(1, 1), "3402", "no number");
    assert_eq!(view.tenant("t0").unwrap().conflicts().len(), 0);
}

#[test]
fn a_did_leads_to_its_user_while_there_is_one() {
    let mut view = View::new();
    view.apply(&made((0, 11, 0, Some(0)), 1));
    view.apply(&made((0, 0, 0, Some(0)), 2));
    let number = Number::parse_canonical("+4930900102").unwrap();
    let user = |view: &View| match view.tenant("t0").unwrap().number(number).cic {
        Some(Entry::Did(user)) => Some(user.id.to_string()),
        Some(Entry::Assignment(_)) => None,
        other => panic!("{other:?}"),
    };
    view.apply(&made((0, 3, 2, Some(4)), 3));
    assert_eq!(user(&view), None);
    view.apply(&made((0, 4, 4, Some(1)), 4));
    assert_eq!(user(&view).as_deref(), Some("user4"));
    let assignment = view.tenant("t0").unwrap().assignment_of(number).unwrap();
    assert_eq!(assignment.user.as_ref().unwrap().as_str(), "user4");
    view.apply(&made((0, 4, 4, None), 5));
    // The slot is another's now.
    view.apply(&made((0, 4, 5, Some(1)), 6));
    assert_eq!(user(&view), None);
    view.apply(&made((0, 3, 2, None), 7));
    view.apply(&made((0, 4, 4, Some(1)), 8));
    assert_eq!(view.tenant("t0").unwrap().number(number).cic, None);
}
