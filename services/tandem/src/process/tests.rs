//! The API as it is put together: what every method asks of its caller, and what everyone who is refused hears.

mod raw;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tandem_proto::routing::v1 as routing;
use tandem_proto::station::v1 as station;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_wire::authority::{Access, RULES};
use tandem_wire::caller::{Scope, digest};
use tandem_wire::status::{DOMAIN, Reason};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::{ErrorDetail, StatusExt as _};

use super::{GrpcOptions, Options, Running, up};
use crate::serve::MetricsAt;

/// May do everything with brandt, and sees no other.
const ALL: &str = "all";
const SOON: Duration = Duration::from_secs(30);

struct House {
    life: Life,
    running: Running,
    channel: Channel,
    _dir: TempDir,
}

/// Everyone who calls here: one with all scopes, and for each scope one who lacks it.
fn callers() -> String {
    let mut text = "apiVersion: tandem.dev/v1\nkind: Callers\ncallers:\n".to_owned();
    let mut add = |subject: &str, scopes: Vec<&str>| {
        let (scopes, token) = (scopes.join(", "), digest(subject));
        writeln!(
            text,
            "  - {{subject: {subject}, tenants: [brandt], scopes: [{scopes}], tokenDigests: [\"{token}\"]}}"
        )
        .unwrap();
    };
    let scopes = || Scope::ALL.iter().map(|s| s.name());
    add(ALL, scopes().collect());
    for lacking in scopes() {
        add(&without(lacking), scopes().filter(|s| *s != lacking).collect());
    }
    text
}

fn without(scope: &str) -> String {
    format!("without-{}", scope.replace('.', "-"))
}

/// Brandt and albion, which nobody who calls here may see.
async fn house(reflection: bool) -> House {
    let dir = TempDir::new().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tenants");
    let tenants = dir.path().join("tenants");
    fs::create_dir(&tenants).unwrap();
    for file in ["brandt.yaml", "albion.yaml"] {
        fs::copy(examples.join(file), tenants.join(file)).unwrap();
    }
    let callers_file = dir.path().join("callers.yaml");
    fs::write(&callers_file, callers()).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    let grpc = GrpcOptions {
        address,
        tls: None,
        callers: Some(callers_file),
        dev: false,
        reflection,
        metrics: MetricsAt::default(),
    };
    let options = Options { grpc: Some(grpc), ..Options::new(tenants) };
    let life = Life::new();
    let running = up(options, &life, Clock::machine(), Chance::seeded(1)).await.unwrap();
    let url = format!("http://{}", running.grpc.unwrap());
    let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
    House { life, running, channel, _dir: dir }
}

impl House {
    /// Sends messages to a method, and answers how it ended; none: well, or not at all within a second.
    async fn ended(&self, path: &str, token: Option<&str>, messages: Vec<Vec<u8>>) -> Option<Status> {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&'static str, &str)> =
            bearer.iter().map(|bearer| ("authorization", bearer.as_str())).collect();
        self.asked(path, &headers, messages).await
    }

    async fn asked(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        messages: Vec<Vec<u8>>,
    ) -> Option<Status> {
        let call = raw::call(&self.channel, path, headers, messages);
        tokio::time::timeout(Duration::from_secs(1), call).await.ok().and_then(Result::err)
    }

    /// How a call that must be refused was.
    async fn refused(&self, path: &str, token: Option<&str>, message: &impl prost::Message) -> Status {
        let ended = self.ended(path, token, vec![message.encode_to_vec()]).await;
        ended.unwrap_or_else(|| panic!("{path} was not refused"))
    }

    async fn health(&self, service: &str) -> i32 {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(self.channel.clone()).check(request).await;
        answer.map_or(-1, |answer| answer.into_inner().status)
    }

    /// The descriptors of every service that the server says it serves.
    async fn reflected(&self) -> Result<Vec<FileDescriptorProto>, Status> {
        use tonic_reflection::pb::v1::ServerReflectionRequest;
        use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
        use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
        use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
        let mut client = ServerReflectionClient::new(self.channel.clone());
        let mut ask = async |message| {
            let request = ServerReflectionRequest { message_request: Some(message), ..Default::default() };
            let mut answers =
                client.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
            Ok::<_, Status>(answers.message().await?.unwrap().message_response.unwrap())
        };
        let MessageResponse::ListServicesResponse(list) =
            ask(MessageRequest::ListServices(String::new())).await?
        else {
            panic!("no list of services")
        };
        let mut files = Vec::new();
        for service in list.service {
            let MessageResponse::FileDescriptorResponse(found) =
                ask(MessageRequest::FileContainingSymbol(service.name.clone())).await?
            else {
                panic!("{} is listed and not described", service.name)
            };
            let found = found.file_descriptor_proto.iter();
            files.extend(found.map(|file| FileDescriptorProto::decode(&**file).unwrap()));
        }
        Ok(files)
    }
}

