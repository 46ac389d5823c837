//! A tenant for tests: a real policy and a real directory, as an administrator writes them.

#![allow(dead_code, reason = "each test file uses a part of it")]

use tandem_domain::document::directory::{DirectoryDocument, DirectorySpec};
use tandem_domain::document::policy::{MediaSelection, TenantSpec};
use tandem_domain::document::terms::{InboundOption, Model};
use tandem_domain::id::{Revision, UserId};
use tandem_domain::routing::attempt::{CallAttempt, Caller, EndpointFacts, Facts, Hints, Ingress, Method};
use tandem_domain::routing::decision::Decision;
use tandem_domain::routing::plan::Plan;
use tandem_domain::routing::trail::Steps;
use tandem_domain::routing::{decide, plan};
use tandem_domain::tenant::{self, Config};
use tandem_domain::view::TenantView;

/// The policy of the golden tables.
pub fn policy() -> TenantSpec {
    serde_saphyr::from_str(include_str!("../data/policy.yaml")).expect("tests/data/policy.yaml reads")
}

/// The directory of the golden tables.
pub fn directory() -> DirectorySpec {
    let document: DirectoryDocument =
        serde_saphyr::from_str(include_str!("../data/directory.yaml")).expect("tests/data/directory.yaml reads");
    document.spec
}

/// A tenant: its compiled policy and its directory.
pub struct World {
    pub config: Config,
    pub directory: DirectorySpec,
}

impl World {
    /// The golden tables' tenant under a model and inbound option.
    pub fn new(model: Model, inbound: InboundOption) -> Self {
        Self::with(model, inbound, |_| {})
    }

    /// The same with a policy that differs.
    pub fn with(model: Model, inbound: InboundOption, change: impl FnOnce(&mut TenantSpec)) -> Self {
        let mut spec = policy();
        (spec.model, spec.inbound) = (model, inbound);
        if model == Model::LocalControl {
            // CIC's default selection would end in the cloud (domain rules 2.3, the trap).
            spec.media.selection =
                Some(MediaSelection { sites: vec!["berlin".into()], any: false, exclude: Vec::new() });
        }
        change(&mut spec);
        Self::of(&spec, directory())
    }

    pub fn of(spec: &TenantSpec, directory: DirectorySpec) -> Self {
        let compiled = tenant::compile("acme", spec).unwrap_or_else(|v| panic!("the policy compiles: {v:#?}"));
        Self { config: compiled.config, directory }
    }

    pub fn view(&self) -> TenantView<'_> {
        TenantView { config: &self.config, revision: Revision(7), dir: &self.directory }
    }

    pub fn plan(&self, attempt: &CallAttempt<'_>, facts: &Facts) -> (Plan, Steps) {
        let mut trail = Steps::default();
        let plan = plan(&self.view(), attempt, facts, &mut trail);
        (plan, trail)
    }

    pub fn decide(&self, attempt: &CallAttempt<'_>, facts: &Facts) -> (Decision, Steps) {
        let mut trail = Steps::default();
        let decision = decide(&self.view(), attempt, facts, &mut trail);
        (decision, trail)
    }
}

/// A caller of the PSTN.
pub const STRANGER: &str = "sip:+4940111222@gw.acme.example;user=phone";

/// A call by a trunk.
pub fn by_trunk<'a>(trunk: &'a str, called: &'a str) -> CallAttempt<'a> {
    CallAttempt {
        ingress: Ingress::Trunk(trunk),
        called,
        caller: Caller { from: STRANGER, asserted: None, private: false },
        hints: Hints::default(),
        method: Method::Invite,
    }
}

/// A call from a user's own phone or client.
pub fn by_user<'a>(user: &'a str, called: &'a str) -> CallAttempt<'a> {
    CallAttempt {
        ingress: Ingress::User(user),
        caller: Caller { from: "sip:phone@acme.example", asserted: None, private: false },
        ..by_trunk("", called)
    }
}

pub fn user(id: &str) -> UserId {
    UserId::parse(id).expect("a user id")
}

/// Every plug-in is connected and every Lync client signed in.
pub fn all_connected() -> Facts {
    let endpoint = |id: &str| EndpointFacts { user: user(id), plug_in: true, lync_client: true, site: None };
    Facts { endpoints: ["r3", "r4", "r5"].map(endpoint).to_vec(), ..Facts::default() }
}

/// Compares a text with a golden file; `TANDEM_BLESS=1` writes it.
///
/// # Panics
/// When they differ: with the first line that does.
pub fn golden(name: &str, text: &str) {
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

pub const MODELS: [(Model, &str); 3] =
    [(Model::OnPremises, "on-prem"), (Model::LocalControl, "local"), (Model::RemoteControl, "remote")];

pub const OPTIONS: [InboundOption; 3] =
    [InboundOption::ProxyFirst, InboundOption::CicFirst, InboundOption::LyncFirst];

/// The callees of the decision table: what is called, and the agent that takes a queued call.
pub const CALLEES: [(&str, &str, Option<&str>); 11] = [
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
