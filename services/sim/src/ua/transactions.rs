//! Transactions (RFC 3261 section 17, RFC 6026): between messages on the wire and requests with their responses.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tandem_runtime::clock::Chance;

use super::leg::Target;
use super::message::Draft;
use super::wire::{self, Message};
use crate::net::Transport;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const T4: Duration = Duration::from_secs(5);
/// Timers B, F, H, L and M.
const T1_64: Duration = Duration::from_secs(32);

/// Names a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientId(u64);

/// Names a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerId(u64);

/// What is passed up to the user agent.
pub(super) enum Up {
    Request {
        server: ServerId,
        request: Message,
        peer: Target,
    },
    /// ACK of a 2xx.
    Ack {
        request: Message,
    },
    /// CANCEL of an INVITE that has no final response yet; it has been answered.
    Cancelled {
        server: ServerId,
    },
    Response {
        client: ClientId,
        response: Message,
    },
    /// A 2xx of no transaction.
    StrayAnswer {
        response: Message,
        peer: Target,
    },
    /// Nothing came (408), or it could not be sent (503).
    Failed {
        client: ClientId,
        status: u16,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Client: sent, nothing came. Server: passed up, nothing answered.
    Trying,
    /// A provisional response came or went.
    Proceeding,
    /// A final response that is no 2xx of an INVITE, or any of another request.
    Completed,
    /// 2xx of an INVITE (RFC 6026).
    Accepted,
}

struct Client {
    id: ClientId,
    invite: bool,
    target: Target,
    bytes: Bytes,
    request: Message,
    branch: String,
    phase: Phase,
    again: Option<(Duration, Duration)>,
    until: Duration,
    /// CANCEL is to follow the first provisional response (9.1).
    cancel: bool,
}

struct Server {
    id: ServerId,
    invite: bool,
    peer: Target,
    phase: Phase,
    last: Option<Bytes>,
    again: Option<(Duration, Duration)>,
    until: Option<Duration>,
    tag: String,
}

type Key = (String, String, bool);

/// See the module.
pub(super) struct Transactions {
    local: SocketAddr,
    chance: Chance,
    next: u64,
    clients: HashMap<(String, String), Client>,
    client_keys: HashMap<ClientId, (String, String)>,
    servers: HashMap<Key, Server>,
    server_keys: HashMap<ServerId, Key>,
    sends: Vec<(Target, Bytes)>,
    ups: VecDeque<Up>,
}

impl Transactions {
    pub(super) fn new(local: SocketAddr, chance: Chance) -> Self {
        Self {
            local,
            chance,
            next: 0,
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            servers: HashMap::new(),
            server_keys: HashMap::new(),
            sends: Vec::new(),
            ups: VecDeque::new(),
        }
    }

    pub(super) fn take_sends(&mut self) -> Vec<(Target, Bytes)> {
        std::mem::take(&mut self.sends)
    }

    pub(super) fn next_up(&mut self) -> Option<Up> {
        self.ups.pop_front()
    }

    /// What is of no transaction: an ACK or a 2xx sent again.
    pub(super) fn send(&mut self, target: Target, bytes: Bytes) {
        self.sends.push((target, bytes));
    }

    fn via(&self, transport: Transport, branch: &str) -> String {
        format!("SIP/2.0/{transport} {};branch={branch};rport", self.local)
    }

    fn branch(&self) -> String {
        format!("z9hG4bK{:016x}", self.chance.u64())
    }

    /// Sends a request.
    pub(super) fn request(
        &mut self,
        now: Duration,
        method: &str,
        target: Target,
        mut draft: Draft,
    ) -> ClientId {
        let branch = self.branch();
        draft.via(&self.via(target.transport, &branch));
        self.begin(now, method, target, branch, draft.finish())
    }

    fn begin(
        &mut self,
        now: Duration,
        method: &str,
        target: Target,
        branch: String,
        bytes: Bytes,
    ) -> ClientId {
        self.next += 1;
        let id = ClientId(self.next);
        let Some(request) = wire::read(&bytes) else {
            // What was dialled makes no URI: nothing can be sent.
            self.ups.push_back(Up::Failed { client: id, status: 503 });
            return id;
        };
        self.sends.push((target, bytes.clone()));
        let again = (target.transport == Transport::Udp).then_some((now + T1, T1));
        let key = (branch.clone(), method.to_owned());
        self.client_keys.insert(id, key.clone());
        let client = Client {
            id,
            invite: method == "INVITE",
            target,
            bytes,
            request,
            branch,
            phase: Phase::Trying,
            again,
            until: now + T1_64,
            cancel: false,
        };
        self.clients.insert(key, client);
        id
    }

