//! What is written to each trunk: the Request-URI in its number form, and who calls (domain rules 9.1).

use super::super::attempt::Ingress;
use super::super::call::{Call, Entry};
use super::super::decision::{Identity, Target, Treatment};
use super::super::targets::{Written, is_silent};
use super::super::trail::{Rule, Trail, Verdict};
use smallvec::SmallVec;

use crate::document::terms::{NumberForm, Transport, TrunkRole};
use crate::number::form;
use crate::number::parse::Dialled;
use crate::number::{Number, Numbering};
use crate::tenant::{Address, SiteIx, Trunk, TrunkIx};

/// What is asked of the next element.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Request<'a> {
    /// A number, in the trunk's form.
    Number(Number),
    /// What came in, unchanged: a contact, a GRUU, a service urn.
    Verbatim(&'a str),
}

/// Writes for one call.
pub(in super::super) struct Writer<'c, 'a> {
    pub(in super::super) call: &'c Call<'a>,
    pub(in super::super) request: Request<'a>,
    /// An emergency call out of this site.
    pub(in super::super) emergency: Option<SiteIx>,
}

impl Writer<'_, '_> {
    fn uri(
        &self,
        out: &mut String,
        number: Number,
        form: NumberForm,
        trunk: &Trunk,
        host: &str,
        port: Option<u16>,
    ) {
        // What was dialled may be written as it came only while it is still the number called.
        let dialled = self.call.dialled.as_ref().ok().filter(|d| !matches!(d, Dialled::Address { .. }));
        let written =
            form::Written { number, dialled, form, numbering: Numbering::of(self.call.config, trunk.site) };
        form::write_uri(out, &written, host, port);
    }

    /// The SIP URI of somebody's number as a trunk reads it, at the trunk's own domain.
    pub(super) fn write_known(&self, out: &mut String, number: Number, trunk: &Trunk) {
        let numbering = Numbering::of(self.call.config, trunk.site);
        let written = form::Written { number, dialled: None, form: trunk.number_form_out, numbering };
        form::write_uri(out, &written, domain(trunk), None);
    }

    /// The number that a trunk is shown as the caller's.
    fn shown(&self, trunk: &Trunk) -> Option<Number> {
        if let Some(callback) = self.emergency.and_then(|s| self.call.config.site(s).emergency.callback) {
            return Some(callback);
        }
        let outside = trunk.role == TrunkRole::Gateway;
        let caller = &self.call.caller;
        if caller.number.is_some() && !caller.believed && !outside {
            // Nobody vouches for it: From says what it says, and neither it nor another number is asserted.
            return None;
        }
        // A number of the tenant's own means nothing outside, and nothing when it comes from there.
        let local = !outside && self.call.entry.role() != Some(TrunkRole::Gateway);
        let shown = caller.number.filter(|n| caller.believed && (n.is_global() || local));
        shown.filter(|n| trunk.identity.may_show(*n)).or(trunk.identity.default_number)
    }
}

/// By what name a trunk's peer is spoken of.
fn domain(trunk: &Trunk) -> &str {
    let own = trunk.domains.first().map(|domain| domain.as_str());
    own.or_else(|| trunk.addresses.first().map(|a| &*a.host)).unwrap_or_default()
}

impl Written for Writer<'_, '_> {
    fn request_uri(&self, trunk: &Trunk, address: &Address) -> String {
        let number = match self.request {
            Request::Verbatim(text) => return text.into(),
            Request::Number(number) => number,
        };
        let mut out = String::with_capacity(64);
        let usual = if trunk.transport == Transport::Tls { 5061 } else { 5060 };
        let port = Some(address.port).filter(|p| *p != usual);
        self.uri(&mut out, number, trunk.number_form_out, trunk, &address.host, port);
        // UDP is SIP's own default; a peer that gets this URI by redirection must know otherwise.
        match trunk.transport {
            Transport::Tcp => out.push_str(";transport=tcp"),
            Transport::Tls => out.push_str(";transport=tls"),
            Transport::Udp | Transport::UdpOrTcp => {}
        }
        out
    }

