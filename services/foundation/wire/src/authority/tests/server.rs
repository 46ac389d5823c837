//! The gate before a real server: who comes through, as whom, and what the others hear.

use std::net::SocketAddr;
use std::path::Path;

use crate::attempt::Attempt;
use crate::authority::Gate;
use crate::caller::{Caller, Callers, DEV_TENANT, Table, digest};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::routing_client::RoutingClient;
use tandem_proto::routing::v1::routing_server::{Routing, RoutingServer};
use tandem_runtime::clock::Chance;
use tandem_runtime::document::{Limits, Source};
use tandem_runtime::drain::Life;
use tandem_runtime::listen::Bind;
use tandem_runtime::serve::{ClientCertificates, Server, Tls, TlsFiles, pipe};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Response, Status, Streaming};

type Answers = tokio_stream::Empty<Result<pb::RouteCallsResponse, Status>>;

/// A cell with these tenants.
struct Cell(&'static [&'static str]);

#[tonic::async_trait]
impl Routing for Cell {
    async fn route_call(
        &self,
        request: Request<pb::RouteCallRequest>,
    ) -> Result<Response<pb::Decision>, Status> {
        let caller = Caller::of(&request)?;
        let request = request.into_inner();
        let there = |name: &str| self.0.contains(&name).then_some(());
        caller.tenant("parent", &request.parent, there)?;
        Attempt::read(request.attempt.as_ref())?;
        Ok(Response::new(pb::Decision { name: caller.subject().into(), ..Default::default() }))
    }

    type RouteCallsStream = Answers;

    async fn route_calls(
        &self,
        _: Request<Streaming<pb::RouteCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn explain_call(
        &self,
        _: Request<pb::ExplainCallRequest>,
    ) -> Result<Response<pb::Explanation>, Status> {
        Ok(Response::new(pb::Explanation::default()))
    }

    async fn list_decisions(
        &self,
        _: Request<pb::ListDecisionsRequest>,
    ) -> Result<Response<pb::ListDecisionsResponse>, Status> {
        Ok(Response::new(pb::ListDecisionsResponse::default()))
    }
}

fn callers() -> Callers {
    let text = format!(
        "apiVersion: tandem.dev/v1
kind: Callers
callers:
  - subject: acme-connector
    tenants: [acme]
    scopes: [routing.decide]
    uris: ['spiffe://cell.example/acme']
    tokenDigests: [{}]
",
        digest("open sesame")
    );
    Callers::new(Table::read(&Source::new("callers.yaml", text, Limits::POLICY).unwrap()).unwrap())
}

fn server(tenants: &'static [&'static str], callers: Callers, life: &Life) -> Server {
    let gate = Gate::new(callers);
    Server::new("grpc", life.clone(), Chance::seeded(1))
        .descriptors(tandem_proto::DESCRIPTORS)
        .service(RoutingServer::new(Cell(tenants)))
        .gate(move |method, headers, extensions| gate.check(method, headers, extensions))
}

fn call(tenant: &str) -> Request<pb::RouteCallRequest> {
    let attempt = pb::CallAttempt {
        ingress: Some(pb::call_attempt::Ingress::Trunk("gateway".into())),
        called: "+4930123456".into(),
        ..Default::default()
    };
    let parent = format!("tenants/{tenant}");
    Request::new(pb::RouteCallRequest { parent, attempt: Some(attempt), ..Default::default() })
}

fn with(
    mut request: Request<pb::RouteCallRequest>,
    key: &'static str,
    value: &str,
) -> Request<pb::RouteCallRequest> {
    request.metadata_mut().insert(key, value.parse().unwrap());
    request
}

/// All that a client hears of a refusal, but the id of its request.
fn heard(status: &Status) -> (Code, String, Vec<u8>, Vec<String>) {
    let mut metadata = status.metadata().clone();
    metadata.remove("x-request-id");
    metadata.remove("date");
    let mut keys: Vec<String> = metadata.keys().map(|key| format!("{key:?}")).collect();
    keys.sort();
    (status.code(), status.message().to_owned(), status.details().to_vec(), keys)
}

fn with_token(request: Request<pb::RouteCallRequest>) -> Request<pb::RouteCallRequest> {
    with(request, "authorization", "Bearer open sesame")
}

