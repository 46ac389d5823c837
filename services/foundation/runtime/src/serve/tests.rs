//! A service of the test's own behind everything that [`Server`] puts before it. Time is paused where no socket is
//! involved: what takes seconds here takes none.

mod flow;
mod probe;
mod tls;
mod writes;

use std::net::SocketAddr;

use futures::StreamExt;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use self::probe::{PROBE, ProbeClient, server};
use super::*;
use crate::drain::{Grace, Phase};
use crate::listen::Bind;

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A running server on a pipe.
fn serve(adapt: impl FnOnce(Server) -> Server) -> (Channel, Life) {
    let life = Life::new();
    let (channel, listener) = pipe();
    adapt(server(&life)).pipe(listener).start().unwrap();
    (channel, life)
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("one ErrorInfo");
    assert_eq!(info.domain, ERROR_DOMAIN);
    info.reason.clone()
}

#[tokio::test(start_paused = true)]
async fn a_call_comes_through_the_pipe() {
    let (channel, _life) = serve(|server| server);
    let answer = ProbeClient::new(channel).check("peer", &[]).await.unwrap();
    assert_eq!(answer.metadata().get("remote").unwrap(), "in process");
}

#[tokio::test]
async fn a_call_comes_through_tcp() {
    let life = Life::new();
    let listener = Bind::new(any(), "--grpc").tcp().unwrap();
    let addr = listener.local_addr().unwrap();
    server(&life).tcp(listener, None).start().unwrap();
    let channel = Channel::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let answer = ProbeClient::new(channel).check("peer", &[]).await.unwrap();
    assert!(answer.metadata().get("remote").unwrap().to_str().unwrap().starts_with("127.0.0.1:"));
}

#[tokio::test(start_paused = true)]
async fn a_request_id_is_taken_over_or_made() {
    let (channel, _life) = serve(|server| server);
    let mut client = ProbeClient::new(channel);
    for (sent, expected) in [(Some("abc-1"), Some("abc-1")), (None, None), (Some("no good"), None)] {
        let headers: Vec<_> = sent.map(|id| ("x-request-id", id)).into_iter().collect();
        let answer = client.check("id", &headers).await.unwrap();
        let id = answer.metadata().get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(answer.metadata().get("seen-id").unwrap(), id);
        match expected {
            Some(expected) => assert_eq!(id, expected),
            None => assert!(id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}"),
        }
    }
    let refused = client.check("id", &[("grpc-timeout", "1m"), ("x-request-id", "abc-2")]).await.unwrap_err();
    assert_eq!(refused.metadata().get("x-request-id").unwrap(), "abc-2");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_the_callers_up_to_ours_and_ours_without() {
    let secs = Duration::from_secs;
    let limits = Limits { default: Some(secs(5)), max: Some(secs(60)) };
    let (channel, _life) = serve(|server| server.deadlines(Deadlines::default().unary(limits)));
    let mut client = ProbeClient::new(channel);
    for (asked, took) in [(None, secs(5)), (Some("2S"), secs(2)), (Some("1H"), secs(60))] {
        let headers: Vec<_> = asked.map(|timeout| ("grpc-timeout", timeout)).into_iter().collect();
        let began = tokio::time::Instant::now();
        let status = client.check("slow", &headers).await.unwrap_err();
        // tonic's client keeps the deadline that it sends, too, and may be first to say so, as CANCELLED.
        if asked != Some("2S") {
            assert_eq!(
                (status.code(), reason(&status)),
                (Code::DeadlineExceeded, "DEADLINE_EXCEEDED".into())
            );
        }
        let over = began.elapsed().checked_sub(took).unwrap();
        assert!(over < Duration::from_millis(50), "{asked:?}: {over:?}");
        let answer = client.check("remaining", &headers).await.unwrap();
        let left: u64 = answer.metadata().get("remaining-ms").unwrap().to_str().unwrap().parse().unwrap();
        assert!(u128::from(left) + 50 > took.as_millis(), "{left}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cannot_be_met_is_refused_before_any_work() {
    let (channel, _life) = serve(|server| server);
    let mut client = ProbeClient::new(channel);
    let status = client.check("panic", &[("grpc-timeout", "4m")]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::DeadlineExceeded, "DEADLINE_TOO_SHORT".into()));
    let status = client.check("panic", &[("grpc-timeout", "soon")]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::InvalidArgument, "DEADLINE_MALFORMED".into()));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_calls_internal() {
    let (channel, _life) =
        serve(|server| server.connections(Connections { max: 1, ..Connections::default() }));
    let mut client = ProbeClient::new(channel);
    let mut quiet = client.watch("silent", &[]).await.unwrap();
    let status = client.check("panic", &[("x-request-id", "the-one")]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Internal, "INTERNAL".into()));
    assert!(!status.message().contains("on purpose"), "{status}");
    // The connection, the only one there can be, lives on: the other call on it too.
    assert!(futures::poll!(quiet.next()).is_pending());
    client.check("id", &[]).await.unwrap();
    let mut stream = client.watch("panic", &[]).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap_err().code(), Code::Internal);
    client.check("id", &[]).await.unwrap();
}

