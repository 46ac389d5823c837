//! What an edge tells its operator of what it drops, and of calls that it cannot send.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use support::*;

#[tokio::test]
async fn whom_the_edge_takes_for_nobodys_is_named_with_the_fix_and_not_for_every_packet() {
    let (logged, _guard) = logged("warn");
    let acme = Tenant::usual(&[EDGE_UNSET], &[EDGE_UNSET]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let stranger = Peer::new("127.8.7.9", bed.udp()).await;
    for at in 0..5 {
        stranger.send(&stranger.invite("+493023125101", &format!("s{at}"))).await;
    }
    bed.until("all are dropped", |s| s.strangers == 5).await;
    let fix = "`ingress: [{listener: main, source: 127.8.7.9}]`";
    assert_eq!(
        logged.lines(&["127.8.7.9", "INVITE", "no tenant's trunk claims", fix]).len(),
        1,
        "{:?}",
        logged.lines(&[])
    );
    assert!(stranger.is_quiet());
    assert_eq!(logged.lines(&["acme"]), Vec::<String>::new(), "no tenant is named to whoever asks");
}

#[tokio::test]
async fn a_call_that_has_no_target_that_can_be_tried_names_each_with_its_reason() {
    let (logged, _guard) = logged("warn");
    let mut acme = Tenant::usual(&[EDGE_UNSET], &[EDGE_UNSET]);
    acme.trunk(1)["transport"] = "Tls".into();
    acme.trunk(1)["addresses"] = serde_json::json!([{"host": CIC, "port": 5061}]);
    let bed = Bed::new(view(&[&acme], &["main"]));
    let gateway = Peer::new(GATEWAY, bed.udp()).await;
    gateway.send(&gateway.invite("+493023125101", "t1")).await;
    gateway.expect("SIP/2.0 503").await;
    let line = logged.lines(&["acme", "t1", &format!("trunk cic, {CIC}:5061"), "does not carry TLS"]);
    assert_eq!(line.len(), 1, "{:?}", logged.lines(&[]));
}

#[tokio::test]
async fn a_scanner_hides_no_gateway_that_is_claimed_wrongly_nor_a_tenant_another() {
    let (logged, _guard) = logged("warn");
    let with_tls = |name, gateway: &str| {
        let mut tenant = Tenant { name, ..Tenant::usual(&[EDGE_UNSET], &[EDGE_UNSET]) };
        tenant.trunk(0)["ingress"][0]["source"] = gateway.into();
        tenant.trunk(1)["ingress"] = serde_json::json!([]);
        tenant.trunk(2)["ingress"] = serde_json::json!([]);
        tenant.trunk(1)["transport"] = "Tls".into();
        tenant.trunk(1)["addresses"] = serde_json::json!([{"host": CIC, "port": 5061}]);
        tenant
    };
    let (acme, globex) = (with_tls("acme", GATEWAY), with_tls("globex", "127.9.0.11"));
    let bed = Bed::new(view(&[&acme, &globex], &["main"]));
    let (scanner, gateway) =
        (Peer::new("127.8.7.9", bed.udp()).await, Peer::new("127.8.7.10", bed.udp()).await);
    for at in 0..5 {
        scanner.send(&scanner.invite("+493023125101", &format!("s{at}"))).await;
    }
    gateway.send(&gateway.invite("+493023125101", "g1")).await;
    bed.until("all are dropped", |s| s.strangers == 6).await;
    for source in ["127.8.7.9", "127.8.7.10"] {
        assert_eq!(logged.lines(&[&format!("source: {source}}}]")]).len(), 1, "{:?}", logged.lines(&[]));
    }
    for (ip, calls) in [(GATEWAY, ["t1", "t2"]), ("127.9.0.11", ["t3", "t4"])] {
        let gateway = Peer::new(ip, bed.udp()).await;
        for call in calls {
            gateway.send(&gateway.invite("+493023125101", call)).await;
            gateway.expect("SIP/2.0 503").await;
        }
    }
    for tenant in ["acme", "globex"] {
        assert_eq!(logged.lines(&[tenant, "does not carry TLS"]).len(), 1, "{:?}", logged.lines(&[]));
    }
}
