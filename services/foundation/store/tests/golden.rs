//! The bytes of each record kind, as files. What a release wrote, every later one reads: a file here is never
//! changed, and a new layout gets new files beside the old ones.
//!
//! `TANDEM_WRITE_GOLDEN=1 cargo test -p tandem-store --test golden` writes files that are not there yet.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use tandem_domain::document::directory::{
    CicAccount, LyncAccount, NumberAssignment, Phone, Station, User, Workgroup,
};
use tandem_domain::document::policy::Treatments;
use tandem_domain::document::terms::{
    AssignmentKind, CallControl, PhoneKind, Source, StationKind, TelephonyMode,
};
use tandem_domain::id::{
    Incarnation, ListenerName, SiteName, StationId, TenantId, TenantName, TrunkName, UserId, WorkgroupId,
};
use tandem_domain::record::{Claimed, IngressClaim, Kind, PolicyRecord, ProcessRecord, Record, TenantRecord};
use tandem_store::codec::{self, CodecError};

fn s(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn acme() -> TenantId {
    TenantId {
        name: TenantName::parse("acme").unwrap(),
        incarnation: Incarnation(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
    }
}

fn treatments() -> Treatments {
    Treatments {
        on_busy: s("+4930100"),
        on_no_answer: s("+4930101"),
        no_answer_seconds: Some(300),
        on_unreachable: s("+4930102"),
    }
}

fn full_user() -> User {
    User {
        id: UserId::parse("jane.doe").unwrap(),
        display_name: s("Jane Doë"),
        cic: Some(CicAccount {
            user_id: "jdoe".into(),
            extension: s("3456"),
            nt_domain_account: s("EXAMPLE\\jdoe"),
            source: Some(Source::Cic),
        }),
        lync: Some(LyncAccount {
            sip_address: "sip:jane@example.com".into(),
            line_uri: s("tel:+49301233456;ext=3456"),
            line_server: s("sip:line@gateway.example.com"),
            telephony: TelephonyMode::Uc,
            source: Some(Source::Lync),
        }),
        call_control: CallControl::LyncClient,
        phone: Some(Phone {
            kind: PhoneKind::LyncHard,
            vendor: s("Polycom"),
            lync_certified: Some(false),
            paired: true,
        }),
        plug_in: true,
        station: Some(StationId::parse("DESK 12").unwrap()),
        site: Some(SiteName::parse("berlin").unwrap()),
        treatments: treatments(),
    }
}

fn least_user() -> User {
    User {
        id: UserId::parse("j").unwrap(),
        display_name: None,
        cic: None,
        lync: None,
        call_control: CallControl::CicClient,
        phone: None,
        plug_in: false,
        station: None,
        site: None,
        treatments: Treatments::default(),
    }
}

fn directory() -> Vec<(&'static str, Record)> {
    let number = |kind, user: Option<&str>, workgroup: Option<&str>, treatments| NumberAssignment {
        number: "+49301234567".into(),
        kind,
        user: user.map(|u| UserId::parse(u).unwrap()),
        workgroup: workgroup.map(|w| WorkgroupId::parse(w).unwrap()),
        treatments,
    };
    let none = Treatments::default();
    vec![
        ("user-full", Record::User(full_user().into())),
        ("user-least", Record::User(least_user().into())),
        (
            "station-full",
            Record::Station(Arc::new(Station {
                id: StationId::parse("DESK 12").unwrap(),
                kind: StationKind::Workstation,
                contact_address: s("sip:3456@192.0.2.7"),
                extension: s("3456"),
                site: Some(SiteName::parse("berlin").unwrap()),
                audio_licence: true,
                acd_licence: true,
                ring_seconds: Some(15),
            })),
        ),
        (
            "station-least",
            Record::Station(Arc::new(Station {
                id: StationId::parse("lobby").unwrap(),
                kind: StationKind::StandAlone,
                contact_address: None,
                extension: None,
                site: None,
                audio_licence: false,
                acd_licence: false,
                ring_seconds: None,
            })),
        ),
        (
            "workgroup-full",
            Record::Workgroup(Arc::new(Workgroup {
                id: WorkgroupId::parse("Support").unwrap(),
                display_name: s("Support"),
                extension: s("8000"),
                members: ["jane.doe", "john.doe"].map(|m| UserId::parse(m).unwrap()).into(),
                treatments: treatments(),
                hunt_target: s("+4930199"),
            })),
        ),
        (
            "number-did",
            Record::Number(number(AssignmentKind::Did, Some("jane.doe"), None, none.clone()).into()),
        ),
        (
            "number-workgroup",
            Record::Number(number(AssignmentKind::Workgroup, None, Some("Support"), treatments()).into()),
        ),
        ("number-attendant", Record::Number(number(AssignmentKind::Attendant, None, None, none).into())),
    ]
}

fn cell() -> Vec<(&'static str, Record)> {
    let claim = |what| {
        let trunk = TrunkName::parse("carrier").unwrap();
        Record::IngressClaim(Arc::new(IngressClaim { what, tenant: acme(), trunk }))
    };
    let listener = || ListenerName::parse("public").unwrap();
    let spec = serde_json::json!({
        "displayName": "Acme", "model": "LocalControl", "inbound": "CicFirst",
        "sites": [{"name": "berlin", "countryCode": "49"}], "trunks": []
    });
    vec![
        ("tenant", Record::Tenant(TenantRecord { tenant: acme(), deleting: false })),
        ("tenant-deleting", Record::Tenant(TenantRecord { tenant: acme(), deleting: true })),
        (
            "policy",
            Record::Policy(Arc::new(PolicyRecord {
                generation: 70_000,
                spec: serde_json::from_value(spec).unwrap(),
            })),
        ),
        (
            "ingress_claim-source",
            claim(Claimed::Source {
                listener: listener(),
                network: "192.0.2.0/24".parse().unwrap(),
                called: s("+4930"),
            }),
        ),
        (
            "ingress_claim-source-6",
            claim(Claimed::Source {
                listener: listener(),
                network: "2001:db8::7".parse().unwrap(),
                called: None,
            }),
        ),
        (
            "ingress_claim-certificate",
            claim(Claimed::Certificate { name: "sbc.example.com".into(), called: None }),
        ),
        (
            "ingress_claim-domain",
            claim(Claimed::Domain { listener: listener(), domain: "example.com".into() }),
        ),
        (
            "process",
            Record::Process(Arc::new(ProcessRecord {
                id: "edge-berlin-1f".into(),
                role: "edge".into(),
                version: "0.1.0".into(),
                formats: (1, 2),
                listeners: vec![listener()],
            })),
        ),
    ]
}

fn samples() -> Vec<(&'static str, Record)> {
    directory().into_iter().chain(cell()).collect()
}

fn path(name: &str) -> PathBuf {
    let version = codec::VERSION;
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.v{version}.hex"))
}

/// As a dump: bytes in hexadecimal, and what of them is text.
fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for line in bytes.chunks(16) {
        let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        let text: String =
            line.iter().map(|b| if (0x20..0x7f).contains(b) { *b as char } else { '.' }).collect();
        writeln!(out, "{:<47}  |{text}|", hex.join(" ")).unwrap();
    }
    out
}

fn undump(text: &str) -> Vec<u8> {
    let hex = text.lines().flat_map(|l| l.split('|').next().unwrap().split_whitespace());
    hex.map(|b| u8::from_str_radix(b, 16).unwrap()).collect()
}

#[test]
fn each_kind_is_written_as_its_file_says_and_read_from_it() {
    for (name, record) in samples() {
        let bytes = codec::encode(&record);
        let file = path(name);
        if std::env::var_os("TANDEM_WRITE_GOLDEN").is_some() && !file.exists() {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, dump(&bytes)).unwrap();
        }
        let golden = undump(&fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display())));
        assert_eq!(codec::decode(record.kind(), &golden).as_ref(), Ok(&record), "{name} is read otherwise");
        // A policy is a document: it may gain fields with a default, which are written from then on.
        if record.kind() == Kind::Policy {
            assert_eq!(codec::decode(Kind::Policy, &bytes), Ok(record), "{name} is not read as written");
        } else {
            assert_eq!(dump(&bytes), dump(&golden), "{name} is written otherwise");
        }
    }
}

