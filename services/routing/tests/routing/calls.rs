//! Decisions, explanations, and what is remembered of them.

use std::time::Duration;

use tandem_domain::id::Revision;
use tandem_proto::routing::v1 as pb;
use tandem_runtime::clock::Clock;
use tonic::{Code, Request};

use crate::rig::{START, call, eventually, not_synchronised, rig, rig_of};

pub(crate) fn gateway_of(decision: &pb::Decision) -> &str {
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
    // A tenth of it is kept for the answer, which must be more than a busy machine takes for it.
    let deadline = Duration::from_secs(4);
    let mut route = Request::new(call("brandt", "+493023125101", Revision(revision.0 + 1_000_000_000)));
    route.set_timeout(deadline);
    let later = call("brandt", "+493023125101", Revision(revision.0 + 1_000_000_000));
    let mut explain = Request::new(pb::ExplainCallRequest {
        parent: later.parent,
        attempt: later.attempt,
        assume: None,
        min_revision: later.min_revision,
    });
    explain.set_timeout(deadline);
    let (mut one, mut other) = (rig.client(), rig.client());
    let (route, explain) = tokio::join!(one.route_call(route), other.explain_call(explain));
    for status in [route.unwrap_err(), explain.unwrap_err()] {
        assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
        assert!(String::from_utf8_lossy(status.details()).contains("REVISION_NOT_REACHED"), "{status:?}");
    }
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
async fn a_request_of_a_stream_that_has_hours_waits_seconds_for_its_revision() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let requests = vec![
        call("brandt", "+493023125101", Revision(revision.0 + 1_000_000_000)),
        call("brandt", "+493023125101", revision),
    ];
    let mut stream = Request::new(tokio_stream::iter(requests));
    stream.set_timeout(Duration::from_secs(7200));
    let mut answers = rig.client().route_calls(stream).await.unwrap().into_inner();
    for decided in [false, true] {
        let answer = tokio::time::timeout(Duration::from_secs(60), answers.message()).await.expect("in time");
        let result = answer.unwrap().unwrap().result;
        assert_eq!(matches!(result, Some(pb::route_calls_response::Result::Decision(_))), decided);
    }
}

#[tokio::test]
async fn an_explanation_has_the_ladder_the_losers_and_the_what_if() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let explained = rig.explain(call("brandt", "+493023125103", revision), None).await;
    let plan = explained.plan.unwrap();
    let hops: Vec<&str> = plan.hops.iter().map(|h| h.element.as_str()).collect();
    assert_eq!(
        hops,
        ["GW", "EDGE", "MED", "FE", "MED", "EDGE", "CIC", "MED", "FE", "LPH"],
        "the double pass of option 3: {}",
        explained.text
    );
    assert_eq!(plan.mediation_sessions, 3);
    assert!(explained.trail.iter().any(|s| s.verdict() == pb::step::Verdict::Lost), "{:?}", explained.trail);
    assert!(explained.text.contains("LPH"), "{}", explained.text);
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