/// Log and panic hook belong to a process, so this test runs the one above in a process of its own.
#[test]
fn a_panic_is_one_line_of_the_log_within_its_call() {
    const CHILD: &str = "TANDEM_TEST_LOGS_PANICS";
    let terminal = crate::term::Terminal::plain();
    let log =
        crate::telemetry::Log { filter: "info".into(), format: crate::telemetry::Format::Json, terminal };
    if std::env::var_os(CHILD).is_some() {
        log.install().unwrap();
        return a_panic_is_one_calls_internal();
    }
    let this = "serve::tests::a_panic_is_one_line_of_the_log_within_its_call";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", this, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8(child.stderr).unwrap();
    assert!(child.status.success(), "{text}");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    for (line, message) in lines.iter().zip(["on purpose", "on purpose too"]) {
        assert_eq!((&line["level"], &line["panic"]), (&"ERROR".into(), &message.into()));
        assert!(line["place"].as_str().unwrap().contains("probe.rs:"), "{text}");
    }
    assert_eq!(lines[0]["spans"][0]["request_id"], "the-one");
    assert_eq!(lines[1]["spans"][0]["method"], "/test.v1.Probe/Watch");
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_no_deadline_but_its_callers() {
    let (channel, _life) = serve(|server| server);
    let mut client = ProbeClient::new(channel);
    let mut open = client.watch("silent", &[]).await.unwrap();
    let began = tokio::time::Instant::now();
    let mut asked = client.watch("silent", &[("grpc-timeout", "90S")]).await.unwrap();
    let status = asked.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), began.elapsed().as_secs()), (Code::DeadlineExceeded, 90));
    assert!(futures::poll!(open.next()).is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_gate_stands_before_every_method() {
    let gate = |path: &str, headers: &http::HeaderMap, extensions: &mut http::Extensions| {
        assert!(extensions.get::<Peer>().is_some_and(Peer::is_in_process));
        match headers.get("who").and_then(|who| who.to_str().ok()) {
            Some(who) => {
                extensions.insert(probe::Who(who.to_owned()));
                Ok(())
            }
            None => Err(refusal(Code::Unauthenticated, "NOBODY", format!("{path} wants to know who calls"))),
        }
    };
    let (channel, life) = serve(|server| server.gate(gate).reflection(true));
    let mut client = ProbeClient::new(channel.clone());
    let status = client.check("who", &[]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status)), (Code::Unauthenticated, "NOBODY".into()));
    let answer = client.check("who", &[("who", "alice")]).await.unwrap();
    assert_eq!(answer.metadata().get("seen-who").unwrap(), "alice");
    assert_eq!(client.watch("once", &[]).await.unwrap_err().code(), Code::Unauthenticated);
    drop(life);
}

