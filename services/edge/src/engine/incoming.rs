//! What comes in: messages told from noise, requests from responses, tenants' requests from strangers'.

use std::sync::Arc;

use tandem_domain::id::TrunkName;
use tandem_domain::routing::attempt::{Facts, Method};
use tandem_domain::routing::decide;
use tandem_domain::routing::trail::NoTrail;
use tandem_domain::tenant::{Config as Policy, Trunk};
use tandem_domain::view::TenantView;
use tandem_sip::message::{
    Header, Keys, Message, ParseError, Refusal, Start, Table, Uri, check_forwarding, check_request_uri,
};
use tandem_sip::proxy::Incoming;
use tandem_sip::time::Now;
use tandem_sip::transaction::{Peer, Transport};
use tandem_sip::write::Response;

use super::{Engine, State};
use crate::attempt::Said;
use crate::config::Strangers;
use crate::seldom::{self, Due};
use crate::tenancy::{self, Belongs, Stranger};

/// Extensions that a proxy of ours lets pass: Lync's clients ask every proxy for it, and it asks nothing of one.
const PROXY_OPTIONS: &[&str] = &["ms-benotify"];
/// What the edge itself answers OPTIONS with: what it forwards.
const ALLOW: &str =
    "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY, SUBSCRIBE, MESSAGE";
/// The To tag of answers that no transaction keeps.
const TAG: Option<&str> = Some("tdm");

/// Whose a request is.
pub(super) struct Owner {
    pub(super) tenant: Arc<TenantView>,
    pub(super) scope: u64,
    /// The trunk that it came by; none: a party of a dialog that no trunk of policy names.
    pub(super) trunk: Option<TrunkName>,
}

impl Engine {
    /// One datagram, or one message of a stream.
    pub(super) fn on_datagram(&mut self, bytes: &[u8], peer: Peer, table: &mut Table, now: Now) {
        self.state.last_heard = now;
        match table.parse_datagram(bytes) {
            Ok(message) => {
                self.counters.received.up();
                match message.start() {
                    Start::Response { .. } => self.on_response(&message, peer, now),
                    Start::Request { .. } => self.on_request(&message, peer, now),
                }
            }
            Err(ParseError::Empty) => {
                self.counters.keep_alives.up();
                // RFC 5626 4.4.1, which asks it of streams; half of what came, and to peers only.
                if bytes.len() >= 4 && self.is_known(peer) {
                    self.send(peer, Arc::from(&b"\r\n"[..]), now);
                }
            }
            Err(error) => {
                self.counters.malformed.up();
                if let Some(message) = table.salvage(bytes) {
                    self.refuse(&message, &Refusal::from(error), peer, now);
                }
            }
        }
    }

    fn on_response(&mut self, message: &Message<'_>, peer: Peer, now: Now) {
        // Whatever it says: who answers is alive (domain rules 3.2 A).
        self.state.live.heard(peer.address);
        self.proxy.on_response(message, now);
    }

    fn on_request(&mut self, message: &Message<'_>, peer: Peer, now: Now) {
        let (keys, uri) = match check_request_uri(message, self.config.body_bytes_max) {
            Ok(both) => both,
            Err(refusal) => {
                self.counters.invalid.up();
                return self.refuse(message, &refusal, peer, now);
            }
        };
        let owner = match self.owner(message, &keys, &uri, peer) {
            Ok(owner) => owner,
            Err(stranger) => return self.stranger(message, &keys, stranger, peer, now),
        };
        if is_for_us(self, &keys, &uri, &owner) {
            return self.answer_for_us(message, &keys, peer, now);
        }
        if let Err(refusal) = check_forwarding(message, &keys, PROXY_OPTIONS) {
            self.counters.invalid.up();
            return self.refuse(message, &refusal, peer, now);
        }
        if keys.method == "REFER" && !self.may_transfer(message, &keys, &owner, now) {
            self.counters.transfers_refused.up();
            return self.refuse(message, &Refusal::new(403, "Transfer Not Allowed"), peer, now);
        }
        if keys.method == "BYE" {
            self.state.ending = Some((owner.tenant.id().clone(), keys.call_id.to_owned()));
        }
        let mut incoming = self.proxy.on_request(message, &keys, owner.scope, peer, now);
        if incoming == Incoming::Full && calls_for_help(message, &keys, &owner) {
            incoming = self.proxy.on_call_for_help(message, &keys, owner.scope, peer, now);
        }
        match incoming {
            Incoming::Handled => {}
            Incoming::Asked(id) => self.asked(id, message, &keys, &owner, peer, now),
            Incoming::Full => {
                self.counters.overloaded.up();
                self.refuse_later(message, peer, now);
            }
        }
        // A BYE that passes says so among the outputs.
        self.after(now);
        self.state.ending = None;
    }

