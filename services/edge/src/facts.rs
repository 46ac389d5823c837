//! What is so at this moment, as the edge itself has seen it: addresses that were silent, a CIC that gives nothing,
//! attempts alike that nobody has answered yet. Nothing of it is shared or stored, and every part has a limit.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use smol_str::SmolStr;
use tandem_domain::document::terms::TrunkRole;
use tandem_domain::id::{TenantId, TrunkName};
use tandem_domain::number::{self, Number, Origin};
use tandem_domain::routing::attempt::{self, SilentAddress};
use tandem_domain::tenant::{AlikeMax, Config, TrunkIx};
use tandem_sip::time::Now;
use tandem_sip::transaction::Peer;

use crate::attempt::Said;

/// How long a silent address goes last (domain rules 3.2 A).
pub(crate) const SILENT_FOR: Duration = Duration::from_secs(30);
/// Silent addresses that are remembered: a pool of a few addresses for each of a thousand tenants. Past it new ones
/// are not noted, and calls pay for them as if they had never been tried.
const SILENT_MAX: usize = 4_096;
/// Addresses that are asked at once.
const ASKED_MAX: usize = 1_024;

/// An address of a tenant's trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) scope: u64,
    pub(crate) tenant: TenantId,
    pub(crate) trunk: TrunkName,
    pub(crate) role: TrunkRole,
    pub(crate) host: SmolStr,
    pub(crate) port: u16,
}

#[derive(Debug)]
struct Silent {
    place: Place,
    peer: Peer,
    /// Since when nothing came.
    since: Now,
    /// Until when it goes last.
    until: Now,
}

/// The live facts.
#[derive(Debug, Default)]
pub(crate) struct Live {
    silent: Vec<Silent>,
    /// Questions that wait for any sign of life, with until when.
    asked: Vec<(Place, Peer, Now, Now)>,
    alike: HashMap<Alike, u16, foldhash::quality::RandomState>,
}

/// Attempts that are the same call once more, as far as anybody can tell behind back-to-back agents.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Alike {
    scope: u64,
    caller: Option<Number>,
    /// What the caller shows beside the number, hashed; none: whatever it is.
    shown: Option<u64>,
    called: Number,
    ingress: TrunkIx,
    egress: TrunkName,
}

impl Alike {
    /// The key of an attempt, and how many alike it may meet. None where no number is called, for a dialog or an
    /// address does not loop by dial plans; or where policy does not count such calls.
    pub(crate) fn of(
        scope: u64,
        config: &Config,
        said: &Said<'_>,
        called: Option<Number>,
        ingress: TrunkIx,
        egress: &TrunkName,
    ) -> Option<(Self, AlikeMax)> {
        let (trunk, caller) = (config.trunk(ingress), &said.caller);
        let text = caller.asserted.filter(|_| trunk.identity.trusted).unwrap_or(caller.from);
        let origin = Origin { trunk: Some(ingress), site: None };
        let caller = number::parse(text).ok().and_then(|d| number::canonical(config, origin, &d).ok());
        let limits = config.limits.alike(Some(trunk.role), caller.is_some())?;
        let shown = Some(said.shown());
        Some((Self { scope, caller, shown, called: called?, ingress, egress: egress.clone() }, limits))
    }

    /// The key of all attempts by the number, whatever is shown beside it.
    fn by_number(&self) -> Self {
        Self { shown: None, ..self.clone() }
    }
}

impl Live {
    /// An address gave nothing at all since `since`.
    pub(crate) fn silent(&mut self, place: &Place, peer: Peer, since: Now, now: Now) {
        let until = now + SILENT_FOR;
        let is = |s: &&mut Silent| s.place == *place && s.peer.address == peer.address;
        if let Some(held) = self.silent.iter_mut().find(is) {
            held.until = until;
        } else if self.silent.len() < SILENT_MAX {
            self.silent.push(Silent { place: place.clone(), peer, since, until });
        } else {
            self.forget(now);
            tracing::warn!(tenant = %place.tenant, trunk = %place.trunk, "too many silent addresses to note another");
        }
    }

    /// Bytes came from an address: it is alive, whatever they said.
    pub(crate) fn heard(&mut self, address: SocketAddr) {
        if !self.silent.is_empty() {
            self.silent.retain(|s| s.peer.address != address);
        }
        if !self.asked.is_empty() {
            self.asked.retain(|(_, peer, ..)| peer.address != address);
        }
    }

