//! The callers file: which credential is whose.
//!
//! ```yaml
//! apiVersion: tandem.dev/v1
//! kind: Callers
//! callers:
//!   - subject: acme-connector
//!     tenants: [acme]                # or ["*"]
//!     scopes: [routing.decide]       # or ["*"]
//!     uris: ["spiffe://cell.example/acme/connector"]
//!     dnsNames: [connector.acme.example]
//!     tokenDigests: [2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae]
//! ```
//!
//! The file holds digests of tokens, not tokens: whoever reads it can impersonate nobody. A fast hash is enough, for
//! a token is 32 bytes of chance, not a password.

use std::collections::BTreeSet;
use std::collections::HashMap;

use serde::Deserialize;
use subtle::ConstantTimeEq;
use tandem_domain::document::API_VERSION;
use tandem_domain::id::TenantName;
use tandem_runtime::document::{Finding, Rejected, Severity, Source};

use super::{Caller, Scope, Scopes, Tenants};

/// The `kind` of the document.
pub const KIND: &str = "Callers";

/// Callers of one file: some for each of 10,000 tenants would still be read in a moment.
const CALLERS_MAX: usize = 20_000;

/// Characters of a subject: it stands in every log line of its requests.
const SUBJECT_LEN_MAX: usize = 128;

/// The document as a file holds it.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallersDocument {
    /// `tandem.dev/v1`.
    pub api_version: String,
    /// `Callers`.
    pub kind: String,
    /// Each caller, with its credentials.
    pub callers: Vec<CallerEntry>,
}

/// A caller and what it is known by.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallerEntry {
    /// What logs call it.
    pub subject: String,
    /// The tenants it may see; `*` is all.
    pub tenants: Vec<String>,
    /// What it may do; `*` is everything.
    pub scopes: Vec<String>,
    /// URIs of its client certificate's subject alternative names.
    #[serde(default)]
    pub uris: Vec<String>,
    /// DNS names of the same.
    #[serde(default)]
    pub dns_names: Vec<String>,
    /// SHA-256 of its bearer tokens, in hexadecimal.
    #[serde(default)]
    pub token_digests: Vec<String>,
}

/// A name of a client certificate.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum San {
    /// Compared as it is.
    Uri(String),
    /// Lower case.
    Dns(String),
}

/// Credentials and whose they are: a callers file that was checked.
#[derive(Clone, Debug, Default)]
pub struct Table {
    names: HashMap<San, Caller>,
    /// By the digest's first 8 bytes.
    tokens: HashMap<u64, ([u8; 32], Caller)>,
}

impl Table {
    /// Reads a callers file.
    ///
    /// # Errors
    /// Everything that is wrong with it, placed. Lines are not quoted: somebody may have written a token where its
    /// digest belongs.
    pub fn read(source: &Source) -> Result<Self, Rejected> {
        let read = || {
            let document = source.document()?;
            let callers: CallersDocument = document.parse()?;
            Self::compile(&callers).map_err(|findings| Rejected(document.place(findings)))
        };
        read().map_err(|mut rejected| {
            for diagnostic in &mut rejected.0 {
                diagnostic.excerpt.clear();
            }
            rejected
        })
    }

    /// Checks a document and makes the table of it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn compile(document: &CallersDocument) -> Result<Self, Vec<Finding>> {
        let mut compiler = Compiler::default();
        if document.api_version != API_VERSION {
            compiler.wrong("apiVersion".into(), "is not known", format!("write {API_VERSION}"));
        }
        if document.kind != KIND {
            compiler.wrong("kind".into(), "is another kind of document", format!("write {KIND}"));
        }
        if document.callers.len() > CALLERS_MAX {
            compiler.wrong("callers".into(), "are too many", format!("at most {CALLERS_MAX}"));
            return Err(compiler.findings);
        }
        for (at, entry) in document.callers.iter().enumerate() {
            compiler.caller(&format!("callers[{at}]"), entry);
        }
        if compiler.findings.is_empty() { Ok(compiler.table) } else { Err(compiler.findings) }
    }

    /// Whose token this is the digest of. Takes as long for a digest that nobody has.
    pub(super) fn by_token(&self, digest: &[u8; 32]) -> Option<&Caller> {
        // The index is a part of a hash of what was shown: whoever can choose it has already broken SHA-256.
        let found = self.tokens.get(&prefix(digest));
        let expected = found.map_or(&[0; 32], |(digest, _)| digest);
        let same = bool::from(expected.ct_eq(digest));
        found.filter(|_| same).map(|(_, caller)| caller)
    }

    /// Whose certificate has these names; nobody's when they are of several callers.
    pub(super) fn by_names(&self, names: &[San]) -> Option<&Caller> {
        let mut callers = names.iter().filter_map(|name| self.names.get(name));
        let first = callers.next()?;
        callers.all(|other| other == first).then_some(first)
    }
}