#[tokio::test(start_paused = true)]
async fn health_starts_not_serving_and_ends_so() {
    let life = Life::new();
    let health = Health::new(&life, &[PROBE]).await;
    let (channel, listener) = pipe();
    Server::new("grpc", life.clone(), Chance::seeded(1)).health(&health).pipe(listener).start().unwrap();
    let mut client = HealthClient::new(channel);
    let mut check = async |expected| {
        for name in ["", PROBE] {
            let answer = client.check(HealthCheckRequest { service: name.into() }).await.unwrap();
            assert_eq!(answer.into_inner().status, expected as i32, "{name:?}");
        }
    };
    check(ServingStatus::NotServing).await;
    health.ready().await;
    check(ServingStatus::Serving).await;
    life.shutdown.leave();
    while life.tasks.living().contains(&"health".to_owned()) {
        tokio::task::yield_now().await;
    }
    check(ServingStatus::NotServing).await;
    health.ready().await;
    check(ServingStatus::NotServing).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_calls_end_and_ends_streams() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let signals = Box::pin(futures::stream::once(async move {
        let _ = stopped.await;
        crate::drain::Signal::Terminate
    }));
    let (channel, listener) = pipe();
    let (up, running) = tokio::sync::oneshot::channel();
    let grace = Grace { pause: Duration::from_secs(1), drain: Duration::from_secs(20) };
    let process = tokio::spawn(crate::drain::run(grace, signals, async move |life: Life| {
        let health = Health::new(&life, &[]).await;
        server(&life).health(&health).pipe(listener).start()?;
        health.ready().await;
        let _ = up.send(());
        Ok(())
    }));
    running.await.unwrap();
    let mut client = ProbeClient::new(channel.clone());
    let mut ours = client.watch("until drain", &[]).await.unwrap();
    let watched = HealthClient::new(channel).watch(HealthCheckRequest::default()).await.unwrap();
    let mut call = Box::pin({
        let mut client = client.clone();
        async move { client.check("three seconds", &[]).await }
    });
    assert!(futures::poll!(&mut call).is_pending());
    stop.send(()).unwrap();
    // Still served while leaving.
    client.check("id", &[]).await.unwrap();
    call.await.unwrap();
    assert!(ours.next().await.is_none());
    let seen: Vec<i32> = watched.into_inner().map(|status| status.unwrap().status).collect().await;
    assert_eq!(seen, [ServingStatus::Serving as i32, ServingStatus::NotServing as i32]);
    assert_eq!(process.await.unwrap().unwrap(), crate::drain::Ended::Drained);
    assert_eq!(client.check("id", &[]).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_drained_listener_refuses_at_once() {
    let life = Life::new();
    let listener = Bind::new(any(), "--grpc").tcp().unwrap();
    let addr = listener.local_addr().unwrap();
    server(&life).tcp(listener, None).start().unwrap();
    life.shutdown.advance(Phase::Draining);
    life.tasks.ended().await;
    let refused = tokio::net::TcpStream::connect(addr).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test(start_paused = true)]
async fn a_connection_ages_and_its_last_calls_have_a_grace() {
    let connections = Connections {
        age: Duration::from_secs(600),
        age_grace: Duration::from_secs(60),
        ..Connections::default()
    };
    let (channel, _life) = serve(|server| server.connections(connections));
    let mut client = ProbeClient::new(channel);
    let began = tokio::time::Instant::now();
    let mut stream = client.watch("silent", &[]).await.unwrap();
    stream.next().await.unwrap().unwrap_err();
    assert!((600..=720).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    // And a new connection is made without anybody noticing.
    client.check("id", &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn connections_over_the_limit_wait() {
    let connections = Connections { max: 1, ..Connections::default() };
    let (another, listener) = pipe();
    let (channel, _life) = serve(|server| server.connections(connections).pipe(listener));
    let mut holder = ProbeClient::new(channel);
    holder.check("id", &[]).await.unwrap();
    let mut waiting = ProbeClient::new(another);
    let mut call = Box::pin(waiting.check("id", &[]));
    assert!(tokio::time::timeout(Duration::from_secs(60), &mut call).await.is_err());
    drop(holder);
    call.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn reflection_tells_what_is_served() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
    let (channel, _life) = serve(|server| server.reflection(true));
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
    let ServerReflectionResponse {
        message_response: Some(MessageResponse::ListServicesResponse(list)), ..
    } = answers.next().await.unwrap().unwrap()
    else {
        panic!("a list of services")
    };
    let mut names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    names.sort_unstable();
    // The probe borrows the messages of health, which is described to every server and served by this one not.
    assert_eq!(names, ["grpc.reflection.v1.ServerReflection", PROBE]);
}

#[tokio::test]
async fn a_broken_descriptor_is_an_error_of_the_start() {
    let life = Life::new();
    Server::new("grpc", life, Chance::seeded(1)).descriptors(b"\xff").start().unwrap_err();
}
