//! The feed: followed, lost, refused, kept on disk; and the edge that leaves.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::pin::Pin;
use std::time::Duration;

use futures::Stream as Items;
use support::*;
use tandem_edge::config::Config;
use tandem_edge::{Source, Upstream};
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::call_event::Kind;
use tandem_proto::routing::v1::edge_feed_server::{EdgeFeed, EdgeFeedServer};
use tandem_proto::routing::v1::follow_request::{Hello, Message as Up};
use tandem_proto::routing::v1::follow_response::{Beat, Message as Down, SnapshotBegin, SnapshotEnd};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase};
use tandem_runtime::serve::{Server, pipe};
use tandem_wire::feed::chunks;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};

/// An edge that has come to an upstream whose words a test speaks.
struct Session {
    hello: Hello,
    up: Streaming<pb::FollowRequest>,
    down: mpsc::Sender<Result<pb::FollowResponse, Status>>,
    nonce: u64,
    told: Vec<pb::CallEvent>,
}

struct Routing(mpsc::Sender<Session>);

#[tonic::async_trait]
impl EdgeFeed for Routing {
    type FollowStream = Pin<Box<dyn Items<Item = Result<pb::FollowResponse, Status>> + Send>>;

    async fn follow(
        &self,
        request: Request<Streaming<pb::FollowRequest>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        assert_eq!(request.metadata().get("authorization").unwrap(), "Bearer t");
        let mut up = request.into_inner();
        let Some(Up::Hello(hello)) = up.message().await?.and_then(|m| m.message) else {
            return Err(Status::invalid_argument("no hello"));
        };
        let (down, answers) = mpsc::channel(64);
        self.0.send(Session { hello, up, down, nonce: 0, told: Vec::new() }).await.unwrap();
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

impl Session {
    async fn say(&self, message: Down) {
        self.down.send(Ok(pb::FollowResponse { message: Some(message) })).await.unwrap();
    }

    /// The next acknowledgement: its nonce, and why it was refused.
    async fn acknowledged(&mut self) -> (u64, String) {
        loop {
            if let Up::Acknowledgement(a) = self.heard().await {
                return (a.nonce, a.rejected);
            }
        }
    }

    async fn heard(&mut self) -> Up {
        let heard = tokio::time::timeout(PATIENCE, self.up.message()).await.expect("nothing came");
        let heard = heard.unwrap().unwrap().message.unwrap();
        if let Up::Calls(calls) = &heard {
            self.told.extend(calls.events.iter().cloned());
        }
        heard
    }

    async fn chunks(&mut self, mut all: Vec<pb::Chunk>) {
        for chunk in &mut all {
            self.nonce += 1;
            chunk.nonce = self.nonce;
            self.say(Down::Chunk(chunk.clone())).await;
        }
        for chunk in all {
            assert_eq!(self.acknowledged().await, (chunk.nonce, String::new()));
        }
    }

    async fn snapshot(&mut self, tenants: &[&Tenant]) {
        self.say(Down::SnapshotBegin(SnapshotBegin {})).await;
        for tenant in tenants {
            self.chunks(chunks(&tenant.changes(&["main"]))).await;
        }
        self.end().await;
        let (_, refused) = self.acknowledged().await;
        assert_eq!(refused, "");
    }

    async fn end(&mut self) {
        self.nonce += 1;
        self.say(Down::SnapshotEnd(SnapshotEnd { nonce: self.nonce })).await;
    }
}

struct Upstreams {
    life: Life,
    sessions: mpsc::Receiver<Session>,
    channel: Channel,
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        self.life.shutdown.advance(Phase::Stopped);
    }
}

impl Upstreams {
    fn new() -> Self {
        let life = Life::new();
        life.shutdown.advance(Phase::Running);
        let (sender, sessions) = mpsc::channel(4);
        let (channel, listener) = pipe();
        Server::new("test", life.clone(), Chance::seeded(1))
            .service(EdgeFeedServer::new(Routing(sender)))
            .pipe(listener)
            .start()
            .unwrap();
        Self { life, sessions, channel }
    }

    fn upstream(&self) -> Upstream {
        let mut metadata = tonic::metadata::MetadataMap::new();
        metadata.insert("authorization", "Bearer t".parse().unwrap());
        Upstream::Feed { channel: self.channel.clone(), metadata, name: "http://upstream.example".into() }
    }

    async fn session(&mut self) -> Session {
        tokio::time::timeout(PATIENCE, self.sessions.recv()).await.expect("nobody came").unwrap()
    }

