//! The writer of policy: tenants from YAML files, into the store.
//!
//! ```text
//! directory of YAML ── read, compile ──> wanted ── compare with the view ──> claim ── commit ── release
//!        │ watched                          │ diagnostics, with line and fix
//!        └ a save is seen in milliseconds   └ an invalid document keeps the last good one in force
//! ```
//!
//! What counts:
//! - a file is one with the ending `.yaml` or `.yml` directly in the directory; it may hold several documents.
//!   Documents of `kind: Directory` are passed over;
//! - **a tenant exists as long as a file names it.** When no file does any more, the tenant is deleted with
//!   everything it has, its directory included, [`GONE_FOR`] later: an editor that writes a file anew, or a mistake
//!   that is seen and mended, is not a deletion. Who means it says so: an empty file `NAME.deleted` beside the others
//!   (`mv acme.yaml acme.deleted`) deletes at once a tenant that no file names. As long as it is there nobody is born
//!   by that name: a mark that was forgotten must not make a file that is lost later a deletion that was meant;
//! - **what is more likely an accident deletes nothing.** A directory that cannot be read, in which nothing names a
//!   tenant, or from which several tenants have vanished is taken for one that is not mounted, or half copied: only
//!   what is marked is deleted, and the five minutes begin anew when it is over. A file that turned invalid still
//!   names the tenants that it named; a file that was never understood might name any tenant, so that nothing at all
//!   is deleted until it is mended or removed;
//! - an invalid document never replaces a valid one; a spec that did not change writes nothing;
//! - what would be known by the same as another tenant's peer is refused with [`INGRESS_TAKEN`], and nobody is
//!   told whose it is.
//!
//! One writer at a time: it holds a lease in `_cell` that hangs on its process's session, and the store checks the
//! lease's token in every commit. The other writers stand by, and the first of them to see the lease gone takes
//! over and reads everything anew.
//!
//! Claims first, then policy, then the release of claims that are needed no more: in between a call finds either
//! the old policy or the new one, and no two tenants ever share a claim. What a crash left between the steps is
//! put right when a writer begins.

mod claims;
mod delete;
mod gone;
mod lease;
mod places;
mod plan;
mod read;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_domain::finding::{Check, Finding, Severity};
use tandem_domain::id::{ListenerName, Revision, TenantName};
use tandem_runtime::document::{self, Diagnostic, Document};
use tandem_runtime::drain::Life;
use tokio::sync::watch;

pub use claims::{key as claim_key, taken, unknown_listeners};
pub use read::{Checked, check};

use crate::Cell;

/// How long no file must name a tenant before it is deleted: longer than a checkout, a copy or a remount takes, and
/// long enough to see a mistake and put the file back.
pub const GONE_FOR: Duration = Duration::from_secs(5 * 60);
/// The ending of an empty file that says, with a tenant's name before it, that its deletion is meant.
pub const DELETED: &str = "deleted";

/// Another tenant of the cell is known by the same. Its name is never told.
pub const INGRESS_TAKEN: Check = Check {
    code: "INGRESS_TAKEN",
    severity: Severity::Error,
    meaning: "Calls that come in so belong to another tenant of this cell already.",
    fix: "use another listener, a source or certificate of your own, or on a trunk that tenants share, called numbers that are yours; if it should be yours, ask who runs this cell",
};
/// An ingress names a listener of which nothing is known here.
pub const LISTENER_UNKNOWN: Check = Check {
    code: "ingress.listener_unknown",
    severity: Severity::Warning,
    meaning: "An ingress names a listener that is none of those that are known here: unless an edge elsewhere has it, no call comes in by it.",
    fix: "write the name of a listener that there is, leave `listener` out to be known at each, or start an edge with it: `--listen NAME=udp:ADDRESS:PORT`",
};
/// Two documents of one directory name the same tenant.
pub const TENANT_TWICE: Check = Check {
    code: "tenant.twice",
    severity: Severity::Error,
    meaning: "Another document of this directory names the same tenant; the first in the order of file names counts.",
    fix: "keep one of the two",
};
/// A document makes a tenant whose deletion is marked.
pub const TENANT_MARKED: Check = Check {
    code: "tenant.marked_deleted",
    severity: Severity::Error,
    meaning: "The tenant was deleted, and the file NAME.deleted that says so is still there: it is not made again.",
    fix: "remove the file NAME.deleted, or rename it to NAME.yaml",
};
/// A tenant's cell was changed.
pub const CELL_CHANGED: Check = Check {
    code: "tenant.cell_changed",
    severity: Severity::Error,
    meaning: "A tenant's cell never changes.",
    fix: "put the cell back; to move a tenant, export it and import it in the other cell",
};

