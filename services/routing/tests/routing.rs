//! Routing through the wire: a real store, the real gate, the generated client over an in-memory pipe.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use tandem_cell::{Cell, Settings};
use tandem_domain::document::directory::{DirectoryDocument, NumberAssignment, User};
use tandem_domain::document::policy::TenantDocument;
use tandem_domain::id::{Incarnation, Revision, TenantId, TenantName};
use tandem_domain::record::{self, PolicyRecord, Record, TenantRecord};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::edge_feed_client::EdgeFeedClient;
use tandem_proto::routing::v1::routing_client::RoutingClient;
use tandem_routing::{Config, build};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_runtime::serve::{Server, pipe};
use tandem_store::{Commit, Durability, Outcome, Write, delete, put};
use tandem_wire::authority::Gate;
use tandem_wire::caller::{Callers, Table};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request};

const SOON: Duration = Duration::from_secs(20);

struct Rig {
    life: Life,
    cell: Cell,
    channel: Channel,
    edges: tandem_routing::Edges,
}

fn tenant(name: &str) -> TenantId {
    TenantId { name: TenantName::parse(name).unwrap(), incarnation: Incarnation(1) }
}

async fn rig() -> Rig {
    let life = Life::new();
    let chance = Chance::seeded(1);
    let cell = Cell::open(&life, Clock::machine(), chance.clone(), Settings::memory("test")).await.unwrap();
    let services = build(&life, &cell, &Config { decisions_max: 8, page_key: Some([7; 32]) });
    let gate = Gate::new(Callers::new(Table::default()).dev());
    let (channel, listener) = pipe();
    let edges = services.edges.clone();
    services
        .serve(Server::new("test", life.clone(), chance))
        .descriptors(tandem_proto::DESCRIPTORS)
        .gate(move |method, headers, extensions| gate.check(method, headers, extensions))
        .pipe(listener)
        .start()
        .unwrap();
    cell.view().synchronised().await;
    Rig { life, cell, channel, edges }
}

impl Rig {
    async fn write(&self, tenant: &TenantId, writes: Vec<Write>) -> Revision {
        let commit = Commit {
            tenant: tenant.clone(),
            id: self.cell.commit_id(),
            preconditions: Vec::new(),
            writes,
            durability: Durability::Replicated,
            trace: None,
        };
        match self.cell.store().commit(commit).await.unwrap() {
            Outcome::Committed(revision) => revision,
            other => panic!("{other:?}"),
        }
    }

    /// Brandt of the examples: on-premises, Lync first.
    async fn brandt(&self, name: &str) -> Revision {
        let id = tenant(name);
        let born = Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false });
        self.write(&record::cell(), vec![put(name, &born)]).await;
        let policy: TenantDocument =
            serde_saphyr::from_str(include_str!("../../../examples/tenants/brandt.yaml")).unwrap();
        let policy = Record::Policy(Arc::new(PolicyRecord { generation: 1, spec: policy.spec }));
        let directory: DirectoryDocument =
            serde_saphyr::from_str(include_str!("../../../examples/directories/brandt.yaml")).unwrap();
        let mut writes = vec![put("", &policy)];
        writes.extend(directory.spec.users.into_iter().map(|u| put_user(&u)));
        writes.extend(directory.spec.numbers.into_iter().map(|n| put_number(&n)));
        let workgroups = directory.spec.workgroups.into_iter();
        writes.extend(workgroups.map(|w| put(&w.id.to_string(), &Record::Workgroup(Arc::new(w)))));
        let stations = directory.spec.stations.into_iter();
        writes.extend(stations.map(|s| put(&s.id.to_string(), &Record::Station(Arc::new(s)))));
        let revision = self.write(&id, writes).await;
        // Birth and policy lie in two shards: both are to be seen.
        let seen = || self.cell.view().load().view.tenant(name).is_some_and(|t| t.config().is_some());
        eventually(seen).await;
        revision
    }

    fn client(&self) -> RoutingClient<Channel> {
        RoutingClient::new(self.channel.clone())
    }

    async fn route(&self, request: pb::RouteCallRequest) -> Result<pb::Decision, tonic::Status> {
        self.client().route_call(request).await.map(tonic::Response::into_inner)
    }
}

