//! Tandem itself, as `tandem up` runs it, with one edge for each scene that has one in path.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tandem_domain::id::{ListenerName, TenantName};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;

use super::numbering::Element;
use super::observe::Recorder;
use super::scene::Scene;
use super::tenant;
use crate::process::edges::{EdgeOptions, Listen, Transport};
use crate::process::{self, Options, Running};

/// People in the directory of each tenant.
const PEOPLE: usize = 7;
/// How long a directory that was imported may take to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// What runs; it ends with its life.
pub(crate) struct House {
    /// How many tenants it serves.
    pub(crate) tenants: usize,
    _running: Running,
    _files: Files,
}

/// A directory of our own, gone when this is dropped.
struct Files(PathBuf);

impl Files {
    fn make(chance: &Chance) -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("tandem-demo-{:016x}", chance.u64()));
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Err(why) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(path = %self.0.display(), %why, "left behind");
        }
    }
}

/// Starts Tandem with the tenants of the scenes that its edges are in.
///
/// # Errors
/// When an address cannot be had, or a document of ours is refused.
pub(crate) async fn build(
    scenes: &[Scene],
    recorder: &Recorder,
    life: &Life,
    clock: Clock,
    chance: Chance,
) -> anyhow::Result<House> {
    let served: Vec<&Scene> = scenes.iter().filter(|scene| scene.edge).collect();
    let files = Files::make(&chance)?;
    let running = start(&served, recorder, life, clock, chance, &files.0).await?;
    Ok(House { tenants: served.len(), _running: running, _files: files })
}

async fn start(
    served: &[&Scene],
    recorder: &Recorder,
    life: &Life,
    clock: Clock,
    chance: Chance,
    files: &std::path::Path,
) -> anyhow::Result<Running> {
    let (tenants, directories) = (files.join("tenants"), files.join("directories"));
    for directory in [&tenants, &directories] {
        std::fs::create_dir(directory).with_context(|| directory.display().to_string())?;
    }
    let mut edges = Vec::new();
    for scene in served {
        let file = format!("{}.yaml", scene.name());
        std::fs::write(tenants.join(&file), tenant::policy(scene))?;
        std::fs::write(directories.join(&file), tenant::directory(scene))?;
        edges.push(edge(scene, recorder)?);
    }
    let mut options = Options::new(tenants);
    (options.directories, options.edges) = (vec![directories], edges);
    let running = process::up(options, life, clock, chance).await?;
    for imported in &running.imported {
        let response = &imported.response;
        if response.refused > 0 {
            bail!("the directory of {} was not taken: {response:?}", imported.tenant);
        }
    }
    let view = running.cell.view();
    let in_view = |scene: &&Scene| {
        let snapshot = view.load();
        let tenant = snapshot.view.tenant(&scene.name());
        tenant.is_some_and(|tenant| tenant.users_len() == PEOPLE && tenant.refused().is_none())
    };
    let all = view.until(|| served.iter().all(in_view));
    if tokio::time::timeout(SEEN_WITHIN, all).await.is_err() {
        let missing: Vec<String> = served.iter().filter(|s| !in_view(s)).map(|s| s.name()).collect();
        bail!("not taken: {}", missing.join(", "));
    }
    Ok(running)
}

fn edge(scene: &Scene, recorder: &Recorder) -> anyhow::Result<EdgeOptions> {
    let address = scene.net.address(Element::Edge);
    let name = ListenerName::parse(&scene.name())?;
    let listen = [Transport::Udp, Transport::Tcp]
        .map(|transport| Listen { name: name.clone(), transport, address })
        .to_vec();
    let mut options = EdgeOptions::new(listen);
    options.config.id = format!("edge-{}", scene.name());
    options.config.tenants = vec![TenantName::parse(&scene.name())?];
    options.observer = Some(Arc::new(recorder.clone()));
    Ok(options)
}
