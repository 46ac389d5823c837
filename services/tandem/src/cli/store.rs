//! `tandem store`: what a store is and holds.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};
use tandem_domain::record::{Kind, ProcessRecord, Record};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::exit::Exit;
use tandem_store::{Home, Listing, Node, Shard, Stats, Store, codec};

use super::{Global, answer, once};
use crate::backup::Where;

/// `tandem store`.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Show the servers of a store, what it holds, who is registered, and what it would refuse.
    ///
    /// It looks and writes nothing. With 1 it ends when something would be refused or a server is away; what lies on
    /// that server is not known then.
    #[command(after_long_help = "Examples:\n  \
        tandem store status --store redis-sentinel://a,b,c/main\n  \
        tandem store status --store redis://localhost?durability=single --output json")]
    Status(Where),
}

/// Does it.
pub(crate) fn run(command: &StoreCommand, global: &Global) -> anyhow::Result<Exit> {
    let StoreCommand::Status(of) = command;
    let home = of.home()?;
    let seen = once(look(home))?;
    answer(global, &seen.json(), || seen.text())?;
    Ok(if seen.is_well() { Exit::Ok } else { Exit::Failed })
}

/// What is seen of a store.
struct Seen {
    words: String,
    single: bool,
    nodes: Vec<Node>,
    /// Or why they are not known.
    sizes: Result<Stats, String>,
    /// Or why it is not known.
    cell: Result<InCell, String>,
}

/// What lies in `_cell`.
#[derive(Default)]
struct InCell {
    tenants: Vec<String>,
    processes: Vec<ProcessRecord>,
    /// By the lease's key, who holds it.
    leases: Vec<(String, String)>,
}

async fn look(home: Home) -> anyhow::Result<Seen> {
    let (words, single) = (home.to_string(), home.is_single());
    let store = home.look(tandem_cell::world(&Clock::machine(), &Chance::machine())).await?;
    let seen = see(&store, words, single).await;
    store.close().await?;
    seen
}

async fn see(store: &Store, words: String, single: bool) -> anyhow::Result<Seen> {
    let backend = store.backend();
    let (nodes, sizes, listed) = tokio::join!(backend.nodes(), backend.sizes(), backend.list(Shard::CELL));
    let nodes = nodes.map_err(unreachable)?;
    // What one server that is away hides is no reason to hide the others.
    let sizes = match sizes {
        Err(error) if nodes.iter().all(|node| node.away.is_some()) => return Err(unreachable(error)),
        sizes => sizes.map_err(|error| error.to_string()),
    };
    let cell = listed.map(|listing| in_cell(&listing)).map_err(|error| error.to_string());
    Ok(Seen { words, single, nodes, sizes, cell })
}

fn in_cell(listing: &Listing) -> InCell {
    let mut seen = InCell::default();
    for stored in &listing.records {
        let Some(kind) = Kind::from_u8(stored.key.kind) else { continue };
        // What a later release wrote is left out.
        match codec::decode(kind, &stored.value) {
            Ok(Record::Tenant(record)) => {
                let deleting = if record.deleting { " (being deleted)" } else { "" };
                seen.tenants.push(format!("{}{deleting}", record.tenant.name));
            }
            Ok(Record::Process(process)) if *stored.key.key == process.id => {
                seen.processes.push(ProcessRecord::clone(&process));
            }
            Ok(Record::Process(process)) => {
                seen.leases.push((stored.key.key.to_string(), process.id.clone()));
            }
            _ => {}
        }
    }
    seen
}

fn unreachable(error: tandem_store::Error) -> anyhow::Error {
    let why = format!("{error}; start Redis there, or name another with --store");
    tandem_store::OpenError::Redis(tandem_store::redis::OpenError::Unreachable(why)).into()
}

impl Seen {
    fn is_well(&self) -> bool {
        let nodes = self.nodes.iter().all(|node| node.refused.is_empty() && node.away.is_none());
        nodes && self.sizes.is_ok() && self.cell.is_ok()
    }