/// A client of a cell with these tenants.
fn client(tenants: &'static [&'static str], life: &Life) -> RoutingClient<Channel> {
    let (channel, listener) = pipe();
    server(tenants, callers(), life).pipe(listener).start().unwrap();
    RoutingClient::new(channel)
}

#[tokio::test]
async fn a_token_opens_its_own_tenant() {
    let life = Life::new();
    let mut client = client(&["acme"], &life);
    let decision = client.route_call(with_token(call("acme"))).await.unwrap().into_inner();
    assert_eq!(decision.name, "acme-connector");
    let mut explain = Request::new(pb::ExplainCallRequest::default());
    explain.metadata_mut().insert("authorization", "Bearer open sesame".parse().unwrap());
    assert_eq!(client.explain_call(explain).await.unwrap_err().code(), Code::PermissionDenied);
    life.shutdown.leave();
}

#[tokio::test]
async fn whether_another_tenant_exists_changes_no_byte_of_the_answer() {
    let life = Life::new();
    let mut answers = Vec::new();
    for tenants in [&["acme", "globex"][..], &["acme"]] {
        let mut client = client(tenants, &life);
        answers.push(heard(&client.route_call(with_token(call("globex"))).await.unwrap_err()));
    }
    assert_eq!(answers[0].0, Code::NotFound);
    assert_eq!(answers[0], answers[1]);
    life.shutdown.leave();
}

#[tokio::test]
async fn a_wrong_token_and_none_hear_the_same() {
    let life = Life::new();
    let mut client = client(&["acme"], &life);
    let wrong = client.route_call(with(call("acme"), "authorization", "Bearer wrong")).await.unwrap_err();
    let none = client.route_call(call("acme")).await.unwrap_err();
    assert_eq!(wrong.code(), Code::Unauthenticated);
    assert_eq!(heard(&wrong), heard(&none));
    life.shutdown.leave();
}

#[tokio::test]
async fn dev_is_believed_on_loopback() {
    let life = Life::new();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = Bind::new(any, "--grpc").tcp().unwrap();
    let port = listener.local_addr().unwrap().port();
    server(&["acme", "globex"], callers().dev(), &life).tcp(listener, None).start().unwrap();
    let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap();
    let mut client = RoutingClient::new(channel);
    assert!(client.route_call(call("globex")).await.is_ok());
    assert!(client.route_call(with(call("globex"), DEV_TENANT, "globex")).await.is_ok());
    let foreign = client.route_call(with(call("globex"), DEV_TENANT, "acme")).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    life.shutdown.leave();
}

/// A certificate of `ca` with this name, and its key.
fn issue(ca: &CertifiedIssuer<'static, KeyPair>, name: SanType) -> (String, String) {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![name];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, ca).unwrap().pem(), key.serialize_pem())
}

fn tls(dir: &Path, ca: &CertifiedIssuer<'static, KeyPair>) -> Tls {
    let (certificate, key) = issue(ca, SanType::DnsName("localhost".try_into().unwrap()));
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    Tls::load(TlsFiles {
        certificate: file("tls.crt", &certificate),
        key: file("tls.key", &key),
        clients: ClientCertificates::Optional { ca: file("ca.crt", &ca.pem()) },
    })
    .unwrap()
}

#[tokio::test]
async fn a_client_certificate_is_known_by_its_uri() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let life = Life::new();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let listener = Bind::new(any, "--grpc").tcp().unwrap();
    let port = listener.local_addr().unwrap().port();
    server(&["acme"], callers(), &life).tcp(listener, Some(tls(dir.path(), &ca))).start().unwrap();

    let uri = |uri: &str| Some(issue(&ca, SanType::URI(uri.try_into().unwrap())));
    for (identity, code) in [
        (uri("spiffe://cell.example/acme"), None),
        (uri("spiffe://cell.example/other"), Some(Code::Unauthenticated)),
        (None, Some(Code::Unauthenticated)),
    ] {
        let trusted = Certificate::from_pem(ca.pem());
        let mut config = ClientTlsConfig::new().ca_certificate(trusted).domain_name("localhost");
        if let Some((certificate, key)) = identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        let endpoint = Channel::from_shared(format!("https://127.0.0.1:{port}")).unwrap();
        let channel = endpoint.tls_config(config).unwrap().connect().await.unwrap();
        let answer = RoutingClient::new(channel).route_call(call("acme")).await;
        assert_eq!(answer.err().map(|status| status.code()), code);
    }
    life.shutdown.leave();
}
