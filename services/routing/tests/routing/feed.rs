//! The feed to edges.

use std::sync::Arc;
use std::time::Duration;

use tandem_domain::document::directory::User;
use tandem_domain::id::{Incarnation, ListenerName, Revision, TenantId, TrunkName};
use tandem_domain::ingress::{Arrival, Resolution};
use tandem_domain::record::{self, Record};
use tandem_domain::view::View;
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::edge_feed_client::EdgeFeedClient;
use tandem_proto::routing::v1::follow_request::Hello;
use tandem_runtime::clock::Clock;
use tandem_runtime::drain::Phase;
use tandem_servers::on::On;
use tandem_store::{Write, delete, put};
use tokio::time::timeout;
use tonic::{Code, Request};

use crate::rig::{Rig, SOON, START, call, eventually, not_synchronised, put_user, rig, rig_of, tenant};

fn hello(edge: &str, tenants: &[&str]) -> Hello {
    let tenants = tenants.iter().map(|t| (*t).to_owned()).collect();
    Hello { edge: edge.into(), version: "test".into(), tenants, ..Hello::default() }
}

/// Follows the feed into a view, as an edge does.
struct Follower {
    answers: tonic::Streaming<pb::FollowResponse>,
    up: tokio::sync::mpsc::Sender<pb::FollowRequest>,
    view: View,
    snapshots: usize,
    /// How stale the store was, at each beat.
    beats: Vec<u64>,
    nonce: u64,
}

impl Follower {
    /// An edge of a caller that sees one tenant, or all.
    async fn start(rig: &Rig, only: &str) -> Self {
        let header = (!only.is_empty()).then_some(("x-tandem-dev-tenant", only));
        Self::greet(rig, header, hello("edge-1", &[])).await.unwrap()
    }

