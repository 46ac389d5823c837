use super::*;
use crate::testing::{until, world};

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn port(world: &World) -> Port {
    Port::open(LOCAL, Duration::from_millis(1), world).unwrap()
}

#[tokio::test]
async fn a_talk_is_ten_packets_each_way_through_a_bridge() {
    let world = world();
    let (caller, near, far, agent) = (port(&world), port(&world), port(&world), port(&world));
    caller.connect(near.local());
    near.connect(caller.local());
    far.connect(agent.local());
    agent.connect(far.local());
    Port::bridge(&near, &far);
    caller.talk();
    agent.talk();
    let whole =
        |port: &Port, peer: &Port| port.flows() == [Flow { peer: peer.local(), sent: 10, received: 10 }];
    until("ten packets each way", || {
        whole(&caller, &near) && whole(&near, &caller) && whole(&far, &agent) && whole(&agent, &far)
    })
    .await;
}

#[tokio::test]
async fn a_new_talk_ends_the_old_one_and_flows_are_counted_apart() {
    let world = world();
    let (talker, first, second) = (port(&world), port(&world), port(&world));
    talker.connect(first.local());
    talker.talk();
    until("the first packet", || !first.flows().is_empty()).await;
    talker.connect(second.local());
    talker.talk();
    until("ten to the second", || second.flows().iter().any(|flow| flow.received == 10)).await;
    let flows = talker.flows();
    assert_eq!(flows.iter().map(|flow| flow.peer).collect::<Vec<_>>(), [first.local(), second.local()]);
    assert_eq!(flows[1].sent, 10);
}

#[test]
fn packets_are_rtp() {
    let first = packet(0, 0x0102_0304);
    assert_eq!(first.len(), 172);
    assert_eq!(first[..12], [0x80, 0x80, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    let third = packet(2, 1);
    assert_eq!(third[..8], [0x80, 0, 0, 2, 0, 0, 1, 64]);
}
