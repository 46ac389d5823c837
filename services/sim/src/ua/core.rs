//! The user agent of one element: its legs, and what of the network belongs to which.
//!
//! One lock guards the legs and the transactions; nothing waits under it. What must be sent goes out by sockets that
//! never wait, what happens goes to the owner of the leg by its queue.

mod commands;
mod legs;
mod requests;
mod responses;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tandem_runtime::clock::Clock;
use tandem_runtime::listen;
use tokio::sync::{Notify, mpsc};

use self::legs::Legs;
use super::leg::{Incoming as IncomingCall, Target};
use super::message::Draft;
use super::transactions::{ServerId, Transactions, Up};
use super::wire::Message;
use crate::World;
use crate::behaviour::Behaviour;
use crate::element::Element;
use crate::net::{Incoming, Sockets, Transport};

/// Calls and registrations that wait for the element.
const ARRIVALS_QUEUE: usize = 256;

/// What comes to an element from outside any call.
pub(crate) enum Arrival {
    /// An INVITE.
    Call(IncomingCall),
    /// A REGISTER.
    Registration(Registration),
}

/// A REGISTER that waits for its answer. Dropped without one, it gets none: the transaction ends by itself.
pub(crate) struct Registration {
    /// The request.
    pub(crate) request: Message,
    /// Whom it came from.
    pub(crate) peer: SocketAddr,
    /// How it came.
    pub(crate) transport: Transport,
    ua: Ua,
    server: ServerId,
}

impl Registration {
    /// Answers it.
    pub(crate) fn answer(self, status: u16, reason: &str, headers: &[(&str, String)]) {
        let mut draft = Draft::response(&self.request, status, reason, &self.ua.tag());
        for (name, value) in headers {
            draft.header(name, value);
        }
        let mut core = self.ua.core();
        core.transactions.respond(self.ua.now(), self.server, status, draft.finish());
        self.ua.flush(core);
    }
}

/// See the module. Cheap to clone; clones are one user agent.
#[derive(Clone)]
pub(crate) struct Ua(Arc<Inner>);

struct Inner {
    element: Arc<Element>,
    sockets: Arc<Sockets>,
    core: Mutex<Core>,
    /// A deadline may have come nearer.
    wake: Notify,
    arrivals: mpsc::Sender<Arrival>,
}

/// What the lock guards.
pub(super) struct Core {
    transactions: Transactions,
    legs: Legs,
}

impl Ua {
    /// Binds the element's address and begins to take what comes. `flag` names the setting in errors.
    ///
    /// # Errors
    ///
    /// When the address cannot be had.
    pub(crate) fn start(
        element: &Arc<Element>,
        address: SocketAddr,
        flag: &str,
    ) -> Result<(Self, mpsc::Receiver<Arrival>), listen::Error> {
        let world = &element.world;
        let (sockets, incoming) = Sockets::bind(element.name(), address, flag, world)?;
        let (arrivals, rx) = mpsc::channel(ARRIVALS_QUEUE);
        let core = Core {
            transactions: Transactions::new(sockets.local(), world.chance.clone()),
            legs: Legs::default(),
        };
        let inner = Inner {
            element: Arc::clone(element),
            sockets,
            core: Mutex::new(core),
            wake: Notify::new(),
            arrivals,
        };
        let ua = Self(Arc::new(inner));
        world.life.tasks.spawn(format!("{} sip", element.name()), ua.clone().run(incoming));
        Ok((ua, rx))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.sockets.local()
    }

    /// Messages received and sent.
    pub(crate) fn counts(&self) -> (u64, u64) {
        self.0.sockets.counts()
    }

    /// As switched off, or on again.
    pub(crate) fn set_down(&self, down: bool) {
        self.0.sockets.set_down(down);
    }

    /// The clock that its timers run by.
    pub(crate) fn clock(&self) -> Clock {
        self.world().clock.clone()
    }

    fn world(&self) -> &World {
        &self.0.element.world
    }

    fn now(&self) -> Duration {
        self.world().clock.monotonic()
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.0.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A tag or part of a Call-ID, unlike every other.
    fn tag(&self) -> String {
        format!("{:016x}", self.world().chance.u64())
    }

    /// Our Contact for a transport.
    fn contact(&self, transport: Transport) -> String {
        let name: String = self
            .0
            .element
            .name()
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase();
        match transport {
            Transport::Udp => format!("<sip:{name}@{}>", self.address()),
            Transport::Tcp => format!("<sip:{name}@{};transport=tcp>", self.address()),
        }
    }

    /// After a command: sends what it brought about, and has what else came of it handled.
    fn flush(&self, core: MutexGuard<'_, Core>) {
        self.send(core);
        self.0.wake.notify_one();
    }

    /// Sends what has become due.
    fn send(&self, mut core: MutexGuard<'_, Core>) {
        let sends: Vec<(Target, Bytes)> = core.transactions.take_sends();
        drop(core);
        for (target, bytes) in sends {
            self.0.sockets.send(target.transport, target.address, bytes);
        }
    }

    async fn run(self, mut incoming: mpsc::Receiver<Incoming>) {
        let clock = self.clock();
        loop {
            let deadline = {
                let core = self.core();
                core.transactions.next_deadline().into_iter().chain(core.legs.next_deadline()).min()
            };
            let sleep = async {
                match deadline {
                    Some(deadline) => clock.sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                arrived = incoming.recv() => match arrived {
                    Some(Incoming::Message { transport, peer, bytes }) => {
                        self.receive(Target { transport, address: peer }, bytes);
                    }
                    Some(Incoming::Unreachable { peer }) => {
                        let mut core = self.core();
                        core.transactions.unreachable(peer);
                        self.handle(core);
                    }
                    None => return,
                },
                () = sleep => self.tick(),
                () = self.0.wake.notified() => self.handle(self.core()),
            }
        }
    }

    fn receive(&self, peer: Target, bytes: Bytes) {
        let element = &self.0.element;
        let deaf = peer.transport == Transport::Udp && !element.plan.kind.hears_udp();
        if deaf || element.behaviour() == Behaviour::Silent {
            return;
        }
        let mut core = self.core();
        core.transactions.receive(self.now(), peer, &bytes);
        self.handle(core);
    }

    fn tick(&self) {
        let now = self.now();
        let mut core = self.core();
        core.transactions.tick(now);
        let (again, lost) = core.legs.tick(now);
        for (target, bytes) in again {
            core.transactions.send(target, bytes);
        }
        for id in lost {
            // RFC 3261 section 13.3.1.4: no ACK came, so the session is over.
            self.hang_up(&mut core, id);
        }
        self.handle(core);
    }

    /// Takes what the transactions pass up, until they pass up nothing more.
    fn handle(&self, mut core: MutexGuard<'_, Core>) {
        while let Some(up) = core.transactions.next_up() {
            match up {
                Up::Request { server, request, peer } => self.request(&mut core, server, request, peer),
                Up::Ack { request } => self.acknowledged(&mut core, &request),
                Up::Cancelled { server } => self.cancelled(&mut core, server),
                Up::Response { client, response } => self.response(&mut core, client, &response),
                Up::StrayAnswer { response } => self.stray_answer(&mut core, &response),
                Up::Failed { client, status } => self.failed(&mut core, client, status),
                Up::Gone { client } => core.legs.forget(client),
            }
        }
        self.send(core);
    }
}
