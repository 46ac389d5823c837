//! A tenant for tests: a real policy and a real directory, as an administrator writes them.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::sync::Arc;

use tandem_domain::document::directory::{DirectoryDocument, DirectorySpec};
use tandem_domain::document::policy::{MediaSelection, TenantSpec};
use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName, UserId};
use tandem_domain::record::{Change, PolicyRecord, Record, TenantRecord};
use tandem_domain::routing::attempt::{CallAttempt, Caller, EndpointFacts, Facts, Hints, Ingress, Method};
use tandem_domain::routing::decision::Decision;
use tandem_domain::routing::plan::Plan;
use tandem_domain::routing::trail::Steps;
use tandem_domain::routing::{decide, plan};
use tandem_domain::view::{TenantView, View};

/// The policy of the golden tables.
pub(crate) fn policy() -> TenantSpec {
    serde_saphyr::from_str(include_str!("../data/policy.yaml")).expect("tests/data/policy.yaml reads")
}

/// The directory of the golden tables.
pub(crate) fn directory() -> DirectorySpec {
    let document: DirectoryDocument = serde_saphyr::from_str(include_str!("../data/directory.yaml"))
        .expect("tests/data/directory.yaml reads");
    document.spec
}

/// A tenant: its policy and its directory.
pub(crate) struct World {
    pub(crate) spec: TenantSpec,
    pub(crate) directory: DirectorySpec,
}

impl World {
    /// The golden tables' tenant under a model and inbound option.
    pub(crate) fn new(model: Model, inbound: InboundOption) -> Self {
        Self::with(model, inbound, |_| {})
    }

    /// The same with a policy that differs.
    pub(crate) fn with(model: Model, inbound: InboundOption, change: impl FnOnce(&mut TenantSpec)) -> Self {
        let mut spec = policy();
        (spec.model, spec.inbound) = (model, inbound);
        if model == Model::LocalControl {
            // CIC's default selection would end in the cloud (domain rules 2.3, the trap).
            spec.media.selection =
                Some(MediaSelection { sites: vec!["berlin".into()], any: false, exclude: Vec::new() });
        }
        change(&mut spec);
        Self { spec, directory: directory() }
    }

    /// The tenant of two premises under a model and inbound option.
    pub(crate) fn wide(model: Model, inbound: InboundOption, change: impl FnOnce(&mut TenantSpec)) -> Self {
        let (policy, directory) =
            (include_str!("../data/wide-policy.yaml"), include_str!("../data/wide-directory.yaml"));
        let mut spec: TenantSpec = serde_saphyr::from_str(policy).expect("wide-policy.yaml reads");
        let document: DirectoryDocument =
            serde_saphyr::from_str(directory).expect("wide-directory.yaml reads");
        (spec.model, spec.inbound) = (model, inbound);
        if model == Model::LocalControl {
            let sites = vec!["berlin".into(), "vienna".into()];
            spec.media.selection = Some(MediaSelection { sites, any: false, exclude: Vec::new() });
        }
        change(&mut spec);
        Self { spec, directory: document.spec }
    }

    /// The changes of the log that make this tenant.
    pub(crate) fn changes(&self, name: &str) -> Vec<Change> {
        let tenant = tenant(name);
        let policy = PolicyRecord { generation: 1, spec: self.spec.clone() };
        let mut records = vec![
            (name.to_owned(), Record::Tenant(TenantRecord { tenant: tenant.clone(), deleting: false })),
            (String::new(), Record::Policy(Arc::new(policy))),
        ];
        let d = &self.directory;
        records.extend(d.users.iter().map(|u| (u.id.to_string(), Record::User(Arc::new(u.clone())))));
        records.extend(d.stations.iter().map(|s| (s.id.to_string(), Record::Station(Arc::new(s.clone())))));
        records
            .extend(d.workgroups.iter().map(|w| (w.id.to_string(), Record::Workgroup(Arc::new(w.clone())))));
        records.extend(d.numbers.iter().map(|n| (n.number.clone(), Record::Number(Arc::new(n.clone())))));
        let change = |(at, (key, record)): (u64, (String, Record))| Change {
            tenant: tenant.clone(),
            kind: record.kind(),
            key,
            record: Some(record),
            revision: Revision(at),
            at,
        };
        (1..).zip(records).map(change).collect()
    }

