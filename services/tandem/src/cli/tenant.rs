//! `tandem tenant`: what is in the files, without a server.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};
use tandem_cell::policy::{self, Checked};
use tandem_domain::directory::{self, Entries};
use tandem_domain::document::directory::DirectoryDocument;
use tandem_domain::document::{KIND_DIRECTORY, KIND_TENANT};
use tandem_domain::finding::Finding;
use tandem_domain::id::ListenerName;
use tandem_domain::tenant::{Config, Topology, setup, topology};
use tandem_runtime::document::{self, Diagnostic, Document, Limits, Rejected, Severity, Source, render_all};
use tandem_runtime::exit::Exit;

use super::{Global, answer};
use crate::failure::Input;
use crate::process::import;

/// `tandem tenant`.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Say what is wrong with tenants and directories: file, line, reason and fix.
    ///
    /// A directory's entries are checked against its tenant where a file that is named has it. Half-configured people
    /// are a normal state, which keeps nothing from being taken: exits with 1 if a document would not be taken, with
    /// --strict if anything is found.
    #[command(after_long_help = "Examples:\n  tandem tenant check tenants/brandt.yaml\n  \
        tandem tenant check tenants directories --listener public")]
    Check {
        /// YAML files, or directories of such.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// A listener that the edges have: an ingress that names another is found. May be repeated; without it, listeners
        /// are not looked at.
        #[arg(long, value_name = "NAME")]
        listener: Vec<ListenerName>,
        /// Exit with 1 if anything is found, warnings included.
        #[arg(long)]
        strict: bool,
    },
    /// Draw a tenant: components by site, links with protocol and port, what crosses between sites.
    #[command(after_long_help = "Examples:\n  tandem tenant show tenants/brandt.yaml\n  \
        tandem tenant show tenants/brandt.yaml --edge-in-path")]
    Show(Drawn),
    /// Say what the administrators of Lync, CIC and the gateway must set, in their own tools' terms.
    #[command(after_long_help = "Examples:\n  tandem tenant setup tenants/brandt.yaml\n  \
        tandem tenant setup tenants/brandt.yaml --edge-in-path")]
    Setup(Drawn),
    /// Print the JSON schema of a document, for editors.
    #[command(after_long_help = "Example:\n  tandem tenant schema > tenant.schema.json")]
    Schema {
        /// Of which.
        #[arg(value_enum, default_value_t = Kind::Tenant)]
        kind: Kind,
    },
}

/// What is drawn or set up.
#[derive(Debug, clap::Args)]
pub(crate) struct Drawn {
    /// YAML files, or directories of such.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Options 2 and 3: Tandem's edge stands where it can, between the gateway and the system that calls meet first.
    /// Under option 1 it is the proxy, or beside the customer's own.
    #[arg(long)]
    edge_in_path: bool,
}

/// Which kind of document.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// `kind: Tenant`.
    Tenant,
    /// `kind: Directory`.
    Directory,
}

/// Does what `tandem tenant` says.
pub(crate) fn run(tenant: Tenant, global: &Global) -> anyhow::Result<Exit> {
    match tenant {
        Tenant::Check { files, listener, strict } => check(&files, &listener, strict, global),
        Tenant::Show(what) => show(&what, global),
        Tenant::Setup(what) => set_up(&what, global),
        Tenant::Schema { kind } => {
            crate::show::line(match kind {
                Kind::Tenant => include_str!("../../../../docs/schema/tenant.json"),
                Kind::Directory => include_str!("../../../../docs/schema/directory.json"),
            })?;
            Ok(Exit::Ok)
        }
    }
}

/// What files hold.
#[derive(Default)]
pub(crate) struct Read {
    /// The tenants that compiled.
    pub(crate) tenants: Vec<Checked>,
    /// The directories.
    pub(crate) directories: Vec<(Document, DirectoryDocument)>,
    /// Everything that was found in the documents by themselves.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads files of either kind.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Read> {
    let mut read = Read::default();
    for file in import::files(paths)? {
        match Source::read(&file, Limits::IMPORT).and_then(|source| source.documents()) {
            Ok(documents) => documents.into_iter().for_each(|document| one(document, &mut read)),
            Err(rejected) => read.diagnostics.extend(rejected.0),
        }
    }
    Ok(read)
}

fn one(document: Document, read: &mut Read) {
    match document.scalar("kind").as_deref() {
        Some(KIND_DIRECTORY) => match import::parse(&document) {
            Ok(directory) => read.directories.push((document, directory)),
            Err(rejected) => read.diagnostics.extend(rejected.0),
        },
        Some(KIND_TENANT) => {
            let (checked, found) = policy::check(&document);
            read.tenants.extend(checked);
            read.diagnostics.extend(found);
        }
        other => {
            let what =
                other.map_or_else(|| "no kind".to_owned(), |kind| format!("{kind:?} is no kind known here"));
            read.diagnostics.extend(document.place([document::Finding {
                severity: Severity::Error,
                path: "kind".to_owned(),
                message: what,
                fix: Some("write kind: Tenant or kind: Directory".to_owned()),
            }]));
        }
    }
}

