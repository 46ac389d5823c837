//! From what a connection and a request show to a caller.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use arc_swap::ArcSwap;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use tandem_domain::id::TenantName;
use tandem_runtime::document::{Limits, Rejected, Source};
use tandem_runtime::drain::Life;
use tandem_runtime::serve::Peer;
use tandem_runtime::watchfile;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::file::{San, Table};
use super::{Caller, Scope, Scopes, Tenants};
use crate::limits::TOKEN_BYTES_MAX;
use crate::status::{Reason, Refusal, UNAUTHENTICATED_TEXT};
use crate::violation::Violation;

/// `--dev`: the tenants to be, with commas between; absent means all.
pub const DEV_TENANT: &str = "x-tandem-dev-tenant";

/// `--dev`: the scopes to have, with commas between; absent means all.
pub const DEV_SCOPES: &str = "x-tandem-dev-scopes";

/// Certificates whose names are remembered. A connection costs one; the server has at most some thousands.
const REMEMBERED_MAX: usize = 8_192;

/// The hexadecimal digest of a token, as the callers file holds it.
#[must_use]
pub fn digest(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everyone who may call. Cheap to clone; clones are reloaded together.
///
/// What is shown decides in this order: a bearer token, a client certificate, the metadata of `--dev`, being in the
/// same process. A token that nobody has is not made good by a certificate.
#[derive(Clone, Debug)]
pub struct Callers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: ArcSwap<Table>,
    /// Who a caller on loopback is that says nothing; `None` without `--dev`.
    dev: Option<Caller>,
    in_process: Option<Caller>,
    certificates: Certificates,
}

impl Callers {
    /// The callers of a table, and nobody else.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self::with(table, None, None)
    }

    fn with(table: Table, dev: Option<Caller>, in_process: Option<Caller>) -> Self {
        let table = ArcSwap::from_pointee(table);
        Self(Arc::new(Shared { table, dev, in_process, certificates: Certificates::default() }))
    }

    /// The same, believing the metadata of callers on loopback and in the process. For development: whoever reaches
    /// the port is whoever they say.
    #[must_use]
    pub fn dev(self) -> Self {
        let everyone = Caller::new("dev", Tenants::All, Scopes::all());
        Self::with(Table::clone(&self.0.table.load()), Some(everyone), self.0.in_process.clone())
    }

    /// The same, taking who calls through an in-memory pipe without a credential for `caller`: another part of this
    /// process.
    #[must_use]
    pub fn in_process(self, caller: Caller) -> Self {
        Self::with(Table::clone(&self.0.table.load()), self.0.dev.clone(), Some(caller))
    }

    /// Takes another table for everyone who asks from now on. Streams that are open stay open; the server closes
    /// each connection in time.
    pub fn replace(&self, table: Table) {
        self.0.table.store(Arc::new(table));
    }

    /// Reads the callers file again.
    ///
    /// # Errors
    /// What is wrong with it; then everything stays as it was.
    pub fn reload(&self, path: &Path) -> Result<(), Rejected> {
        self.replace(Table::read(&Source::read(path, Limits::POLICY)?)?);
        Ok(())
    }

    /// Reads the callers file again whenever it is saved, until the process drains. A file that cannot be used is
    /// logged, and the last good one stays.
    pub fn follow(&self, path: PathBuf, life: &Life) {
        let (this, drain) = (self.clone(), life.drain.clone());
        let mut changes = watchfile::watch(&life.tasks, [path.clone()], watchfile::Options::default());
        life.tasks.spawn("callers reload", async move {
            loop {
                tokio::select! {
                    () = drain.draining() => return,
                    changed = changes.next() => if changed.is_none() { return },
                }
                match this.reload(&path) {
                    Ok(()) => tracing::info!(file = %path.display(), "callers reloaded"),
                    Err(rejected) => tracing::error!("callers kept as they were: {rejected}"),
                }
            }
        });
    }

    /// Who calls.
    ///
    /// # Errors
    /// `CREDENTIAL_UNKNOWN`, always in the same words, for everyone whom we do not know.
    pub fn identify(&self, peer: &Peer, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let table = self.0.table.load();
        if headers.contains_key(AUTHORIZATION) {
            return bearer(headers)
                .and_then(|token| table.by_token(&Sha256::digest(token).into()).cloned())
                .ok_or_else(unknown);
        }
        if let Some(chain) = &peer.certificates {
            let names = self.0.certificates.names(chain);
            return table.by_names(&names).cloned().ok_or_else(unknown);
        }
        let here = peer.is_in_process();
        if let Some(everyone) = self.0.dev.as_ref().filter(|_| here || on_loopback(peer)) {
            let says = headers.contains_key(DEV_TENANT) || headers.contains_key(DEV_SCOPES);
            if says {
                return Ok(dev(headers)?);
            }
            if !here {
                return Ok(everyone.clone());
            }
        }
        let nobody = if here { self.0.in_process.as_ref().or(self.0.dev.as_ref()) } else { None };
        nobody.cloned().ok_or_else(unknown)
    }
}