    /// The tenant alone in its cell.
    ///
    /// # Panics
    /// When the policy does not compile.
    pub(crate) fn view(&self) -> Arc<TenantView> {
        let view = View::build(&self.changes("acme"));
        let tenant = view.tenant("acme").expect("the tenant is born");
        assert_eq!(tenant.refused(), None, "the policy compiles");
        Arc::clone(tenant)
    }

    pub(crate) fn plan(&self, attempt: &CallAttempt<'_>, facts: &Facts) -> (Plan, Steps) {
        let mut trail = Steps::default();
        let plan = plan(&self.view(), attempt, facts, &mut trail);
        (plan, trail)
    }

    pub(crate) fn decide(&self, attempt: &CallAttempt<'_>, facts: &Facts) -> (Decision, Steps) {
        let mut trail = Steps::default();
        let decision = decide(&self.view(), attempt, facts, &mut trail);
        (decision, trail)
    }
}

/// A caller of the PSTN.
pub(crate) const STRANGER: &str = "sip:+4940111222@gw.acme.example;user=phone";

/// A call by a trunk.
pub(crate) fn by_trunk<'a>(trunk: &'a str, called: &'a str) -> CallAttempt<'a> {
    CallAttempt {
        ingress: Ingress::Trunk(trunk),
        called,
        caller: Caller { from: STRANGER, asserted: None, private: false },
        hints: Hints::default(),
        method: Method::Invite,
    }
}

/// A call from a user's own phone or client.
pub(crate) fn by_user<'a>(user: &'a str, called: &'a str) -> CallAttempt<'a> {
    CallAttempt {
        ingress: Ingress::User(user),
        caller: Caller { from: "sip:phone@acme.example", asserted: None, private: false },
        ..by_trunk("", called)
    }
}

/// A tenant's id; its incarnation follows from the name.
pub(crate) fn tenant(name: &str) -> TenantId {
    let incarnation = name.bytes().fold(1, |i: u128, b| i * 256 + u128::from(b));
    TenantId {
        name: TenantName::parse(name).expect("a tenant's name"),
        incarnation: Incarnation(incarnation),
    }
}

pub(crate) fn user(id: &str) -> UserId {
    UserId::parse(id).expect("a user id")
}

/// Every plug-in is connected and every Lync client signed in.
pub(crate) fn all_connected() -> Facts {
    let endpoint = |id: &str| EndpointFacts { user: user(id), plug_in: true, lync_client: true, site: None };
    Facts { endpoints: ["r3", "r4", "r5"].map(endpoint).to_vec(), ..Facts::default() }
}

/// Compares a text with a golden file; `TANDEM_BLESS=1` writes it.
///
/// # Panics
/// When they differ: with the first line that does.
pub(crate) fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("TANDEM_BLESS").is_some() {
        std::fs::write(&path, text).expect("the golden file is writable");
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if expected != text {
        let differs = expected.lines().zip(text.lines()).position(|(a, b)| a != b);
        let at = differs.unwrap_or_else(|| expected.lines().count().min(text.lines().count()));
        panic!(
            "{} differs at line {}:\n  golden: {:?}\n  now:    {:?}\nrun with TANDEM_BLESS=1 and review the change",
            path.display(),
            at + 1,
            expected.lines().nth(at),
            text.lines().nth(at),
        );
    }
}

pub(crate) const MODELS: [(Model, &str); 3] =
    [(Model::OnPremises, "on-prem"), (Model::LocalControl, "local"), (Model::RemoteControl, "remote")];

pub(crate) const OPTIONS: [InboundOption; 3] =
    [InboundOption::ProxyFirst, InboundOption::CicFirst, InboundOption::LyncFirst];

/// The callees of the decision table: what is called, and the agent that takes a queued call.
pub(crate) const CALLEES: [(&str, &str, Option<&str>); 11] = [
    ("R1", "+49305550101", None),
    ("R2", "+49305550202", None),
    ("R3", "+49305550103", None),
    ("R4", "+49305550104", None),
    ("R5", "+49305550105", None),
    ("R6", "+49305550106", None),
    ("Q1", "+49305550120", Some("r1")),
    ("Q3", "+49305550120", Some("r3")),
    ("Q4", "+49305550120", Some("r4")),
    ("Q5", "+49305550120", Some("r5")),
    ("Q6", "+49305550120", Some("r6")),
];
