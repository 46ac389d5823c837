//! The task that writes.

mod commit;
mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_domain::id::{TenantId, TenantName};
use tandem_domain::record::TenantRecord;
use tandem_runtime::drain::Life;
use tandem_runtime::watchfile::{self, Changes};
use tandem_store::Error;
use tokio::sync::watch;

use super::claims::Index;
use super::gone::Seen;
use super::lease::{self, Lease};
use super::plan::{self, Planned};
use super::read::{self, Checked, File};
use super::{GONE_FOR, Held, Settings, State, Status, TENANT_MARKED, delete as deletion};
use crate::Cell;

/// How soon a store that did not take something is asked again, and how often who stands by looks at the lease
/// when nothing tells of it.
const RETRY: Duration = Duration::from_millis(500);

/// How long a process that finds a shared store without any tenant waits before it writes there: it may have been emptied,
/// and who was there before notices that within half a second and writes again what it remembers,
/// incarnations and directories, of which a file says nothing.
const OTHERS_FIRST: Duration = Duration::from_millis(1500);

/// Why the writer stops what it does.
#[derive(Debug)]
enum Stop {
    /// The lease is another's now, or nobody's.
    Lost,
    /// The store has another history than was followed: what was written may be there no more.
    Diverged,
    /// The store did not take something; everything is begun anew.
    Later(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Later(error.to_string())
    }
}

pub(super) async fn run(life: Life, cell: Cell, settings: Settings, told: watch::Sender<Arc<Status>>) {
    let writing = async {
        cell.view().synchronised().await;
        give_way(&cell).await;
        loop {
            let lease = obtain(&cell, &told).await;
            let mut writer = Writer::new(&life, &cell, &settings, &told, lease);
            writer.write().await;
            writer.tell(false);
            tracing::warn!("another process writes policy now; standing by");
        }
    };
    tokio::select! {
        () = writing => {}
        () = life.drain.draining() => {}
    }
}

/// Leaves a store without any tenant to who remembers some, if there is anybody.
async fn give_way(cell: &Cell) {
    if cell.is_shared() && cell.view().load().registry.tenants().next().is_none() {
        tokio::time::sleep(OTHERS_FIRST).await;
    }
}

/// Waits for the lease.
async fn obtain(cell: &Cell, told: &watch::Sender<Arc<Status>>) -> Lease {
    loop {
        let session = cell.session().registered().await;
        match lease::take(cell, session).await {
            Ok(Some(lease)) => return lease,
            Ok(None) => {
                told.send_if_modified(|told| !std::mem::replace(&mut Arc::make_mut(told).standing_by, true));
                let free = cell
                    .view()
                    .until(|| !cell.view().load().registry.leases().any(|(key, _)| key == lease::KEY));
                // A look now and then: the view may be behind, or the session just lost.
                let _ = tokio::time::timeout(RETRY, free).await;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take the lease now");
                cell.clock().sleep(RETRY).await;
            }
        }
    }
}

struct Writer {
    life: Life,
    cell: Cell,
    settings: Settings,
    told: watch::Sender<Arc<Status>>,
    lease: Lease,
    index: Index,
    files: BTreeMap<PathBuf, File>,
    unreadable: Option<String>,
    /// What became of each tenant's document, and what was found beside.
    states: BTreeMap<TenantName, State>,
    refused: BTreeMap<TenantName, Vec<tandem_domain::finding::Finding>>,
    /// Tenants that wait for another's claims to be released.
    contested: BTreeSet<TenantName>,
    /// Since when no file names a tenant, by the clock's monotonic time.
    gone: BTreeMap<TenantId, Duration>,
    deleting: Vec<TenantId>,
    /// Tenants whose deletion is meant.
    marked: BTreeSet<TenantName>,
    /// Why tenants that no file names are kept.
    held: Option<Held>,
}

impl Writer {
    fn new(
        life: &Life,
        cell: &Cell,
        settings: &Settings,
        told: &watch::Sender<Arc<Status>>,
        lease: Lease,
    ) -> Self {
        Self {
            life: life.clone(),
            cell: cell.clone(),
            settings: settings.clone(),
            told: told.clone(),
            lease,
            index: Index::default(),
            files: BTreeMap::new(),
            unreadable: None,
            states: BTreeMap::new(),
            refused: BTreeMap::new(),
            contested: BTreeSet::new(),
            gone: BTreeMap::new(),
            deleting: Vec::new(),
            marked: BTreeSet::new(),
            held: None,
        }
    }