    /// The ACK of a 2xx: a request of its own that has no response (13.2.2.4). As sent, to be sent again.
    pub(super) fn send_ack(&mut self, target: Target, mut draft: Draft) -> Bytes {
        let branch = self.branch();
        draft.via(&self.via(target.transport, &branch));
        let bytes = draft.finish();
        self.sends.push((target, bytes.clone()));
        bytes
    }

    /// Cancels an INVITE, as soon as a provisional response allows it.
    pub(super) fn cancel(&mut self, now: Duration, client: ClientId) {
        let Some(client) = self.client_keys.get(&client).and_then(|key| self.clients.get_mut(key)) else {
            return;
        };
        match client.phase {
            Phase::Trying => client.cancel = true,
            Phase::Proceeding => {
                let (target, branch, bytes) = (client.target, client.branch.clone(), cancel_of(client));
                // 9.1: an INVITE whose CANCEL was sent and that gets no final response is over.
                client.until = now + T1_64;
                self.begin(now, "CANCEL", target, branch, bytes);
            }
            Phase::Completed | Phase::Accepted => {}
        }
    }

    /// Answers a request.
    pub(super) fn respond(&mut self, now: Duration, server: ServerId, status: u16, bytes: Bytes) {
        let Some(server) = self.server_keys.get(&server).and_then(|key| self.servers.get_mut(key)) else {
            return;
        };
        if matches!(server.phase, Phase::Completed | Phase::Accepted) {
            return;
        }
        self.sends.push((server.peer, bytes.clone()));
        server.last = Some(bytes);
        if status < 200 {
            server.phase = Phase::Proceeding;
            return;
        }
        let udp = server.peer.transport == Transport::Udp;
        if server.invite && status < 300 {
            (server.phase, server.last) = (Phase::Accepted, None);
            server.until = Some(now + T1_64);
        } else {
            server.phase = Phase::Completed;
            server.again = (server.invite && udp).then_some((now + T1, T1));
            server.until = Some(now + T1_64);
        }
    }

    /// A message came.
    pub(super) fn receive(&mut self, now: Duration, peer: Target, bytes: &Bytes) {
        let Some(message) = wire::read(bytes) else {
            tracing::debug!(peer = %peer.address, "not a SIP message");
            return;
        };
        if message.is_request() {
            self.receive_request(now, peer, message);
        } else {
            self.receive_response(now, peer, message);
        }
    }

    fn receive_request(&mut self, now: Duration, peer: Target, request: Message) {
        let Some((branch, sent_by)) = request.branch() else { return };
        let of_invite = matches!(request.method(), "INVITE" | "ACK" | "CANCEL");
        let key = (branch, sent_by, of_invite && request.method() != "CANCEL");
        if request.method() == "ACK" {
            match self.servers.get_mut(&key) {
                Some(server) if server.phase == Phase::Completed => {
                    server.again = None;
                    server.until = Some(now + T4);
                }
                _ => self.ups.push_back(Up::Ack { request }),
            }
            return;
        }
        if let Some(server) = self.servers.get(&key) {
            if let Some(last) = &server.last {
                self.sends.push((server.peer, last.clone()));
            }
            return;
        }
        self.next += 1;
        let id = ServerId(self.next);
        let tag = format!("{:016x}", self.chance.u64());
        let invite = request.method() == "INVITE";
        let server = Server {
            id,
            invite,
            peer,
            phase: Phase::Trying,
            last: None,
            again: None,
            // What the element never answers is forgotten; an INVITE may ring long.
            until: Some(now + if invite { Duration::from_secs(600) } else { T1_64 }),
            tag,
        };
        self.server_keys.insert(id, key.clone());
        if request.method() == "CANCEL" {
            let of = self.servers.get(&(key.0.clone(), key.1.clone(), true));
            let found = of.map(|server| (server.id, server.phase, server.tag.clone()));
            self.servers.insert(key, server);
            let (status, reason) = if found.is_some() { (200, "OK") } else { (481, "No Such Call") };
            let tag = found.as_ref().map(|(_, _, tag)| tag.clone()).unwrap_or_default();
            let bytes = Draft::response(&request, status, reason, &tag).finish();
            self.respond(now, id, status, bytes);
            if let Some((invite, Phase::Trying | Phase::Proceeding, _)) = found {
                self.ups.push_back(Up::Cancelled { server: invite });
            }
            return;
        }
        self.servers.insert(key, server);
        self.ups.push_back(Up::Request { server: id, request, peer });
    }

