//! Transactions alone.

use std::sync::Arc;
use std::time::Duration;

use tandem_sip::transaction::{
    ClientId, Event, Layer, Limits, Packet, Received, ServerId, ServerKey, Timers,
};

use super::{LONGEST, PAUSES, STATUSES, Script, TRANSACTIONS_MAX, peer};

const METHODS: [&[u8]; 4] = [b"INVITE", b"BYE", b"ACK", b"OPTIONS"];

struct Driven {
    layer: Layer,
    now: Duration,
    /// Those that were started, with whether they are an INVITE's: the last few.
    clients: Vec<(ClientId, bool)>,
    servers: Vec<ServerId>,
    ended: Vec<u64>,
}

pub(super) fn run(script: &mut Script<'_>) {
    let limits = Limits { transactions_max: TRANSACTIONS_MAX };
    let layer = Layer::new(Timers::default(), limits);
    let mut driven =
        Driven { layer, now: Duration::ZERO, clients: Vec::new(), servers: Vec::new(), ended: Vec::new() };
    while let Some(operation) = script.byte() {
        driven.operate(operation, script);
        driven.check();
    }
    driven.end();
}

impl Driven {
    fn operate(&mut self, operation: u8, script: &mut Script<'_>) {
        match operation & 15 {
            // a: a request of ours
            1 => {
                let (method, peer) = (script.of(&METHODS), peer(script.number()));
                let (id, invite) = (self.layer.reserve(), method == b"INVITE");
                if method != b"ACK" && self.layer.request(id, invite, peer, packet(), self.now).is_ok() {
                    self.clients.push((id, invite));
                }
            }
            // b: a response to it
            2 => {
                let (nth, status) = (script.number(), script.of(&STATUSES));
                if let Some((id, _)) = pick(&self.clients, nth) {
                    let _ = self.layer.on_response(id, status, self.now, packet);
                }
            }
            // c: a request of theirs
            3 => {
                let (key, method) = (ServerKey(script.number() as u128), script.of(&METHODS));
                let received = self.layer.on_request(key, method, peer(script.number()), self.now);
                if let Ok(Received::New(id)) = received {
                    assert_ne!(method, b"ACK", "an ACK starts no transaction");
                    self.servers.push(id);
                }
            }
            // d: our response
            4 => {
                let (nth, status) = (script.number(), script.of(&STATUSES));
                if let Some(id) = pick(&self.servers, nth) {
                    let _ = self.layer.respond(id, status, packet(), self.now);
                }
            }
            // e, o: time
            5 | 15 => {
                let pause = script.of(&PAUSES);
                self.pass(pause);
            }
            // f: nobody waits for a request any more
            6 => {
                if let Some((id, _)) = pick(&self.clients, script.number()) {
                    self.layer.forget(id);
                }
            }
            // g: it ends within a time
            7 => {
                if let Some((id, _)) = pick(&self.clients, script.number()) {
                    self.layer.end_within(id, self.now);
                }
            }
            // h: it is sent no more
            8 => {
                if let Some((id, _)) = pick(&self.clients, script.number()) {
                    self.layer.stop_resending(id);
                }
            }
            // i: it could not be sent
            9 => {
                if let Some((id, _)) = pick(&self.clients, script.number()) {
                    let _ = self.layer.on_transport_error(id);
                }
            }
            // j: a request of theirs gets no answer
            10 => {
                if let Some(id) = pick(&self.servers, script.number()) {
                    self.layer.abandon(id);
                }
            }
            _ => {}
        }
    }

    fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.layer.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.layer.on_time(self.now);
            self.check();
            assert!(self.layer.next_deadline() > Some(self.now) || self.layer.next_deadline().is_none());
        }
        self.now = end;
    }

    fn check(&mut self) {
        assert!(self.layer.len() <= TRANSACTIONS_MAX);
        for event in self.layer.drain() {
            let ended = match event {
                Event::ClientEnded(id) => id.0,
                Event::ServerEnded(id) => id.0,
                Event::Send(_, packet) => {
                    assert!(!packet.is_empty());
                    continue;
                }
                Event::TimedOut(_) | Event::NeverAcknowledged(_) => continue,
            };
            assert!(!self.ended.contains(&ended), "ended twice");
            self.ended.push(ended);
        }
    }

    /// Their users answer what is open, as users must: a transaction of theirs, and an INVITE that rings.
    fn end(&mut self) {
        for id in std::mem::take(&mut self.servers) {
            let _ = self.layer.respond(id, 500, packet(), self.now);
        }
        for (id, _) in std::mem::take(&mut self.clients) {
            self.layer.end_within(id, self.now);
        }
        self.pass(LONGEST);
        assert_eq!(self.layer.len(), 0, "something is left");
        assert_eq!(self.layer.next_deadline(), None);
    }
}

fn packet() -> Packet {
    Arc::from(&b"x"[..])
}

fn pick<T: Copy>(from: &[T], nth: usize) -> Option<T> {
    from.len().checked_sub(1 + nth).map(|at| from[at])
}
