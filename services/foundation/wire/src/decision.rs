//! A decision as a client reads it.
//!
use std::ops::Range;

use prost::Message as _;
use tandem_domain::id::TenantName;
use tandem_domain::number::Number;
use tandem_domain::routing::decision::{
    Carriage, Decision, Identity, Outcome, Owner, Rejection, Route, Target, Treatment,
};
use tandem_domain::routing::trail::Step;
use tandem_proto::routing::v1 as pb;

use crate::bytes::Writer;
use crate::{name, terms};

/// Where what was decided from came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Source {
    /// A view that follows the store.
    Live,
    /// The last feed that an edge had.
    LastGood,
}

/// What a decision does not say of itself.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Whose call it was.
    pub tenant: &'a TenantName,
    /// The decision's id: the process, and the place in its ring.
    pub id: &'a str,
    /// Where what it was decided from came from.
    pub source: Source,
    /// How old that was, in milliseconds; 0 while it is live.
    pub stale_ms: u64,
}

/// Appends a `routing.v1.Decision`, encoded. Where in `out` it lies.
///
/// Hot path: every `RouteCall` passes here, and no message is built in between.
pub fn write(out: &mut Vec<u8>, decision: &Decision, made: Made<'_>) -> Range<usize> {
    let from = out.len();
    write_decision(&mut Writer::new(out), decision, made);
    from..out.len()
}

/// Appends a `routing.v1.RouteCallsResponse` with a decision, encoded. Where in `out` the decision lies.
pub fn write_answer(out: &mut Vec<u8>, tag: u64, decision: &Decision, made: Made<'_>) -> Range<usize> {
    let mut out = Writer::new(out);
    out.number(1, tag);
    out.long_message(2, |out| write_decision(out, decision, made))
}

/// Field by field as `decision.proto` numbers them.
fn write_decision(out: &mut Writer<'_>, decision: &Decision, made: Made<'_>) {
    out.message(1, |out| name::write_decision(out, made.tenant, made.id));
    out.number(2, decision.revision.0);
    if let Some(number) = decision.called {
        out.message(3, |out| write_canonical(out, number));
    }
    out.message(4, |out| write_owner(out, &decision.owner));
    out.flag(5, decision.emergency);
    match &decision.outcome {
        Outcome::Route(route) => out.long_message(6, |out| write_route(out, route)),
        Outcome::Reject(refused) => out.message(7, |out| write_rejection(out, refused)),
    };
    let source = match made.source {
        Source::Live => pb::decision::Source::Live,
        Source::LastGood => pb::decision::Source::LastGood,
    };
    out.term(8, source.into());
    out.number(9, made.stale_ms);
}

/// The same as a message, off the hot path: read back from what [`write()`] wrote, so that there is one translation.
#[must_use]
pub fn decision(decision: &Decision, made: Made<'_>) -> pb::Decision {
    let mut bytes = Vec::with_capacity(1024);
    write(&mut bytes, decision, made);
    // What we wrote can be read; a property test holds it.
    pb::Decision::decode(bytes.as_slice()).unwrap_or_default()
}

/// A number's canonical form, without the formatting machinery: at most `+`, 15 digits, `;ext=`, 15 digits.
fn write_canonical(out: &mut Writer<'_>, number: Number) {
    if number.is_global() {
        out.raw(b"+");
    }
    out.raw(number.digits().text().as_str().as_bytes());
    if !number.ext().is_empty() {
        out.raw(b";ext=");
        out.raw(number.ext().text().as_str().as_bytes());
    }
}

fn write_owner(out: &mut Writer<'_>, owner: &Owner) {
    use pb::owner::Kind;
    let (kind, id) = match owner {
        Owner::CicUser(id) => (Kind::CicUser, id.as_str()),
        Owner::Workgroup(id) => (Kind::Workgroup, id.as_str()),
        Owner::Attendant => (Kind::Attendant, ""),
        Owner::LyncUser(id) => (Kind::LyncUser, id.as_str()),
        Owner::Cic => (Kind::Cic, ""),
        Owner::Lync => (Kind::Lync, ""),
        Owner::Pstn => (Kind::Pstn, ""),
        Owner::Nobody => (Kind::Nobody, ""),
        Owner::Refused => (Kind::Refused, ""),
        Owner::NotLookedUp => (Kind::NotLookedUp, ""),
    };
    out.term(1, kind.into());
    out.text(2, id);
}

fn write_route(out: &mut Writer<'_>, route: &Route) {
    let carriage = match route.carriage {
        Carriage::Redirect => pb::route::Carriage::Redirect,
        Carriage::Proxy => pb::route::Carriage::Proxy,
    };
    out.term(1, carriage.into());
    for target in &route.targets {
        out.long_message(2, |out| write_target(out, target));
    }
    if route.treatment != Treatment::default() {
        out.message(3, |out| write_treatment(out, &route.treatment));
    }
    out.flag(4, route.survivable);
}