fn put_user(user: &User) -> Write {
    put(user.id.as_str(), &Record::User(Arc::new(user.clone())))
}

fn put_number(number: &NumberAssignment) -> Write {
    put(&number.number, &Record::Number(Arc::new(number.clone())))
}

fn call(tenant: &str, called: &str, min_revision: Revision) -> pb::RouteCallRequest {
    let attempt = pb::CallAttempt {
        ingress: Some(pb::call_attempt::Ingress::Trunk("gateway".into())),
        called: called.into(),
        caller: "+4989999123".into(),
        call_id: format!("{called}@test"),
        ..pb::CallAttempt::default()
    };
    pb::RouteCallRequest {
        parent: format!("tenants/{tenant}"),
        attempt: Some(attempt),
        min_revision: min_revision.0,
        tag: 0,
    }
}

fn gateway_of(decision: &pb::Decision) -> &str {
    match decision.outcome.as_ref().unwrap() {
        pb::decision::Outcome::Route(route) => &route.targets[0].trunk,
        pb::decision::Outcome::Rejection(rejection) => &rejection.reason,
    }
}

#[tokio::test]
async fn a_call_is_decided_at_the_revision_that_was_asked_for() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    // Lync first: whatever the gateway sends meets Mediation.
    let decision = rig.route(call("brandt", "+493023125101", revision)).await.unwrap();
    assert_eq!(gateway_of(&decision), "lync");
    assert!(decision.revision >= revision.0);
    assert_eq!(decision.called, "+493023125101");
    assert!(decision.name.starts_with("tenants/brandt/decisions/"), "{}", decision.name);
    let refused = rig.route(call("brandt", "not a number", revision)).await.unwrap();
    assert!(matches!(refused.outcome, Some(pb::decision::Outcome::Rejection(_))), "a no is an answer");
}

#[tokio::test]
async fn a_revision_that_never_comes_is_refused_by_name_within_the_deadline() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let mut request = Request::new(call("brandt", "+493023125101", Revision(revision.0 + 1_000_000_000)));
    request.set_timeout(Duration::from_millis(500));
    let status = rig.client().route_call(request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(String::from_utf8_lossy(status.details()).contains("REVISION_NOT_REACHED"), "{status:?}");
}

#[tokio::test]
async fn a_foreign_tenant_and_none_are_the_same_bytes() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    rig.brandt("other").await;
    let mut statuses = Vec::new();
    for name in ["other", "nobody"] {
        let mut request = Request::new(call(name, "+493023125101", Revision(0)));
        request.metadata_mut().insert("x-tandem-dev-tenant", MetadataValue::from_static("brandt"));
        let status = rig.client().route_call(request).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        statuses.push((
            status.message().replace(name, "*"),
            String::from_utf8_lossy(status.details()).replace(name, "*").len(),
        ));
    }
    // The names differ by two letters in each place where they stand.
    assert_eq!(statuses[0].0, statuses[1].0);
    assert!(rig.route(call("brandt", "+493023125101", revision)).await.is_ok());
}

#[tokio::test]
async fn a_stream_answers_each_request_in_order_and_a_failure_ends_only_itself() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let mut requests = vec![
        call("brandt", "+493023125101", revision),
        call("nobody", "+493023125101", Revision(0)),
        call("brandt", "+493023125180", revision),
    ];
    for (tag, request) in requests.iter_mut().enumerate() {
        request.tag = tag as u64 + 1;
    }
    let mut answers = rig.client().route_calls(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let mut seen = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        seen.push((answer.tag, matches!(answer.result, Some(pb::route_calls_response::Result::Decision(_)))));
    }
    assert_eq!(seen, [(1, true), (2, false), (3, true)]);
}

#[tokio::test]
async fn an_explanation_has_the_ladder_the_losers_and_the_what_if() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let RouteParts { parent, attempt } = parts(call("brandt", "+493023125103", revision));
    let request = pb::ExplainCallRequest { parent, attempt, assume: None, min_revision: revision.0 };
    let explained = rig.client().explain_call(request).await.unwrap().into_inner();
    let plan = explained.plan.unwrap();
    let hops: Vec<&str> = plan.hops.iter().map(|h| h.element.as_str()).collect();
    assert_eq!(
        hops,
        ["GW", "MED", "FE", "MED", "CIC", "MED", "FE", "LPH"],
        "the double pass of option 3: {}",
        explained.text
    );
    assert_eq!(plan.mediation_sessions, 3);
    assert!(explained.trail.iter().any(|s| s.verdict() == pb::step::Verdict::Lost), "{:?}", explained.trail);
    assert!(explained.text.contains("LPH"), "{}", explained.text);
}

