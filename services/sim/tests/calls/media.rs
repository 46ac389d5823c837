//! Audio goes where the elements' own settings send it.

use crate::harness::{Tenant, flows};

/// The addresses from which the gateway heard audio, and to which the phone sent it.
async fn ends(tenant: &Tenant, called: &str, phone: &str) -> (String, String) {
    let result = tenant.pstn_call("+12065550001", called).await;
    assert_eq!((result.status, result.rtp_sent, result.rtp_received), (200, 10, 10));
    let legs = tenant.legs("+12065550001").await;
    let peer = |leg: &tandem_proto::sim::v1::SeenCall| flows(leg)[0].1.clone();
    let gateway = legs.iter().find(|leg| leg.element == "GW").unwrap();
    (peer(gateway), peer(&tenant.taken("+12065550001", phone).await))
}

#[tokio::test]
async fn where_audio_goes() {
    let check =
        async |changes: &[(&str, &str)], route: &str, called: &str, phone: &str, expected: (&str, &str)| {
            let tenant = Tenant::new(route, changes);
            let expected = (tenant.net.put(expected.0), tenant.net.put(expected.1));
            assert_eq!(ends(&tenant, called, phone).await, expected, "{called} by {route}, {changes:?}");
        };
    let recorded = [("greeting_ms: 100", "greeting_ms: 100\nrecord_calls: true")];
    let always = [("{ name: Stations,", "{ name: Stations, audio_path: always-in,")];
    let bypass = [("pstn_usages: [Tandem], fast", "enable_bypass: true, pstn_usages: [Tandem], fast")];
    // CIC: dynamic, recorded, always-in.
    check(&[], "CIC", "+14255550101", "ann-phone", ("NET.41", "NET.10")).await;
    check(&recorded, "CIC", "+14255550101", "ann-phone", ("NET.60", "NET.60")).await;
    check(&always, "CIC", "+14255550101", "ann-phone", ("NET.60", "NET.60")).await;
    // Mediation anchors, unless its trunks have bypass.
    check(&[], "MED", "+14255550202", "lee-phone", ("NET.30", "NET.30")).await;
    check(&bypass, "MED", "+14255550202", "lee-phone", ("NET.51", "NET.10")).await;
    check(&[], "CIC", "+14255550104", "pat-phone", ("NET.30", "NET.30")).await;
    check(&recorded, "CIC", "+14255550104", "pat-phone", ("NET.60", "NET.30")).await;
}

#[tokio::test]
async fn the_media_server_counts_what_it_relays() {
    let tenant = Tenant::new("CIC", &[("greeting_ms: 100", "greeting_ms: 100\nrecord_calls: true")]);
    tenant.pstn_call("+12065550001", "+14255550101").await;
    let near = tenant.taken("+12065550001", "CIC").await;
    assert_eq!(flows(&near), [("MS".to_owned(), tenant.net.put("NET.10"), 10, 10)]);
    assert_eq!(near.media[0].site, "premises");
    assert!(near.why.contains("recorded: media server MS by rule <Device>"), "{}", near.why);
}

#[tokio::test]
async fn without_a_media_server_a_call_goes_on_unrecorded() {
    let tenant = Tenant::new("CIC", &[("greeting_ms: 100", "greeting_ms: 100\nrecord_calls: true")]);
    tenant.behave("MS", "down");
    let ends = ends(&tenant, "+14255550101", "ann-phone").await;
    assert_eq!(ends, (tenant.net.put("NET.41"), tenant.net.put("NET.10")));
    let cic = tenant.taken("+12065550001", "CIC").await;
    assert!(cic.why.contains("no media server can be had"), "{}", cic.why);
}
