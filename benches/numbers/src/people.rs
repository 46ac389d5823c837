//! Tenants and people to fill a view with.

use std::sync::Arc;

use tandem_domain::document::directory::{CicAccount, LyncAccount, NumberAssignment, User};
use tandem_domain::document::policy::TenantDocument;
use tandem_domain::document::terms::{AssignmentKind, CallControl, TelephonyMode};
use tandem_domain::id::{Incarnation, Revision, StationId, TenantId, TenantName, UserId};
use tandem_domain::record::{Change, Kind, PolicyRecord, Record, TenantRecord, cell};

const POLICY: &str = include_str!("../../../services/foundation/domain/src/tenant/base.yaml");

pub fn tenant(n: usize) -> TenantId {
    let name = TenantName::parse(&format!("tenant-{n}")).expect("it is a label");
    TenantId { name, incarnation: Incarnation(n as u128) }
}

pub fn change(tenant: &TenantId, key: &str, record: Record) -> Change {
    let kind = record.kind();
    Change { tenant: tenant.clone(), kind, key: key.to_owned(), record: Some(record), revision: Revision(1), at: 1 }
}

/// A tenant's birth and policy.
pub fn birth(id: &TenantId) -> [Change; 2] {
    let document: TenantDocument = serde_saphyr::from_str(POLICY).expect("the policy is valid");
    let record = Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false });
    let policy = Record::Policy(Arc::new(PolicyRecord { generation: 1, spec: document.spec }));
    let mut born = change(&cell(), id.name.as_str(), record);
    born.kind = Kind::Tenant;
    [born, change(id, "", policy)]
}

/// User `n`, whose line is `line`.
pub fn user(id: &TenantId, n: usize, line: u64) -> Change {
    let user = User {
        id: UserId::parse(&format!("user.{n}")).expect("it is a name"),
        display_name: Some(format!("User {n}")),
        cic: Some(CicAccount {
            user_id: format!("user{n}"),
            extension: Some(format!("{:06}", 100_000 + n)),
            nt_domain_account: Some(format!("ACME\\user{n}")),
            source: None,
        }),
        lync: Some(LyncAccount {
            sip_address: format!("sip:user.{n}@acme.example"),
            line_uri: Some(format!("tel:+4930{line}")),
            line_server: None,
            telephony: TelephonyMode::Uc,
            source: None,
        }),
        call_control: CallControl::CicClient,
        phone: None,
        plug_in: true,
        station: Some(StationId::parse(&format!("station.{n}")).expect("it is a name")),
        site: None,
        treatments: Default::default(),
    };
    let key = user.id.as_str().to_owned();
    change(id, &key, Record::User(Arc::new(user)))
}

/// An assignment of a number to a user.
pub fn number(id: &TenantId, number: &str, user: usize) -> Change {
    let assignment = NumberAssignment {
        number: number.to_owned(),
        kind: AssignmentKind::Did,
        user: Some(UserId::parse(&format!("user.{user}")).expect("it is a name")),
        workgroup: None,
        treatments: Default::default(),
    };
    change(id, number, Record::Number(Arc::new(assignment)))
}
