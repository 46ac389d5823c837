//! Calls that Lync decides: reverse number lookup, voice routes, routing between trunks.

use tandem_sim::Place;

use crate::harness::Tenant;

#[tokio::test]
async fn a_line_uri_rings_the_users_endpoint() {
    let tenant = Tenant::new("MED", &[]);
    let result = tenant.pstn_call("+12065550001", "+14255550202").await;
    assert_eq!((result.status, result.rtp_received), (200, 10));
    assert_eq!(tenant.hops("+12065550001").await, "GW > MED > FE > lee-phone");
    let fe = tenant.taken("+12065550001", "FE").await;
    assert_eq!(fe.why, "reverse number lookup: +14255550202 is the Line URI of sip:lee@contoso.example");
    let med = tenant.taken("+12065550001", "MED").await;
    assert_eq!((med.transport.as_str(), med.why.as_str()), ("TCP", "trunk GW"));
}

#[tokio::test]
async fn all_endpoints_of_a_user_ring_and_the_first_answer_ends_the_others() {
    let tenant = Tenant::new("MED", &[]);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550204").await.status, 200);
    let answered = tenant.taken("+12065550001", "pat-phone").await;
    let other = tenant.taken("+12065550001", "pat-desk").await;
    assert_eq!((answered.status, other.status, other.answered), (200, 487, false));
}

#[tokio::test]
async fn option_three_passes_lync_twice_by_inter_trunk_routing() {
    let tenant = Tenant::new("MED", &[]);
    let result = tenant.pstn_call("+12065550001", "+14255550104").await;
    assert_eq!((result.status, result.rtp_sent, result.rtp_received), (200, 10, 10));
    let legs = tenant.legs("+12065550001").await;
    let names: Vec<_> = legs.iter().filter(|leg| !leg.outgoing).map(|leg| leg.element.as_str()).collect();
    assert_eq!(names[..6], ["MED", "FE", "MED", "CIC", "MED", "FE"]);
    assert!(names[6..].contains(&"pat-phone"), "{names:?}");
    let why = "inter-trunk routing from GW: voice route To CIC, PSTN usage Tandem";
    assert!(legs.iter().any(|leg| leg.element == "FE" && leg.why.contains(why)));
}

#[tokio::test]
async fn without_the_shared_usage_option_three_cannot_reach_cic() {
    let changes = [(
        "{ name: GW, address: \"NET.10:5060\", pstn_usages: [Tandem]",
        "{ name: GW, address: \"NET.10:5060\", pstn_usages: []",
    )];
    let tenant = Tenant::new("MED", &changes);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550104").await.status, 404);
    assert_eq!(tenant.hops("+12065550001").await, "GW > MED > FE");
    let fe = tenant.taken("+12065550001", "FE").await;
    assert!(
        fe.why.ends_with("voice route To CIC matches +14255550104, but no PSTN usage is shared"),
        "{}",
        fe.why
    );
}

#[tokio::test]
async fn a_user_with_enterprise_voice_off_is_passed_on() {
    let tenant = Tenant::new("MED", &[]);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550101").await.status, 200);
    assert_eq!(tenant.hops("+12065550001").await, "GW > MED > FE > MED > CIC > ann-phone");
    let fe = tenant.taken("+12065550001", "FE").await;
    assert!(fe.why.contains("Enterprise Voice off: passed on"), "{}", fe.why);
}

#[tokio::test]
async fn a_did_that_equals_the_line_uri_rings_at_once_and_cic_never_sees_it() {
    let changes = [("line_uri: \"tel:+14255550204\"", "line_uri: \"tel:+14255550104\"")];
    let tenant = Tenant::new("MED", &changes);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550104").await.status, 200);
    let legs = tenant.legs("+12065550001").await;
    assert!(legs.iter().all(|leg| leg.element != "CIC"));
    assert!(legs.iter().any(|leg| leg.element == "pat-phone" && leg.answered));
}

#[tokio::test]
async fn an_unknown_peer_is_refused() {
    let changes = [("{ name: GW, address: \"NET.10:5060\"", "{ name: GW, address: \"NET.99:5060\"")];
    let tenant = Tenant::new("MED", &changes);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550202").await.status, 403);
    let med = tenant.taken("+12065550001", "MED").await;
    assert_eq!((med.status, med.why.as_str()), (403, "no trunk of the topology has this peer"));
}

#[tokio::test]
async fn mediation_does_not_hear_udp() {
    let tenant = Tenant::new("MED, CIC", &[("transport: tcp }\ntel_to_ip", "transport: udp }\ntel_to_ip")]);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550101").await.status, 200);
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > ann-phone");
}

#[tokio::test]
async fn a_client_dials_colleagues_cic_users_and_the_pstn() {
    let tenant = Tenant::new("MED", &[]);
    let check = async |caller: &str, dialled: &str, expected: &str| {
        let call = Place { caller: caller.to_owned(), ..Place::new("lee-phone", dialled) };
        let result = tenant.lync.place_call(call).unwrap().result().await;
        assert_eq!((result.status, result.rtp_received), (200, 10), "{dialled}");
        assert_eq!(tenant.hops(caller).await.replace(" > pat-desk", ""), expected);
    };
    check("+14255559001", "0204", "lee-phone > FE > pat-phone").await;
    check("+14255559002", "+14255550102", "lee-phone > FE > MED > CIC > bob-phone").await;
    check("+14255559003", "+12065550100", "lee-phone > FE > MED > GW").await;
    check("+14255559004", "+14255550104", "lee-phone > FE > MED > CIC > MED > FE > pat-phone").await;
}

#[tokio::test]
async fn an_endpoint_that_is_told_to_answer_waits_for_it() {
    let tenant = Tenant::new(
        "MED",
        &[(
            "answer: manual, answer_after_ms: 5 }\n  - { name: pat-phone",
            "answer: told }\n  - { name: pat-phone",
        )],
    );
    let mut call = tenant.gateway.place_call(Tenant::call("+12065550001", "+14255550202")).unwrap();
    let rings = || tenant.legs_now("+12065550001").iter().any(|leg| leg.element == "lee-phone");
    tenant.until("it rings", rings).await;
    assert!(tenant.legs_now("+12065550001").iter().all(|leg| !leg.answered));
    // It rings from its 180 on, which follows its record: told until it has answered.
    tenant
        .until("it is answered", || {
            tenant.behave("lee-phone", "answer");
            tenant.legs_now("+12065550001").iter().any(|leg| leg.element == "lee-phone" && leg.answered)
        })
        .await;
    assert!(call.answered().await);
    assert_eq!(tenant.taken("+12065550001", "lee-phone").await.answered_by, "manual");
}
