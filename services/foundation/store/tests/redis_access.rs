//! Who may ask, and how: TLS, and a user who may do no more than the store needs.

#![allow(clippy::unwrap_used, reason = "a test")]

mod servers;

use std::path::Path;

use rcgen::{CertificateParams, Issuer, KeyPair};
use servers::Server;
use servers::rig::{LONG, committed, local, open, put, value};
use tandem_store::redis::{OpenError, Settings};
use tandem_store::{Backend, Followed, Follower};

/// Certificates of an authority, a server at 127.0.0.1 and a client, as files.
fn certificates(dir: &Path) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // By another name than what it signs: OpenSSL takes one that bears its issuer's name for signed by itself.
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    std::fs::write(dir.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(params, key);
    for name in ["server", "client"] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(dir.join(name).with_extension("pem"), params.signed_by(&key, &issuer).unwrap().pem())
            .unwrap();
        std::fs::write(dir.join(name).with_extension("key"), key.serialize_pem()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_with_certificates_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    certificates(dir.path());
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let port = servers::free_port();
    let (tls, ca, cert, key) = (port.to_string(), path("ca.pem"), path("server.pem"), path("server.key"));
    let args =
        ["--tls-port", &tls, "--tls-ca-cert-file", &ca, "--tls-cert-file", &cert, "--tls-key-file", &key];
    let _server = Server::start(&args);
    let url = |more: &str| format!("rediss://127.0.0.1:{port}?durability=single{more}");
    let parsed = |more: &str| Settings { write_within: LONG, ..Settings::parse(&url(more)).unwrap() };
    let (client, client_key) = (path("client.pem"), path("client.key"));
    let store = open(parsed(&format!("&ca={ca}&cert={client}&key={client_key}")));
    store.check().await.unwrap();
    committed(&store, local(vec![], vec![put("a", "1")])).await;
    // Hints come the same way.
    let mut hints = store.hints();
    let mut follower = Follower::new(std::sync::Arc::new(store.clone()));
    while follower.next().await.unwrap() != Followed::Synchronised {}
    let hinted = async {
        loop {
            committed(&store, local(vec![], vec![put("a", "2")])).await;
            if tokio::time::timeout(std::time::Duration::from_millis(100), hints.recv()).await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, hinted).await.unwrap();
    // Whoever shows no certificate, or believes no such server, is told so.
    for more in [format!("&ca={ca}"), String::new()] {
        let refused = open(parsed(&more)).check().await;
        assert!(matches!(&refused, Err(OpenError::Unreachable(_))), "{refused:?}");
    }
}

/// What the store's user needs, as the settings say it.
const NEEDS: [&str; 27] = [
    "reset",
    "on",
    ">hush",
    "~tandem:*",
    "&tandem:*",
    "+info",
    "+ping",
    "+client|id",
    "+client|kill",
    "+script|load",
    "+evalsha",
    "+eval",
    "+wait",
    "+time",
    "+get",
    "+set",
    "+unlink",
    "+@hash",
    "+@sortedset",
    "+@list",
    "+@stream",
    "+spublish",
    "+ssubscribe",
    "+sunsubscribe",
    "+hello",
    "+auth",
    "+select",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_of_its_own_needs_no_more_than_is_said() {
    let server = Server::start(&["--appendonly", "no"]);
    let set = |user: &str, rules: &[&str]| server.cli(&[&["ACL", "SETUSER", user], rules].concat());
    assert_eq!(set("cell", &NEEDS), "OK");
    let settings = |user: &str, password: &str| {
        let url = format!("redis://{user}:{password}@127.0.0.1:{}?durability=single", server.port);
        Settings { write_within: LONG, ..Settings::parse(&url).unwrap() }
    };
    let store = open(settings("cell", "hush"));
    store.check().await.unwrap();
    committed(&store, local(vec![], vec![put("a", "1")])).await;
    assert_eq!(value(&store, "a").await.as_deref(), Some("1"));
    let mut follower = Follower::new(std::sync::Arc::new(store.clone()));
    while follower.next().await.unwrap() != Followed::Synchronised {}
    for shard in tandem_store::Shard::all() {
        store.sweep(shard).await.unwrap();
    }
    let told = |user: &str, password: &str| {
        let settings = settings(user, password);
        async move {
            match open(settings).check().await {
                Err(OpenError::Unreachable(why)) => why,
                other => panic!("{other:?}"),
            }
        }
    };
    let wrong = told("cell", "loud").await;
    assert!(wrong.contains("WRONGPASS") || wrong.contains("uthentication"), "{wrong}");
    assert!(!wrong.contains("loud"), "{wrong}");
    set("poor", &NEEDS);
    set("poor", &["-client|kill"]);
    let poor = told("poor", "hush").await;
    assert!(poor.contains("+client|kill"), "{poor}");
}
