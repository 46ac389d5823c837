//! The timers of RFC 3261 17 (table 4) and RFC 6026, each by its name, in virtual time. T1 is 500 ms, T2 4 s, T4 5 s.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::time::Duration;

use tandem_sip::transaction::{
    ClientId, Event, Layer, Limits, Packet, Peer, Received, ServerId, ServerKey, Timers, Transport,
};

const LONG: u64 = 32_000;

/// Transactions, and the moment in ms.
struct Rig {
    layer: Layer,
    now: u64,
}

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn peer(transport: Transport) -> Peer {
    Peer { address: "192.0.2.1:5060".parse().unwrap(), transport, listener: 0, connection: 0 }
}

fn packet(text: &str) -> Packet {
    Packet::from(text.as_bytes())
}

impl Rig {
    fn new() -> Self {
        Self { layer: Layer::new(Timers::default(), Limits::default()), now: 0 }
    }

    /// What is sent until a moment, and when; and that moment comes.
    fn until(&mut self, end: u64) -> (Vec<u64>, Vec<Event>) {
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        loop {
            for event in self.layer.drain() {
                match event {
                    Event::Send(..) => sent.push(self.now),
                    other => told.push(other),
                }
            }
            let next = self.layer.next_deadline().filter(|next| *next <= at(end));
            let Some(next) = next else { break };
            self.now = self.now.max(u64::try_from(next.as_millis()).unwrap());
            self.layer.on_time(at(self.now));
        }
        self.now = end;
        (sent, told)
    }

    fn client(&mut self, invite: bool, transport: Transport) -> ClientId {
        let id = self.layer.reserve();
        self.layer.request(id, invite, peer(transport), packet("request"), at(self.now)).unwrap();
        id
    }

    fn hears(&mut self, id: ClientId, status: u16) -> bool {
        self.layer.on_response(id, status, at(self.now), || packet("ACK"))
    }

    fn server(&mut self, method: &str, transport: Transport) -> ServerId {
        match self.asks(method, transport) {
            Received::New(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn asks(&mut self, method: &str, transport: Transport) -> Received {
        self.layer.on_request(ServerKey(1), method.as_bytes(), peer(transport), at(self.now)).unwrap()
    }

    fn says(&mut self, id: ServerId, status: u16) -> bool {
        self.layer.respond(id, status, packet("response"), at(self.now))
    }
}

#[test]
fn rfc3261_17_1_1_2_timer_a_doubles_and_b_ends_it() {
    let mut rig = Rig::new();
    let id = rig.client(true, Transport::Udp);
    let (sent, told) = rig.until(LONG);
    assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500], "A has no ceiling");
    assert_eq!(told, [Event::TimedOut(id), Event::ClientEnded(id)]);
    assert!(rig.layer.is_empty());
}

#[test]
fn rfc3261_17_1_1_2_a_provisional_response_stops_a_and_b() {
    let mut rig = Rig::new();
    let id = rig.client(true, Transport::Udp);
    rig.until(600);
    assert!(rig.hears(id, 180));
    assert_eq!(rig.until(300_000), (vec![], vec![]), "timer C is the proxy's");
}

#[test]
fn rfc3261_17_1_2_2_timer_e_doubles_up_to_t2_and_f_ends_it() {
    let mut rig = Rig::new();
    let id = rig.client(false, Transport::Udp);
    let (sent, told) = rig.until(LONG);
    assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(told, [Event::TimedOut(id), Event::ClientEnded(id)]);
}

#[test]
fn rfc3261_17_1_2_2_timer_e_is_t2_after_a_provisional_response_and_f_goes_on() {
    let mut rig = Rig::new();
    let id = rig.client(false, Transport::Udp);
    assert_eq!(rig.until(600).0, [0, 500]);
    assert!(rig.hears(id, 100));
    let (sent, told) = rig.until(LONG);
    assert_eq!(sent, [1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500]);
    assert_eq!(told, [Event::TimedOut(id), Event::ClientEnded(id)]);
}

#[test]
fn rfc3261_17_1_a_stream_needs_no_retransmission_and_still_gives_up() {
    for invite in [true, false] {
        let mut rig = Rig::new();
        let id = rig.client(invite, Transport::Tcp);
        assert_eq!(rig.until(LONG - 1), (vec![0], vec![]));
        assert_eq!(rig.until(LONG), (vec![], vec![Event::TimedOut(id), Event::ClientEnded(id)]));
    }
}

#[test]
fn rfc3261_17_1_1_2_timer_d_acknowledges_the_same_failure_again() {
    let mut rig = Rig::new();
    let id = rig.client(true, Transport::Udp);
    assert!(rig.hears(id, 486));
    assert_eq!(rig.until(LONG - 1).0, [0, 0], "the request and the ACK");
    assert!(!rig.hears(id, 486), "nobody hears it twice");
    assert_eq!(rig.until(LONG), (vec![LONG - 1], vec![Event::ClientEnded(id)]), "but it is acknowledged");
    assert!(!rig.hears(id, 486));
    assert_eq!(rig.until(LONG), (vec![], vec![]), "after D it is a stray one");
    let id = rig.client(true, Transport::Tcp);
    assert!(rig.hears(id, 486));
    assert_eq!(rig.until(LONG), (vec![LONG, LONG], vec![Event::ClientEnded(id)]), "0 on a stream");
}

#[test]
fn rfc3261_17_1_2_2_timer_k_absorbs_the_same_answer_again() {
    let mut rig = Rig::new();
    let id = rig.client(false, Transport::Udp);
    assert!(rig.hears(id, 200));
    assert_eq!(rig.until(4_999), (vec![0], vec![]), "no more retransmissions");
    assert!(!rig.hears(id, 200));
    assert_eq!(rig.until(5_000), (vec![], vec![Event::ClientEnded(id)]), "T4");
    let id = rig.client(false, Transport::Tcp);
    assert!(rig.hears(id, 200));
    assert_eq!(rig.until(5_000).1, [Event::ClientEnded(id)], "0 on a stream");
}

/// RFC 6026 8.4: the branches of a fork below answer one after the other, and one answer comes again when its ACK was lost.
#[test]
fn rfc6026_8_4_timer_m_hands_up_every_2xx() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut rig = Rig::new();
        let id = rig.client(true, transport);
        assert!(rig.hears(id, 200));
        assert!(rig.hears(id, 200), "the second");
        assert_eq!(rig.until(LONG - 1), (vec![0], vec![]), "and the ACK is not ours");
        assert!(rig.hears(id, 200), "the last");
        assert!(!rig.hears(id, 486) && !rig.hears(id, 180), "nothing else");
        assert_eq!(rig.until(LONG).1, [Event::ClientEnded(id)]);
        assert!(!rig.hears(id, 200));
    }
}

