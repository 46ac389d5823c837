use std::path::Path;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use super::super::{ClientCertificates, Tls, TlsError, TlsFiles};
use super::any;
use super::probe::{ProbeClient, server};
use crate::drain::Life;
use crate::listen::Bind;

/// A CA of the test's own.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Certificate and key, PEM.
    fn issue(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, dir: &Path) {
        let (certificate, key) = self.issue();
        // Both appear at once, as a mounted Secret's do.
        std::fs::write(dir.join("new.key"), key).unwrap();
        std::fs::write(dir.join("tls.crt"), certificate).unwrap();
        std::fs::rename(dir.join("new.key"), dir.join("tls.key")).unwrap();
    }
}

fn files(dir: &TempDir, clients: ClientCertificates) -> TlsFiles {
    TlsFiles { certificate: dir.path().join("tls.crt"), key: dir.path().join("tls.key"), clients }
}

fn start(tls: Tls) -> (u16, Life) {
    let life = Life::new();
    let listener = Bind::new(any(), "--grpc").tcp().unwrap();
    let port = listener.local_addr().unwrap().port();
    server(&life).tcp(listener, Some(tls)).start().unwrap();
    (port, life)
}

/// Calls the probe and says how many certificates it saw of us; `None` if TLS failed.
async fn call(port: u16, trusted: &Ca, identity: Option<(String, String)>) -> Option<String> {
    let mut config = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(trusted.0.pem()))
        .domain_name("localhost");
    if let Some((certificate, key)) = identity {
        config = config.identity(Identity::from_pem(certificate, key));
    }
    let endpoint = Channel::from_shared(format!("https://127.0.0.1:{port}")).unwrap();
    let channel = endpoint.tls_config(config).unwrap().connect().await.ok()?;
    let answer = ProbeClient::new(channel).check("certificates", &[]).await.ok()?;
    Some(answer.metadata().get("certificates").unwrap().to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_broken_one_is_not() {
    let (old, new) = (Ca::new(), Ca::new());
    let dir = tempfile::tempdir().unwrap();
    old.write(dir.path());
    let tls = Tls::load(files(&dir, ClientCertificates::None)).unwrap();
    let (port, _life) = start(tls.clone());
    assert_eq!(call(port, &old, None).await.as_deref(), Some("0"));
    assert_eq!(call(port, &new, None).await, None);

    std::fs::write(dir.path().join("tls.crt"), "half a certif").unwrap();
    assert!(matches!(tls.reload().unwrap_err(), TlsError::File { what: "certificate", .. }));
    assert_eq!(call(port, &old, None).await.as_deref(), Some("0"));

    new.write(dir.path());
    let renewed = async {
        while call(port, &new, None).await.is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("the files are watched");
}

#[tokio::test]
async fn clients_show_certificates_as_asked() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    let dir = tempfile::tempdir().unwrap();
    ca.write(dir.path());
    let root = dir.path().join("ca.crt");
    std::fs::write(&root, ca.0.pem()).unwrap();
    let table = [
        (ClientCertificates::None, true, Some("0"), Some("0")),
        (ClientCertificates::Optional { ca: root.clone() }, true, Some("1"), Some("0")),
        (ClientCertificates::Required { ca: root }, false, Some("1"), None),
    ];
    for (clients, stranger_passes, with, without) in table {
        let (port, _life) = start(Tls::load(files(&dir, clients.clone())).unwrap());
        assert_eq!(call(port, &ca, Some(ca.issue())).await.as_deref(), with, "{clients:?}");
        assert_eq!(call(port, &ca, None).await.as_deref(), without, "{clients:?}");
        // A client keeps a certificate of an unknown CA to itself or is refused; it never passes for a known one.
        let passed = call(port, &ca, Some(stranger.issue())).await;
        assert!(
            passed.is_none() || (stranger_passes && passed.as_deref() == Some("0")),
            "{clients:?}: {passed:?}"
        );
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let check = |clients, expected: &str| {
        let error = anyhow::Error::from(Tls::load(files(&dir, clients)).unwrap_err());
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    };
    check(ClientCertificates::None, "tls.crt: no certificate in PEM form could be read");
    ca.write(dir.path());
    check(ClientCertificates::Required { ca: dir.path().join("ca.crt") }, "ca.crt: no certificate");
    std::fs::write(dir.path().join("tls.key"), ca.issue().1).unwrap();
    check(ClientCertificates::None, "cannot be used together");
    std::fs::write(dir.path().join("tls.key"), "").unwrap();
    check(ClientCertificates::None, "tls.key: no private key in PEM form could be read");
}