fn write_target(out: &mut Writer<'_>, target: &Target) {
    out.text(1, target.trunk.as_str());
    out.text(2, &target.host);
    out.number(3, target.port);
    out.term(4, terms::transport(target.transport).into());
    out.text(5, &target.request_uri);
    out.message(6, |out| write_identity(out, &target.identity));
    out.number(7, target.no_response_ms);
    out.number(8, target.only_100_ms);
    out.packed(9, target.retry_on.iter().map(|status| u64::from(*status)));
}

fn write_identity(out: &mut Writer<'_>, identity: &Identity) {
    for value in &identity.asserted {
        out.listed(1, value);
    }
    out.text(2, identity.privacy.unwrap_or_default());
    let diverted = identity.diverted.as_ref();
    out.term(3, diverted.map_or(0, |d| terms::diversion(d.header).into()));
    out.flag(4, identity.strip);
    out.text(5, diverted.map_or("", |d| &d.entry));
}

fn write_treatment(out: &mut Writer<'_>, treatment: &Treatment) {
    out.text(1, treatment.on_busy.as_deref().unwrap_or_default());
    if let Some((target, seconds)) = &treatment.on_no_answer {
        out.text(2, target);
        out.number(3, *seconds);
    }
    out.text(4, treatment.on_unreachable.as_deref().unwrap_or_default());
}

fn write_rejection(out: &mut Writer<'_>, rejection: &Rejection) {
    out.text(1, rejection.reason.name());
    out.text(2, what_to_look_at(rejection));
    out.number(3, rejection.reason.status());
}

/// A rejection without words of its own says what to look at.
fn what_to_look_at(rejection: &Rejection) -> &str {
    if rejection.words.is_empty() { rejection.reason.hint() } else { &rejection.words }
}

/// A call that goes nowhere.
#[must_use]
pub fn rejection(rejection: &Rejection) -> pb::Rejection {
    pb::Rejection {
        reason: rejection.reason.name().into(),
        message: what_to_look_at(rejection).into(),
        sip_status: rejection.reason.status().into(),
    }
}