fn methods(files: &[FileDescriptorProto]) -> BTreeSet<String> {
    let of = |file: &FileDescriptorProto| -> Vec<String> {
        let package = file.package();
        let path = |service: &str, method: &str| format!("/{package}.{service}/{method}");
        let services = file.service.iter();
        services.flat_map(|s| s.method.iter().map(move |m| path(s.name(), m.name()))).collect()
    };
    files.iter().flat_map(of).collect()
}

/// Why, once the form is found to be that of every refusal of ours.
fn reason(status: &Status) -> &'static str {
    let details = status.get_error_details_vec();
    let infos: Vec<_> = details
        .iter()
        .filter_map(|detail| match detail {
            ErrorDetail::ErrorInfo(info) => Some(info),
            _ => None,
        })
        .collect();
    let [info] = infos[..] else { panic!("not one ErrorInfo: {status:?}") };
    assert_eq!(info.domain, DOMAIN, "{status:?}");
    let reason = Reason::ALL.iter().find(|reason| reason.name() == info.reason);
    let reason = reason.unwrap_or_else(|| panic!("a reason that is not in the list: {status:?}"));
    assert_eq!(status.code(), reason.code(), "{status:?}");
    reason.name()
}

#[tokio::test]
async fn each_method_that_is_served_asks_for_its_caller_and_its_scope() {
    let house = house(true).await;
    let served = methods(&house.reflected().await.unwrap());
    let ruled = RULES.iter().filter(|rule| rule.access != Access::Simulator);
    assert_eq!(served, ruled.map(|rule| rule.method.to_owned()).collect());
    for rule in RULES {
        let Access::Scope(scope) = rule.access else { continue };
        for token in [None, Some("nobody")] {
            let refused = house.ended(rule.method, token, vec![vec![]]).await.unwrap();
            assert_eq!(reason(&refused), "CREDENTIAL_UNKNOWN", "{}", rule.method);
        }
        let lacking = without(scope.name());
        let refused = house.ended(rule.method, Some(&lacking), vec![vec![]]).await.unwrap();
        assert_eq!(reason(&refused), "SCOPE_MISSING", "{}", rule.method);
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["scope"], scope.name());
        // Who has the scope comes to the handler, whatever that says of an empty message.
        let heard = house.ended(rule.method, Some(ALL), vec![vec![]]).await.map(|status| reason(&status));
        assert!(!matches!(heard, Some("CREDENTIAL_UNKNOWN" | "SCOPE_MISSING")), "{}", rule.method);
    }
    house.life.shutdown.leave();
}

#[tokio::test]
async fn what_is_not_served_is_not_told_of_and_nothing_is_when_it_is_not_wanted() {
    let house_one = house(true).await;
    let services: BTreeSet<String> = methods(&house_one.reflected().await.unwrap())
        .into_iter()
        .filter_map(|method| method.split('/').nth(1).map(str::to_owned))
        .collect();
    let ours: Vec<&str> = services.iter().map(String::as_str).filter(|s| s.starts_with("tandem.")).collect();
    assert_eq!(
        ours,
        ["tandem.routing.v1.EdgeFeed", "tandem.routing.v1.Routing", "tandem.station.v1.Directory"]
    );
    house_one.life.shutdown.leave();
    let silent = house(false).await;
    let refused = silent.reflected().await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    silent.life.shutdown.leave();
}

/// A request of each method about a tenant, complete but for the tenant.
fn about(method: &str, tenant: &str) -> Vec<u8> {
    use routing::follow_request::{Hello, Message};
    use station::import_directory_request::{Header, Item, Mode};
    let parent = format!("tenants/{tenant}");
    let attempt = Some(routing::CallAttempt {
        ingress: Some(routing::call_attempt::Ingress::Trunk("gateway".into())),
        called: "+4930123456".into(),
        ..Default::default()
    });
    match method.rsplit('/').next().unwrap() {
        "RouteCall" | "RouteCalls" => {
            routing::RouteCallRequest { parent, attempt, ..Default::default() }.encode_to_vec()
        }
        "ExplainCall" => {
            routing::ExplainCallRequest { parent, attempt, ..Default::default() }.encode_to_vec()
        }
        "ListDecisions" => routing::ListDecisionsRequest { parent, ..Default::default() }.encode_to_vec(),
        "Follow" => {
            let hello = Hello { edge: "edge-1".into(), tenants: vec![tenant.into()], ..Default::default() };
            routing::FollowRequest { message: Some(Message::Hello(hello)) }.encode_to_vec()
        }
        "GetUser" => {
            let name = format!("{parent}/users/jane");
            station::GetUserRequest { name, ..Default::default() }.encode_to_vec()
        }
        "ListUsers" => station::ListUsersRequest { parent, ..Default::default() }.encode_to_vec(),
        "WatchUsers" => station::WatchUsersRequest { parent, ..Default::default() }.encode_to_vec(),
        "ResolveUser" => {
            let key = Some(station::resolve_user_request::Key::CicUserId("jane".into()));
            station::ResolveUserRequest { parent, key, ..Default::default() }.encode_to_vec()
        }
        "ImportDirectory" => {
            let header = Header { parent, mode: Mode::Merge.into(), ..Default::default() };
            station::ImportDirectoryRequest { item: Some(Item::Header(header)) }.encode_to_vec()
        }
        other => panic!("{other} is about a tenant, and this test has no request for it"),
    }
}