    fn json(&self) -> Value {
        let node = |node: &Node| {
            json!({
                "at": node.at, "role": role(node), "replica_of": node.replica_of, "version": node.version,
                "shards": node.shards, "lag_s": node.lag_s, "clock_ahead_us": node.ahead_us,
                "refused": node.refused, "away": node.away,
            })
        };
        let process = |p: &ProcessRecord| {
            let listeners: Vec<String> = p.listeners.iter().map(ToString::to_string).collect();
            json!({"id": p.id, "role": p.role, "version": p.version, "listeners": listeners})
        };
        let lease = |(key, holder): &(String, String)| json!({"key": key, "holder": holder});
        let (sizes, cell) = (self.sizes.as_ref().ok(), self.cell.as_ref().ok());
        json!({
            "store": self.words,
            "durability": if self.single { "single" } else { "replicated" },
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "records": sizes.map(|s| s.records), "log_entries": sizes.map(|s| s.log_entries),
            "log_bytes": sizes.map(|s| s.log_bytes), "disk_bytes": sizes.map(|s| s.disk_bytes),
            "sizes_unknown": self.sizes.as_ref().err(),
            "tenants": cell.map(|c| &c.tenants),
            "processes": cell.map(|c| c.processes.iter().map(process).collect::<Vec<_>>()),
            "leases": cell.map(|c| c.leases.iter().map(lease).collect::<Vec<_>>()),
            "cell_unknown": self.cell.as_ref().err(),
            "well": self.is_well(),
        })
    }

    fn text(&self) -> String {
        let mut out = format!("{}\n", self.words);
        if self.single {
            out.push_str(
                "  durability single: what this one Redis had not written to its disk can be lost\n",
            );
        }
        for node in &self.nodes {
            let indent = if node.replica_of.is_some() { "    " } else { "  " };
            let _ = writeln!(out, "{indent}{:<9} {}{}", role(node), node.at, details(node));
        }
        match &self.sizes {
            Ok(sizes) => sizes_text(sizes, &mut out),
            Err(why) => {
                let _ = writeln!(out, "  holds     not known: {why}");
            }
        }
        match &self.cell {
            Ok(cell) => cell.text(&mut out),
            Err(why) => {
                let _ = writeln!(out, "  tenants   not known: {why}");
            }
        }
        for node in &self.nodes {
            node.refused.iter().for_each(|why| {
                let _ = writeln!(out, "  refused   {}: {why}", node.at);
            });
        }
        out
    }
}

impl InCell {
    fn text(&self, out: &mut String) {
        let tenants = if self.tenants.is_empty() { "none".into() } else { self.tenants.join(", ") };
        let _ = writeln!(out, "  tenants   {tenants}");
        for process in &self.processes {
            let listeners: Vec<String> = process.listeners.iter().map(ToString::to_string).collect();
            let listeners = listeners.join(", ");
            let _ = writeln!(out, "  process   {} {}, listeners {listeners}", process.id, process.version);
        }
        if self.processes.is_empty() {
            out.push_str("  process   none is registered\n");
        }
        for (key, holder) in &self.leases {
            let _ = writeln!(out, "  lease     {key} is held by {holder}");
        }
    }
}

fn sizes_text(sizes: &Stats, out: &mut String) {
    let Stats { records, log_entries, log_bytes, disk_bytes, .. } = sizes;
    let _ = writeln!(out, "  holds     {records} records; log of {log_entries} entries, {log_bytes} bytes");
    if *disk_bytes > 0 {
        let _ = writeln!(out, "            {disk_bytes} bytes on disk");
    }
}

fn role(node: &Node) -> &'static str {
    if node.replica_of.is_some() { "replica" } else { "primary" }
}

fn details(node: &Node) -> String {
    let mut out = String::new();
    if !node.version.is_empty() {
        let _ = write!(out, ", Redis {}, {} shards", node.version, node.shards);
    }
    if let Some(lag) = node.lag_s {
        let _ = write!(out, ", heard of {lag} s ago");
    }
    if let Some(ahead) = node.ahead_us {
        let _ = write!(out, ", clock {:+.1} ms", ahead as f64 / 1000.0);
    }
    if let Some(why) = &node.away {
        let _ = write!(out, ", away: {why}");
    }
    out
}