    /// Whose a request is. Within a dialog the dialog's tenant, which its Route says: its Request-URI is the other
    /// side's contact, which says nothing.
    fn owner(
        &mut self,
        message: &Message<'_>,
        keys: &Keys<'_>,
        uri: &Uri<'_>,
        peer: Peer,
    ) -> Result<Owner, Stranger> {
        let State { facts, scopes, .. } = &mut self.state;
        let view = &facts.view;
        let listener = self.listeners.name(peer.listener).unwrap_or_default();
        let source = peer.address.ip();
        if keys.is_in_dialog() {
            let by_source = tenancy::resolve(view, listener, source, None).ok();
            let recorded = || scopes.find(view, self.proxy.scope_of(message)?);
            // One tenant's peer does not speak in another's dialog: the proxy core refuses its Route.
            let tenant = by_source.map(|belongs| belongs.tenant).or_else(recorded);
            if let Some(tenant) = tenant {
                let trunk = match by_source {
                    Some(belongs) => trunk_name(&belongs),
                    None => tenant.config().and_then(|c| trunk_of(c, listener, peer)),
                };
                let scope = tenancy::scope(tenant.id());
                return Ok(Owner { tenant: Arc::clone(tenant), scope, trunk });
            }
        }
        let belongs = tenancy::resolve(view, listener, source, Some(uri))?;
        let trunk = trunk_name(&belongs);
        Ok(Owner { scope: tenancy::scope(belongs.tenant.id()), tenant: Arc::clone(belongs.tenant), trunk })
    }

    /// Whether any tenant claims a source, whatever it asks for.
    fn is_known(&self, peer: Peer) -> bool {
        let listener = self.listeners.name(peer.listener).unwrap_or_default();
        tenancy::resolve(&self.state.facts.view, listener, peer.address.ip(), None).is_ok()
    }

    fn answer_for_us(&mut self, message: &Message<'_>, keys: &Keys<'_>, peer: Peer, now: Now) {
        let mut out = Vec::with_capacity(512);
        let response = if keys.method == "REGISTER" {
            Response::new(message, 405, "Method Not Allowed", TAG, Some(peer.address), &mut out)
        } else {
            // Answered at all times: Mediation takes a trunk out for ten minutes when it gets no 200.
            self.counters.options.up();
            Response::new(message, 200, "OK", TAG, Some(peer.address), &mut out)
                .line(Header::Accept, "application/sdp")
        };
        if response.line(Header::Allow, ALLOW).finish().is_ok() {
            self.send(peer, out.into(), now);
        }
    }

    fn stranger(&mut self, message: &Message<'_>, keys: &Keys<'_>, stranger: Stranger, peer: Peer, now: Now) {
        let answered = match stranger {
            Stranger::ForeignDomain => {
                self.counters.foreign_domains.up();
                self.tell_of_foreign_domain(peer, now);
                true
            }
            Stranger::Unclaimed => {
                self.counters.strangers.up();
                self.tell_of_stranger(keys.method, peer, now);
                self.config.strangers == Strangers::Refuse
            }
        };
        if answered {
            self.refuse(message, &Refusal::new(403, "Forbidden"), peer, now);
        }
    }

    fn tell_of_foreign_domain(&mut self, peer: Peer, now: Now) {
        let key = seldom::source(peer.listener, peer.address.ip());
        let Some(Due { more, others }) = self.state.foreign_told.due(key, now) else { return };
        tracing::warn!(source = %peer.address, more, others, "a tenant's peer asks for another tenant's domain");
    }

