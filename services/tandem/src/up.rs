//! `tandem up`: everything in one process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tandem_cell::Cell;
use tandem_cell::policy::{DELETED, FileStatus, GONE_FOR, LISTENER_UNKNOWN, State, Status};
use tandem_domain::id::TenantName;
use tandem_domain::view::TenantView;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::document::{Diagnostic, render_all};
use tandem_runtime::drain::{self, Grace, Life};
use tandem_runtime::exit::Exit;
use tandem_runtime::term::Terminal;
use tandem_store::Home;
use tandem_store::embedded::Place;

use crate::cli::{Global, answer, directory};
use crate::examples;
use crate::process::{self, EdgeOptions, GrpcOptions, Options, Running, edges::Listen};
use crate::serve::{Api, StoreUrl};
use crate::show;

/// `tandem up`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Without --tenants it serves three example tenants: their YAML is written to a directory \
    that is printed, to be edited and saved. Without --data nothing is kept: the store is in memory. With --data DIR \
    the store is DIR/store, and the examples, if --tenants is not given, DIR/tenants and DIR/directories.\n\n\
    With --store URL the store is on Redis, and any number of processes share it: one of them writes policy, the \
    others stand by for it.\n\n\
    Without --callers, everyone on this machine may call the API, and nobody else (--dev).\n\n\
    Examples:\n  \
    tandem up\n  \
    tandem up --tenants tenants --directories directories --data /var/lib/tandem\n  \
    tandem up --tenants tenants --store redis-sentinel://a,b,c/main\n  \
    tandem up --listen public=udp:192.0.2.1:5060 --listen public=tcp:192.0.2.1:5060"
)]
pub(crate) struct Args {
    /// The directory of the tenants' YAML. A file that is saved is taken over within a second. A tenant that no file
    /// names any more is deleted after five minutes, or at once by `mv NAME.yaml NAME.deleted`; several that vanish
    /// together, or the last, only by such a mark.
    #[arg(long, value_name = "DIR")]
    tenants: Option<PathBuf>,
    /// YAML of `kind: Directory`, files or directories of such: imported at the start. May be repeated.
    #[arg(long, value_name = "PATH")]
    directories: Vec<PathBuf>,
    /// Where the store is kept. Without it, it is in memory.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    store: StoreUrl,
    /// The name of this cell; tenants of other cells are passed over.
    #[arg(long, value_name = "NAME")]
    cell: Option<String>,
    /// A socket of the edge: NAME=udp:ADDRESS:PORT or NAME=tcp:ADDRESS:PORT. Tenants' documents name listeners so. May
    /// be repeated.
    #[arg(long, value_name = "LISTENER", default_values = ["public=udp:127.0.0.1:5060", "public=tcp:127.0.0.1:5060"])]
    listen: Vec<Listen>,
    /// The host by which peers reach the edge, where it listens on every address.
    #[arg(long, value_name = "HOST")]
    advertise: Option<String>,
    #[command(flatten)]
    api: Api,
}

/// Runs it.
pub(crate) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let signals = drain::signals()?;
        let (mut scratch, mut told) = (None, false);
        let (made, was_told) = (&mut scratch, &mut told);
        let build = |life: Life| async move {
            let (options, temporary) = options(args)?;
            *made = temporary;
            let (tenants, kept) = (options.tenants.clone(), options.home.clone());
            let running = process::up(options, &life, Clock::machine(), Chance::machine()).await?;
            answer(global, &summary(&running), || banner(&running, &tenants, &kept))?;
            *was_told = true;
            complain(&running, global);
            watch(&running, &life, *global);
            Ok(())
        };
        let ended = drain::run(Grace::DESK, signals, build).await;
        if let Some(directory) = scratch {
            if told {
                show::error(
                    "the example tenants are removed, edits too; --data DIR or --tenants DIR keeps them",
                );
            }
            // What cannot be removed is in the machine's temporary directory, where it hurts nobody.
            let _ = std::fs::remove_dir_all(directory);
        }
        ended?;
        Ok(Exit::Ok)
    })
}

