//! Each check of a directory, struck by one change of `base.yaml`; and the endpoint table.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::document::directory::{DirectoryDocument, DirectorySpec, NumberAssignment};
use crate::document::policy::TenantDocument;
use crate::document::terms::*;
use crate::finding::Finding;
use crate::id::{Incarnation, Revision, SiteName, StationId, TenantId, TenantName, UserId, WorkgroupId};
use crate::record::{Change, PolicyRecord, Record, TenantRecord, cell};
use crate::routing::plan::Row;
use crate::tenant::tests::{anything, leaves};
use crate::tenant::{Config, compile_document};
use crate::view::View;

fn base() -> DirectorySpec {
    let document: DirectoryDocument = serde_saphyr::from_str(include_str!("base.yaml")).unwrap();
    document.spec
}

/// The policy of `tenant/base.yaml` under option 3, with row 5 on.
fn config() -> Config {
    let mut document: TenantDocument = serde_saphyr::from_str(include_str!("../tenant/base.yaml")).unwrap();
    document.spec.inbound = InboundOption::LyncFirst;
    document.spec.features.row5 = true;
    compile_document(&document).unwrap().config
}

/// Everything that is found in a directory, its records' places in front.
fn findings(config: &Config, spec: &DirectorySpec) -> Vec<Finding> {
    findings_in(config, spec, &Entries::new(config, spec))
}

fn findings_in(config: &Config, spec: &DirectorySpec, around: &impl Directory) -> Vec<Finding> {
    let mut all = check_routes(config, around);
    let mut take = |place: String, record: Record, found: Vec<Finding>| {
        let refused = admit(&record).err().unwrap_or_default();
        all.extend(
            refused.into_iter().chain(found).map(|f| Finding { path: format!("{place}.{}", f.path), ..f }),
        );
    };
    for (at, u) in spec.users.iter().enumerate() {
        take(format!("users[{at}]"), Record::User(Arc::new(u.clone())), check(config, u, around).states);
    }
    for (at, s) in spec.stations.iter().enumerate() {
        take(
            format!("stations[{at}]"),
            Record::Station(Arc::new(s.clone())),
            check_station(config, s, around),
        );
    }
    for (at, w) in spec.workgroups.iter().enumerate() {
        take(
            format!("workgroups[{at}]"),
            Record::Workgroup(Arc::new(w.clone())),
            check_workgroup(config, w, around),
        );
    }
    for (at, n) in spec.numbers.iter().enumerate() {
        take(format!("numbers[{at}]"), Record::Number(Arc::new(n.clone())), check_number(config, n, around));
    }
    all
}

fn user(id: &str) -> Option<UserId> {
    Some(UserId::parse(id).unwrap())
}

fn did(number: &str, of: &str) -> NumberAssignment {
    NumberAssignment {
        number: number.into(),
        kind: AssignmentKind::Did,
        user: user(of),
        workgroup: None,
        treatments: Default::default(),
    }
}

const R1: usize = 0;
const R2: usize = 1;
const R3: usize = 2;
const R4: usize = 3;
const R5: usize = 4;
const R6: usize = 5;
const IM: usize = 6;

type Edit = fn(&mut DirectorySpec, &mut Config);

