//! A proxy core in virtual time, with callers and callees that are bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_sip::message::{Header, Keys, Message, Start, Table, list};
use tandem_sip::proxy::{CallId, Config, Incoming, Listener, Output, Proxy, Target};
use tandem_sip::transaction::{Peer, Transport};

pub(crate) const CALLER: &str = "192.0.2.10:5060";
pub(crate) const PROXY: &str = "192.0.2.1";
pub(crate) const A: &str = "192.0.2.21:5060";
pub(crate) const B: &str = "192.0.2.22:5060";

pub(crate) struct Rig {
    pub(crate) proxy: Proxy,
    pub(crate) now: Duration,
    /// What the proxy told, sends apart.
    pub(crate) told: Vec<Output>,
    /// What it sent: to whom, and the text.
    pub(crate) sent: Vec<(SocketAddr, String)>,
}

pub(crate) fn peer(address: &str, transport: Transport) -> Peer {
    let listener = u16::from(transport != Transport::Udp);
    Peer { address: address.parse().unwrap(), transport, listener, connection: 0 }
}

pub(crate) fn udp(address: &str) -> Peer {
    peer(address, Transport::Udp)
}

pub(crate) fn rig() -> Rig {
    rig_with(|_| {})
}

pub(crate) fn rig_with(change: impl FnOnce(&mut Config)) -> Rig {
    let listener = |transport| Listener { transport, host: PROXY.into(), port: 5060 };
    let mut config =
        Config::new(vec![listener(Transport::Udp), listener(Transport::Tcp)], *b"0123456789abcdef");
    change(&mut config);
    Rig { proxy: Proxy::new(config), now: Duration::ZERO, told: Vec::new(), sent: Vec::new() }
}

pub(crate) fn target(tag: u32, address: &str) -> Target {
    Target {
        tag,
        uri: format!("sip:+4930123456@{address};user=phone").into(),
        peer: udp(address),
        remove: Arc::from([Header::AssertedIdentity]),
        remove_named: &["x-old"],
        add: Arc::from(["P-Asserted-Identity: <tel:+49301>".to_owned()]),
        strip_private: false,
        no_response: Duration::from_secs(3),
        only_100: Duration::from_secs(10),
        retry_on: [408, 500, 502, 503, 504][..].into(),
    }
}

pub(crate) fn invite(branch: &str) -> String {
    format!(
        "INVITE sip:+4930123456@{PROXY} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch={branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:+49301@192.0.2.10>;tag=a\r\nTo: <sip:+4930123456@{PROXY}>\r\n\
         Call-ID: one@192.0.2.10\r\nCSeq: 1 INVITE\r\nContact: <sip:caller@192.0.2.10>\r\nX-Unknown: kept\r\n\
         Content-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n"
    )
}

/// A request inside the dialog, by the recorded route.
pub(crate) fn in_dialog(method: &str, uri: &str, from: &str, route: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}\r\nRoute: {route}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@y>;tag=a\r\nTo: <sip:x@y>;tag=b\r\nCall-ID: one@192.0.2.10\r\n\
         CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

pub(crate) fn parse<R>(bytes: &[u8], read: impl FnOnce(&Message<'_>) -> R) -> R {
    read(&Table::new().parse_datagram(bytes).expect("a message"))
}

/// A callee's response to what the proxy sent.
pub(crate) fn reply(request: &str, status: &str, extra: &str) -> String {
    parse(request.as_bytes(), |m| {
        let mut out = format!("SIP/2.0 {status}\r\n");
        for (header, name, value) in m.headers() {
            let (name, value) = (std::str::from_utf8(name).unwrap(), std::str::from_utf8(value).unwrap());
            match header {
                Header::Via | Header::From | Header::CallId | Header::CSeq | Header::RecordRoute => {
                    out += &format!("{name}: {value}\r\n");
                }
                Header::To if value.contains("tag=") || status.starts_with("100") => {
                    out += &format!("To: {value}\r\n")
                }
                Header::To => out += &format!("To: {value};tag=b\r\n"),
                _ => {}
            }
        }
        out + extra + "Content-Length: 0\r\n\r\n"
    })
}

pub(crate) fn keys<'a>(message: &Message<'a>) -> Keys<'a> {
    Keys::read(message).unwrap()
}

impl Rig {
    pub(crate) fn settle(&mut self) {
        for output in self.proxy.drain() {
            match output {
                Output::Send(peer, packet) => {
                    self.sent.push((peer.address, String::from_utf8(packet.to_vec()).unwrap()));
                }
                other => self.told.push(other),
            }
        }
    }

    pub(crate) fn request_from(&mut self, text: &str, from: Peer) -> Incoming {
        let now = self.now;
        let incoming = parse(text.as_bytes(), |m| self.proxy.on_request(m, &keys(m), 7, from, now));
        self.settle();
        incoming
    }

    /// A request that was found to be a call for help, when there was no room for it.
    pub(crate) fn call_for_help(&mut self, text: &str) -> Incoming {
        let now = self.now;
        let from = udp(CALLER);
        let incoming = parse(text.as_bytes(), |m| self.proxy.on_call_for_help(m, &keys(m), 7, from, now));
        self.settle();
        incoming
    }

    pub(crate) fn request(&mut self, text: &str) -> Incoming {
        self.request_from(text, udp(CALLER))
    }

    pub(crate) fn asked(&mut self, text: &str) -> CallId {
        match self.request(text) {
            Incoming::Asked(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn response(&mut self, text: &str) {
        let now = self.now;
        parse(text.as_bytes(), |m| self.proxy.on_response(m, now));
        self.settle();
    }

    pub(crate) fn route(&mut self, id: CallId, targets: &[Target], ring: Option<u64>) {
        self.proxy.route(id, targets.to_vec(), ring.map(Duration::from_secs), self.now);
        self.settle();
    }

    pub(crate) fn give_up(&mut self, id: CallId) {
        self.proxy.give_up(id, self.now);
        self.settle();
    }

    /// Lets time pass, doing what is due when it is due.
    pub(crate) fn pass(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(at) = self.proxy.next_deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.proxy.on_time(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Takes the messages sent to an address since the last look.
    pub(crate) fn to(&mut self, address: &str) -> Vec<String> {
        let address: SocketAddr = address.parse().unwrap();
        let (found, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.sent).into_iter().partition(|(to, _)| *to == address);
        self.sent = rest;
        found.into_iter().map(|(_, text)| text).collect()
    }

    pub(crate) fn methods_to(&mut self, address: &str) -> Vec<String> {
        self.to(address).iter().map(|t| method(t).to_owned()).collect()
    }

    pub(crate) fn statuses(&mut self) -> Vec<u16> {
        let status = |t: &String| {
            parse(t.as_bytes(), |m| match m.start() {
                Start::Response { status, .. } => status,
                Start::Request { .. } => 0,
            })
        };
        self.to(CALLER).iter().map(status).collect()
    }

    pub(crate) fn take_told(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.told)
    }

    pub(crate) fn nothing_is_left(&mut self) {
        self.pass(Duration::from_secs(400));
        assert_eq!(self.proxy.held(), (0, 0), "everything ends");
    }
}

pub(crate) fn method(text: &str) -> &str {
    text.split(' ').next().unwrap()
}

pub(crate) fn all(text: &str, header: Header) -> Vec<String> {
    parse(text.as_bytes(), |m| {
        m.all(header).flat_map(list).map(|v| String::from_utf8(v.to_vec()).unwrap()).collect()
    })
}