    /// Writes until the lease is lost.
    async fn write(&mut self) {
        let directory = self.settings.directory.clone();
        // Watched before it is read, so that nothing in between is missed.
        let mut changes = watchfile::watch(&self.life.tasks, [directory], watchfile::Options::default());
        let mut diverged = self.cell.view().diverged();
        let mut begun = self.begin(&mut changes, &mut diverged).await;
        loop {
            begun = match begun {
                Ok(()) => return,
                Err(Stop::Lost) => return,
                Err(Stop::Diverged) => {
                    tracing::warn!(
                        "the store has another history than was followed; policy is compared anew"
                    );
                    self.begin(&mut changes, &mut diverged).await
                }
                Err(Stop::Later(why)) => {
                    tracing::warn!(%why, "policy cannot be written now; trying again");
                    self.tell(true);
                    self.cell.clock().sleep(RETRY).await;
                    self.begin(&mut changes, &mut diverged).await
                }
            };
        }
    }

    /// Reads everything, puts everything right, and then follows what is saved. `Ok`: the process has stopped.
    async fn begin(
        &mut self,
        changes: &mut Changes,
        diverged: &mut watch::Receiver<u64>,
    ) -> Result<(), Stop> {
        diverged.mark_unchanged();
        self.index = Index::default();
        for (key, claim) in self.cell.view().stored().registry.claims() {
            self.index.insert(key.to_owned(), Arc::clone(claim));
        }
        self.write_again().await?;
        let shown = self.cell.view().stored();
        self.read(None).await;
        self.reconcile(&shown).await?;
        self.settle(self.good()).await?;
        loop {
            self.look_for_gone();
            self.tell(true);
            let lost = self.cell.session().ended(self.lease.session);
            let due = self.gone.values().min().filter(|_| self.held.is_none()).map(|since| *since + GONE_FOR);
            let clock = self.cell.clock().clone();
            let wake = async {
                match due {
                    Some(due) => clock.sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = changes.next() => match changed {
                    None => return Ok(()),
                    Some(paths) => self.saved(paths).await?,
                },
                () = lost => return Err(Stop::Lost),
                // The sender lives as long as the cell does.
                _ = diverged.changed() => return Err(Stop::Diverged),
                () = std::future::ready(()), if !self.deleting.is_empty() => self.delete_step().await?,
                () = wake => {}
            }
        }
    }

    async fn saved(&mut self, paths: BTreeSet<PathBuf>) -> Result<(), Stop> {
        let before: BTreeSet<PathBuf> = self.twice().into_keys().map(|(path, _)| path).collect();
        let marked = self.marked.clone();
        self.read(Some(paths.clone())).await;
        // A document or a mark that was in the way of another's document may have gone.
        let again = |path: &PathBuf, name: &TenantName| {
            paths.contains(path) || before.contains(path) || marked.contains(name)
        };
        let good = self.good().into_iter().filter(|(path, c)| again(path, &c.name)).collect();
        self.settle(good).await
    }

    /// Reads files again: all, or those that changed.
    async fn read(&mut self, changed: Option<BTreeSet<PathBuf>>) {
        let before: BTreeMap<PathBuf, BTreeSet<TenantName>> =
            self.files.iter().map(|(p, f)| (p.clone(), f.names.clone())).collect();
        let directory = self.settings.directory.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let there = read::list(&directory)?;
            let wanted: Vec<PathBuf> = match changed {
                Some(changed) => changed.into_iter().filter(|p| there.files.contains(p)).collect(),
                None => there.files.iter().cloned().collect(),
            };
            std::io::Result::Ok((there, read::files(wanted, &before)))
        });
        match reading.await.unwrap_or_else(|e| Err(std::io::Error::other(e))) {
            Ok((there, read)) => {
                self.unreadable = None;
                self.files.retain(|path, _| there.files.contains(path));
                self.marked = there.marked;
                for (path, mut file) in read {
                    file.look_for_listeners(&self.settings.listeners);
                    file.diagnostics.iter().for_each(|d| tracing::warn!("{d}"));
                    self.files.insert(path, file);
                }
            }
            Err(error) => {
                let why = format!("{}: {error}", self.settings.directory.display());
                tracing::warn!(%why, "the directory of tenants cannot be read; nothing changes");
                self.unreadable = Some(why);
            }
        }
        let named: BTreeSet<&TenantName> = self.files.values().flat_map(|f| &f.names).collect();
        self.states.retain(|name, _| named.contains(name));
        self.refused.retain(|name, _| named.contains(name));
        self.contested.retain(|name| named.contains(name));
    }

    /// The documents that count: of two that name one tenant the first.
    fn good(&self) -> Vec<(PathBuf, Arc<Checked>)> {
        let mut seen = BTreeSet::new();
        let all = self.files.iter().flat_map(|(path, file)| file.good.iter().map(move |c| (path, c)));
        all.filter(|(_, c)| seen.insert(&c.name)).map(|(p, c)| (p.clone(), Arc::clone(c))).collect()
    }

    /// The documents that do not count, because one before them names the tenant.
    fn twice(&self) -> BTreeMap<(PathBuf, usize), &Arc<Checked>> {
        let mut seen = BTreeSet::new();
        let all = self.files.iter().flat_map(|(path, file)| {
            file.good.iter().enumerate().map(move |(at, c)| ((path.clone(), at), c))
        });
        all.filter(|(_, c)| !seen.insert(&c.name)).collect()
    }

    /// Makes documents so, and those that waited for what was released.
    async fn settle(&mut self, mut documents: Vec<(PathBuf, Arc<Checked>)>) -> Result<(), Stop> {
        while !documents.is_empty() {
            let released = self.apply(&documents).await?;
            documents = if released { self.waiting() } else { Vec::new() };
        }
        Ok(())
    }

    fn waiting(&self) -> Vec<(PathBuf, Arc<Checked>)> {
        self.good().into_iter().filter(|(_, c)| self.contested.contains(&c.name)).collect()
    }

    /// Writes again, as this process remembers them, the tenants that the store has lost: the same incarnations, so that
    /// nothing else that is left of them is another's. What files say is compared after that, as ever.
    async fn write_again(&mut self) -> Result<(), Stop> {
        let view = self.cell.view();
        if view.lost() == 0 {
            return Ok(());
        }
        let plans = plan::lost(&view.snapshot(), &view.stored(), &self.index);
        for (name, state) in self.carry_out(plans).await? {
            tracing::warn!(tenant = %name, ?state, "a tenant that the store had lost is written again");
        }
        Ok(())
    }

    /// Puts right what a writer before left undone: claims without a tenant, and claims that are not those of the
    /// policy in force where no document says otherwise.
    async fn reconcile(&mut self, shown: &crate::follower::Snapshot) -> Result<(), Stop> {
        let mut plans = Vec::new();
        let lost: Vec<TenantId> = self
            .index
            .tenants()
            .filter(|t| shown.registry.tenant(&t.name).is_none_or(|r| r.tenant != **t))
            .cloned()
            .collect();
        let orphans: Vec<String> =
            lost.iter().flat_map(|t| self.index.of(t).map(|(k, _)| k.clone())).collect();
        self.release(orphans).await?;
        let documented: BTreeSet<TenantName> = self.good().into_iter().map(|(_, c)| c.name.clone()).collect();
        for record in shown.registry.tenants() {
            let config = shown.view.tenant_by_id(&record.tenant).and_then(|t| t.config());
            if let Some(config) =
                config.filter(|_| !record.deleting && !documented.contains(&record.tenant.name))
            {
                let plan = plan::keep(config, &record.tenant, &self.index, &self.settings.listeners);
                plans.extend(plan.filter(|p| !p.is_empty()));
            }
        }
        self.carry_out(plans).await?;
        Ok(())
    }

    /// Makes documents so. Answers whether claims were released.
    async fn apply(&mut self, documents: &[(PathBuf, Arc<Checked>)]) -> Result<bool, Stop> {
        let shown = self.cell.view().stored();
        let mut plans = Vec::new();
        let mut released = false;
        for (_, checked) in documents {
            let incarnation = || self.cell.incarnation();
            let mut planned = plan::plan(checked, &shown, &self.index, &self.settings, incarnation);
            if matches!(&planned, Planned::Do(plan) if plan.birth) && self.marked.contains(&checked.name) {
                let words = format!("{}.{} is in this directory", checked.name, super::DELETED);
                let findings = vec![TENANT_MARKED.at("metadata.name", words)];
                planned = Planned::Rejected { findings, contested: false };
            }
            self.refused.remove(&checked.name);
            self.contested.remove(&checked.name);
            match planned {
                Planned::Do(plan) => {
                    released |= !plan.release.is_empty();
                    let (generation, revision) = (plan.generation, plan.revision);
                    let state = if plan.is_empty() {
                        State::InForce { generation, revision }
                    } else {
                        // Of two documents of one batch the first has the claim.
                        self.overlay(&plan);
                        plans.push(plan);
                        State::Waiting
                    };
                    self.states.insert(checked.name.clone(), state);
                }
                Planned::Rejected { findings, contested } => {
                    super::place(&checked.document, &findings).iter().for_each(|d| tracing::warn!("{d}"));
                    self.refused.insert(checked.name.clone(), findings);
                    self.states.insert(checked.name.clone(), State::Rejected);
                    if contested {
                        self.contested.insert(checked.name.clone());
                    }
                }
                Planned::Not(state) => {
                    self.states.insert(checked.name.clone(), state);
                }
            }
        }
        for (name, state) in self.carry_out(plans).await? {
            tracing::info!(tenant = %name, ?state, "policy written");
            self.states.insert(name, state);
        }
        Ok(released)
    }

    /// Notes the tenants that no file names, and begins to delete those whose deletion is meant, or that none has
    /// named for long enough while nothing speaks for an accident.
    fn look_for_gone(&mut self) {
        let shown = self.cell.view().stored();
        let now = self.cell.clock().monotonic();
        let named: BTreeSet<&TenantName> = self.files.values().flat_map(|f| &f.names).collect();
        let mut gone = BTreeMap::new();
        for TenantRecord { tenant, deleting } in shown.registry.tenants() {
            if self.deleting.contains(tenant) {
                continue;
            }
            if *deleting {
                self.deleting.push(tenant.clone());
            } else if !named.contains(&tenant.name) {
                gone.insert(tenant.clone(), self.gone.get(tenant).copied().unwrap_or(now));
            }
        }
        let obscure = self.files.iter().find(|(_, f)| f.obscure).map(|(path, _)| path.clone());
        let seen = Seen::new(self.unreadable.is_some(), obscure, !named.is_empty(), &self.marked);
        let held = seen.holds(&gone);
        if held != self.held {
            held.iter().for_each(|why| why.warn(&gone));
        }
        if held.is_some() || self.held.is_some() {
            // The time does not run while tenants are kept: of many that come back one after another none is late.
            gone.values_mut().for_each(|since| *since = now);
        }
        let (delete, gone) =
            gone.into_iter().partition(|(tenant, since)| seen.deletes(tenant, *since, held.as_ref(), now));
        for tenant in BTreeMap::into_keys(delete) {
            tracing::warn!(%tenant, "no file names this tenant any more; deleting it");
            self.deleting.push(tenant);
        }
        self.held = held;
        self.gone = gone;
    }

    async fn delete_step(&mut self) -> Result<(), Stop> {
        let Some(tenant) = self.deleting.first().cloned() else { return Ok(()) };
        let shown = self.cell.view().stored();
        let Some(step) = deletion::step(&shown, &self.index, &tenant) else {
            self.deleting.remove(0);
            return Ok(());
        };
        self.commit(&step.tenant, step.writes).await?;
        step.released.iter().for_each(|key| self.index.remove(key));
        if step.last {
            tracing::info!(%tenant, "deleted");
            self.deleting.remove(0);
            // Its name and what it claimed are free.
            let free = |c: &Checked| c.name == tenant.name || self.contested.contains(&c.name);
            let documents = self.good().into_iter().filter(|(_, c)| free(c)).collect();
            self.settle(documents).await?;
        }
        Ok(())
    }
}