#[test]
fn each_kind_has_a_file() {
    for kind in Kind::ALL {
        assert!(samples().iter().any(|(_, r)| r.kind() == kind), "{} has none", kind.name());
    }
    let known: Vec<_> = samples().iter().map(|(name, _)| path(name)).collect();
    for file in fs::read_dir(path("x").parent().unwrap()).unwrap() {
        let file = file.unwrap().path();
        assert!(known.contains(&file), "{} is nobody's", file.display());
    }
}

#[test]
fn a_newer_layout_is_refused_by_name_and_a_new_field_is_not() {
    for (name, record) in samples() {
        let mut bytes = codec::encode(&record).to_vec();
        bytes.extend_from_slice(&[250, 3, b'n', b'e', b'w']);
        assert_eq!(codec::decode(record.kind(), &bytes), Ok(record.clone()), "{name} with a new field");
        bytes[0] = codec::VERSION + 1;
        let error = codec::decode(record.kind(), &bytes).unwrap_err();
        assert_eq!(error, CodecError::Version { kind: record.kind().name(), found: codec::VERSION + 1 });
        assert!(tandem_store::store::is_newer(&error));
        assert!(error.to_string().contains(record.kind().name()), "{error}");
        let empty = codec::decode(record.kind(), &[]).unwrap_err();
        assert!(!tandem_store::store::is_newer(&empty), "{empty}");
        for cut in 1..bytes.len() {
            bytes[0] = codec::VERSION;
            // Short bytes may be a record with fewer fields, but never a fault.
            let _ = codec::decode(record.kind(), &bytes[..cut]);
        }
    }
}

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(".{0,40}")
}