/// All that a caller hears of a refusal, the name that it asked for made the same, but the id of its request and when.
async fn heard(house: &House, method: &str, tenant: &str) -> (Code, Vec<u8>, Vec<u8>, Vec<(String, String)>) {
    let bearer = format!("Bearer {ALL}");
    let headers = [("authorization", bearer.as_str())];
    let call = raw::call(&house.channel, method, &headers, vec![about(method, tenant)]);
    let same = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for at in 0..(bytes.len() + 1).saturating_sub(tenant.len()) {
            if bytes[at..].starts_with(tenant.as_bytes()) {
                bytes[at..at + tenant.len()].fill(b'*');
            }
        }
        bytes
    };
    let status = match tokio::time::timeout(SOON, call).await.expect("in time") {
        Err(status) => status,
        // A stream that goes on: its answer holds the refusal.
        Ok(answers) => return (Code::Ok, same(&answers.concat()), Vec::new(), Vec::new()),
    };
    assert_eq!(reason(&status), "RESOURCE_NOT_FOUND", "{method}");
    let mut metadata: Vec<(String, String)> = status
        .metadata()
        .clone()
        .into_headers()
        .iter()
        .filter(|(key, _)| !["x-request-id", "date"].contains(&key.as_str()))
        .map(|(key, value)| (key.to_string(), format!("{value:?}")))
        .collect();
    metadata.sort();
    (status.code(), same(status.message().as_bytes()), same(status.details()), metadata)
}

#[tokio::test]
async fn a_foreign_tenant_is_refused_as_one_that_does_not_exist_by_every_method() {
    let house = house(true).await;
    assert!(house.running.cell.view().load().view.tenant("albion").is_some());
    for rule in RULES.iter().filter(|rule| rule.tenant.is_some()) {
        // Names of one length, so that nothing else differs.
        let foreign = heard(&house, rule.method, "albion").await;
        let none = heard(&house, rule.method, "nobody").await;
        assert_eq!(foreign, none, "{}", rule.method);
        let said = String::from_utf8_lossy(&foreign.1).into_owned();
        assert!(said.contains("tenants/******"), "{}: {said}", rule.method);
    }
    house.life.shutdown.leave();
}