/// What is changed; the code that must come of it, and where.
#[rustfmt::skip]
const CASES: &[(&str, &str, &str, Edit)] = &[
    ("a line break in a name", "text.control_character", "users[0].displayName", |d, _| d.users[R1].display_name = Some("a\nb".into())),
    ("a NUL in a Line URI", "text.control_character", "users[1].lync.lineUri", |d, _| d.users[R2].lync.as_mut().unwrap().line_uri = Some("tel:+49\0".into())),
    ("a name without end", "text.too_long", "workgroups[0].displayName", |d, _| d.workgroups[0].display_name = Some("x".repeat(257))),
    ("10,001 members", "list.too_long", "workgroups[0].members", |d, _| d.workgroups[0].members = vec![UserId::parse("r1").unwrap(); 10_001]),
    ("no account at all", "endpoint.unsupported", "users[0].callControl", |d, _| d.users[R1].cic = None),
    ("a CIC user with a Lync phone", "endpoint.unsupported", "users[0].callControl", |d, _| d.users[R1].phone.as_mut().unwrap().kind = PhoneKind::LyncSoft),
    ("a Lync user with a CIC phone", "endpoint.unsupported", "users[1].callControl", |d, _| d.users[R2].phone.as_mut().unwrap().kind = PhoneKind::CicSoft),
    ("telephony on both sides", "endpoint.unsupported", "users[6].callControl", |d, _| d.users[IM].lync.as_mut().unwrap().telephony = TelephonyMode::Uc),
    ("an uncertified phone", "endpoint.not_lync_certified", "users[2].phone.lyncCertified", |d, _| d.users[R3].phone.as_mut().unwrap().lync_certified = Some(false)),
    ("row 5 while it is off", "feature.not_released", "users[4].callControl", |_, c| c.features.row5 = false),
    ("a CIC account without a name", "user.missing_cic_user", "users[0].cic.userId", |d, _| d.users[R1].cic.as_mut().unwrap().user_id = " ".into()),
    ("no extension", "user.missing_extension", "users[2].cic.extension", |d, _| d.users[R3].cic.as_mut().unwrap().extension = None),
    ("no domain account", "user.missing_domain_account", "users[5].cic.ntDomainAccount", |d, _| d.users[R6].cic.as_mut().unwrap().nt_domain_account = None),
    ("no domain account, instant messages only", "user.missing_domain_account", "users[6].cic.ntDomainAccount", |d, _| d.users[IM].cic.as_mut().unwrap().nt_domain_account = None),
    ("a domain account as an address", "user.domain_account_form", "users[3].cic.ntDomainAccount", |d, _| d.users[R4].cic.as_mut().unwrap().nt_domain_account = Some("r4@acme".into())),
    ("nothing rings", "user.missing_phone", "users[0].phone", |d, _| d.users[R1].phone = None),
    ("a CIC phone without station", "user.missing_station", "users[0].station", |d, _| d.users[R1].station = None),
    ("a Lync phone without station", "user.lync_phone_without_station", "users[2].station", |d, _| d.users[R3].station = None),
    ("a Lync phone as remote station", "user.lync_phone_remote_station", "users[2].station", |d, _| d.stations[1].kind = StationKind::Remote),
    ("a station that is not there", "user.station_unknown", "users[3].station", |d, _| d.users[R4].station = Some(StationId::parse("s9").unwrap())),
    ("a site that is not there", "user.site_unknown", "users[3].site", |d, _| d.users[R4].site = Some(SiteName::parse("munich").unwrap())),
    ("a mail address", "user.sip_address_form", "users[1].lync.sipAddress", |d, _| d.users[R2].lync.as_mut().unwrap().sip_address = "r2@acme.example".into()),
    ("no Line URI", "user.missing_line_uri", "users[1].lync.lineUri", |d, _| d.users[R2].lync.as_mut().unwrap().line_uri = None),
    ("a national Line URI", "user.line_uri_form", "users[1].lync.lineUri", |d, _| d.users[R2].lync.as_mut().unwrap().line_uri = Some("tel:030900702".into())),
    ("a Line URI as SIP", "user.line_uri_form", "users[1].lync.lineUri", |d, _| d.users[R2].lync.as_mut().unwrap().line_uri = Some("sip:+4930900702@acme.example".into())),
    ("instant messages only, with a line", "user.line_uri_unexpected", "users[6].lync.lineUri", |d, _| d.users[IM].lync.as_mut().unwrap().line_uri = Some("tel:+4930900707".into())),
    ("another contact address", "user.line_uri_not_contact_address", "users[2].lync.lineUri", |d, _| d.stations[1].contact_address = Some("tel:+4930900799".into())),
    ("the same, but for the extension", "user.line_uri_not_contact_address", "users[3].lync.lineUri", |d, _| d.stations[2].contact_address = Some("tel:+4930900704".into())),
    ("row 6, another's number", "user.line_uri_not_cic_number", "users[5].lync.lineUri", |d, _| d.users[R6].lync.as_mut().unwrap().line_uri = Some("tel:+4930900199".into())),
    ("row 3, DID is Line URI (vector 2)", "user.did_equals_line_uri", "users[2].lync.lineUri", |d, _| d.numbers.push(did("+49 30 900703", "r3"))),
    ("row 4, DID is Line URI", "user.did_equals_line_uri", "users[3].lync.lineUri", |d, _| { d.users[R4].lync.as_mut().unwrap().line_uri = Some("tel:+4930900704".into()); d.numbers.push(did("+4930900704", "r4")); }),
    ("row 5, DID is Line URI", "user.did_equals_line_uri", "users[4].lync.lineUri", |d, _| d.numbers.push(did("030900705", "r5"))),
    ("another's Line URI", "user.line_uri_shared", "users[2].lync.lineUri", |d, _| d.users[R2].lync.as_mut().unwrap().line_uri = Some("TEL:+49-30-900703".into())),
    ("another's SIP address", "user.sip_address_shared", "users[2].lync.sipAddress", |d, _| { let address = d.users[R2].lync.as_ref().unwrap().sip_address.to_uppercase(); d.users[R3].lync.as_mut().unwrap().sip_address = address; }),
    ("another's account in CIC", "user.cic_user_shared", "users[0].cic.userId", |d, _| d.users[R1].cic.as_mut().unwrap().user_id = d.users[R3].cic.as_ref().unwrap().user_id.to_uppercase()),
    ("row 6 without line server", "user.missing_line_server", "users[5].lync.lineServer", |d, _| d.users[R6].lync.as_mut().unwrap().line_server = None),
    ("a line server as a host", "user.line_server_form", "users[5].lync.lineServer", |d, _| d.users[R6].lync.as_mut().unwrap().line_server = Some("cic.acme.example".into())),
    ("row 6 with Enterprise Voice", "user.enterprise_voice_on", "users[5].lync.telephony", |d, _| d.users[R6].lync.as_mut().unwrap().telephony = TelephonyMode::Uc),
    ("row 3 without Enterprise Voice", "user.enterprise_voice_off", "users[2].lync.telephony", |d, _| d.users[R3].lync.as_mut().unwrap().telephony = TelephonyMode::Rcc),
    ("both modes", "user.telephony_dual", "users[2].lync.telephony", |d, _| d.users[R3].lync.as_mut().unwrap().telephony = TelephonyMode::Dual),
    ("row 5 with a plug-in (vector 19)", "user.plug_in_unused", "users[4].plugIn", |d, _| d.users[R5].plug_in = true),
    ("row 4, a phone of its own", "user.phone_not_paired", "users[3].phone.paired", |d, _| d.users[R4].phone.as_mut().unwrap().paired = false),
    ("L4: to the own extension", "user.forward_loop", "users[3].treatments.onNoAnswer", |d, _| d.users[R4].treatments.on_no_answer = Some("3004".into())),
    ("L4: to the own Line URI", "user.forward_loop", "users[2].treatments.onBusy", |d, _| d.users[R3].treatments.on_busy = Some("+4930900703".into())),
    ("L4: round two", "user.forward_loop", "users[3].treatments.onNoAnswer", |d, _| d.users[R1].treatments.on_no_answer = Some("3004".into())),
    ("L5: voicemail before the station", "user.voicemail_too_early", "users[2].station", |d, _| d.stations[1].ring_seconds = Some(40)),
    ("a treatment to nowhere", "treatment.invalid", "users[0].treatments.onUnreachable", |d, _| d.users[R1].treatments.on_unreachable = Some("front desk".into())),
    ("a treatment after 6 s", "treatment.invalid", "workgroups[0].treatments.noAnswerSeconds", |d, _| d.workgroups[0].treatments.no_answer_seconds = Some(6)),
    ("an extension of one digit", "extension.form", "users[0].cic.extension", |d, _| d.users[R1].cic.as_mut().unwrap().extension = Some("3".into())),
    ("an extension of seven digits", "extension.form", "workgroups[0].extension", |d, _| d.workgroups[0].extension = Some("8000000".into())),
    ("a forbidden start", "extension.forbidden", "users[0].cic.extension", |d, _| d.users[R1].cic.as_mut().unwrap().extension = Some("190012".into())),
    ("another's extension", "extension.conflict", "users[0].cic.extension", |d, _| d.users[R1].cic.as_mut().unwrap().extension = Some("3003".into())),
    ("the start is a workgroup's", "extension.conflict", "users[0].cic.extension", |d, _| d.users[R1].cic.as_mut().unwrap().extension = Some("8001".into())),
    ("the extension 112", "extension.emergency", "users[0].cic.extension", |d, _| d.users[R1].cic.as_mut().unwrap().extension = Some("112".into())),
    ("an assigned 133", "extension.emergency", "numbers[0].number", |d, _| d.numbers[0].number = "133".into()),
    ("no contact address", "station.no_contact_address", "stations[0].contactAddress", |d, _| d.stations[0].contact_address = None),
    ("a contact address without scheme", "station.contact_address_form", "stations[0].contactAddress", |d, _| d.stations[0].contact_address = Some("desk 5".into())),
    ("a station without audio", "station.no_audio_licence", "stations[0].audioLicence", |d, _| d.stations[0].audio_licence = false),
    ("a user's station without audio", "station.no_audio_licence", "users[0].station", |d, _| d.stations[0].audio_licence = false),
    ("6 s of ringing (vector 6)", "station.ring_seconds", "stations[0].ringSeconds", |d, _| d.stations[0].ring_seconds = Some(6)),
    ("301 s of ringing", "station.ring_seconds", "stations[0].ringSeconds", |d, _| d.stations[0].ring_seconds = Some(301)),
    ("a station's site", "station.site_unknown", "stations[2].site", |d, _| d.stations[2].site = Some(SiteName::parse("munich").unwrap())),
    ("nobody in a workgroup", "workgroup.no_members", "workgroups[0].members", |d, _| d.workgroups[0].members.clear()),
    ("an unknown member", "workgroup.member_unknown", "workgroups[0].members[5]", |d, _| d.workgroups[0].members.extend(user("nobody"))),
    ("a member twice", "workgroup.member_twice", "workgroups[0].members[5]", |d, _| d.workgroups[0].members.extend(user("r1"))),
    ("a hunt target in words", "workgroup.hunt_target", "workgroups[0].huntTarget", |d, _| d.workgroups[0].hunt_target = Some("desk".into())),
    ("Q2: a Lync user as an agent", "agent.not_cic_user", "workgroups[0].members[5]", |d, _| d.workgroups[0].members.extend(user("r2"))),
    ("an agent's station without ACD", "agent.no_acd_licence", "workgroups[0].members[0]", |d, _| d.stations[0].acd_licence = false),
    ("a number in words", "number.invalid", "numbers[0].number", |d, _| d.numbers[0].number = "front desk".into()),
    ("a DID of nobody", "number.owner_missing", "numbers[0].user", |d, _| d.numbers[0].user = None),
    ("an Attendant's user", "number.owner_unexpected", "numbers[3].user", |d, _| d.numbers[3].user = user("r1")),
    ("a DID of a stranger", "number.owner_unknown", "numbers[0].user", |d, _| d.numbers[0].user = user("nobody")),
    ("the DID of a Lync user", "number.lync_only_user", "numbers[0].user", |d, _| d.numbers[0].user = user("r2")),
    ("a number of others", "number.outside_ranges", "numbers[0].number", |d, _| d.numbers[0].number = "+4989123".into()),
    ("a route before a DID", "number.shadowed_by_route", "numbers[0].number", |d, _| d.numbers[0].number = "+4930900666".into()),
    ("a route to no workgroup", "route.workgroup_unknown", "spec.numbers.routes[2].workgroup", |d, _| d.workgroups[0].id = WorkgroupId::parse("Sales").unwrap()),
];