    fn bed(&self, config: Config, clock: Clock) -> Bed {
        let (view, _) = watch::channel(Default::default());
        Bed::upstream(config, view, self.upstream(), clock, vec![listener("main", EDGE)])
    }
}

fn redirecting() -> Tenant {
    let mut acme =
        Tenant::usual(&["127.9.0.30:5062".parse().unwrap()], &["127.9.0.50:5068".parse().unwrap()]);
    acme.trunk(0)["accept302"] = true.into();
    acme
}

/// Calls, and answers where it was redirected to.
async fn redirected(bed: &Bed, call: &str) -> String {
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    gateway.send(&gateway.invite("+493023125101", call)).await;
    header(&gateway.expect("SIP/2.0 302").await, "Contact").to_owned()
}

fn kept(dir: &tempfile::TempDir) -> Config {
    Config { last_good: Some(dir.path().join("feed")), ..config() }
}

#[tokio::test]
async fn what_upstream_says_is_decided_by_at_once() {
    let mut up = Upstreams::new();
    let bed = up.bed(config(), Clock::machine());
    assert_eq!(bed.edge.source(), Source::Nothing);
    let mut session = up.session().await;
    assert_eq!((&*session.hello.edge, &session.hello.listeners), ("edge-1", &vec!["main".to_owned()]));
    let mut acme = redirecting();
    session.snapshot(&[&acme]).await;
    bed.edge.ready().await;
    assert_eq!(bed.edge.source(), Source::Live { store_stale_ms: 0 });
    assert!(redirected(&bed, "u1").await.contains("127.9.0.30:5062"));
    // A change of policy is acknowledged when it is run.
    acme.trunk(1)["addresses"][0]["port"] = 5099.into();
    let policy = acme.changes(&["main"]).into_iter().filter(|c| c.kind.name() == "policy");
    session.chunks(chunks(&policy.collect::<Vec<_>>())).await;
    until("the engine has it", || bed.edge.stats().decisions == 1).await;
    assert!(redirected(&bed, "u2").await.contains("127.9.0.30:5099"));
    // A kind that is not known is skipped; one that cannot be read is refused by name, and nothing changes.
    session.chunks(vec![pb::Chunk { kind: "binding".into(), ..Default::default() }]).await;
    let bad = pb::Chunk { kind: "policy".into(), tenant: "acme".into(), nonce: 99, ..Default::default() };
    session.say(Down::Chunk(bad)).await;
    let (nonce, why) = session.acknowledged().await;
    assert!(nonce == 99 && why.contains("incarnation"), "{why}");
    assert!(redirected(&bed, "u3").await.contains("127.9.0.30:5099"));
    // Upstream is told of every call.
    while session.told.len() < 3 {
        session.heard().await;
    }
    let told: Vec<_> =
        session.told.iter().map(|e| (&*e.tenant, &*e.call_id, &*e.decision, e.kind())).collect();
    let event = |call, decision| ("acme", call, decision, Kind::Decided);
    assert_eq!(told, [event("u1", "edge-1-1"), event("u2", "edge-1-2"), event("u3", "edge-1-3")]);
    // With what was asked and what was decided.
    let made = session.told[0].made.clone().unwrap();
    let (asked, decision) = (made.attempt.unwrap(), made.decision.unwrap());
    assert_eq!((&*asked.call_id, &*decision.name), ("u1", "tenants/acme/decisions/edge-1-1"));
    assert_eq!(asked.ingress, Some(pb::call_attempt::Ingress::Trunk("gateway".into())));
    assert_eq!((decision.source(), decision.stale_ms), (pb::decision::Source::Live, 0));
    assert!(matches!(decision.outcome, Some(pb::decision::Outcome::Route(_))), "{decision:?}");
    session.say(Down::Beat(Beat { store_stale_ms: 7 })).await;
    until("the store's absence is told", || bed.edge.source() == Source::Live { store_stale_ms: 7 }).await;
}

#[tokio::test]
async fn a_lost_feed_is_gone_on_without_and_found_again() {
    let mut up = Upstreams::new();
    let (clock, hand) = Clock::manual(5_000_000);
    let bed = up.bed(config(), clock);
    let mut session = up.session().await;
    session.snapshot(&[&redirecting()]).await;
    bed.edge.ready().await;
    // Nothing for three beats: lost, though the connection stands.
    hand.advance(Duration::from_secs(15));
    until("the feed is lost", || matches!(bed.edge.source(), Source::LastGood { .. })).await;
    hand.advance(Duration::from_secs(2));
    assert!(redirected(&bed, "l1").await.contains("127.9.0.30:5062"));
    assert_eq!(bed.hops()[0].last_good_ms, Some(2_000));
    assert_eq!(
        (bed.edge.source(), bed.edge.stats().last_good_decisions),
        (Source::LastGood { age_ms: 2_000 }, 1)
    );
    // It comes again by itself; until its snapshot is whole the last good one stands.
    let mut session = up.session().await;
    session.say(Down::SnapshotBegin(SnapshotBegin {})).await;
    assert!(matches!(bed.edge.source(), Source::LastGood { .. }));
    session.snapshot(&[&redirecting()]).await;
    until("the feed is back", || bed.edge.source() == Source::Live { store_stale_ms: 0 }).await;
    // A snapshot that cannot be read whole replaces nothing.
    session.say(Down::SnapshotBegin(SnapshotBegin {})).await;
    session.say(Down::Chunk(pb::Chunk { kind: "user".into(), nonce: 50, ..Default::default() })).await;
    assert_ne!(session.acknowledged().await.1, "");
    session.end().await;
    assert_ne!(session.acknowledged().await.1, "");
    assert!(redirected(&bed, "l2").await.contains("127.9.0.30:5062"));
}

#[tokio::test]
async fn a_restart_without_upstream_decides_by_what_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual(1_000_000_000);
    let file = dir.path().join("feed");
    {
        let mut up = Upstreams::new();
        let bed = up.bed(kept(&dir), clock.clone());
        let mut session = up.session().await;
        session.snapshot(&[]).await;
        session.chunks(chunks(&redirecting().changes(&["main"]))).await;
        bed.edge.ready().await;
        assert!(redirected(&bed, "d1").await.contains("127.9.0.30:5062"));
        let whole: usize =
            chunks(&redirecting().changes(&["main"])).iter().map(prost::Message::encoded_len).sum();
        until("it is on disk", || std::fs::metadata(&file).is_ok_and(|m| m.len() > whole as u64)).await;
        bed.life.shutdown.advance(Phase::Stopped);
        bed.life.tasks.join().await;
    }
    hand.advance(Duration::from_secs(60));
    let up = Upstreams::new();
    let bed = up.bed(kept(&dir), clock);
    // Nobody upstream has said a word.
    assert_eq!(bed.edge.source(), Source::LastGood { age_ms: 60_000 });
    assert!(redirected(&bed, "d2").await.contains("127.9.0.30:5062"));
    assert_eq!(bed.hops()[0].last_good_ms, Some(60_000));
}