struct RouteParts {
    parent: String,
    attempt: Option<pb::CallAttempt>,
}

fn parts(request: pb::RouteCallRequest) -> RouteParts {
    RouteParts { parent: request.parent, attempt: request.attempt }
}

#[tokio::test]
async fn decisions_are_listed_newest_first_filtered_and_paged_and_the_oldest_forgotten() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    rig.brandt("other").await;
    for number in 0..10 {
        let called = if number % 2 == 0 { "+493023125101" } else { "nonsense" };
        rig.route(call("brandt", called, revision)).await.unwrap();
    }
    rig.route(call("other", "+493023125101", Revision(0))).await.unwrap();
    let list = |request| async { rig.client().list_decisions(request).await.unwrap().into_inner() };
    let all = list(pb::ListDecisionsRequest { parent: "tenants/brandt".into(), ..Default::default() }).await;
    assert_eq!(all.decisions.len(), 7, "the ring of eight holds seven of brandt's and one of another's");
    let times: Vec<u64> = all.decisions.iter().map(|d| d.at_us).collect();
    assert!(times.windows(2).all(|w| w[0] >= w[1]), "newest first");
    let routed = pb::ListDecisionsRequest {
        parent: "tenants/brandt".into(),
        number: "+493023125101".into(),
        outcome: pb::OutcomeKind::Routed.into(),
        page_size: 2,
        ..Default::default()
    };
    let first = list(routed.clone()).await;
    let second =
        list(pb::ListDecisionsRequest { page_token: first.next_page_token.clone(), ..routed.clone() }).await;
    assert_eq!((first.decisions.len(), second.decisions.len()), (2, 1));
    assert!(second.next_page_token.is_empty());
    let stolen = pb::ListDecisionsRequest {
        parent: "tenants/other".into(),
        page_token: first.next_page_token,
        ..routed
    };
    let status = rig.client().list_decisions(stolen).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "a token belongs to its list");
}

#[tokio::test]
async fn requests_over_their_limits_are_refused_by_field() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    for (request, field) in [
        (call("brandt", &"1".repeat(600), Revision(0)), "attempt.called"),
        (pb::RouteCallRequest { parent: "brandt".into(), ..call("brandt", "1", Revision(0)) }, "parent"),
        (pb::RouteCallRequest { attempt: None, ..call("brandt", "1", Revision(0)) }, "attempt"),
    ] {
        let status = rig.route(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(field), "{field} in {}", status.message());
    }
}

/// Follows the feed into a view, as an edge does.
struct Follower {
    answers: tonic::Streaming<pb::FollowResponse>,
    up: tokio::sync::mpsc::Sender<pb::FollowRequest>,
    view: tandem_domain::view::View,
    snapshots: usize,
    nonce: u64,
}

impl Follower {
    async fn start(rig: &Rig, only: &str) -> Self {
        let (up, requests) = tokio::sync::mpsc::channel(8);
        let hello =
            pb::follow_request::Hello { edge: "edge-1".into(), version: "test".into(), ..Default::default() };
        up.send(pb::FollowRequest { message: Some(pb::follow_request::Message::Hello(hello)) })
            .await
            .unwrap();
        let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(requests));
        if !only.is_empty() {
            request.metadata_mut().insert("x-tandem-dev-tenant", only.parse().unwrap());
        }
        let answers = EdgeFeedClient::new(rig.channel.clone()).follow(request).await.unwrap().into_inner();
        Self { answers, up, view: tandem_domain::view::View::new(), snapshots: 0, nonce: 0 }
    }

    /// Takes messages until a condition on the view holds.
    async fn until(&mut self, mut holds: impl FnMut(&tandem_domain::view::View, usize) -> bool) {
        let waiting = async {
            while !holds(&self.view, self.snapshots) {
                self.step().await;
            }
        };
        tokio::time::timeout(SOON, waiting).await.expect("in time");
    }

    async fn step(&mut self) {
        use pb::follow_response::Message;
        match self.answers.message().await.unwrap().unwrap().message.unwrap() {
            Message::SnapshotBegin(_) => self.view = tandem_domain::view::View::new(),
            Message::SnapshotEnd(_) => self.snapshots += 1,
            Message::Beat(_) => {}
            Message::Chunk(chunk) => {
                self.nonce = chunk.nonce;
                if let tandem_wire::feed::Read::Changes(changes) = tandem_wire::feed::read(chunk).unwrap() {
                    changes.iter().for_each(|c| self.view.apply(c));
                }
            }
        }
    }
}