/// What to start; and a directory to remove at the end, if one was made.
fn options(args: Args) -> anyhow::Result<(Options, Option<PathBuf>)> {
    let Args { tenants, mut directories, data, store, cell, listen, advertise, api } = args;
    let mut temporary = None;
    let home = match (store.home()?, &data) {
        (Some(home), _) => home,
        (None, Some(data)) => Home::Embedded(Place::Directory(data.join("store"))),
        (None, None) => Home::MEMORY,
    };
    let tenants = match tenants {
        Some(tenants) => tenants,
        None => {
            let base = match data {
                Some(data) => data,
                None => {
                    let name = format!("tandem-up-{:016x}", Chance::machine().u64());
                    temporary.insert(std::env::temp_dir().join(name)).clone()
                }
            };
            examples::unpack(&base)?;
            if directories.is_empty() {
                directories.push(base.join("directories"));
            }
            base.join("tenants")
        }
    };
    let edge = EdgeOptions { advertised: advertise, ..EdgeOptions::new(listen) };
    let grpc: GrpcOptions = api.options();
    let (grpc, edges) = (Some(grpc), vec![edge]);
    Ok((Options { home, directories, cell, grpc, edges, ..Options::new(tenants) }, temporary))
}

fn summary(running: &Running) -> Value {
    let listeners: Vec<Value> = sockets(running)
        .map(|(name, transport, address)| {
            json!({"listener": name, "transport": transport, "address": address.to_string()})
        })
        .collect();
    let tenants: Vec<String> = names(running);
    let metrics = running.metrics.map(|a| a.to_string());
    json!({"ready": true, "grpc": running.grpc.map(|a| a.to_string()), "metrics": metrics, "listeners": listeners, "tenants": tenants})
}

fn sockets(running: &Running) -> impl Iterator<Item = (String, String, SocketAddr)> + '_ {
    let addresses = running.edges.iter().flat_map(|edge| edge.addresses());
    addresses.map(|(name, transport, address)| {
        (name.to_string(), format!("{transport:?}").to_ascii_lowercase(), address)
    })
}

fn names(running: &Running) -> Vec<String> {
    let snapshot = running.cell.view().snapshot();
    let mut names: Vec<String> = snapshot.view.tenants().map(|t| t.id().name.to_string()).collect();
    names.sort();
    names
}

fn banner(running: &Running, tenants: &std::path::Path, home: &Home) -> String {
    let mut out = String::from("tandem is up\n\n");
    for (name, transport, address) in sockets(running) {
        let _ = writeln!(out, "  SIP       {address} {transport}, listener `{name}`");
    }
    if let Some(grpc) = running.grpc {
        let _ = writeln!(out, "  API       {grpc} gRPC, with health and reflection");
    }
    if let Some(at) = running.metrics {
        let _ = writeln!(out, "  metrics   http://{at}/metrics");
    }
    let _ = writeln!(out, "  tenants   {}: {}", tenants.display(), names(running).join(", "));
    let kept = match home {
        Home::Embedded(Place::Memory) => "in memory; --data DIR keeps it, and the tenants' files".to_owned(),
        other => other.to_string(),
    };
    let _ = writeln!(out, "  store     {kept}");
    let snapshot = running.cell.view().snapshot();
    for tenant in snapshot.view.tenants() {
        let (users, numbers) = (tenant.users_len(), tenant.numbers_len());
        let _ = writeln!(out, "            {}: {users} users, {numbers} numbers", tenant.id().name);
    }
    let server = match running.grpc {
        Some(at) if at.port() != 50051 => format!(" --server http://{at}"),
        _ => String::new(),
    };
    let _ = write!(out, "\nTry, in another terminal:\n");
    if snapshot.view.tenant("brandt").is_some() {
        let called = "+493023125103";
        let _ = writeln!(out, "  tandem call explain --tenant brandt --called {called}{server}");
        let file = tenants.join("brandt.yaml");
        let _ = writeln!(out, "  edit {} (`inbound: CicFirst`), save, and ask again", file.display());
    } else {
        let tenant = names(running).into_iter().next().unwrap_or_else(|| "NAME".to_owned());
        let _ = writeln!(out, "  tandem call explain --tenant {tenant} --called NUMBER{server}");
    }
    let _ = write!(out, "Ctrl-C ends it.");
    out
}