#[test]
fn the_base_has_no_finding() {
    assert_eq!(findings(&config(), &base()), []);
}

#[test]
fn each_case_is_found_where_it_is() {
    for (what, code, path, change) in CASES {
        let (mut spec, mut config) = (base(), config());
        change(&mut spec, &mut config);
        let found = findings(&config, &spec);
        assert!(
            found.iter().any(|f| f.code == *code && f.path == *path),
            "{what}: no {code} at {path} in {found:#?}"
        );
    }
}

#[test]
fn each_check_is_struck_by_some_case() {
    let struck: BTreeSet<&str> = CASES.iter().map(|(_, code, ..)| *code).collect();
    let known: BTreeSet<&str> = checks::ALL.iter().map(|c| c.code).collect();
    assert_eq!(struck, known);
    assert_eq!(known.len(), checks::ALL.len(), "two checks have one code");
}

/// Row 6's Line URI is the CIC phone's number: equal to the DID, and right.
#[test]
fn did_equal_to_line_uri_is_found_for_rows_3_to_5_under_option_3_only() {
    let mut spec = base();
    spec.numbers.push(did("+4930900703", "r3"));
    for (inbound, found) in
        [(InboundOption::ProxyFirst, 0), (InboundOption::CicFirst, 0), (InboundOption::LyncFirst, 1)]
    {
        let mut config = config();
        config.inbound = inbound;
        let all = findings(&config, &spec);
        assert_eq!(all.iter().filter(|f| f.code == "user.did_equals_line_uri").count(), found, "{inbound}");
    }
}