    fn identity(&self, trunk: &Trunk, request_uri: &str) -> Identity {
        let emergency = self.emergency.is_some();
        // Nothing of an emergency call is taken away on its way (domain rules 9.1).
        let strip = !(emergency || self.call.entry.trusted() && trunk.identity.trusted);
        // A rescuer is always told who calls.
        let private = self.call.attempt.caller.private && !emergency;
        let mut asserted = SmallVec::new();
        if let Some(number) = self.shown(trunk).filter(|_| !private || trunk.identity.trusted) {
            let domain = domain(trunk);
            let mut sip = String::with_capacity(64);
            sip.push('<');
            self.write_known(&mut sip, number, trunk);
            sip.push('>');
            asserted.push(sip);
            if number.is_global() {
                let mut tel = String::with_capacity(32);
                tel.push('<');
                form::write_tel(&mut tel, number, domain);
                tel.push('>');
                asserted.push(tel);
            }
        }
        Identity {
            asserted,
            privacy: private.then_some("id"),
            diverted: self.diverted(trunk, strip, request_uri),
            strip,
        }
    }
}

impl Call<'_> {
    pub(super) fn tell_targets<T: Trail>(&self, targets: &[Target], trunks: &[TrunkIx], trail: &mut T) {
        if !T::KEEPS {
            return;
        }
        for (at, target) in targets.iter().enumerate() {
            let from = trunks.iter().map(|t| self.config.trunk(*t)).find(|t| t.name == target.trunk);
            let silent = from.is_some_and(|t| {
                let same = |a: &&Address| a.port == target.port && a.host == target.host;
                t.addresses.iter().find(same).is_some_and(|a| is_silent(self.facts, t, a))
            });
            let why = if silent { ": it was silent a moment ago, so it goes last" } else { "" };
            trail.step(Rule::Targets, Verdict::Applied, || {
                let Target { trunk, host, port, .. } = target;
                format!("target {} is {trunk} at {host}:{port}{why}", at + 1).into()
            });
        }
        if let Some(target) = targets.first() {
            trail.step(Rule::CallerIdentity, Verdict::Applied, || self.identity_words(target).into());
        }
    }

    fn identity_words(&self, target: &Target) -> String {
        let shown = match target.identity.asserted.first() {
            Some(first) => format!("{} is told that {first} calls", target.trunk),
            None => format!("{} gets From as it came, and nothing is asserted", target.trunk),
        };
        let from = match (self.attempt.ingress, self.entry) {
            (Ingress::Trunk(name), Entry::Trunk(_, t)) if !t.identity.trusted => {
                format!("; what {name} asserts is not believed")
            }
            _ => String::new(),
        };
        let private = if target.identity.privacy.is_some() { "; the caller asked for privacy" } else { "" };
        format!("{shown}{from}{private}")
    }
}

pub(super) fn boxed(number: Number) -> Box<str> {
    number.to_string().into_boxed_str()
}

pub(super) fn treatment_words(treatment: &Treatment) -> String {
    let parts = [
        treatment.on_busy.as_ref().map(|to| format!("busy: {to}")),
        treatment.on_no_answer.as_ref().map(|(to, seconds)| format!("no answer in {seconds} s: {to}")),
        treatment.on_unreachable.as_ref().map(|to| format!("unreachable: {to}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "nothing is set for when nobody takes the call".into() } else { parts.join(", ") }
}

/// The host of a SIP URI, without port, brackets and parameters; none: it has none.
pub(super) fn host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
        return None;
    }
    let rest = rest.split_once('@').map_or(rest, |(_, host)| host);
    let end = rest.find([';', '?', '>']).unwrap_or(rest.len());
    let authority = rest.get(..end)?;
    if let Some(v6) = authority.strip_prefix('[') {
        return v6.split_once(']').map(|(host, _)| host);
    }
    let host = authority.split_once(':').map_or(authority, |(host, _)| host);
    (!host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_is_found_among_what_stands_around_it() {
        for (uri, expected) in [
            ("sip:jane@lync.example", Some("lync.example")),
            ("sip:jane@lync.example:5061;opaque=user:epid:x;gruu", Some("lync.example")),
            ("SIPS:lync.example", Some("lync.example")),
            ("sip:a@[2001:db8::1]:5060", Some("2001:db8::1")),
            ("sip:a@host?Replaces=x%40y", Some("host")),
            ("tel:+4930", None),
            ("sip:", None),
            ("+4930", None),
        ] {
            assert_eq!(host(uri), expected, "{uri}");
        }
    }
}