/// What a writer is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the YAML lies.
    pub directory: PathBuf,
    /// The listeners of the cell that tenants do not share: what names no listener is claimed at each of them.
    pub listeners: Vec<ListenerName>,
    /// The name of this cell; documents of other cells are passed over. None: every document is ours.
    pub cell: Option<String>,
}

/// What became of a tenant's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in force since this revision, in this generation.
    InForce {
        /// The generation of the policy.
        generation: u64,
        /// The revision of the tenant's policy or a later one.
        revision: Revision,
    },
    /// It is not taken; the one before it, if there was one, stays in force. The diagnostics say why.
    Rejected,
    /// It belongs to another cell.
    Elsewhere,
    /// The store could not be written; it is tried again.
    Waiting,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FileStatus {
    /// The tenants that it names, in the order of names.
    pub tenants: BTreeMap<TenantName, State>,
    /// Everything found, errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

impl FileStatus {
    /// Whether anything in it is not taken.
    #[must_use]
    pub fn is_rejected(&self) -> bool {
        self.diagnostics.iter().any(|d| d.finding.severity == document::Severity::Error)
    }
}

/// What a writer has done.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Status {
    /// Whether this writer holds the lease; otherwise it stands by, and the rest is as it was when it last did.
    pub writing: bool,
    /// Whether this writer knows that another holds the lease.
    pub standing_by: bool,
    /// Whether everything that was saved up to the last look is dealt with. A tenant that waits for its deletion, or
    /// is kept from it, is dealt with.
    pub settled: bool,
    /// Why the directory cannot be read, if it cannot.
    pub unreadable: Option<String>,
    /// Every file that was read.
    pub files: BTreeMap<PathBuf, FileStatus>,
    /// The tenants that are being deleted.
    pub deleting: Vec<TenantName>,
    /// The tenants that no file names and that are not being deleted (yet).
    pub unnamed: Vec<TenantName>,
    /// Why those are kept, if they are kept whatever the time. Without it each is deleted [`GONE_FOR`] after no file
    /// named it any more.
    pub held: Option<Held>,
}

/// Why tenants that no file names are not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The directory cannot be read.
    Unreadable,
    /// This file was never understood and might name them. Not even what is marked is deleted.
    By(PathBuf),
    /// No file names any tenant.
    NoneNamed,
    /// Several have vanished.
    Several,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable => write!(f, "the directory cannot be read"),
            Self::By(file) => write!(f, "{} is not understood and might name them", file.display()),
            Self::NoneNamed => write!(f, "no file names any tenant, as in a directory that is not mounted"),
            Self::Several => write!(f, "several have vanished, as in a directory that is half copied"),
        }
    }
}

/// A running writer. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    status: watch::Receiver<Arc<Status>>,
}

impl Policy {
    /// Begins to write, on a task of `life`.
    #[must_use]
    pub fn start(life: &Life, cell: &Cell, settings: Settings) -> Self {
        let (told, status) = watch::channel(Arc::new(Status::default()));
        life.tasks.spawn("policy writer", writer::run(life.clone(), cell.clone(), settings, told));
        Self { status }
    }

    /// What was done up to now.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// Waits until a status holds; it is asked after every change. None: the writer has ended. Cancel-safe.
    pub async fn until(&self, mut holds: impl FnMut(&Status) -> bool) -> Option<Arc<Status>> {
        let mut status = self.status.clone();
        status.wait_for(|s| holds(s)).await.ok().map(|s| Arc::clone(&s))
    }
}

/// Places what the domain found in a document, as a compiler would.
#[must_use]
pub fn place(document: &Document, findings: &[Finding]) -> Vec<Diagnostic> {
    document.place(findings.iter().map(|finding| document::Finding {
        severity: match finding.severity {
            Severity::Error => document::Severity::Error,
            Severity::Warning => document::Severity::Warning,
        },
        path: finding.path.clone(),
        message: format!("{}: {}", finding.code, finding.message),
        fix: Some(finding.fix.to_string()),
    }))
}