#[tokio::test]
async fn a_damaged_file_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("feed"), b"not a feed").unwrap();
    let up = Upstreams::new();
    let bed = up.bed(kept(&dir), Clock::manual(3_000_000).0);
    assert_eq!(bed.edge.source(), Source::Nothing);
    assert_eq!(std::fs::read(dir.path().join("feed.damaged-3")).unwrap(), b"not a feed");
    assert!(!dir.path().join("feed").exists());
}

#[tokio::test]
async fn an_edge_that_drains_refuses_new_calls_and_goes_on_with_others() {
    let cic = Peer::new(CIC, EDGE_UNSET).await;
    let acme = Tenant::usual(&[cic.addr()], &["127.9.0.50:5068".parse().unwrap()]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    gateway.send(&gateway.invite("+493023125101", "r1")).await;
    let invite = cic.expect("INVITE").await;
    bed.life.shutdown.advance(Phase::Draining);
    let mut waits = Vec::new();
    for at in 0..20 {
        let call = format!("n{at}");
        gateway.send(&gateway.invite("+493023125101", &call)).await;
        let found = loop {
            let found = gateway.expect("SIP/2.0 503").await;
            if header(&found, "Call-ID") == call {
                break found;
            }
        };
        waits.push(header(&found, "Retry-After").parse::<u32>().unwrap());
    }
    // 4 s, half of it more or less, in whole seconds.
    assert!(waits.iter().all(|w| (2..=6).contains(w)) && waits.iter().any(|w| *w != waits[0]), "{waits:?}");
    gateway.send(&gateway.request("OPTIONS", &format!("sip:{}", bed.udp()), "o1", "")).await;
    loop {
        if gateway.recv().await.starts_with("SIP/2.0 200 OK") {
            break;
        }
    }
    // The call that was there is answered and ended.
    let ok = respond(&invite, "200 OK", "c", &format!("Contact: <sip:jane@{}>\r\n", cic.addr()));
    cic.socket.send_to(ok.as_bytes(), bed.udp()).await.unwrap();
    let ok = loop {
        let found = gateway.recv().await;
        if found.starts_with("SIP/2.0 200") && header(&found, "Call-ID") == "r1" {
            break found;
        }
    };
    gateway.send(&within("ACK", 1, &ok, "UDP", gateway.addr(), true, &ok)).await;
    cic.expect("ACK").await;
    gateway.send(&within("BYE", 2, &ok, "UDP", gateway.addr(), true, &ok)).await;
    cic.expect("BYE").await;
    assert_eq!(bed.edge.stats().drained, 20);
    // Quiet for a second, and no call is being set up: it ends by itself.
    until("it has ended", || !bed.life.tasks.living().iter().any(|t| t == "edge")).await;
    assert!(bed.life.tasks.failure().is_none());
}

/// The edge knows its own listeners: that of which it never hears is said once, to whoever runs it.
#[tokio::test]
async fn a_listener_that_the_edge_does_not_have_is_told_once_with_the_fix() {
    let (logged, _guard) = logged("info");
    let mut up = Upstreams::new();
    let _bed = up.bed(config(), Clock::machine());
    let mut session = up.session().await;
    let mut acme = redirecting();
    acme.trunk(1)["ingress"][0]["listener"] = "main".into();
    acme.trunk(0)["ingress"][0]["listener"] = "mian".into();
    session.snapshot(&[&acme, &Tenant { name: "globex", ..acme.clone() }]).await;
    let fix = "start this edge with `--listen mian=udp:ADDRESS:PORT`";
    assert_eq!(logged.lines(&["acme", "gateway", fix]).len(), 1, "{:?}", logged.lines(&[]));
    assert_eq!(logged.lines(&["does not have"]).len(), 1, "{:?}", logged.lines(&[]));
}