#[tokio::test]
async fn what_an_explanation_assumes_is_taken_for_true() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let queued = call("brandt", "+493023125180", revision);
    let callee = async |assume| rig.explain(queued.clone(), Some(assume)).await.plan.unwrap().callee;
    assert_eq!(callee(pb::Assumptions::default()).await, "QUEUE");
    let agent = |agent: &str| pb::Assumptions { agent: agent.into(), ..Default::default() };
    assert_eq!(callee(agent("anna.weber")).await, "Q1");
    assert_eq!(callee(agent("clara.hoffmann")).await, "Q3");
    let alone = call("brandt", "+493023125104", revision);
    let answer = async |assume| rig.explain(alone.clone(), Some(assume)).await.plan.unwrap().answer;
    // Lync is met first here: the edge that decided is in the drawing, unless it is asked without it.
    let drawn = async |assume| {
        let (parent, attempt) = ("tenants/brandt".into(), queued.attempt.clone());
        let request = pb::ExplainCallRequest { parent, attempt, assume, min_revision: 0 };
        let explained = rig.client().explain_call(request).await.unwrap();
        explained.into_inner().plan.unwrap().hops.iter().any(|h| h.element == "EDGE")
    };
    let alone = pb::Assumptions { edge_not_in_path: true, ..Default::default() };
    assert_eq!([drawn(None).await, drawn(Some(pb::Assumptions::default())).await], [true, true]);
    assert!(!drawn(Some(alone)).await);
    let connected = pb::Assumptions { plug_ins: vec!["dilek.yilmaz".into()], ..Default::default() };
    assert_ne!(answer(connected).await, answer(pb::Assumptions::default()).await, "the plug-in answers");
    let wrong = pb::Assumptions { agent: "Clara\u{7}".into(), ..Default::default() };
    let request = pb::ExplainCallRequest {
        parent: "tenants/brandt".into(),
        attempt: queued.attempt.clone(),
        assume: Some(wrong),
        min_revision: 0,
    };
    let refused = rig.client().explain_call(request).await.unwrap_err();
    assert!(refused.message().starts_with("assume.agent"), "{refused:?}");
}

