//! Calls to and from CIC's own users.

use tandem_sim::Place;

use crate::harness::Tenant;

#[tokio::test]
async fn a_call_from_the_pstn_rings_the_users_phone() {
    let tenant = Tenant::new("CIC", &[]);
    let result = tenant.pstn_call("+12065550001", "+14255550101").await;
    assert_eq!((result.status, result.rtp_sent, result.rtp_received), (200, 10, 10));
    assert!(!result.ended_by_far_end);
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > ann-phone");
    let phone = tenant.taken("+12065550001", "ann-phone").await;
    assert_eq!((phone.answered_by.as_str(), phone.rtp_sent, phone.rtp_received), ("manual", 10, 10));
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert_eq!(cic.why, "line Gateway: +14255550101 is a number of user ann");
}

#[tokio::test]
async fn a_station_call_reaches_a_lync_endpoint_by_its_line() {
    let tenant = Tenant::new("CIC", &[]);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550104").await.status, 200);
    assert_eq!(
        tenant.hops("+12065550001").await.replace(" > pat-desk", ""),
        "GW > CIC > MED > FE > pat-phone"
    );
    let legs = tenant.legs("+12065550001").await;
    let station = legs.iter().find(|leg| leg.element == "CIC" && leg.outgoing).unwrap();
    assert_eq!(station.why, "user pat: station pat, line Lync");
    assert_eq!(station.request_uri, tenant.net.put("sip:+14255550204@NET.30:5068;user=phone;transport=tcp"));
    let taken = legs.iter().find(|leg| leg.element == "CIC" && !leg.outgoing).unwrap();
    assert_eq!(station.for_call_id, taken.call_id);
    assert_ne!(station.call_id, taken.call_id);
}

#[tokio::test]
async fn a_number_of_lync_goes_out_by_the_dial_plan() {
    let tenant = Tenant::new("CIC", &[]);
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550202").await.status, 200);
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > MED > FE > lee-phone");
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert_eq!(cic.why, "line Gateway: dial plan +142555502XX -> line group Lync");
}

#[tokio::test]
async fn a_phone_of_cic_dials_out() {
    let tenant = Tenant::new("CIC", &[]);
    let check = async |dialled: &str, expected: &str| {
        let result = tenant.cic.place_call(Place::new("ann-phone", dialled)).unwrap().result().await;
        assert_eq!((result.status, result.rtp_received), (200, 10), "{dialled}");
        // The phone shows its extension, what CIC places shows the user's number.
        let mut legs = tenant.legs("2001").await;
        legs.extend(tenant.legs("+14255550101").await);
        assert_eq!(crate::harness::hops(&legs), expected);
        for simulator in [&tenant.gateway, &tenant.cic, &tenant.lync] {
            simulator.reset();
        }
    };
    check("2002", "ann-phone > CIC > bob-phone").await;
    check("+14255550202", "ann-phone > CIC > MED > FE > lee-phone").await;
    check("+12065550100", "ann-phone > CIC > GW").await;
    check("911", "ann-phone > CIC > GW").await;
}

#[tokio::test]
async fn an_emergency_call_is_answered_by_the_rescue() {
    let tenant = Tenant::new("CIC", &[]);
    assert_eq!(tenant.cic.place_call(Place::new("ann-phone", "911")).unwrap().result().await.status, 200);
    let gateway = tenant.taken("+14255550101", "GW").await;
    assert_eq!(gateway.why, "emergency number 911: the rescue answers");
}

#[tokio::test]
async fn the_client_of_a_user_rings_the_own_station_first() {
    let tenant = Tenant::new("CIC", &[]);
    let call = Place { caller: "+14255559009".to_owned(), ..Place::new("pat", "+12065550100") };
    let result = tenant.cic.place_call(call).unwrap().result().await;
    assert_eq!((result.status, result.ended_by_far_end), (200, false));
    let legs = tenant.legs("+14255559009").await;
    let order: Vec<_> = legs.iter().filter(|leg| !leg.outgoing).map(|leg| leg.element.as_str()).collect();
    assert_eq!(order.last(), Some(&"GW"), "{order:?}");
    assert!(order.contains(&"pat-phone"));
}

#[tokio::test]
async fn nobody_answers_so_the_caller_has_voicemail() {
    let tenant = Tenant::new(
        "CIC",
        &[("answer: manual, answer_after_ms: 5 }\n  - { name: bob", "answer: never }\n  - { name: bob")],
    );
    let result = tenant.pstn_call("+12065550001", "+14255550101").await;
    assert_eq!((result.status, result.ended_by_far_end), (200, true));
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert_eq!(cic.answered_by, "cic");
    assert!(
        cic.why.contains("station ann did not answer; voicemail: media server MS by rule <Device>"),
        "{}",
        cic.why
    );
    assert_eq!(tenant.taken("+12065550001", "ann-phone").await.status, 487);
}

#[tokio::test]
async fn do_not_disturb_keeps_the_phone_quiet() {
    let tenant = Tenant::new("CIC", &[]);
    tenant.behave("ann", "status:do not disturb");
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550101").await.status, 200);
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC");
}

#[tokio::test]
async fn an_attendant_answers_and_transfers() {
    let tenant = Tenant::new("CIC", &[]);
    let call = Place {
        hold: Some(std::time::Duration::from_millis(400)),
        ..Tenant::call("+12065550001", "+14255550190")
    };
    let result = tenant.gateway.place_call(call).unwrap().result().await;
    // Ten packets from the greeting, ten from ann, to whom the re-INVITE led.
    assert_eq!((result.status, result.rtp_received), (200, 20));
    assert_eq!(tenant.hops("+12065550001").await, "GW > CIC > ann-phone");
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert!(cic.why.contains("attendant profile Main: 2001 is a number of user ann"), "{}", cic.why);
}

#[tokio::test]
async fn a_stranger_is_refused() {
    let tenant = Tenant::new(
        "CIC",
        &[("{ name: Gateway, remote: \"NET.10:5060\"", "{ name: Gateway, remote: \"NET.99:5060\"")],
    );
    assert_eq!(tenant.pstn_call("+12065550001", "+14255550101").await.status, 403);
}