/// Vector 6.
#[test]
fn a_station_rings_for_15_s_by_default_and_never_below_7() {
    let mut station = base().stations.remove(0);
    for (given, seconds) in [
        (None, 15),
        (Some(0), 15),
        (Some(15), 15),
        (Some(6), 7),
        (Some(7), 7),
        (Some(300), 300),
        (Some(999), 300),
    ] {
        station.ring_seconds = given;
        assert_eq!(ring_seconds(&station), seconds, "{given:?}");
    }
}

#[test]
fn a_user_of_each_row_is_known_and_complete() {
    let (config, spec) = (config(), base());
    let around = Entries::new(&config, &spec);
    let rows = [Row::R1, Row::R2, Row::R3, Row::R4, Row::R5, Row::R6, Row::ImOnly];
    for (user, row) in spec.users.iter().zip(rows) {
        let state = check(&config, user, &around);
        assert_eq!((state.endpoint, state.is_complete()), (Endpoint::Row(row), true), "{}", user.id);
    }
}

/// The view of a directory, as a service has it.
fn view(spec: &DirectorySpec) -> View {
    let mut policy: TenantDocument = serde_saphyr::from_str(include_str!("../tenant/base.yaml")).unwrap();
    policy.spec.inbound = InboundOption::LyncFirst;
    let tenant = TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(1) };
    let born = Record::Tenant(TenantRecord { tenant: tenant.clone(), deleting: false });
    let policy = Record::Policy(Arc::new(PolicyRecord { generation: 1, spec: policy.spec }));
    let mut records = vec![(cell(), "acme".to_owned(), born), (tenant.clone(), String::new(), policy)];
    let mut add = |key: &str, record| records.push((tenant.clone(), key.to_owned(), record));
    spec.users.iter().for_each(|u| add(u.id.as_str(), Record::User(Arc::new(u.clone()))));
    spec.stations.iter().for_each(|s| add(s.id.as_str(), Record::Station(Arc::new(s.clone()))));
    spec.workgroups.iter().for_each(|w| add(w.id.as_str(), Record::Workgroup(Arc::new(w.clone()))));
    spec.numbers.iter().for_each(|n| add(&n.number, Record::Number(Arc::new(n.clone()))));
    let changes: Vec<Change> = (1..)
        .zip(records)
        .map(|(at, (tenant, key, record))| Change {
            tenant,
            kind: record.kind(),
            key,
            record: Some(record),
            revision: Revision(at),
            at,
        })
        .collect();
    View::build(&changes)
}