#[tokio::test]
async fn every_refusal_has_a_reason_out_of_the_list() {
    let house = house(true).await;
    const ROUTE: &str = "/tandem.routing.v1.Routing/RouteCall";
    const STREAM: &str = "/tandem.routing.v1.Routing/RouteCalls";
    const EXPLAIN: &str = "/tandem.routing.v1.Routing/ExplainCall";
    const IMPORT: &str = "/tandem.station.v1.Directory/ImportDirectory";
    let large = || vec![0x0a; 5 * 1024 * 1024];
    let broken = || vec![0xff, 0xff, 0xff];
    for (path, messages, expected) in [
        (ROUTE, vec![large()], "MESSAGE_TOO_LARGE"),
        (STREAM, vec![large()], "MESSAGE_TOO_LARGE"),
        (STREAM, vec![about(STREAM, "brandt"), large()], "MESSAGE_TOO_LARGE"),
        (EXPLAIN, vec![large()], "MESSAGE_TOO_LARGE"),
        (IMPORT, vec![large()], "MESSAGE_TOO_LARGE"),
        (IMPORT, vec![about(IMPORT, "brandt"), large()], "MESSAGE_TOO_LARGE"),
        (ROUTE, vec![broken()], "MESSAGE_MALFORMED"),
        (STREAM, vec![broken()], "MESSAGE_MALFORMED"),
        (EXPLAIN, vec![broken()], "MESSAGE_MALFORMED"),
        (IMPORT, vec![about(IMPORT, "brandt"), broken()], "MESSAGE_MALFORMED"),
        (ROUTE, vec![], "MESSAGE_MALFORMED"),
        (EXPLAIN, vec![vec![]], "FIELD_INVALID"),
        (IMPORT, vec![], "FIELD_INVALID"),
        ("/tandem.sim.v1.Simulator/Reset", vec![vec![]], "METHOD_UNKNOWN"),
        ("/tandem.routing.v1.Routing/Nothing", vec![vec![]], "METHOD_UNKNOWN"),
        ("/nothing.at.all.V1/Nothing", vec![vec![]], "METHOD_UNKNOWN"),
    ] {
        let sizes: Vec<usize> = messages.iter().map(Vec::len).collect();
        let refused = house.ended(path, Some(ALL), messages).await;
        let refused = refused.unwrap_or_else(|| panic!("{path} was not refused: {sizes:?}"));
        assert_eq!(reason(&refused), expected, "{path} {sizes:?}: {refused:?}");
    }
    let unknown = HealthCheckRequest { service: "tandem.nothing".into() };
    let refused = house.refused("/grpc.health.v1.Health/Check", None, &unknown).await;
    assert_eq!(reason(&refused), "RESOURCE_NOT_FOUND");
    let late = routing::ExplainCallRequest { min_revision: 1 << 52, ..ask_explain() };
    let bearer = format!("Bearer {ALL}");
    for (timeout, expected) in
        // A tenth of the deadline is kept for the answer, which must be more than a busy machine takes for it.
        [("soon", "DEADLINE_MALFORMED"), ("1m", "DEADLINE_TOO_SHORT"), ("4S", "REVISION_NOT_REACHED")]
    {
        let headers = [("authorization", bearer.as_str()), ("grpc-timeout", timeout)];
        let answered = raw::call(&house.channel, EXPLAIN, &headers, vec![late.encode_to_vec()]).await;
        assert_eq!(reason(&answered.unwrap_err()), expected, "{timeout}");
    }
    // A stream that does not end in its time.
    let headers = [("authorization", bearer.as_str()), ("grpc-timeout", "100m")];
    let watch = about("/WatchUsers", "brandt");
    // The client keeps the deadline, too, and on a busy machine is at times the first to say so, without a reason.
    let mut refused = None;
    for _ in 0..50 {
        let path = "/tandem.station.v1.Directory/WatchUsers";
        refused = house.asked(path, &headers, vec![watch.clone()]).await;
        if refused.as_ref().is_some_and(|status| !status.details().is_empty()) {
            break;
        }
    }
    assert_eq!(reason(&refused.unwrap()), "DEADLINE_EXCEEDED");
    let headers = [("authorization", bearer.as_str()), ("grpc-encoding", "zstd")];
    let squeezed = raw::compressed(&house.channel, EXPLAIN, &headers).await.unwrap_err();
    assert_eq!(reason(&squeezed), "ENCODING_UNKNOWN", "{squeezed:?}");
    house.life.shutdown.leave();
}

fn ask_explain() -> routing::ExplainCallRequest {
    routing::ExplainCallRequest::decode(&*about("/ExplainCall", "brandt")).unwrap()
}

#[tokio::test]
async fn a_store_that_cannot_be_read_shows_in_its_own_health_and_in_nothing_else() {
    let house = house(true).await;
    let (serving, not_serving) = (ServingStatus::Serving as i32, ServingStatus::NotServing as i32);
    let until = async |service: &'static str, status: i32| {
        let waiting = async {
            while house.health(service).await != status {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let seen = tokio::time::timeout(SOON, waiting).await;
        seen.unwrap_or_else(|_| panic!("the health of {service:?} is not {status}"));
    };
    until("tandem.store", serving).await;
    house.running.cell.store().close().await.unwrap();
    until("tandem.store", not_serving).await;
    for ready in
        ["", "tandem.routing.v1.Routing", "tandem.routing.v1.EdgeFeed", "tandem.station.v1.Directory"]
    {
        assert_eq!(house.health(ready).await, serving, "{ready:?}");
    }
    // It answers from what it knows.
    let explained =
        house.ended("/tandem.routing.v1.Routing/ExplainCall", Some(ALL), vec![ask_explain().encode_to_vec()]);
    assert!(explained.await.is_none());
    house.life.shutdown.advance(Phase::Leaving);
    until("", not_serving).await;
    house.life.shutdown.leave();
}

#[test]
fn the_descriptors_name_what_the_table_rules() {
    let set = FileDescriptorSet::decode(tandem_proto::DESCRIPTORS).unwrap();
    let ours = RULES.iter().map(|rule| rule.method).filter(|method| method.starts_with("/tandem."));
    assert_eq!(methods(&set.file), ours.map(str::to_owned).collect());
}