fn unknown() -> Refusal {
    Refusal::new(Reason::CredentialUnknown, UNAUTHENTICATED_TEXT)
}

/// Both ends must be: a proxy on this machine that listens elsewhere is not what `--dev` means, and sees to it that
/// its own port is on loopback too.
fn on_loopback(peer: &Peer) -> bool {
    [peer.local, peer.remote]
        .into_iter()
        .all(|end| end.is_some_and(|end| end.ip().to_canonical().is_loopback()))
}

/// The token of RFC 6750 section 2.1, `Authorization: Bearer TOKEN`; none when there are several headers.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = all.next().filter(|_| all.next().is_none())?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    let fits = scheme.eq_ignore_ascii_case(b"Bearer ") && (1..=TOKEN_BYTES_MAX).contains(&token.len());
    fits.then_some(token)
}

/// Who metadata says calls.
fn dev(headers: &HeaderMap) -> Result<Caller, Violation> {
    let words = |header: &'static str| -> Result<Option<Vec<&str>>, Violation> {
        let Some(value) = headers.get(header) else { return Ok(None) };
        let text = value
            .to_str()
            .map_err(|_| Violation::new(header, "is no text", "write names with commas between"))?;
        Ok(Some(text.split(',').map(str::trim).collect()))
    };
    let tenants = match words(DEV_TENANT)? {
        None => Tenants::All,
        Some(names) => Tenants::These(
            names
                .into_iter()
                .map(TenantName::parse)
                .collect::<Result<_, _>>()
                .map_err(|error| Violation::new(DEV_TENANT, "names no tenant", error.to_string()))?,
        ),
    };
    let scopes = match words(DEV_SCOPES)? {
        None => Scopes::all(),
        Some(names) => names.into_iter().map(Scope::parse).collect::<Option<_>>().ok_or_else(|| {
            Violation::new(DEV_SCOPES, "has a word that is no scope", "such as routing.decide")
        })?,
    };
    Ok(Caller::new("dev", tenants, scopes))
}

type Chain = [rustls_pki_types::CertificateDer<'static>];

/// The names of the certificates of open connections: read once a connection, not once a call.
#[derive(Default)]
struct Certificates(RwLock<HashMap<usize, Remembered>>);

type Remembered = (Weak<Chain>, Arc<[San]>);

impl Certificates {
    fn names(&self, chain: &Arc<Chain>) -> Arc<[San]> {
        // The address is the connection's own as long as the Weak beside it lives, for that keeps the memory.
        let key = Arc::as_ptr(chain).addr();
        if let Some((_, names)) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return names.clone();
        }
        let names: Arc<[San]> = read_names(chain).into();
        let mut remembered = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_MAX {
            remembered.retain(|_, (chain, _)| chain.strong_count() > 0);
        }
        if remembered.len() < REMEMBERED_MAX {
            remembered.insert(key, (Arc::downgrade(chain), names.clone()));
        }
        names
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Certificates")
    }
}

/// The URIs and DNS names of a leaf certificate's subject alternative names (RFC 5280 section 4.2.1.6). The common
/// name counts for nothing.
fn read_names(chain: &Chain) -> Vec<San> {
    let parsed = chain.first().and_then(|leaf| X509Certificate::from_der(leaf).ok());
    let Some((_, leaf)) = parsed else { return Vec::new() };
    let Ok(Some(names)) = leaf.subject_alternative_name() else { return Vec::new() };
    let san = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => Some(San::Uri((*uri).to_owned())),
        GeneralName::DNSName(name) => Some(San::Dns(name.to_ascii_lowercase())),
        _ => None,
    };
    names.value.general_names.iter().filter_map(san).collect()
}