    fn receive_response(&mut self, now: Duration, peer: Target, response: Message) {
        let Some((branch, _)) = response.branch() else { return };
        let key = (branch, response.method().to_owned());
        let status = response.status();
        let Some(client) = self.clients.get_mut(&key) else {
            if (200..300).contains(&status) && response.method() == "INVITE" {
                self.ups.push_back(Up::StrayAnswer { response, peer });
            }
            return;
        };
        let id = client.id;
        if status < 200 {
            if !matches!(client.phase, Phase::Trying | Phase::Proceeding) {
                return;
            }
            client.phase = Phase::Proceeding;
            if client.invite {
                // No timer is left but that of who asked; 17.1.1.2.
                (client.again, client.until) = (None, now + Duration::from_secs(600));
            } else {
                client.again = client.again.map(|_| (now + T2, T2));
            }
            if client.cancel {
                client.cancel = false;
                self.cancel(now, id);
            }
            self.ups.push_back(Up::Response { client: id, response });
            return;
        }
        let first = matches!(client.phase, Phase::Trying | Phase::Proceeding);
        client.again = None;
        if client.invite && status >= 300 {
            let ack = ack_of(client, &response);
            self.sends.push((client.target, ack));
            client.phase = Phase::Completed;
            client.until = now + T1_64;
            if first {
                self.ups.push_back(Up::Response { client: id, response });
            }
            return;
        }
        if client.invite {
            if client.phase != Phase::Completed {
                client.phase = Phase::Accepted;
                if first {
                    client.until = now + T1_64;
                    self.ups.push_back(Up::Response { client: id, response });
                } else {
                    self.ups.push_back(Up::StrayAnswer { response, peer });
                }
            }
            return;
        }
        client.phase = Phase::Completed;
        client.until = now + T4;
        if first {
            self.ups.push_back(Up::Response { client: id, response });
        }
    }

    /// No connection to `peer` could be made.
    pub(super) fn unreachable(&mut self, _now: Duration, peer: SocketAddr) {
        let lost = |client: &&Client| client.target.address == peer && client.phase == Phase::Trying;
        let keys: Vec<_> = self
            .clients
            .values()
            .filter(lost)
            .map(|c| (c.branch.clone(), c.request.method().to_owned()))
            .collect();
        for key in keys {
            if let Some(client) = self.clients.remove(&key) {
                self.client_keys.remove(&client.id);
                self.ups.push_back(Up::Failed { client: client.id, status: 503 });
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let clients = self.clients.values().flat_map(|c| [c.again.map(|(at, _)| at), Some(c.until)]);
        let servers = self.servers.values().flat_map(|s| [s.again.map(|(at, _)| at), s.until]);
        clients.chain(servers).flatten().min()
    }

    /// Retransmissions and ends that are due.
    pub(super) fn tick(&mut self, now: Duration) {
        let mut over = Vec::new();
        for (key, client) in &mut self.clients {
            if now >= client.until {
                over.push(key.clone());
            } else if let Some((at, interval)) = client.again.filter(|(at, _)| *at <= now) {
                self.sends.push((client.target, client.bytes.clone()));
                let next = if client.invite { interval * 2 } else { (interval * 2).min(T2) };
                client.again = Some((at + next, next));
            }
        }
        for key in over {
            let Some(client) = self.clients.remove(&key) else { continue };
            self.client_keys.remove(&client.id);
            if matches!(client.phase, Phase::Trying | Phase::Proceeding) {
                self.ups.push_back(Up::Failed { client: client.id, status: 408 });
            }
        }
        let mut over = Vec::new();
        for (key, server) in &mut self.servers {
            if server.until.is_some_and(|until| now >= until) {
                over.push(key.clone());
            } else if let (Some((at, interval)), Some(last)) =
                (server.again.filter(|(at, _)| *at <= now), &server.last)
            {
                self.sends.push((server.peer, last.clone()));
                let next = (interval * 2).min(T2);
                server.again = Some((at + next, next));
            }
        }
        for key in over {
            if let Some(server) = self.servers.remove(&key) {
                self.server_keys.remove(&server.id);
            }
        }
    }
}

/// 17.1.1.3: the ACK of a failure goes the way of its INVITE, with its branch.
fn ack_of(client: &Client, response: &Message) -> Bytes {
    follower(client, "ACK", response.header("To").unwrap_or_default())
}

/// 9.1.
fn cancel_of(client: &Client) -> Bytes {
    follower(client, "CANCEL", client.request.header("To").unwrap_or_default())
}

fn follower(client: &Client, method: &str, to: &str) -> Bytes {
    let request = &client.request;
    let mut draft = Draft::request(method, request.uri());
    if let Some(via) = request.header("Via") {
        draft.via(via);
    }
    for route in request.all("Route") {
        draft.header("Route", route);
    }
    draft.header("From", request.header("From").unwrap_or_default());
    draft.header("To", to);
    draft.header("Call-ID", request.header("Call-ID").unwrap_or_default());
    let number = request.cseq().map_or(1, |(number, _)| number);
    draft.header("CSeq", &format!("{number} {method}"));
    draft.finish()
}
