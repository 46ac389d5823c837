//! CIC as a registrar (RFC 3261 section 10): a softphone says where it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Server;
use crate::ua::{Registration, Target};

/// Bindings in all: stations are configuration, so more is not a softphone but somebody who tries names.
const BINDINGS_MAX: usize = 10_000;

/// Where the softphones are.
#[derive(Default)]
pub(super) struct Registrar(Mutex<HashMap<String, Binding>>);

struct Binding {
    contact: String,
    /// Where the REGISTER came from: calls go there, whatever the Contact says, as through a NAT.
    target: Target,
    expires: Duration,
    call_id: String,
    number: u32,
}

impl Registrar {
    /// Answers a REGISTER.
    pub(super) fn take(&self, server: &Server, registration: Registration) {
        let request = &registration.request;
        let name = request.to_user().unwrap_or_default();
        if server.station_registered_as(&name).is_none() {
            return registration.answer(404, "Not Found", &[]);
        }
        let now = server.ua.clock().monotonic();
        let seconds = request.expires().unwrap_or(3600).min(server.config.registration_max_s);
        let call_id = request.header("Call-ID").unwrap_or_default().to_owned();
        let number = request.cseq().map_or(0, |(number, _)| number);
        let mut bindings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bindings.retain(|_, binding| binding.expires > now);
        let stale = |old: &Binding| old.call_id == call_id && number <= old.number;
        if bindings.get(&name).is_some_and(stale) {
            drop(bindings);
            return registration.answer(500, "CSeq Out Of Order", &[]);
        }
        let asked = request.contact();
        if seconds == 0 {
            bindings.remove(&name);
        } else if let Some(contact) = asked {
            if bindings.len() >= BINDINGS_MAX {
                drop(bindings);
                return registration.answer(503, "Too Many Registrations", &[]);
            }
            let target = Target { transport: registration.transport, address: registration.peer };
            let expires = now + Duration::from_secs(u64::from(seconds));
            bindings.insert(name.clone(), Binding { contact, target, expires, call_id, number });
        }
        let left = |binding: &Binding| (binding.expires.saturating_sub(now)).as_secs();
        let shown =
            bindings.get(&name).map(|binding| format!("<{}>;expires={}", binding.contact, left(binding)));
        drop(bindings);
        let headers: Vec<_> = shown.map(|contact| ("Contact", contact)).into_iter().collect();
        registration.answer(200, "OK", &headers);
    }

    /// Where a softphone is: its Contact, and the way to it.
    pub(super) fn find(&self, name: &str, now: Duration) -> Option<(String, Target)> {
        let bindings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let binding = bindings.get(name).filter(|binding| binding.expires > now)?;
        Some((binding.contact.clone(), binding.target))
    }

    /// Who registered from this address: by address and port, else by address alone.
    pub(super) fn name_at(&self, address: SocketAddr, now: Duration) -> Option<String> {
        let bindings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let living = || bindings.iter().filter(|(_, binding)| binding.expires > now);
        let exact = living().find(|(_, binding)| binding.target.address == address);
        let near = || living().find(|(_, binding)| binding.target.address.ip() == address.ip());
        exact.or_else(near).map(|(name, _)| name.clone())
    }
}
