//! A cell of alike tenants, and calls to their users.

use std::sync::Arc;

use tandem_domain::document::directory::{CicAccount, LyncAccount, NumberAssignment, Phone, User};
use tandem_domain::document::policy::{TenantSpec, Treatments};
use tandem_domain::document::terms::{AssignmentKind, CallControl, PhoneKind, TelephonyMode};
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName, UserId};
use tandem_domain::record::{Change, PolicyRecord, Record, TenantRecord};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Hints, Ingress, Method};
use tandem_domain::view::View;

/// What is called by whom.
#[derive(Clone, Copy)]
pub enum Kind {
    Did,
    LineUri,
    Station,
    Pstn,
    Unknown,
}

pub const KINDS: [Kind; 5] = [Kind::Did, Kind::LineUri, Kind::Station, Kind::Pstn, Kind::Unknown];

impl Kind {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Did => "gateway to a DID (CIC, 2 targets)",
            Self::LineUri => "gateway to a Lync user (1 target)",
            Self::Station => "CIC to a station (1 target)",
            Self::Pstn => "CIC to the PSTN (1 target)",
            Self::Unknown => "gateway to nobody (404)",
        }
    }
}

pub struct Call {
    pub tenant: String,
    ingress: &'static str,
    called: String,
    from: String,
}

impl Call {
    pub fn attempt(&self) -> CallAttempt<'_> {
        CallAttempt {
            ingress: Ingress::Trunk(self.ingress),
            called: &self.called,
            caller: Caller { from: &self.from, asserted: None, private: false },
            hints: Hints::default(),
            method: Method::Invite,
        }
    }
}

pub struct Cell {
    pub view: View,
    tenants: usize,
    users: usize,
}

impl Cell {
    pub fn new(tenants: usize, users: usize) -> Self {
        let spec: TenantSpec =
            serde_saphyr::from_str(include_str!("../../../services/foundation/domain/tests/data/policy.yaml"))
                .expect("the policy reads");
        let mut view = View::new();
        let mut revision = 0;
        for at in 0..tenants {
            let name = TenantName::parse(&format!("t{at}")).expect("a name");
            let tenant = TenantId { name, incarnation: Incarnation(at as u128 + 1) };
            let policy = PolicyRecord { generation: 1, spec: spec.clone() };
            let mut apply = |key: String, record: Record| {
                revision += 1;
                let tenant = tenant.clone();
                let kind = record.kind();
                let revision = Revision(revision);
                view.apply(&Change { tenant, kind, key, record: Some(record), revision, at: 1 });
            };
            let birth = TenantRecord { tenant: tenant.clone(), deleting: false };
            apply(tenant.name.to_string(), Record::Tenant(birth));
            apply(String::new(), Record::Policy(Arc::new(policy)));
            for user in 0..users {
                let record = person(user);
                if record.cic.is_some() {
                    apply(did(user), Record::Number(Arc::new(assignment(user))));
                }
                apply(record.id.to_string(), Record::User(Arc::new(record)));
            }
        }
        Self { view, tenants, users }
    }

    pub fn calls(&self, kind: Kind, count: usize) -> Vec<Call> {
        let mut state = 7_u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let call = |_| {
            let tenant = format!("t{}", draw(self.tenants));
            // Every second user is of row 3, the others are Lync users.
            let user = draw(self.users / 2) * 2;
            let outside = "sip:+4940111222@gw.acme.example;user=phone".to_owned();
            let sip = |number: String, host| format!("sip:{number}@{host};user=phone");
            let (ingress, called, from) = match kind {
                Kind::Did => ("gw", sip(did(user), "10.0.0.9"), outside),
                Kind::LineUri => ("gw", sip(line(user + 1), "10.0.0.9"), outside),
                Kind::Station => ("cic", sip(line(user), "10.0.0.9"), outside),
                Kind::Pstn => ("cic", "sip:+4989123456@10.0.0.9".into(), sip(did(user), "cic.acme.example")),
                Kind::Unknown => ("gw", sip("+493055509".into(), "10.0.0.9"), outside),
            };
            Call { tenant, ingress, called, from }
        };
        (0..count).map(call).collect()
    }
}

fn did(user: usize) -> String {
    format!("+493055501{user:05}")
}

fn line(user: usize) -> String {
    format!("+493055502{user:05}")
}

fn assignment(user: usize) -> NumberAssignment {
    NumberAssignment {
        number: did(user),
        kind: AssignmentKind::Did,
        user: Some(id(user)),
        workgroup: None,
        treatments: Treatments::default(),
    }
}

fn id(user: usize) -> UserId {
    UserId::parse(&format!("user{user}")).expect("an id")
}

fn person(user: usize) -> User {
    let cic = (user % 2 == 0).then(|| CicAccount {
        user_id: format!("user{user}"),
        extension: Some(format!("{:05}", 10_000 + user)),
        nt_domain_account: Some(format!("ACME\\user{user}")),
        source: None,
    });
    User {
        id: id(user),
        display_name: None,
        call_control: if cic.is_some() { CallControl::CicClient } else { CallControl::LyncClient },
        cic,
        lync: Some(LyncAccount {
            sip_address: format!("sip:user{user}@acme.example"),
            line_uri: Some(format!("tel:{}", line(user))),
            line_server: None,
            telephony: TelephonyMode::Uc,
            source: None,
        }),
        phone: Some(Phone { kind: PhoneKind::LyncSoft, vendor: None, lync_certified: None, paired: false }),
        plug_in: false,
        station: None,
        site: None,
        treatments: Treatments::default(),
    }
}