/// A rule that was considered.
#[must_use]
pub fn step(step: &Step) -> pb::Step {
    pb::Step {
        rule: step.rule.name().into(),
        verdict: terms::verdict(step.verdict).into(),
        words: step.words.as_ref().into(),
        section: step.rule.section().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::option::of;
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::sync::Arc;
    use tandem_domain::document::terms::{DiversionForm, Transport};
    use tandem_domain::id::{Revision, TrunkName, UserId};
    use tandem_domain::routing::decision::{Diverted, Reason};

    fn made(tenant: &TenantName) -> Made<'_> {
        Made { tenant, id: "r1-7", source: Source::LastGood, stale_ms: 1_500 }
    }

    fn routed() -> Decision {
        let identity = Identity {
            asserted: ["<tel:+4930123456>".into()].into_iter().collect(),
            privacy: Some("id"),
            diverted: Some(Diverted {
                header: DiversionForm::HistoryInfo,
                entry: "<sip:+4930@x>;index=1.1;mp=1".into(),
            }),
            strip: true,
        };
        let target = Target {
            trunk: TrunkName::parse("cic").unwrap(),
            host: "10.1.0.5".into(),
            port: 5060,
            transport: Transport::UdpOrTcp,
            request_uri: "sip:+4930123456@10.1.0.5;user=phone".into(),
            identity: Arc::new(identity),
            no_response_ms: 3_000,
            only_100_ms: 10_000,
            retry_on: [408, 503][..].into(),
        };
        Decision {
            revision: Revision(42),
            owner: Owner::CicUser(UserId::parse("jane.doe").unwrap()),
            called: Number::parse_canonical("+4930123456;ext=12"),
            emergency: false,
            outcome: Outcome::Route(Route {
                carriage: Carriage::Proxy,
                targets: vec![target],
                treatment: Treatment { on_no_answer: Some(("+49301".into(), 20)), ..Default::default() },
                survivable: true,
            }),
        }
    }

    #[test]
    fn a_route_says_everything_that_an_element_needs() {
        let tenant = TenantName::parse("acme").unwrap();
        let message = decision(&routed(), made(&tenant));
        assert_eq!(message.name, "tenants/acme/decisions/r1-7");
        assert_eq!((message.revision, message.called.as_str()), (42, "+4930123456;ext=12"));
        assert_eq!((message.source(), message.stale_ms), (pb::decision::Source::LastGood, 1_500));
        let owner = message.owner.unwrap();
        assert_eq!((owner.kind(), owner.id.as_str()), (pb::owner::Kind::CicUser, "jane.doe"));
        let Some(pb::decision::Outcome::Route(route)) = message.outcome else { panic!("no route") };
        assert_eq!(route.carriage(), pb::route::Carriage::Proxy);
        assert!(route.survivable);
        let treatment = route.treatment.unwrap();
        assert_eq!((treatment.on_no_answer.as_str(), treatment.no_answer_seconds), ("+49301", 20));
        let target = &route.targets[0];
        assert_eq!((target.trunk.as_str(), target.host.as_str(), target.port), ("cic", "10.1.0.5", 5060));
        assert_eq!(target.transport(), pb::Transport::UdpOrTcp);
        assert_eq!(target.retry_on, [408, 503]);
        assert_eq!((target.no_response_ms, target.only_100_ms), (3_000, 10_000));
        let identity = target.identity.as_ref().unwrap();
        assert_eq!((identity.privacy.as_str(), identity.strip), ("id", true));
        assert_eq!(identity.diversion(), pb::identity::DiversionForm::HistoryInfo);
        assert_eq!(identity.diversion_entry, "<sip:+4930@x>;index=1.1;mp=1");
    }

    #[test]
    fn a_rejection_without_words_says_what_to_look_at() {
        let tenant = TenantName::parse("acme").unwrap();
        for (words, message) in [("", Reason::UnknownNumber.hint()), ("nobody has +4930", "nobody has +4930")]
        {
            let refused = Rejection { reason: Reason::UnknownNumber, words: words.into() };
            let whole = Decision { outcome: Outcome::Reject(refused), ..routed() };
            let whole = decision(&whole, made(&tenant));
            let Some(pb::decision::Outcome::Rejection(rejection)) = whole.outcome else {
                panic!("no rejection")
            };
            assert_eq!((rejection.reason.as_str(), rejection.sip_status), ("number.unknown", 404));
            assert_eq!(rejection.message, message);
        }
    }

    #[test]
    fn canonical_form_is_the_domains_own() {
        for text in ["+4930123456", "+4930123456;ext=12", "3456", "+493012345678901;ext=123456789012345"] {
            let number = Number::parse_canonical(text).unwrap();
            let mut out = Vec::new();
            write_canonical(&mut Writer::new(&mut out), number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    fn text() -> impl Strategy<Value = Box<str>> {
        prop_oneof!["[ -~]{0,20}", "[a-z]{120,300}", "\\PC{0,8}"].prop_map(String::into_boxed_str)
    }

    prop_compose! {
        fn target()(host in text(), uri in text(), asserted in vec(text(), 0..3), port: u16, wait: u32, strip: bool,
                    retry in vec(any::<u16>(), 0..6), header in select(&[DiversionForm::Diversion, DiversionForm::HistoryInfo][..]), entry in of(text()))
                    -> Target {
            let asserted = asserted.into_iter().map(String::from).collect();
            let diverted = entry.map(|entry| Diverted { header, entry });
            let identity = Identity { asserted, privacy: strip.then_some("id"), diverted, strip };
            Target {
                trunk: TrunkName::parse("cic").unwrap(),
                host: host.into(),
                port,
                transport: Transport::Tls,
                request_uri: uri.into(),
                identity: Arc::new(identity),
                no_response_ms: wait,
                only_100_ms: wait / 2,
                retry_on: retry.into(),
            }
        }
    }

    proptest! {
        /// What is written is what prost writes of the same message: no field is put in a wrong place, none that has
        /// its default is there, every length is the shortest.
        #[test]
        fn a_decision_is_written_as_prost_writes_it(
            targets in vec(target(), 0..6),
            busy in of(text()),
            no_answer in of((text(), any::<u16>())),
            revision: u64,
            emergency: bool,
            stale_ms: u64,
        ) {
            let treatment = Treatment { on_busy: busy, on_no_answer: no_answer, on_unreachable: None };
            let route = Route { carriage: Carriage::Redirect, targets, treatment, survivable: emergency };
            let outcome = Outcome::Route(route);
            let whole = Decision { revision: Revision(revision), emergency, outcome, ..routed() };
            let tenant = TenantName::parse("acme").unwrap();
            let made = Made { stale_ms, ..made(&tenant) };
            let mut bytes = Vec::new();
            write(&mut bytes, &whole, made);
            let message = pb::Decision::decode(bytes.as_slice()).expect("what was written can be read");
            prop_assert_eq!(message.encode_to_vec(), bytes);
            let Outcome::Route(route) = &whole.outcome else { unreachable!() };
            let Some(pb::decision::Outcome::Route(read)) = message.outcome else { panic!("no route") };
            prop_assert_eq!(read.targets.len(), route.targets.len());
            for (read, target) in read.targets.iter().zip(&route.targets) {
                prop_assert_eq!(read.request_uri.as_str(), &*target.request_uri);
                prop_assert_eq!(&read.identity.as_ref().unwrap().asserted[..], &target.identity.asserted[..]);
                prop_assert_eq!(read.only_100_ms, target.only_100_ms);
            }
        }
    }
}
