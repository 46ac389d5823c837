//! What the services and an edge count, as Prometheus is told of it.

use std::net::UdpSocket;
use std::time::Duration;

use crate::harness::{CLARA, Running, one_example, path, run, until};
use crate::shared::{metrics, value};

/// That each of these is just so much.
#[track_caller]
fn exactly(told: &str, wanted: &[(&str, f64)]) {
    for (name, wanted) in wanted {
        assert_eq!(value(told, name), Some(*wanted), "{name}: {told}");
    }
}

#[test]
fn services_and_an_edge_tell_what_they_have_counted() {
    let base = one_example("brandt");
    let up = Running::up(&["--tenants", &path(&base, "tenants"), "--metrics=127.0.0.1:0"]);
    let file = path(&base, "directories/brandt.yaml");
    up.ask(&["directory", "import", &file]).ended(0);
    up.ask(&["directory", "import", &file, "--dry-run"]).ended(0);
    let call = |what: &str, called: &str| up.ask(&["call", what, "--tenant", "brandt", "--called", called]);
    call("route", CLARA).ended(0);
    call("route", "+999").ended(1);
    call("explain", CLARA).ended(0);
    up.ask(&["call", "list", "--tenant", "brandt"]).ended(0);
    let told = metrics(&up);
    exactly(
        &told,
        &[
            ("tandem_routing_requests_total{method=\"RouteCall\"}", 2.0),
            ("tandem_routing_requests_total{method=\"RouteCalls\"}", 0.0),
            ("tandem_routing_requests_total{method=\"ExplainCall\"}", 1.0),
            ("tandem_routing_requests_total{method=\"ListDecisions\"}", 1.0),
            ("tandem_routing_decisions_total{outcome=\"routed\"}", 1.0),
            ("tandem_routing_decisions_total{outcome=\"rejected\"}", 1.0),
            ("tandem_routing_edges", 1.0),
            ("tandem_station_imports_total{outcome=\"done\"}", 1.0),
            ("tandem_station_imports_total{outcome=\"dry_run\"}", 1.0),
            ("tandem_station_imports_total{outcome=\"refused\"}", 0.0),
            ("tandem_station_watchers", 0.0),
        ],
    );
    assert!(value(&told, "tandem_station_import_entries_total{outcome=\"written\"}") > Some(1.0), "{told}");

    let edge = ["--listen", "public=udp:127.0.0.1:0", "--id", "far", "--metrics=127.0.0.1:0"];
    let server = up.server();
    let edge = Running::start(&[&["serve", "edge", "--server", &server], &edge[..]].concat());
    let at = edge.ready["listeners"][0].as_str().unwrap().rsplit_once("udp:").unwrap().1.to_owned();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let counted = || {
        socket.send_to(b"no SIP\r\n\r\n", &at).unwrap();
        let told = metrics(&edge);
        value(&told, "tandem_edge_malformed_total{edge=\"far\"}").filter(|n| *n >= 1.0).map(|_| told)
    };
    let told = until("it counts", counted);
    exactly(
        &told,
        &[
            ("tandem_edge_feed_live{edge=\"far\"}", 1.0),
            ("tandem_edge_feed_age_seconds{edge=\"far\"}", 0.0),
            ("tandem_edge_transactions{edge=\"far\"}", 0.0),
            ("tandem_edge_last_good_decisions_total{edge=\"far\"}", 0.0),
        ],
    );
    until("both edges follow", || (value(&metrics(&up), "tandem_routing_edges") == Some(2.0)).then_some(()));
    up.end().ended(0);
    until("its feed is old", || {
        value(&metrics(&edge), "tandem_edge_feed_age_seconds{edge=\"far\"}").filter(|age| *age > 0.0)
    });
    assert_eq!(value(&metrics(&edge), "tandem_edge_feed_live{edge=\"far\"}"), Some(0.0));
    edge.end().ended(0);
    assert!(run(&["serve", "edge", "--help"]).out.contains("--metrics"));
}
