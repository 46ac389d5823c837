//! What the scenarios share.

use std::sync::Arc;

use serde_json::Value;
use tandem_domain::document::policy::TenantSpec;
use tandem_domain::id::{Incarnation, ListenerName, Revision, TenantId, TenantName};
use tandem_domain::ingress::claims;
use tandem_domain::record::{Change, Kind, PolicyRecord, Record, TenantRecord, cell};
use tandem_domain::tenant::compile;
use tandem_domain::view::View;

/// A view of one tenant, `acme`, with this policy, one user and a DID of theirs, at an edge with one listener, `main`.
pub(crate) fn view(spec: Value, user: Value, did: &str) -> View {
    let id = TenantId { name: TenantName::parse("acme").unwrap(), incarnation: Incarnation(7) };
    let spec: TenantSpec = serde_json::from_value(spec).unwrap();
    let compiled = compile("acme", &spec).unwrap_or_else(|e| panic!("{e:#?}"));
    let claims = claims(&compiled.config, &id, &[ListenerName::parse("main").unwrap()]);
    let name = user["id"].as_str().unwrap().to_owned();
    let number = serde_json::json!({"number": did, "kind": "Did", "user": name});
    let mut changes = Vec::new();
    let mut put = |tenant: &TenantId, kind, key: &str, record| {
        let revision = changes.len() as u64 + 1;
        let (tenant, key, record) = (tenant.clone(), key.to_owned(), Some(record));
        changes.push(Change { tenant, kind, key, record, revision: Revision(revision), at: revision });
    };
    put(&cell(), Kind::Tenant, "acme", Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false }));
    put(&id, Kind::Policy, "", Record::Policy(Arc::new(PolicyRecord { generation: 1, spec })));
    for (at, claim) in claims.into_iter().enumerate() {
        put(&cell(), Kind::IngressClaim, &format!("acme-{at}"), Record::IngressClaim(Arc::new(claim)));
    }
    put(&id, Kind::User, &name, Record::User(Arc::new(serde_json::from_value(user).unwrap())));
    put(&id, Kind::Number, did, Record::Number(Arc::new(serde_json::from_value(number).unwrap())));
    View::build(&changes)
}