#[tokio::test]
async fn what_the_caller_of_a_route_knows_is_decided_by() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let with =
        |assume| pb::RouteCallRequest { assume: Some(assume), ..call("brandt", "+493023125101", revision) };
    let first = rig.route(with(pb::Assumptions::default())).await.unwrap();
    assert_eq!(gateway_of(&first), "lync");
    // Many attempts like it are under way: it runs in a circle.
    let alike = pb::Assumptions { attempts_alike: 1_000, ..Default::default() };
    let looped = rig.route(with(alike.clone())).await.unwrap();
    let Some(pb::decision::Outcome::Rejection(looped)) = looped.outcome else { panic!("{looped:?}") };
    assert_eq!((looped.reason.as_str(), looped.sip_status), ("route.loop", 482));
    // An address that is silent goes last.
    let targets = async |assume| {
        let mut request = with(assume);
        let ingress = Some(pb::call_attempt::Ingress::Trunk("lync".into()));
        request.attempt.as_mut().unwrap().ingress = ingress;
        match rig.route(request).await.unwrap().outcome.unwrap() {
            pb::decision::Outcome::Route(route) => {
                route.targets.into_iter().map(|t| (t.trunk, t.host, t.port)).collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    let before = targets(pb::Assumptions::default()).await;
    let (trunk, host, port) = before[0].clone();
    let silent = vec![pb::SilentAddress { trunk, host, port }];
    let after = targets(pb::Assumptions { silent, ..Default::default() }).await;
    assert_eq!(after, [before[1].clone(), before[0].clone()], "the example's CIC has two addresses");
    // In a stream each call says its own.
    let asked = [with(pb::Assumptions::default()), with(alike)];
    let mut answers = rig.client().route_calls(tokio_stream::iter(asked)).await.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(pb::route_calls_response::Result::Decision(decision)) = answer.result else {
            panic!("{answer:?}")
        };
        outcomes.push(gateway_of(&decision).to_owned());
    }
    assert_eq!(outcomes, ["lync", "route.loop"]);
    let wrong = pb::Assumptions { attempts_alike: 70_000, ..Default::default() };
    let refused = rig.route(with(wrong)).await.unwrap_err();
    assert!(refused.message().starts_with("assume.attempts_alike"), "{refused:?}");
}

#[tokio::test]
async fn decisions_are_found_by_call_and_by_time() {
    let (clock, hand) = Clock::manual(START);
    let rig = rig_of(clock).await;
    let revision = rig.brandt("brandt").await;
    for called in ["+493023125101", "+493023125102", "+493023125103"] {
        rig.route(call("brandt", called, revision)).await.unwrap();
        hand.advance(Duration::from_secs(1));
    }
    let list = async |ask: pb::ListDecisionsRequest| {
        let ask = pb::ListDecisionsRequest { parent: "tenants/brandt".into(), ..ask };
        let found = rig.client().list_decisions(ask).await.unwrap().into_inner().decisions;
        found.into_iter().map(|d| (d.at_us, d.decision.unwrap().called)).collect::<Vec<_>>()
    };
    let all = list(pb::ListDecisionsRequest::default()).await;
    assert_eq!(all.len(), 3);
    let by_call = pb::ListDecisionsRequest { call_id: "+493023125102@test".into(), ..Default::default() };
    assert_eq!(list(by_call).await, all[1..2]);
    let none = pb::ListDecisionsRequest { call_id: "+493023125102@tes".into(), ..Default::default() };
    assert!(list(none).await.is_empty());
    let (last, middle) = (all[0].0, all[1].0);
    for (from_us, to_us, expected) in [
        (middle, 0, &all[..2]),
        (middle + 1, 0, &all[..1]),
        (0, middle, &all[1..]),
        (0, middle - 1, &all[2..]),
        (middle, middle, &all[1..2]),
        (last + 1, 0, &[][..]),
    ] {
        let ask = pb::ListDecisionsRequest { from_us, to_us, ..Default::default() };
        assert_eq!(list(ask).await, expected, "{from_us} to {to_us}");
    }
}

#[tokio::test]
async fn a_decision_says_how_old_what_it_knows_is() {
    let (clock, hand) = Clock::manual(START);
    let rig = rig_of(clock).await;
    let revision = rig.brandt("brandt").await;
    let ask = || call("brandt", "+493023125101", revision);
    assert_eq!(rig.route(ask()).await.unwrap().stale_ms, 0);
    rig.cell.store().close().await.unwrap();
    eventually(|| rig.cell.view().stale_since().is_some()).await;
    hand.advance(Duration::from_secs(7));
    let decision = rig.route(ask()).await.unwrap();
    assert_eq!((gateway_of(&decision), decision.stale_ms), ("lync", 7_000), "it goes on answering");
    let explained = rig.explain(ask(), None).await;
    assert_eq!(explained.decision.unwrap().stale_ms, 7_000);
}

#[tokio::test]
async fn a_view_that_is_not_synchronised_answers_nothing_and_says_so() {
    let rig = not_synchronised().await;
    let parent = || "tenants/brandt".to_owned();
    let attempt = call("brandt", "1", Revision(0)).attempt;
    let explain = pb::ExplainCallRequest { parent: parent(), attempt, ..Default::default() };
    let list = pb::ListDecisionsRequest { parent: parent(), ..Default::default() };
    for refused in [
        rig.route(call("brandt", "1", Revision(0))).await.unwrap_err(),
        rig.client().explain_call(explain).await.unwrap_err(),
        rig.client().list_decisions(list).await.unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(String::from_utf8_lossy(refused.details()).contains("VIEW_NOT_READY"), "{refused:?}");
    }
}

/// A stream's answers keep the order of its requests, whatever each of them needs: one that waits for its revision holds
/// up those after it, and one that is not in its plain form is answered like any.
#[tokio::test]
async fn a_stream_waits_for_a_revision_and_goes_on_in_order() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let tagged = |tag, called: &str, min_revision: u64| {
        let mut request = call("brandt", called, Revision(min_revision));
        request.tag = tag;
        request
    };
    let ahead = tokio_stream::iter([
        tagged(1, "+493023125101", 0),
        tagged(2, "+493023125101", revision.0 + 1),
        tagged(3, "+493023125102", 0),
    ]);
    let mut answers = rig.client().route_calls(ahead).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().tag, 1);
    let second = tokio::time::timeout(Duration::from_millis(100), answers.message()).await;
    assert!(second.is_err(), "answered before its revision: {second:?}");
    // The stream's own message was not lost by giving up the wait.
    let written = rig.brandt("brandt").await;
    assert!(written > revision);
    let mut tags = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let Some(pb::route_calls_response::Result::Decision(decision)) = answer.result else {
            panic!("{answer:?}")
        };
        tags.push((answer.tag, decision.revision >= revision.0 + u64::from(answer.tag == 2)));
    }
    assert_eq!(tags, [(2, true), (3, true)]);
}
