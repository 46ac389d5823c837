//! A writer of policy to test with: a directory of files, and what became of them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_cell::policy::{FileStatus, Policy, Settings, State, Status};
use tandem_domain::id::{ListenerName, TenantId, TenantName};
use tandem_runtime::clock::{Clock, ManualClock};
use tandem_store::embedded::Place;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::rig::{Rig, SOON, START, until};

/// A tenant whose gateway is known by `ingress`, in YAML's flow style.
pub(crate) fn document(name: &str, display_name: &str, ingress: &str) -> String {
    format!(
        "apiVersion: tandem.dev/v1
kind: Tenant
metadata: {{name: {name}}}
spec:
  displayName: {display_name}
  model: OnPremises
  inbound: ProxyFirst
  sites: [{{name: berlin, countryCode: \"49\", emergency: {{egress: [gw], callback: \"+49305550100\"}}}}]
  trunks:
    - {{name: gw, role: Gateway, transport: Udp, addresses: [{{host: 10.0.0.1}}], domains: [gw.{name}.example], identity: {{defaultNumber: \"+49305550100\"}}, ingress: {ingress}}}
    - {{name: cic, role: Cic, transport: Udp, addresses: [{{host: 10.0.1.1}}], domains: [cic.{name}.example]}}
    - {{name: lync, role: Lync, transport: Tcp, addresses: [{{host: 10.0.2.1}}], domains: [med.{name}.example]}}
    - {{name: ms, role: MediaServer, transport: Udp, addresses: [{{host: 10.0.3.1}}]}}
  numbers: {{ranges: [{{prefix: \"+49305550\"}}]}}
  toll: [{{from: [Cic, Lync], allow: true}}]
  media: {{recorded: false}}
  emergency: {{numbers: [\"112\"]}}
"
    )
}

pub(crate) struct Desk {
    pub(crate) rig: Rig,
    pub(crate) policy: Policy,
    pub(crate) dir: TempDir,
    pub(crate) hand: ManualClock,
}

pub(crate) fn settings(dir: &TempDir, cell: &str) -> Settings {
    Settings {
        directory: dir.path().to_owned(),
        listeners: vec![ListenerName::parse("main").unwrap()],
        cell: Some(cell.to_owned()),
    }
}

impl Desk {
    pub(crate) async fn with(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        Self::at(dir, Place::Memory).await
    }

    pub(crate) async fn at(dir: TempDir, place: Place) -> Self {
        Self::of(dir, place, "here").await
    }

    /// The writer of a cell.
    pub(crate) async fn of(dir: TempDir, place: Place, cell: &str) -> Self {
        let (clock, hand) = Clock::manual(START);
        let rig = Rig::of(
            clock,
            tandem_cell::Settings {
                home: tandem_store::Home::Embedded(place),
                ..tandem_cell::Settings::memory("up")
            },
            1,
        )
        .await;
        let policy = Policy::start(&rig.life, &rig.cell, settings(&dir, cell));
        let desk = Self { rig, policy, dir, hand };
        desk.until(|s| s.writing).await;
        desk
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub(crate) fn save(&self, file: &str, text: &str) {
        // As an editor does: beside it, then in its place.
        let beside = self.path(&format!(".{file}.new"));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path(file)).unwrap();
    }

    pub(crate) async fn until(&self, holds: impl FnMut(&Status) -> bool) -> Arc<Status> {
        let found = timeout(SOON, self.policy.until(holds)).await;
        found.unwrap_or_else(|_| panic!("in time: {:#?}", self.policy.status())).expect("running")
    }

    pub(crate) async fn file(&self, file: &str, mut holds: impl FnMut(&FileStatus) -> bool) -> FileStatus {
        let path = self.path(file);
        let status = self.until(|s| s.files.get(&path).is_some_and(&mut holds)).await;
        status.files[&path].clone()
    }

    pub(crate) fn tenant(&self, name: &str) -> Option<TenantId> {
        self.rig.cell.view().load().view.tenant(name).map(|t| t.id().clone())
    }

    pub(crate) fn display_name(&self, name: &str) -> Option<String> {
        let shown = self.rig.cell.view().load();
        shown.view.tenant(name)?.config()?.display_name.as_deref().map(str::to_owned)
    }

    pub(crate) fn claims(&self) -> Vec<(String, String)> {
        let shown = self.rig.cell.view().load();
        shown.registry.claims().map(|(k, c)| (k.to_owned(), c.tenant.name.to_string())).collect()
    }

    /// Lets time pass until something holds.
    pub(crate) async fn pass_until(&self, mut holds: impl FnMut() -> bool) {
        let passing = async {
            while !holds() {
                self.hand.advance(Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(SOON * 6, passing).await.expect("in time");
    }

    /// Lets time pass, in steps that a heartbeat keeps up with.
    pub(crate) async fn pass(&self, time: Duration) {
        let mut passed = Duration::ZERO;
        self.pass_until(|| {
            passed += Duration::from_secs(1);
            passed > time
        })
        .await;
    }

    /// Whether all the writer's wakes and looks up to now are done: a save is dealt with after them.
    pub(crate) async fn dealt_with(&self, round: u32) {
        let text = document("probe", &format!("Round {round}"), "[{source: 10.7.0.1}]");
        self.save("probe.yaml", &text);
        let named = format!("Round {round}");
        until(&self.rig.cell, || self.display_name("probe").as_deref() == Some(&named)).await;
    }
}

pub(crate) fn name(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

pub(crate) fn in_force(status: &FileStatus, tenant: &str) -> Option<u64> {
    match status.tenants.get(&name(tenant)) {
        Some(State::InForce { generation, .. }) => Some(*generation),
        _ => None,
    }
}

pub(crate) const A: &str = "[{source: 10.9.0.1}]";
pub(crate) const B: &str = "[{source: 10.9.0.2}]";