#[test]
fn rfc3261_17_2_1_timer_g_doubles_up_to_t2_and_h_ends_it() {
    let mut rig = Rig::new();
    let id = rig.server("INVITE", Transport::Udp);
    assert!(rig.says(id, 486));
    let (sent, told) = rig.until(LONG);
    assert_eq!(sent, [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    assert_eq!(told, [Event::NeverAcknowledged(id), Event::ServerEnded(id)]);
    // On a stream only the ACK is waited for.
    let id = rig.server("INVITE", Transport::Tcp);
    assert!(rig.says(id, 486));
    assert_eq!(rig.until(2 * LONG - 1), (vec![LONG], vec![]));
    assert_eq!(rig.until(2 * LONG).1, [Event::NeverAcknowledged(id), Event::ServerEnded(id)]);
}

#[test]
fn rfc3261_17_2_1_timer_i_absorbs_acks_and_requests_that_were_late() {
    let mut rig = Rig::new();
    let id = rig.server("INVITE", Transport::Udp);
    assert!(rig.says(id, 486));
    assert_eq!(rig.asks("ACK", Transport::Udp), Received::Absorbed);
    assert_eq!(rig.until(4_999), (vec![0], vec![]), "G is over");
    assert_eq!(rig.asks("ACK", Transport::Udp), Received::Absorbed);
    assert_eq!(rig.asks("INVITE", Transport::Udp), Received::Absorbed, "and gets no answer again");
    assert_eq!(rig.until(5_000), (vec![], vec![Event::ServerEnded(id)]), "T4");
    assert_eq!(rig.asks("ACK", Transport::Udp), Received::Ack, "then it is the dialog's");
    let id = rig.server("INVITE", Transport::Tcp);
    assert!(rig.says(id, 486));
    assert_eq!(rig.asks("ACK", Transport::Tcp), Received::Absorbed);
    assert_eq!(rig.until(5_000).1, [Event::ServerEnded(id)], "0 on a stream");
}

#[test]
fn rfc3261_17_2_2_timer_j_answers_the_same_request_again() {
    let mut rig = Rig::new();
    let id = rig.server("BYE", Transport::Udp);
    assert!(rig.says(id, 200));
    assert_eq!(rig.until(LONG - 1), (vec![0], vec![]), "it is never sent by itself");
    assert_eq!(rig.asks("BYE", Transport::Udp), Received::Absorbed);
    assert_eq!(rig.until(LONG), (vec![LONG - 1], vec![Event::ServerEnded(id)]));
    let id = rig.server("BYE", Transport::Tcp);
    assert!(rig.says(id, 200));
    assert_eq!(rig.until(LONG).1, [Event::ServerEnded(id)], "0 on a stream");
}

/// RFC 6026 7.1: the INVITE that comes again is absorbed and not answered, each 2xx from below is sent on, and an ACK is
/// the dialog's.
#[test]
fn rfc6026_7_1_timer_l_keeps_an_accepted_invite() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut rig = Rig::new();
        let id = rig.server("INVITE", transport);
        assert!(rig.says(id, 200));
        assert_eq!(rig.asks("INVITE", transport), Received::Absorbed);
        assert_eq!(rig.asks("ACK", transport), Received::Ack);
        assert_eq!(rig.until(LONG - 1), (vec![0], vec![]));
        assert!(rig.says(id, 200), "the second 2xx");
        assert!(!rig.says(id, 486), "and nothing else");
        assert_eq!(rig.asks("INVITE", transport), Received::Absorbed);
        assert_eq!(rig.until(LONG), (vec![LONG - 1], vec![Event::ServerEnded(id)]));
        assert!(matches!(rig.asks("INVITE", transport), Received::New(_)));
    }
}
