//! The example configurations make one tenant, and a status service tells what it saw.

use tandem_proto::sim::v1::simulator_client::SimulatorClient;
use tandem_proto::sim::v1::{GetStatusRequest, PlaceCallRequest, ResetRequest, SetBehaviourRequest};
use tandem_runtime::clock::Chance;
use tandem_runtime::serve::{Server, pipe};
use tandem_sim::SimulatorService;

use crate::harness::{Net, Tenant};

const EXAMPLES: [&str; 3] = [
    include_str!("../../../../examples/sim/gateway.yaml"),
    include_str!("../../../../examples/sim/cic.yaml"),
    include_str!("../../../../examples/sim/lync.yaml"),
];

/// The examples at addresses of this test.
fn examples() -> Tenant {
    let net = Net::new();
    let texts = EXAMPLES.map(|text| net.put(&text.replace("127.1.0.", "NET.")));
    Tenant::of_texts(net, &texts)
}

#[tokio::test]
async fn the_examples_call_each_other() {
    let tenant = examples();
    let check = async |caller: &str, called: &str, expected: &str| {
        assert_eq!(tenant.pstn_call(caller, called).await.status, 200, "{called}");
        assert_eq!(tenant.hops(caller).await, expected);
    };
    check("+12065550001", "+14255550101", "GW > CIC > ann-phone").await;
    check("+12065550002", "+14255550104", "GW > CIC > MED > FE > pat-phone").await;
    check("+12065550003", "+14255550202", "GW > CIC > MED > FE > lee-phone").await;
}

#[tokio::test]
async fn the_status_service_places_calls_and_tells_what_was_seen() {
    let tenant = examples();
    let (channel, listener) = pipe();
    let server = Server::new("sim", tenant.world.life.clone(), Chance::machine());
    server
        .service(SimulatorService::new(tenant.gateway.clone()).into_server())
        .pipe(listener)
        .start()
        .unwrap();
    let mut client = SimulatorClient::new(channel);
    let call = PlaceCallRequest {
        element: "GW".to_owned(),
        called: "+14255550101".to_owned(),
        caller: "+12065550001".to_owned(),
        marker: "first".to_owned(),
        ..Default::default()
    };
    let placed = client.place_call(call.clone()).await.unwrap().into_inner();
    assert_eq!((placed.status, placed.rtp_sent, placed.rtp_received), (200, 10, 10));
    let status = async |client: &mut SimulatorClient<_>, marker: &str| {
        let request = GetStatusRequest { marker: marker.to_owned() };
        client.get_status(request).await.unwrap().into_inner()
    };
    let by_word = status(&mut client, "first").await;
    assert_eq!((by_word.kind.as_str(), by_word.calls.len()), ("gateway", 1));
    assert_eq!(by_word.calls[0].call_id, placed.call_id);
    assert_eq!(status(&mut client, "206-555-0001").await.calls, by_word.calls);
    assert!(status(&mut client, "second").await.calls.is_empty());
    assert_eq!(by_word.elements[0].site, "premises");

    let set = |element: &str, behaviour: &str| SetBehaviourRequest {
        element: element.to_owned(),
        behaviour: behaviour.to_owned(),
    };
    client.set_behaviour(set("GW", "busy")).await.unwrap();
    assert_eq!(status(&mut client, "").await.elements[0].behaviour, "busy");
    let unknown = client.set_behaviour(set("PX", "busy")).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    let wrong = client.set_behaviour(set("GW", "explode")).await.unwrap_err();
    assert!(wrong.message().contains("`explode` is no behaviour"), "{}", wrong.message());
    let nobody = client.place_call(PlaceCallRequest { caller: String::new(), ..call }).await.unwrap_err();
    assert!(nobody.message().starts_with("caller: "), "{}", nobody.message());
    client.reset(ResetRequest {}).await.unwrap();
    assert!(status(&mut client, "").await.calls.is_empty());
}