/// A file before its import and the store's view after it: the same findings.
#[test]
fn a_document_and_a_view_are_found_to_be_the_same() {
    for (what, _, _, change) in CASES {
        let (mut spec, mut config) = (base(), config());
        change(&mut spec, &mut config);
        // The store keeps a number under its canonical form, and takes no other.
        spec.numbers.retain(|n| crate::number::Number::parse_canonical(&n.number).is_some());
        let view = view(&spec);
        let tenant = view.tenant("acme").unwrap();
        assert_eq!(findings_in(&config, &spec, &**tenant), findings(&config, &spec), "{what}");
    }
}

/// What a number is follows from where it is dialled: a file before its import reads it as the store's view does.
#[test]
fn a_document_and_a_view_read_numbers_alike() {
    let (mut spec, config) = (base(), config());
    spec.users[R1].site = Some(SiteName::parse("vienna").unwrap());
    spec.users[R1].cic.as_mut().unwrap().extension = Some("0700".into());
    spec.users[R2].lync.as_mut().unwrap().line_uri = Some("tel:+43700".into());
    let (view, around) = (view(&spec), Entries::new(&config, &spec));
    let tenant = view.tenant("acme").unwrap();
    let holders = |text: &str| {
        let number = crate::number::Number::parse_canonical(text).unwrap();
        let (mut file, mut shown) = (around.holders(number), Directory::holders(&**tenant, number));
        file.sort();
        shown.sort();
        assert_eq!(file, shown, "{text}");
        file.len()
    };
    // At home by Vienna's own rule, as anybody else dials it by the tenant's.
    assert_eq!((holders("+43700"), holders("+49700"), holders("0700")), (2, 1, 0));
}

proptest! {
    /// Whatever is written in records: findings or none, and the same twice.
    #[test]
    fn checks_are_total_on_records_of_nonsense(
        edits in prop::collection::vec((any::<prop::sample::Index>(), anything()), 1..6),
    ) {
        let mut value = serde_json::to_value(base()).unwrap();
        let mut places = Vec::new();
        leaves(&value, String::new(), &mut places);
        for (place, nonsense) in edits {
            *value.pointer_mut(&places[place.index(places.len())]).unwrap() = nonsense;
        }
        if let Ok(spec) = serde_json::from_value::<DirectorySpec>(value) {
            let config = config();
            prop_assert_eq!(findings(&config, &spec), findings(&config, &spec));
        }
    }
}