    /// Says now and then whom the edge takes for nobody's: a gateway that is not claimed gets no answer, and cannot
    /// tell that from an edge that is not there.
    fn tell_of_stranger(&mut self, method: &str, peer: Peer, now: Now) {
        let key = seldom::source(peer.listener, peer.address.ip());
        let Some(Due { more, others }) = self.state.strangers_told.due(key, now) else { return };
        let (source, listener) = (peer.address, self.listeners.name(peer.listener).unwrap_or_default());
        if !self.state.facts.ready {
            return tracing::warn!(%source, method, listener, more, others, "dropped: there is no feed yet, so that nobody is known");
        }
        let ip = peer.address.ip().to_canonical();
        // A carrier that tenants share may well be claimed, but not for the number that it calls: then the claim's
        // numbers are what to look at, for a claim without numbers would take them all.
        tracing::warn!(
            %source, method, listener, more, others,
            "nobody's call: no tenant's trunk claims this source for what it calls. If the source is one tenant's alone, \
             add to the trunk in its YAML `ingress: [{{listener: {listener}, source: {ip}}}]`; if tenants share it, look \
             at `called` and `domain` of their claims"
        );
    }

    /// Answers a request without keeping a transaction: sent again, it gets the same answer again. A stranger gets
    /// none, or one that is no larger than what it sent.
    fn refuse(&mut self, message: &Message<'_>, refusal: &Refusal, peer: Peer, now: Now) {
        if !is_answerable(message) {
            return;
        }
        let mut out = Vec::with_capacity(512);
        let written = Response::refuse(message, refusal, TAG, Some(peer.address), &mut out).finish();
        let small = peer.transport != Transport::Udp || out.len() <= message.bytes().len();
        let allowed = self.is_known(peer) || self.config.strangers == Strangers::Refuse && small;
        if written.is_ok() && allowed {
            self.send(peer, out.into(), now);
        }
    }

    /// 503 with a time to come back, without a transaction.
    fn refuse_later(&mut self, message: &Message<'_>, peer: Peer, now: Now) {
        let refusal = Refusal {
            line: Some((Header::RetryAfter, self.retry_after())),
            ..Refusal::new(503, "Service Unavailable")
        };
        self.refuse(message, &refusal, peer, now);
    }
}

/// Whether a request is a call for help (domain rules 9.1), which has room of its own beyond every other limit.
fn calls_for_help(message: &Message<'_>, keys: &Keys<'_>, owner: &Owner) -> bool {
    let Some(trunk) = owner.trunk.as_ref().filter(|_| keys.method == "INVITE") else { return false };
    let said = Said::read(message, keys);
    decide(&owner.tenant, &said.attempt(trunk.as_str(), Method::Invite), &Facts::default(), &mut NoTrail)
        .emergency
}

/// OPTIONS that asks whether the edge lives; REGISTER, of which it knows nothing.
fn is_for_us(engine: &Engine, keys: &Keys<'_>, uri: &Uri<'_>, owner: &Owner) -> bool {
    if keys.is_in_dialog() || !matches!(keys.method, "OPTIONS" | "REGISTER") {
        return false;
    }
    // RFC 3261 16.3 step 3: a proxy may answer OPTIONS that would go too far.
    if keys.method == "OPTIONS" && keys.max_forwards == Some(0) {
        return true;
    }
    let has = |t: &Trunk| t.domains.iter().any(|d| d.eq_ignore_ascii_case(uri.host));
    let theirs = owner.tenant.config().is_some_and(|policy| policy.trunks.iter().any(has));
    uri.user.is_none() && (engine.listeners.is_own(uri.host, uri.port) || !theirs)
}

/// Neither an ACK nor a BENOTIFY is ever answered (RFC 3261 17.1.1.3, MS-SIP).
fn is_answerable(message: &Message<'_>) -> bool {
    matches!(message.start(), Start::Request { method, .. } if !matches!(method, "ACK" | "BENOTIFY"))
}

fn trunk_name(belongs: &Belongs<'_>) -> Option<TrunkName> {
    belongs.tenant.config().map(|c| c.trunk(belongs.trunk).name.clone())
}

/// The trunk of a tenant that an address is, for a party of a dialog: one that calls us from there, or one that is
/// called there and has no claim of its own.
fn trunk_of(config: &Policy, listener: &str, peer: Peer) -> Option<TrunkName> {
    let ip = peer.address.ip().to_canonical();
    let calls = |t: &&Trunk| {
        t.ingress.iter().any(|i| {
            i.listener.as_ref().is_none_or(|l| l.as_str() == listener)
                && i.source.is_some_and(|n| n.contains(ip))
        })
    };
    let is_called = |t: &&Trunk| t.addresses.iter().any(|a| a.host.parse() == Ok(ip));
    let found = config.trunks.iter().find(calls).or_else(|| config.trunks.iter().find(is_called));
    found.map(|t| t.name.clone())
}