#[tokio::test]
async fn the_feed_is_a_snapshot_and_then_changes_of_the_callers_tenants_only() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    rig.brandt("other").await;
    let mut edge = Follower::start(&rig, "brandt").await;
    edge.until(|_, snapshots| snapshots == 1).await;
    assert_eq!(edge.view.tenants().count(), 1, "another tenant is not told of");
    let live = rig.cell.view().snapshot();
    let (ours, theirs) = (edge.view.tenant("brandt").unwrap(), live.view.tenant("brandt").unwrap());
    assert_eq!((ours.users_len(), ours.numbers_len()), (theirs.users_len(), theirs.numbers_len()));
    // A change of ours comes, one of another's does not.
    let mut user = theirs.users().next().unwrap().as_ref().clone();
    user.display_name = Some("Renamed".into());
    let gone = theirs.assignments().next().unwrap().number.clone();
    rig.write(&tenant("other"), vec![put_user(&user)]).await;
    rig.write(&tenant("brandt"), vec![put_user(&user), delete(record::Kind::Number, &gone)]).await;
    let before = theirs.numbers_len();
    let renamed = |view: &tandem_domain::view::View| {
        let tenant = view.tenant("brandt")?;
        tenant.user(user.id.as_str())?.display_name.clone()
    };
    edge.until(|view, _| {
        renamed(view).as_deref() == Some("Renamed")
            && view.tenant("brandt").is_some_and(|t| t.numbers_len() < before)
    })
    .await;
    assert_eq!(edge.view.tenants().count(), 1);
}

#[tokio::test]
async fn what_an_edge_acknowledges_and_refuses_is_seen_and_leaving_is_too() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    let mut edge = Follower::start(&rig, "").await;
    edge.until(|_, snapshots| snapshots == 1).await;
    let acknowledge = |nonce, rejected: &str| pb::FollowRequest {
        message: Some(pb::follow_request::Message::Acknowledgement(pb::follow_request::Acknowledgement {
            nonce,
            rejected: rejected.into(),
        })),
    };
    edge.up.send(acknowledge(edge.nonce, "")).await.unwrap();
    edge.up.send(acknowledge(edge.nonce, "spec.model: unknown")).await.unwrap();
    let seen = |rig: &Rig| rig.edges.list().first().cloned();
    let nonce = edge.nonce;
    eventually(|| seen(&rig).is_some_and(|e| e.acknowledged == nonce && e.rejected.is_some())).await;
    drop(edge);
    eventually(|| seen(&rig).is_none()).await;
}

#[tokio::test]
async fn a_feed_and_a_stream_end_when_the_process_drains() {
    let rig = rig().await;
    let mut edge = Follower::start(&rig, "").await;
    edge.until(|_, snapshots| snapshots == 1).await;
    rig.life.shutdown.advance(Phase::Draining);
    let ended = async { while let Ok(Some(_)) = edge.answers.message().await {} };
    tokio::time::timeout(SOON, ended).await.expect("the feed ends");
}

async fn eventually(mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(SOON, waiting).await.expect("in time");
}

/// A call that the generated server answers, for it says an encoding; and its frames as they are given.
async fn by_hand(
    rig: &Rig,
    encoding: Option<&'static str>,
    frames: Vec<Vec<u8>>,
) -> (http::HeaderMap, Vec<u8>) {
    use http_body_util::{BodyExt as _, StreamBody};
    use tower::{Service as _, ServiceExt as _};
    let mut request = http::Request::post("http://pipe/tandem.routing.v1.Routing/RouteCall")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-request-id", "the-same");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let frames = frames.into_iter().map(|f| Ok::<_, tonic::Status>(http_body::Frame::data(f.into())));
    let body = tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames)));
    let mut channel = rig.channel.clone();
    let response = channel.ready().await.unwrap().call(request.body(body).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    headers.remove("date");
    (headers, body.to_bytes().to_vec())
}