fn check(
    paths: &[PathBuf],
    listeners: &[ListenerName],
    strict: bool,
    global: &Global,
) -> anyhow::Result<Exit> {
    let Read { tenants, directories, mut diagnostics } = read(paths)?;
    for tenant in tenants.iter().filter(|_| !listeners.is_empty()) {
        let found = policy::unknown_listeners(&tenant.tenant.spec, listeners);
        diagnostics.extend(policy::place(&tenant.document, &found));
    }
    let taken = !diagnostics.iter().any(|d| d.finding.severity == Severity::Error);
    for (document, directory) in &directories {
        let name = &directory.metadata.name;
        match tenants.iter().find(|t| t.name.as_str() == name.as_str()) {
            Some(tenant) => diagnostics.extend(entries(tenant, document, directory)),
            None => diagnostics.extend(document.place([document::Finding {
                severity: Severity::Warning,
                path: "metadata.name".to_owned(),
                message: format!("the entries are not checked: no tenant {name} was given"),
                fix: Some("name the tenant's file too".to_owned()),
            }])),
        }
    }
    let count = |severity| diagnostics.iter().filter(|d| d.finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let json = json!({"errors": errors, "warnings": warnings, "diagnostics": diagnostics});
    answer(global, &json, || {
        let mut text = render_all(&diagnostics, global.stdout().color);
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        let checked = Counted(tenants.len(), "tenant", "tenants");
        let people = Counted(directories.len(), "directory", "directories");
        let (errors, warnings) =
            (Counted(errors, "error", "errors"), Counted(warnings, "warning", "warnings"));
        text + &format!("{checked} and {people} can be taken; {errors}, {warnings}")
    })?;
    let clean = if strict { diagnostics.is_empty() } else { taken };
    Ok(if clean { Exit::Ok } else { Exit::Failed })
}

/// Checks the entries of a directory against their tenant.
fn entries(tenant: &Checked, document: &Document, people: &DirectoryDocument) -> Vec<Diagnostic> {
    let (config, spec) = (&tenant.compiled.config, &people.spec);
    let around = Entries::new(config, spec);
    let mut all: Vec<Finding> = Vec::new();
    let mut under = |list: &str, at: usize, found: Vec<Finding>| {
        all.extend(found.into_iter().map(|mut finding| {
            let dot = if finding.path.is_empty() { "" } else { "." };
            finding.path = format!("spec.{list}[{at}]{dot}{}", finding.path);
            finding
        }));
    };
    for (at, user) in spec.users.iter().enumerate() {
        under("users", at, directory::check(config, user, &around).states);
    }
    for (at, station) in spec.stations.iter().enumerate() {
        under("stations", at, directory::check_station(config, station, &around));
    }
    for (at, workgroup) in spec.workgroups.iter().enumerate() {
        under("workgroups", at, directory::check_workgroup(config, workgroup, &around));
    }
    for (at, number) in spec.numbers.iter().enumerate() {
        under("numbers", at, directory::check_number(config, number, &around));
    }
    let mut placed = policy::place(document, &all);
    placed.extend(policy::place(&tenant.document, &directory::check_routes(config, &around)));
    placed
}

/// The tenants of files, all of them valid.
pub(crate) fn valid(paths: &[PathBuf]) -> anyhow::Result<Read> {
    let read = read(paths)?;
    if read.diagnostics.iter().any(|d| d.finding.severity == Severity::Error) {
        let mut found = read.diagnostics;
        found.retain(|d| d.finding.severity == Severity::Error);
        return Err(Rejected(found).into());
    }
    if read.tenants.is_empty() {
        let named: Vec<_> = paths.iter().map(|p: &PathBuf| Path::display(p).to_string()).collect();
        return Err(Input(format!("{}: no document of kind: Tenant", named.join(", "))).into());
    }
    Ok(read)
}

/// Answers for each tenant, a program with a list however many there are.
fn each(
    paths: &[PathBuf],
    global: &Global,
    answers: impl Fn(&Config) -> (Value, String),
) -> anyhow::Result<Exit> {
    let read = valid(paths)?;
    let (values, texts): (Vec<Value>, Vec<String>) =
        read.tenants.iter().map(|tenant| answers(&tenant.compiled.config)).unzip();
    answer(global, &Value::Array(values), || texts.join("\n"))?;
    Ok(Exit::Ok)
}

fn show(what: &Drawn, global: &Global) -> anyhow::Result<Exit> {
    each(&what.files, global, |config| {
        let topology = topology(config, what.edge_in_path);
        (drawn(config, &topology), topology.to_string())
    })
}

fn drawn(config: &Config, topology: &Topology) -> Value {
    use tandem_wire::plan::element;
    let end = |(what, site): &(_, tandem_domain::id::SiteName)| json!({"element": element(*what), "site": site.as_str()});
    let sites = topology.sites.iter().map(|site| {
        let components = site
            .components
            .iter()
            .map(|c| json!({"element": element(c.element), "name": c.name, "addresses": c.addresses}));
        json!({"site": site.site.as_str(), "components": components.collect::<Vec<_>>()})
    });
    let links = topology.links.iter().map(|l| {
        json!({"letter": l.letter, "from": end(&l.from), "to": end(&l.to), "protocol": l.protocol, "note": l.note,
               "crosses": l.crosses()})
    });
    let audio = topology.audio.iter().map(|a| {
        json!({"from": end(&a.from), "to": end(&a.to), "media": a.media, "when": a.when, "crosses": a.crosses()})
    });
    json!({
        "tenant": config.name.as_str(),
        "model": config.model,
        "inbound": config.inbound,
        "sites": sites.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
        "audio": audio.collect::<Vec<_>>(),
    })
}

fn set_up(what: &Drawn, global: &Global) -> anyhow::Result<Exit> {
    each(&what.files, global, |config| {
        let setup = setup(config, what.edge_in_path);
        let parts = setup.parts.iter().map(|part| {
            let items = part.items.iter().map(|item| {
                json!({"title": item.title, "why": item.why, "basis": item.basis.word(), "section": item.section,
                       "lines": item.lines})
            });
            json!({"who": part.who, "items": items.collect::<Vec<_>>()})
        });
        (json!({"title": setup.title, "parts": parts.collect::<Vec<_>>()}), setup.to_string())
    })
}

/// A number with its noun.
struct Counted(usize, &'static str, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { self.1 } else { self.2 })
    }
}
