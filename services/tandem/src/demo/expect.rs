//! What Tandem expects of each call: the plan, computed from the scene's own documents before anything rings.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use tandem_domain::document::directory::DirectoryDocument;
use tandem_domain::document::policy::TenantDocument;
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName, UserId};
use tandem_domain::record::{Change, PolicyRecord, Record, TenantRecord};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts, Hints, Ingress, Method};
use tandem_domain::routing::plan;
use tandem_domain::routing::plan::Plan;
use tandem_domain::routing::trail::NoTrail;
use tandem_domain::view::{TenantView, View};
use tandem_runtime::document::{Limits, Source};

use super::scene::{Callee, Scene};
use super::tenant;

/// The names of the people, by their row.
const PEOPLE: [&str; 7] = ["ann", "lee", "pat", "kim", "sam", "ron", "ivy"];

/// What Tandem knows of a scene.
#[derive(Debug)]
pub(crate) struct Prediction {
    view: Arc<TenantView>,
    edge: bool,
}

impl Prediction {
    /// Reads the scene's documents.
    ///
    /// # Errors
    /// When they are no documents, or the policy does not compile.
    pub(crate) fn of(scene: &Scene) -> anyhow::Result<Self> {
        let name = scene.name();
        let policy: TenantDocument = parsed("policy", &tenant::policy(scene))?;
        let directory: DirectoryDocument = parsed("directory", &tenant::directory(scene))?;
        let id = TenantId { name: TenantName::parse(&name)?, incarnation: Incarnation(1) };
        let policy = PolicyRecord { generation: 1, spec: policy.spec };
        let mut records = vec![
            (name.clone(), Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false })),
            (String::new(), Record::Policy(Arc::new(policy))),
        ];
        let entries = directory.spec;
        records.extend(entries.users.into_iter().map(|u| (u.id.to_string(), Record::User(Arc::new(u)))));
        records
            .extend(entries.stations.into_iter().map(|s| (s.id.to_string(), Record::Station(Arc::new(s)))));
        records.extend(
            entries.workgroups.into_iter().map(|w| (w.id.to_string(), Record::Workgroup(Arc::new(w)))),
        );
        records.extend(entries.numbers.into_iter().map(|n| (n.number.clone(), Record::Number(Arc::new(n)))));
        let change = |(at, (key, record)): (u64, (String, Record))| Change {
            tenant: id.clone(),
            kind: record.kind(),
            key,
            record: Some(record),
            revision: Revision(at),
            at,
        };
        let changes: Vec<Change> = (1..).zip(records).map(change).collect();
        let view = View::build(&changes);
        let view = view.tenant(&name).cloned().context("the tenant is in its own view")?;
        if let Some(found) = view.refused() {
            let found: Vec<String> = found.iter().map(|f| format!("{f:?}")).collect();
            bail!("the policy of {name} does not compile: {}", found.join("; "));
        }
        Ok(Self { view, edge: scene.edge })
    }

    /// The whole way that a call from the PSTN is expected to take.
    pub(crate) fn plan(&self, callee: Callee, wan_lost: bool) -> Plan {
        let agent = callee.queue.then(|| PEOPLE.get(usize::from(callee.person) - 1)).flatten();
        let facts = Facts {
            agent: agent.and_then(|name| UserId::parse(name).ok()),
            edge_in_path: self.edge,
            wan_lost,
            ..Facts::default()
        };
        let number = callee.number();
        let attempt = CallAttempt {
            ingress: Ingress::Trunk("gateway"),
            called: &number,
            caller: Caller { from: "sip:+14255550100@pstn.invalid", asserted: None, private: false },
            hints: Hints::default(),
            method: Method::Invite,
        };
        plan::plan(&self.view, &attempt, &facts, &mut NoTrail)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(name: &str, text: &str) -> anyhow::Result<T> {
    Ok(Source::new(name, text, Limits::POLICY)?.document()?.parse()?)
}