fn framed(request: &pb::RouteCallRequest) -> Vec<u8> {
    use prost::Message as _;
    let message = request.encode_to_vec();
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat()
}

fn unframed(mut body: Vec<u8>) -> pb::Decision {
    use prost::Message as _;
    let message = body.split_off(5);
    assert_eq!(body, [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes()].concat());
    let mut decision = pb::Decision::decode(message.as_slice()).unwrap();
    // The sequence differs from call to call.
    assert!(decision.name.starts_with("tenants/brandt/decisions/test-"), "{}", decision.name);
    decision.name.clear();
    decision
}

/// Nobody can tell from outside which way a call was answered: from bytes, or by the generated server because the
/// message came in pieces, in two, compressed or broken.
#[tokio::test]
async fn both_ways_of_answering_say_the_same() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let good = framed(&call("brandt", "+493023125101", revision));
    let (head, body) = by_hand(&rig, None, vec![good.clone()]).await;
    assert_eq!(head["grpc-status"], "0");
    let decision = unframed(body);
    assert_eq!(gateway_of(&decision), "lync");
    let pieces: Vec<Vec<u8>> = good.chunks(7).map(<[u8]>::to_vec).collect();
    for (encoding, frames) in
        [(Some("identity"), vec![good.clone()]), (None, pieces), (None, vec![Vec::new(), good.clone()])]
    {
        let (other_head, other) = by_hand(&rig, encoding, frames).await;
        assert_eq!(head, other_head);
        assert_eq!(decision, unframed(other));
    }
    // What is wrong is wrong in the same words, whoever finds it.
    for (request, reason) in [
        (call("nobody", "+493023125101", Revision(0)), "5"),
        (call("brandt", "", Revision(0)), "3"),
        (pb::RouteCallRequest::default(), "3"),
    ] {
        let short = by_hand(&rig, None, vec![framed(&request)]).await;
        let pieces = framed(&request).chunks(3).map(<[u8]>::to_vec).collect();
        assert_eq!(short.0["grpc-status"], reason, "{short:?}");
        assert_eq!(short, by_hand(&rig, None, pieces).await);
    }
    let mut broken = good.clone();
    broken[5] = 0xff;
    assert_eq!(by_hand(&rig, None, vec![broken]).await.0["grpc-status"], "13");
    let compressed = by_hand(&rig, Some("gzip"), vec![good.clone()]).await;
    assert_eq!(compressed.0["grpc-status"], "12", "an encoding that is not taken is refused by name");
    let large = [&[0][..], &(5_u32 << 20).to_be_bytes(), &vec![0; 5 << 20]].concat();
    assert_eq!(by_hand(&rig, None, vec![large]).await.0["grpc-status"], "8", "over the limit of a message");
}

#[tokio::test]
async fn a_message_that_is_not_plain_is_read_as_the_message_that_it_is() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let plain = call("brandt", "+493023125101", revision);
    let message = framed(&plain)[5..].to_vec();
    // The same twice merges to the same; a field of a later release is skipped.
    let twice = [message.clone(), message.clone()].concat();
    let later = [&message[..], &[0xa2, 0x06, 1, 9]].concat();
    for odd in [twice, later] {
        let frame = [&[0][..], &u32::try_from(odd.len()).unwrap().to_be_bytes(), &odd].concat();
        let (head, body) = by_hand(&rig, None, vec![frame]).await;
        assert_eq!(head["grpc-status"], "0");
        assert_eq!(gateway_of(&unframed(body)), "lync");
    }
    let all = pb::ListDecisionsRequest { parent: "tenants/brandt".into(), ..Default::default() };
    let kept = rig.client().list_decisions(all).await.unwrap().into_inner();
    assert_eq!(kept.decisions.len(), 2);
    assert!(kept.decisions.iter().all(|d| d.attempt == plain.attempt), "{kept:?}");
}
