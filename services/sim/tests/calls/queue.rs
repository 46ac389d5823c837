//! Workgroup queues.

use std::time::Duration;

use tandem_sim::Place;

use crate::harness::{Tenant, flows};

/// The agents hang up, so that the caller need not guess how long the queue lasts.
const AGENTS_HANG_UP: (&str, &str) = ("answer_after_ms: 5 }", "answer_after_ms: 5, hang_up_after_ms: 800 }");

fn queued(caller: &str) -> Place {
    Place { hold: Some(Duration::from_secs(8)), ..Tenant::call(caller, "+14255550180") }
}

#[tokio::test]
async fn the_queue_answers_and_an_available_agent_takes_the_call() {
    let tenant = Tenant::new("CIC", &[AGENTS_HANG_UP]);
    tenant.behave("ann", "status:At Lunch");
    let result = tenant.gateway.place_call(queued("+12065550001")).unwrap().result().await;
    assert_eq!((result.status, result.ended_by_far_end), (200, true));
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > bob-phone");
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert_eq!(cic.answered_by, "cic");
    assert!(cic.why.contains("agent bob answered"), "{}", cic.why);
    let agent = tenant.taken("+12065550001", "bob-phone").await;
    assert_eq!((agent.answered_by.as_str(), agent.rtp_received), ("auto", 10));
    // Music from the media server, then the agent's own address: dynamic audio path.
    let gateway = tenant.legs("+12065550001").await.into_iter().find(|leg| leg.element == "GW").unwrap();
    let from: Vec<_> = flows(&gateway).into_iter().map(|(_, peer, ..)| peer).collect();
    assert_eq!(from, [tenant.net.put("NET.60"), tenant.net.put("NET.42")]);
}

#[tokio::test]
async fn an_agent_who_does_not_answer_is_set_aside_and_the_next_is_rung() {
    let changes = [
        AGENTS_HANG_UP,
        (
            "answer: manual, answer_after_ms: 5, hang_up_after_ms: 800 }\n  - { name: bob",
            "answer: never }\n  - { name: bob",
        ),
    ];
    let tenant = Tenant::new("CIC", &changes);
    let result = tenant.gateway.place_call(queued("+12065550001")).unwrap().result().await;
    assert_eq!(result.status, 200);
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > ann-phone > bob-phone");
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert!(
        cic.why.contains("agent ann did not answer: ACD - Agent Not Answering; agent bob answered"),
        "{}",
        cic.why
    );
    // ann keeps that status: the next call goes to bob at once.
    tenant.gateway.place_call(queued("+12065550002")).unwrap().result().await;
    assert_eq!(tenant.hops("+12065550002").await, "GW > CIC > bob-phone");
}

#[tokio::test]
async fn a_caller_waits_until_an_agent_is_available() {
    let tenant = Tenant::new("CIC", &[AGENTS_HANG_UP]);
    tenant.behave("ann", "logged-off");
    tenant.behave("bob", "status:In a meeting");
    let mut call = tenant.gateway.place_call(queued("+12065550001")).unwrap();
    assert!(call.answered().await);
    assert_eq!(crate::harness::hops(&tenant.legs_now("+12065550001")), "GW > CIC");
    tenant.behave("bob", "status:Available");
    assert!(call.result().await.ended_by_far_end);
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > bob-phone");
}

#[tokio::test]
async fn a_recorded_queue_keeps_the_media_server_in_the_audio() {
    let tenant = Tenant::new(
        "CIC",
        &[AGENTS_HANG_UP, ("agents: [ann, bob]", "agents: [ann, bob], record_calls: true")],
    );
    tenant.gateway.place_call(queued("+12065550001")).unwrap().result().await;
    let agent = tenant.taken("+12065550001", "ann-phone").await;
    assert_eq!(flows(&agent)[0].1, tenant.net.put("NET.60"));
    let gateway = tenant.legs("+12065550001").await.into_iter().find(|leg| leg.element == "GW").unwrap();
    assert!(flows(&gateway).iter().all(|(_, peer, ..)| *peer == tenant.net.put("NET.60")));
}

#[tokio::test]
async fn an_agent_on_a_lync_phone_is_reached_by_a_station_call() {
    let changes = [(
        "answer: manual, answer_after_ms: 5 }\n  - { name: pat-desk",
        "answer: manual, answer_after_ms: 5, hang_up_after_ms: 800 }\n  - { name: pat-desk",
    )];
    let tenant = Tenant::new("CIC", &changes);
    let call = Place { hold: Some(Duration::from_secs(8)), ..Tenant::call("+12065550001", "+14255550181") };
    let result = tenant.gateway.place_call(call).unwrap().result().await;
    assert_eq!((result.status, result.ended_by_far_end), (200, true));
    assert_eq!(
        tenant.hops("+12065550001").await.replace(" > pat-desk", ""),
        "GW > CIC > MED > FE > pat-phone"
    );
    let agent = tenant.taken("+12065550001", "pat-phone").await;
    assert_eq!((agent.rtp_sent, agent.rtp_received), (10, 10));
}

#[tokio::test]
async fn a_caller_who_gives_up_in_the_queue_frees_the_agent() {
    let tenant = Tenant::new(
        "CIC",
        &[("answer: manual, answer_after_ms: 5 }\n  - { name: bob", "answer: never }\n  - { name: bob")],
    );
    tenant.behave("bob", "logged-off");
    let call = tenant.gateway.place_call(queued("+12065550001")).unwrap();
    let rings = || tenant.legs_now("+12065550001").iter().any(|leg| leg.element == "ann-phone");
    tenant.until("ann's phone rings", rings).await;
    call.hang_up();
    assert_eq!(call.result().await.status, 200);
    assert_eq!(tenant.taken("+12065550001", "ann-phone").await.status, 487);
}