    async fn greet(
        rig: &Rig,
        header: Option<(&'static str, &str)>,
        hello: Hello,
    ) -> Result<Self, tonic::Status> {
        let (up, requests) = tokio::sync::mpsc::channel(8);
        let message = Some(pb::follow_request::Message::Hello(hello));
        up.send(pb::FollowRequest { message }).await.unwrap();
        let mut request = Request::new(tokio_stream::wrappers::ReceiverStream::new(requests));
        if let Some((key, value)) = header {
            request.metadata_mut().insert(key, value.parse().unwrap());
        }
        let answers = EdgeFeedClient::new(rig.channel.clone()).follow(request).await?.into_inner();
        Ok(Self { answers, up, view: View::new(), snapshots: 0, beats: Vec::new(), nonce: 0 })
    }

    /// Takes messages until a condition on the view holds.
    async fn until(&mut self, mut holds: impl FnMut(&View, usize) -> bool) {
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
            Message::SnapshotBegin(_) => self.view = View::new(),
            Message::SnapshotEnd(_) => self.snapshots += 1,
            Message::Beat(beat) => self.beats.push(beat.store_stale_ms),
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
    let renamed = |view: &View| {
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

/// What an edge decided of a tenant's call.
fn decided(tenant: &TenantId, of: &str, call_id: &str) -> pb::CallEvent {
    let attempt = pb::CallAttempt {
        ingress: Some(pb::call_attempt::Ingress::Trunk("gateway".into())),
        called: "sip:+493023125101@edge.example".into(),
        call_id: call_id.into(),
        ..Default::default()
    };
    let decision = pb::Decision {
        name: format!("tenants/{of}/decisions/edge-1-7"),
        called: "+493023125101".into(),
        outcome: Some(pb::decision::Outcome::Route(pb::Route::default())),
        ..Default::default()
    };
    let made = pb::DecisionFact { at_us: 5, attempt: Some(attempt), decision: Some(decision) };
    let kind = pb::call_event::Kind::Decided.into();
    pb::CallEvent {
        tenant: tenant.name.to_string(),
        incarnation: tenant.incarnation.to_string(),
        decision: "edge-1-7".into(),
        call_id: call_id.into(),
        kind,
        made: Some(Box::new(made)),
        ..Default::default()
    }
}

#[tokio::test]
async fn what_an_edge_decided_is_listed_and_what_cannot_be_read_of_it_takes_nothing_with_it() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    rig.brandt("other").await;
    let mut edge = Follower::start(&rig, "brandt").await;
    edge.until(|_, snapshots| snapshots == 1).await;
    let brandt = tenant("brandt");
    let former = TenantId { incarnation: Incarnation(brandt.incarnation.0 + 1), ..brandt.clone() };
    let events = vec![
        decided(&brandt, "brandt", &"x".repeat(300)),
        decided(&brandt, "other", "named-wrongly"),
        decided(&tenant("other"), "other", "of-another"),
        decided(&tenant("nobody"), "nobody", "of-nobody"),
        decided(&former, "brandt", "of-one-that-bore-the-name"),
        decided(&brandt, "brandt", "good"),
    ];
    let calls = pb::follow_request::CallEvents { events, dropped: 0 };
    let message = Some(pb::follow_request::Message::Calls(calls));
    edge.up.send(pb::FollowRequest { message }).await.unwrap();
    eventually(|| rig.edges.list().first().is_some_and(|e| e.events.0 == 4)).await;
    let list = async |request: pb::ListDecisionsRequest| {
        let listed = rig.client().list_decisions(request).await.unwrap().into_inner();
        listed.decisions
    };
    let all =
        |tenant: &str| pb::ListDecisionsRequest { parent: format!("tenants/{tenant}"), ..Default::default() };
    assert_eq!(list(all("brandt")).await, [*decided(&brandt, "brandt", "good").made.unwrap()]);
    assert_eq!(list(all("other")).await, []);
    let found = |number: &str, outcome: pb::OutcomeKind| pb::ListDecisionsRequest {
        number: number.into(),
        call_id: "good".into(),
        outcome: outcome.into(),
        ..all("brandt")
    };
    assert_eq!(list(found("+493023125101", pb::OutcomeKind::Routed)).await.len(), 1);
    assert_eq!(list(found("+493023125102", pb::OutcomeKind::Routed)).await.len(), 0);
    assert_eq!(list(found("+493023125101", pb::OutcomeKind::Rejected)).await.len(), 0);
}

/// Tells of a decision for each of these moments, and waits until it is taken.
async fn tell(rig: &Rig, edge: &Follower, id: &str, made_at: &[u64]) {
    let brandt = tenant("brandt");
    let events = made_at.iter().map(|at| {
        let mut event = decided(&brandt, "brandt", id);
        if let Some(made) = &mut event.made {
            made.at_us = *at;
        }
        event
    });
    let calls = pb::follow_request::CallEvents { events: events.collect(), dropped: 0 };
    edge.up
        .send(pb::FollowRequest { message: Some(pb::follow_request::Message::Calls(calls)) })
        .await
        .unwrap();
    let told = || rig.edges.list().iter().find(|e| e.edge == id).map(|e| e.events.0);
    eventually(|| told() == Some(made_at.len() as u64)).await;
}

#[tokio::test]
async fn an_edge_that_is_flooded_pushes_out_no_other_decisions_and_a_backlog_stands_where_it_belongs() {
    let (clock, _hand) = Clock::manual(START);
    let rig = rig_of(clock).await;
    rig.brandt("brandt").await;
    let mut quiet = Follower::greet(&rig, None, hello("quiet", &[])).await.unwrap();
    let mut loud = Follower::greet(&rig, None, hello("loud", &[])).await.unwrap();
    quiet.until(|_, snapshots| snapshots == 1).await;
    loud.until(|_, snapshots| snapshots == 1).await;
    rig.route(call("brandt", "+493023125103", Revision(0))).await.unwrap();
    tell(&rig, &quiet, "quiet", &[START - 10, START - 30]).await;
    // One from a clock that is ahead, and many that others must not suffer from.
    let many: Vec<u64> = [START + 1_000_000].into_iter().chain((1..900).map(|n| START - 100 - n)).collect();
    tell(&rig, &loud, "loud", &many).await;
    let (mut token, mut listed) = (String::new(), Vec::new());
    loop {
        let parent = "tenants/brandt".to_owned();
        let request =
            pb::ListDecisionsRequest { parent, page_size: 2, page_token: token, ..Default::default() };
        let page = rig.client().list_decisions(request).await.unwrap().into_inner();
        let call_id = |fact: &pb::DecisionFact| fact.attempt.as_ref().unwrap().call_id.clone();
        listed.extend(page.decisions.iter().map(|fact| (call_id(fact), START - fact.at_us)));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let named: Vec<_> = listed.iter().map(|(id, ago)| (id.as_str(), *ago)).collect();
    assert_eq!(named[..4], [("+493023125103@test", 0), ("loud", 0), ("quiet", 10), ("quiet", 30)]);
    let rest: Vec<u64> = named[4..].iter().map(|(_, ago)| *ago).collect();
    assert_eq!(rest, (101..101 + rest.len() as u64).collect::<Vec<_>>(), "the newest of the loud one");
    assert!(rest.len() < 20, "{}", rest.len());
}

#[tokio::test]
async fn a_feed_and_a_stream_end_when_the_process_drains() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    let mut edge = Follower::start(&rig, "").await;
    edge.until(|_, snapshots| snapshots == 1).await;
    rig.life.shutdown.advance(Phase::Draining);
    let ended = async { while let Ok(Some(_)) = edge.answers.message().await {} };
    tokio::time::timeout(SOON, ended).await.expect("the feed ends");
}

#[tokio::test]
async fn an_edge_is_told_of_the_tenants_that_it_names_and_of_no_others() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    rig.brandt("other").await;
    let mut edge = Follower::greet(&rig, None, hello("edge-1", &["other"])).await.unwrap();
    edge.until(|_, snapshots| snapshots == 1).await;
    assert!(edge.view.tenant("other").is_some() && edge.view.tenant("brandt").is_none());
    // Of what changes it is told no more either.
    rig.brandt("third").await;
    let user = rig.cell.view().load().view.tenant("brandt").unwrap().users().next().unwrap().as_ref().clone();
    rig.write(&tenant("brandt"), vec![put_user(&user)]).await;
    let renamed = User { display_name: Some("Renamed".into()), ..user };
    rig.write(&tenant("other"), vec![put_user(&renamed)]).await;
    edge.until(|view, _| {
        let other = view.tenant("other").and_then(|t| t.user(renamed.id.as_str())?.display_name.clone());
        other.as_deref() == Some("Renamed")
    })
    .await;
    assert_eq!(edge.view.tenants().count(), 1);
}

/// What a tenant is known by at the address of the example.
fn claim(whose: &str) -> Write {
    let what = record::Claimed::Source {
        listener: ListenerName::parse("public").unwrap(),
        network: "127.2.1.10".parse().unwrap(),
        called: None,
    };
    let claim =
        record::IngressClaim { what, tenant: tenant(whose), trunk: TrunkName::parse("gateway").unwrap() };
    put("source/public/127.2.1.10/", &Record::IngressClaim(Arc::new(claim)))
}

fn owner(view: &View) -> Option<String> {
    let call = Arrival {
        listener: "public",
        source: "127.2.1.10".parse().unwrap(),
        certificate_names: &[],
        domain: None,
        called: None,
    };
    match view.resolve(&call) {
        Resolution::Tenant(tenant, _) => Some(tenant.id().name.to_string()),
        _ => None,
    }
}

#[tokio::test]
async fn a_claim_that_passes_to_another_tenant_is_gone_for_an_edge_that_does_not_serve_it() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    rig.brandt("other").await;
    rig.write(&record::cell(), vec![claim("brandt")]).await;
    eventually(|| owner(&rig.cell.view().load().view).is_some()).await;
    let mut brandts = Follower::greet(&rig, None, hello("edge-1", &["brandt"])).await.unwrap();
    let mut others = Follower::greet(&rig, None, hello("edge-2", &["other"])).await.unwrap();
    brandts.until(|view, _| owner(view).as_deref() == Some("brandt")).await;
    others.until(|_, snapshots| snapshots == 1).await;
    assert_eq!(owner(&others.view), None);
    // In one write, as a listing that was compared with another shows it.
    rig.write(&record::cell(), vec![claim("other")]).await;
    others.until(|view, _| owner(view).as_deref() == Some("other")).await;
    brandts.until(|view, _| owner(view).is_none()).await;
    let gone = delete(record::Kind::IngressClaim, "source/public/127.2.1.10/");
    rig.write(&record::cell(), vec![gone]).await;
    others.until(|view, _| owner(view).is_none()).await;
}

#[tokio::test]
async fn an_idle_feed_beats_every_five_seconds_and_says_how_stale_it_is() {
    let (clock, hand) = Clock::manual(START);
    let rig = rig_of(clock).await;
    rig.brandt("brandt").await;
    let mut edge = Follower::start(&rig, "").await;
    edge.until(|_, snapshots| snapshots == 1).await;
    let beaten = async |edge: &mut Follower, beats: usize| {
        let passing = async {
            loop {
                hand.advance(Duration::from_secs(1));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let listening = async {
            while edge.beats.len() < beats {
                edge.step().await;
            }
        };
        tokio::select! {
            () = listening => {}
            () = passing => {}
        }
    };
    let began = rig.cell.clock().monotonic();
    timeout(SOON, beaten(&mut edge, 3)).await.expect("it beats");
    let took = rig.cell.clock().monotonic() - began;
    assert!(took >= Duration::from_secs(14), "three beats within {took:?}");
    assert_eq!(edge.beats, [0; 3]);
    rig.cell.store().close().await.unwrap();
    eventually(|| rig.cell.view().stale_since().is_some()).await;
    timeout(SOON, beaten(&mut edge, 5)).await.expect("it beats");
    assert!(edge.beats[4] >= 4_000, "{:?}", edge.beats);
}

#[tokio::test]
async fn an_edge_that_does_not_say_who_it_is_is_let_go() {
    let (clock, hand) = Clock::manual(START);
    let rig = rig_of(clock).await;
    let (_up, requests) = tokio::sync::mpsc::channel(1);
    let request = Request::new(tokio_stream::wrappers::ReceiverStream::new(requests));
    let mut client = EdgeFeedClient::new(rig.channel.clone());
    let passing = async {
        loop {
            hand.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let refused = tokio::select! {
        answer = timeout(SOON, client.follow(request)) => answer.expect("in time").unwrap_err(),
        () = passing => unreachable!(),
    };
    assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
    assert!(refused.message().contains("hello"), "{refused:?}");
    assert!(rig.edges.list().is_empty());
    let first = pb::follow_request::Message::Calls(pb::follow_request::CallEvents::default());
    let request = tokio_stream::iter([pb::FollowRequest { message: Some(first) }]);
    let refused = client.follow(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
}

#[tokio::test]
async fn an_edge_that_comes_again_takes_over_and_nobody_else_s_does() {
    let rig = rig().await;
    rig.brandt("brandt").await;
    let (one, two) = (Some(("authorization", "Bearer one")), Some(("authorization", "Bearer two")));
    let mut first = Follower::greet(&rig, one, hello("edge-1", &[])).await.unwrap();
    first.until(|_, snapshots| snapshots == 1).await;
    // Another caller's edge of the same name is another edge.
    let mut foreign = Follower::greet(&rig, two, hello("edge-1", &[])).await.unwrap();
    foreign.until(|_, snapshots| snapshots == 1).await;
    let names = |rig: &Rig| rig.edges.list().into_iter().map(|e| (e.caller, e.edge)).collect::<Vec<_>>();
    let both = [("one".to_owned(), "edge-1".to_owned()), ("two".to_owned(), "edge-1".to_owned())];
    assert_eq!(names(&rig), both);
    let mut again = Follower::greet(&rig, one, hello("edge-1", &[])).await.unwrap();
    again.until(|_, snapshots| snapshots == 1).await;
    let ended = async {
        loop {
            if let Err(ended) = first.answers.message().await {
                return ended;
            }
        }
    };
    let ended = timeout(SOON, ended).await.expect("the one before ends");
    assert_eq!(ended.code(), Code::Aborted, "{ended:?}");
    // That it ended takes nothing from the one that took over.
    let acknowledged = again.nonce;
    let message = pb::follow_request::Message::Acknowledgement(pb::follow_request::Acknowledgement {
        nonce: acknowledged,
        rejected: String::new(),
    });
    again.up.send(pb::FollowRequest { message: Some(message) }).await.unwrap();
    eventually(|| rig.edges.list().first().is_some_and(|e| e.acknowledged == acknowledged)).await;
    assert_eq!(names(&rig), both);
    drop(first);
    // The house of these tests has two places: a third edge has none, until one leaves.
    let third = || Follower::greet(&rig, one, hello("edge-3", &[]));
    let refused = third().await.err().expect("refused");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    drop(foreign);
    let place = async { while third().await.is_err() {} };
    timeout(SOON, place).await.expect("there is a place again");
}

/// An edge that heard that nobody is there would forget its last good feed. One process alone knows what it has.
#[tokio::test]
async fn a_shared_store_without_any_tenant_feeds_no_edge() {
    let rig = rig().await;
    let greeted = Follower::greet(&rig, None, hello("edge-1", &[])).await;
    if crate::ON == On::Embedded {
        assert!(greeted.is_ok());
        return;
    }
    let refused = greeted.err().expect("refused");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(String::from_utf8_lossy(refused.details()).contains("VIEW_NOT_READY"), "{refused:?}");
}

#[tokio::test]
async fn a_feed_of_a_view_that_is_not_synchronised_is_refused_for_now() {
    let rig = not_synchronised().await;
    // Whoever it names: nobody knows yet who is there.
    let refused = Follower::greet(&rig, None, hello("edge-1", &["brandt"])).await.err().expect("refused");
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    assert!(String::from_utf8_lossy(refused.details()).contains("VIEW_NOT_READY"), "{refused:?}");
}