    /// An address is asked whether it lives; it has until `due` to say anything. False: it is asked already, or known
    /// to be silent, or too many are asked.
    pub(crate) fn ask(&mut self, place: &Place, peer: Peer, now: Now, due: Now) -> bool {
        let known = self.silent.iter().any(|s| s.peer.address == peer.address)
            || self.asked.iter().any(|(_, p, ..)| p.address == peer.address);
        if known || self.asked.len() >= ASKED_MAX {
            return false;
        }
        self.asked.push((place.clone(), peer, now, due));
        true
    }

    /// When the first question is over.
    pub(crate) fn next_due(&self) -> Option<Now> {
        self.asked.iter().map(|(.., due)| *due).min()
    }

    /// The questions that are over: who did not answer is silent. Answers how many.
    pub(crate) fn unanswered(&mut self, now: Now) -> u64 {
        let (due, left): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.asked).into_iter().partition(|(.., due)| *due <= now);
        self.asked = left;
        due.iter().for_each(|(place, peer, since, _)| self.silent(place, *peer, *since, now));
        due.len() as u64
    }

    /// Drops what does not count any more. A silent CIC counts until it is heard.
    pub(crate) fn forget(&mut self, now: Now) {
        self.silent.retain(|s| s.until > now || s.place.role == TrunkRole::Cic);
    }

    /// The addresses of silent CICs: to be asked whether they are back.
    pub(crate) fn silent_cics(&self) -> impl Iterator<Item = Peer> {
        self.silent.iter().filter(|s| s.place.role == TrunkRole::Cic).map(|s| s.peer)
    }

    /// Whether anything is silent: most of the time nothing is.
    pub(crate) fn any_silent(&self) -> bool {
        !self.silent.is_empty()
    }

    /// The facts for one decision.
    pub(crate) fn of(&self, scope: u64, config: Option<&Config>, now: Now, now_ms: u64) -> attempt::Facts {
        let mut facts = attempt::Facts { now_ms, ..attempt::Facts::default() };
        if self.silent.is_empty() {
            return facts;
        }
        let lately = self.silent.iter().filter(|s| s.place.scope == scope && s.until > now);
        facts.silent.extend(lately.map(|s| SilentAddress {
            trunk: s.place.trunk.clone(),
            host: s.place.host.as_str().into(),
            port: s.place.port,
            ip: Some(s.peer.address.ip()),
        }));
        facts.cic_silent_seconds = config.and_then(|c| self.cic_silent(scope, c, now));
        facts
    }

    /// For how many seconds every address of every CIC trunk of a tenant has been silent.
    pub(crate) fn cic_silent(&self, scope: u64, config: &Config, now: Now) -> Option<u32> {
        let mut last = None;
        for ix in config.trunks_of(TrunkRole::Cic) {
            let trunk = config.trunk(ix);
            for address in &trunk.addresses {
                let is = |s: &&Silent| {
                    s.place.scope == scope
                        && s.place.trunk == trunk.name
                        && s.place.port == address.port
                        && s.place.host == address.host
                };
                last = last.max(Some(self.silent.iter().find(is)?.since));
            }
        }
        Some(u32::try_from(now.saturating_sub(last?).as_secs()).unwrap_or(u32::MAX))
    }

    /// Whether any attempt counts: where every call is redirected none does.
    pub(crate) fn any_alike(&self) -> bool {
        !self.alike.is_empty()
    }

    /// How many unanswered attempts alike there are, and how many by callers of the same number.
    pub(crate) fn alike(&self, key: &Alike) -> (u16, u16) {
        let count = |key| self.alike.get(key).copied().unwrap_or(0);
        if self.alike.is_empty() { (0, 0) } else { (count(key), count(&key.by_number())) }
    }

    /// One more.
    pub(crate) fn begin(&mut self, key: &Alike) {
        for key in [key.by_number(), key.clone()] {
            let count = self.alike.entry(key).or_insert(0);
            *count = count.saturating_add(1);
        }
    }

    /// One less: it was answered, refused or given up.
    pub(crate) fn end(&mut self, key: &Alike) {
        for key in [&key.by_number(), key] {
            if let Some(count) = self.alike.get_mut(key) {
                *count -= 1;
                if *count == 0 {
                    self.alike.remove(key);
                }
            }
        }
    }
}