fn prefix(digest: &[u8; 32]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(bytes)
}

#[derive(Default)]
struct Compiler {
    table: Table,
    subjects: BTreeSet<String>,
    findings: Vec<Finding>,
}

impl Compiler {
    fn wrong(&mut self, path: String, message: impl Into<String>, fix: impl Into<String>) {
        let (message, fix) = (message.into(), Some(fix.into()));
        self.findings.push(Finding { severity: Severity::Error, path, message, fix });
    }

    fn caller(&mut self, at: &str, entry: &CallerEntry) {
        let subject = &entry.subject;
        let long = subject.chars().count() > SUBJECT_LEN_MAX;
        if subject.is_empty() || long || subject.chars().any(char::is_control) {
            let fix = format!("write 1 to {SUBJECT_LEN_MAX} printable characters");
            self.wrong(format!("{at}.subject"), "is no subject", fix);
        } else if !self.subjects.insert(subject.clone()) {
            self.wrong(
                format!("{at}.subject"),
                "is another caller's too",
                "give each caller a subject of its own",
            );
        }
        let tenants = self.tenants(at, &entry.tenants);
        let scopes = self.scopes(at, &entry.scopes);
        let caller = Caller::new(subject, tenants, scopes);
        if entry.uris.is_empty() && entry.dns_names.is_empty() && entry.token_digests.is_empty() {
            self.wrong(at.into(), "has no credential", "set uris, dnsNames or tokenDigests");
        }
        for (n, uri) in entry.uris.iter().enumerate() {
            if !uri.contains(':') {
                self.wrong(format!("{at}.uris[{n}]"), "is no URI", "write it as spiffe://cell.example/acme");
            }
            self.name(format!("{at}.uris[{n}]"), San::Uri(uri.clone()), &caller);
        }
        for (n, name) in entry.dns_names.iter().enumerate() {
            if name.is_empty() || name.contains(['*', ':', '/', ' ']) {
                let fix = "write a host's name without wildcard, as connector.acme.example";
                self.wrong(format!("{at}.dnsNames[{n}]"), "is no DNS name", fix);
            }
            self.name(format!("{at}.dnsNames[{n}]"), San::Dns(name.to_ascii_lowercase()), &caller);
        }
        for digest in &entry.token_digests {
            self.token(at, digest, &caller);
        }
    }

    fn tenants(&mut self, at: &str, names: &[String]) -> Tenants {
        if names.is_empty() {
            self.wrong(format!("{at}.tenants"), "names no tenant", "name them, or write [\"*\"] for all");
        }
        if names == ["*"] {
            return Tenants::All;
        }
        let mut tenants = BTreeSet::new();
        for (n, name) in names.iter().enumerate() {
            match TenantName::parse(name) {
                Ok(name) => drop(tenants.insert(name)),
                Err(error) => {
                    self.wrong(format!("{at}.tenants[{n}]"), "names no tenant", error.to_string());
                }
            }
        }
        Tenants::These(tenants)
    }

    fn scopes(&mut self, at: &str, names: &[String]) -> Scopes {
        if names.is_empty() {
            self.wrong(format!("{at}.scopes"), "names no scope", "name them, or write [\"*\"] for all");
        }
        if names == ["*"] {
            return Scopes::all();
        }
        let mut scopes = Vec::new();
        for (n, name) in names.iter().enumerate() {
            match Scope::parse(name) {
                Some(scope) => scopes.push(scope),
                None => {
                    let known: Vec<_> = Scope::ALL.iter().map(|scope| scope.name()).collect();
                    let fix = format!("one of {}", known.join(", "));
                    self.wrong(format!("{at}.scopes[{n}]"), "is no scope", fix);
                }
            }
        }
        scopes.into_iter().collect()
    }

    fn name(&mut self, path: String, name: San, caller: &Caller) {
        if self.table.names.insert(name, caller.clone()).is_some() {
            self.wrong(path, "is given twice", "a certificate's name is one caller's");
        }
    }

    /// Findings of digests are placed at the caller, not at the line that may hold a token.
    fn token(&mut self, at: &str, digest: &str, caller: &Caller) {
        let Some(bytes) = read_digest(digest) else {
            let fix = "write the 64 hexadecimal digits of the token's SHA-256, never the token";
            self.wrong(at.into(), "has a token digest that is none", fix);
            return;
        };
        if self.table.tokens.insert(prefix(&bytes), (bytes, caller.clone())).is_some() {
            self.wrong(at.into(), "has a token digest that is given twice", "a token is one caller's");
        }
    }
}

fn read_digest(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(bytes)
}