fn some_treatments() -> impl Strategy<Value = Treatments> {
    (text(), text(), any::<Option<u16>>(), text()).prop_map(
        |(on_busy, on_no_answer, no_answer_seconds, on_unreachable)| Treatments {
            on_busy,
            on_no_answer,
            no_answer_seconds,
            on_unreachable,
        },
    )
}

fn term<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

prop_compose! {
    fn some_user()(
        id in "[a-zäöü. ]{1,128}",
        names in (text(), text(), text(), text()),
        kinds in (term(CallControl::ALL), term(PhoneKind::ALL), term(TelephonyMode::ALL)),
        source in proptest::option::of(term(Source::ALL)),
        flags in any::<(bool, bool, Option<bool>, bool, bool, bool)>(),
        treatments in some_treatments(),
    ) -> User {
        let (plug_in, paired, lync_certified, cic, lync, phone) = flags;
        User {
            id: UserId::parse(&id).unwrap(),
            display_name: names.0.clone(),
            cic: cic.then(|| CicAccount {
                user_id: id.clone(),
                extension: names.1.clone(),
                nt_domain_account: names.2.clone(),
                source,
            }),
            lync: lync.then(|| LyncAccount {
                sip_address: id.clone(),
                line_uri: names.3.clone(),
                line_server: names.0.clone(),
                telephony: kinds.2,
                source,
            }),
            call_control: kinds.0,
            phone: phone.then(|| Phone { kind: kinds.1, vendor: names.1.clone(), lync_certified, paired }),
            plug_in,
            station: plug_in.then(|| StationId::parse(&id).unwrap()),
            site: paired.then(|| SiteName::parse("berlin").unwrap()),
            treatments,
        }
    }
}

prop_compose! {
    fn some_number()(
        number in ".{0,40}",
        kind in term(AssignmentKind::ALL),
        owner in any::<bool>(),
        treatments in some_treatments(),
    ) -> NumberAssignment {
        NumberAssignment {
            number,
            kind,
            user: owner.then(|| UserId::parse("jane").unwrap()),
            workgroup: (!owner).then(|| WorkgroupId::parse("Support").unwrap()),
            treatments,
        }
    }
}

prop_compose! {
    fn some_station()(
        kind in term(StationKind::ALL),
        texts in (text(), text()),
        flags in any::<(bool, bool, bool)>(),
        ring_seconds in any::<Option<u16>>(),
    ) -> Station {
        Station {
            id: StationId::parse("DESK").unwrap(),
            kind,
            contact_address: texts.0,
            extension: texts.1,
            site: flags.0.then(|| SiteName::parse("cloud").unwrap()),
            audio_licence: flags.1,
            acd_licence: flags.2,
            ring_seconds,
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_entered_reads_back(user in some_user(), number in some_number(), station in some_station()) {
        for record in [Record::User(user.into()), Record::Number(number.into()), Record::Station(station.into())] {
            prop_assert_eq!(codec::decode(record.kind(), &codec::encode(&record)), Ok(record));
        }
    }

    #[test]
    fn no_bytes_are_a_fault(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), versioned: bool) {
        if let (true, Some(first)) = (versioned, bytes.first_mut()) {
            *first = codec::VERSION;
        }
        for kind in Kind::ALL {
            let _ = codec::decode(kind, &bytes);
        }
    }
}