/// Says what was not taken at the start.
fn complain(running: &Running, global: &Global) {
    let color = Terminal::stderr(global.color).color;
    rejected(&running.policy.status(), color);
    running.policy.status().files.values().for_each(|file| unheard(file, color));
    unnamed(&Status::default(), &running.policy.status());
    for done in running.imported.iter().filter(|done| done.response.refused > 0) {
        show::error(&directory::report(done, false, color));
    }
    for (path, tenant) in &running.passed_over {
        let path = path.display();
        show::error(&format!(
            "{path}: not imported, for tenant {tenant} is not in force; give its file to --tenants or mend it, then \
             `tandem directory import {path}`\n"
        ));
    }
}

fn rejected(status: &Status, color: bool) {
    for file in status.files.values().filter(|file| file.is_rejected()) {
        show::error(&render_all(&file.diagnostics, color));
        show::error("what was in force before stays in force; mend the file and save it\n");
    }
}

/// Says by which listeners no call will come, of a file that is taken.
fn unheard(file: &FileStatus, color: bool) {
    let is = |d: &&Diagnostic| d.finding.message.starts_with(LISTENER_UNKNOWN.code);
    let found: Vec<Diagnostic> = file.diagnostics.iter().filter(is).cloned().collect();
    if !file.is_rejected() && !found.is_empty() {
        show::error(&render_all(&found, color));
    }
}

/// Says what becomes of tenants that no file names any more.
fn unnamed(before: &Status, now: &Status) {
    if now.unnamed.is_empty() || (&before.unnamed, &before.held) == (&now.unnamed, &now.held) {
        return;
    }
    let names: Vec<&str> = now.unnamed.iter().map(|name| name.as_str()).collect();
    let fate = match &now.held {
        Some(why) => format!("kept, for {why}"),
        None => format!(
            "deleted with all it has in {} minutes, unless its file comes back",
            GONE_FOR.as_secs() / 60
        ),
    };
    show::error(&format!(
        "no file names {}: {fate}; an empty file NAME.{DELETED} deletes at once",
        names.join(", ")
    ));
}

/// Says what becomes of files that are saved.
fn watch(running: &Running, life: &Life, global: Global) {
    let (policy, cell, drain) = (running.policy.clone(), running.cell.clone(), life.drain.clone());
    let color = Terminal::stderr(global.color).color;
    life.tasks.spawn("up watch", async move {
        let (mut last, mut there) = (policy.status(), Size::of_all(&cell));
        loop {
            let next = tokio::select! {
                next = policy.until(|now| now.settled && differs(&last, now)) => next,
                () = drain.draining() => return,
            };
            let Some(next) = next else { return };
            tell(&last, &next, color);
            deleted(&there, &next);
            (last, there) = (next, Size::of_all(&cell));
        }
    });
}

/// How much a tenant has.
struct Size {
    users: usize,
    numbers: usize,
}

impl Size {
    fn of_all(cell: &Cell) -> BTreeMap<TenantName, Self> {
        let snapshot = cell.view().snapshot();
        let tenants = snapshot.view.tenants().filter(|tenant| !tenant.is_deleting());
        let size = |t: &TenantView| Self { users: t.users_len(), numbers: t.numbers_len() };
        tenants.map(|tenant| (tenant.id().name.clone(), size(tenant))).collect()
    }
}

/// Says what is deleted with tenants that were there and are no file's any more, nor wait for theirs.
fn deleted(there: &BTreeMap<TenantName, Size>, now: &Status) {
    let is_named = |name: &TenantName| {
        now.unnamed.contains(name) || now.files.values().any(|file| file.tenants.contains_key(name))
    };
    for (name, Size { users, numbers }) in there.iter().filter(|(name, _)| now.writing && !is_named(name)) {
        show::error(&format!(
            "{name}: deleted with all it has, {users} users and {numbers} numbers; to have it back, put its file back \
             without a {name}.{DELETED}, and import its directory again"
        ));
    }
}

fn differs(before: &Status, now: &Status) -> bool {
    (&before.files, &before.unnamed, &before.held) != (&now.files, &now.unnamed, &now.held)
}

fn tell(before: &Status, now: &Status, color: bool) {
    unnamed(before, now);
    for (path, file) in &now.files {
        if before.files.get(path) == Some(file) {
            continue;
        }
        if file.is_rejected() {
            let alone = Status { files: [(path.clone(), file.clone())].into(), ..Status::default() };
            rejected(&alone, color);
        }
        unheard(file, color);
        for (name, state) in &file.tenants {
            if let State::InForce { generation, revision } = state {
                show::error(&format!("{name}: generation {generation} in force at revision {revision}"));
            }
        }
    }
}
