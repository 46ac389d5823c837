//! `tandem up`: everything in one process.

mod tell;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{self, Grace, Life};
use tandem_runtime::exit::Exit;
use tandem_store::Home;
use tandem_store::embedded::Place;

use self::tell::Teller;
use crate::cli::{Global, answer};
use crate::examples;
use crate::process::{self, EdgeOptions, GrpcOptions, Options, Running, edges::Listen};
use crate::serve::{Api, StoreUrl};

/// `tandem up`.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Without --tenants it serves three example tenants: their YAML is written to a directory \
    that is printed, to be edited and saved. Without --data nothing is kept: the store is in memory. With --data DIR \
    the store is DIR/store, and the examples, if --tenants is not given, DIR/tenants and DIR/directories.\n\n\
    With --store URL the store is on Redis, and any number of processes share it: one of them writes policy, the \
    others stand by for it.\n\n\
    Without --callers, everyone on this machine may call the API, and nobody else (--dev).\n\n\
    What becomes of saved files is told on standard error; with --output json by one JSON object a line.\n\n\
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
        let teller = Teller::new(global);
        let build = |life: Life| async move {
            let (options, temporary) = options(args)?;
            *made = temporary;
            let (tenants, kept) = (options.tenants.clone(), options.home.clone());
            let running = process::up(options, &life, Clock::machine(), Chance::machine()).await?;
            answer(global, &summary(&running), || banner(&running, &tenants, &kept))?;
            *was_told = true;
            teller.complain(&running);
            teller.watch(&running, &life);
            Ok(())
        };
        let ended = drain::run(Grace::DESK, signals, build).await;
        if let Some(directory) = scratch {
            if told {
                teller.removed();
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
