//! TLS from files, loaded again when they change.
//!
//! A certificate lives for weeks and a process for months, so the files are watched: a new connection gets the
//! newest set that could be loaded; open connections keep theirs. A set that cannot be loaded (half written, key
//! and certificate that do not belong together) is logged and the one before it stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::drain::Life;
use crate::watchfile;

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
    /// Whether clients show certificates.
    pub clients: ClientCertificates,
}

/// Whether clients show certificates, and who vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    None,
    /// One is verified if it is shown; callers without one come by token.
    Optional {
        /// The CA certificates, PEM.
        ca: PathBuf,
    },
    /// No connection without one.
    Required {
        /// The CA certificates, PEM.
        ca: PathBuf,
    },
}

/// A TLS identity in use. Cheap to clone; clones are reloaded together.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    current: Arc<ArcSwap<ServerConfig>>,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    ///
    /// See [`TlsError`]. Nothing of a key is ever in the message.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let config = load(&files)?;
        Ok(Self { files: Arc::new(files), current: Arc::new(ArcSwap::from_pointee(config)) })
    }

    /// Loads the files again; connections from now on get what they hold.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); then everything stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.current.store(Arc::new(load(&self.files)?));
        Ok(())
    }

    /// Reloads on every change of the files, until the process drains.
    pub(super) fn follow(&self, life: &Life) {
        let this = self.clone();
        let drain = life.drain.clone();
        let mut changes = watchfile::watch(&life.tasks, self.files.paths(), watchfile::Options::default());
        life.tasks.spawn("tls reload", async move {
            loop {
                tokio::select! {
                    () = drain.draining() => return,
                    changed = changes.next() => if changed.is_none() { return },
                }
                match this.reload() {
                    Ok(()) => {
                        tracing::info!(file = %this.files.certificate.display(), "certificate reloaded")
                    }
                    Err(error) => {
                        let error = anyhow::Error::from(error);
                        tracing::error!(
                            error = format!("{error:#}"),
                            "certificate kept: the new one cannot be used"
                        );
                    }
                }
            }
        });
    }

    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.current.load_full()).accept(stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

impl TlsFiles {
    fn paths(&self) -> Vec<PathBuf> {
        let mut paths = vec![self.certificate.clone(), self.key.clone()];
        if let ClientCertificates::Optional { ca } | ClientCertificates::Required { ca } = &self.clients {
            paths.push(ca.clone());
        }
        paths
    }
}

/// Why a TLS identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or is not what it should be.
    #[error("{}: no {what} in PEM form could be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What the reader says.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// Files that do not fit together, or that TLS cannot use.
    #[error("{} and {} cannot be used together", certificate.display(), key.display())]
    Identity {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls says.
        #[source]
        source: rustls::Error,
    },
    /// A client CA that cannot be used.
    #[error("{}: cannot be used to verify clients: {reason}", path.display())]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// What rustls says.
        reason: String,
    },
}

fn load(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::File {
        path: files.key.clone(),
        what: "private key",
        source,
    })?;
    let identity = |source| TlsError::Identity {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    // Named, not installed for the process: global set-up would be seen by every other user of rustls.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(identity)?;
    let builder = match &files.clients {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Optional { ca } | ClientCertificates::Required { ca } => {
            let roots = Arc::new(roots(ca)?);
            let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            if matches!(files.clients, ClientCertificates::Optional { .. }) {
                verifier = verifier.allow_unauthenticated();
            }
            let built = verifier.build();
            builder.with_client_cert_verifier(built.map_err(|error| client_ca(ca, &error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(identity)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let error = |source| TlsError::File { path: path.to_owned(), what: "certificate", source };
    let chain =
        CertificateDer::pem_file_iter(path).map_err(error)?.collect::<Result<Vec<_>, _>>().map_err(error)?;
    if chain.is_empty() {
        return Err(error(rustls_pki_types::pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| client_ca(path, &error))?;
    }
    Ok(roots)
}

fn client_ca(path: &Path, error: &dyn std::fmt::Display) -> TlsError {
    TlsError::ClientCa { path: path.to_owned(), reason: error.to_string() }
}
