//! A decision as a client reads it.
//!
//! Hot path: every `RouteCall` passes here. Strings that the message must own are each allocated once, at their size.

use tandem_domain::document::terms::DiversionForm;
use tandem_domain::id::TenantName;
use tandem_domain::routing::decision::{
    Carriage, Decision, Identity, Outcome, Owner, Rejection, Route, Target, Treatment,
};
use tandem_domain::routing::trail::Step;
use tandem_proto::routing::v1 as pb;

use crate::terms;

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

/// The message of a decision.
#[must_use]
pub fn decision(decision: &Decision, made: Made<'_>) -> pb::Decision {
    let outcome = match &decision.outcome {
        Outcome::Route(taken) => pb::decision::Outcome::Route(route(taken)),
        Outcome::Reject(refused) => pb::decision::Outcome::Rejection(rejection(refused)),
    };
    pb::Decision {
        name: crate::name::decision(made.tenant, made.id),
        revision: decision.revision.0,
        called: decision.called.map(canonical).unwrap_or_default(),
        owner: Some(owner(&decision.owner)),
        emergency: decision.emergency,
        outcome: Some(outcome),
        source: match made.source {
            Source::Live => pb::decision::Source::Live,
            Source::LastGood => pb::decision::Source::LastGood,
        }
        .into(),
        stale_ms: made.stale_ms,
    }
}

/// A number's canonical form, without the formatting machinery: at most `+`, 15 digits, `;ext=`, 15 digits.
pub(crate) fn canonical(number: tandem_domain::number::Number) -> String {
    let mut text = String::with_capacity(40);
    if number.is_global() {
        text.push('+');
    }
    text.extend(number.digits().iter().map(|digit| char::from(b'0' + digit)));
    if !number.ext().is_empty() {
        text.push_str(";ext=");
        text.extend(number.ext().iter().map(|digit| char::from(b'0' + digit)));
    }
    text
}

/// Whose number it is.
#[must_use]
pub fn owner(owner: &Owner) -> pb::Owner {
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
    pb::Owner { kind: kind.into(), id: id.into() }
}

/// Where a call goes.
#[must_use]
pub fn route(route: &Route) -> pb::Route {
    pb::Route {
        carriage: match route.carriage {
            Carriage::Redirect => pb::route::Carriage::Redirect,
            Carriage::Proxy => pb::route::Carriage::Proxy,
        }
        .into(),
        targets: route.targets.iter().map(target).collect(),
        treatment: (route.treatment != Treatment::default()).then(|| treatment(&route.treatment)),
        survivable: route.survivable,
    }
}

/// One address to try.
#[must_use]
pub fn target(target: &Target) -> pb::Target {
    pb::Target {
        trunk: target.trunk.as_str().into(),
        host: target.host.as_ref().into(),
        port: target.port.into(),
        transport: terms::transport(target.transport).into(),
        request_uri: target.request_uri.as_ref().into(),
        identity: Some(identity(&target.identity)),
        no_response_ms: target.no_response_ms,
        only_100_ms: target.only_100_ms,
        retry_on: target.retry_on.iter().map(|status| u32::from(*status)).collect(),
    }
}

/// Who the trunk is told calls.
#[must_use]
pub fn identity(identity: &Identity) -> pb::Identity {
    pb::Identity {
        asserted: identity.asserted.clone(),
        privacy: identity.privacy.unwrap_or_default().into(),
        diversion: terms::diversion(identity.diversion).into(),
        strip: identity.strip,
    }
}

/// What happens when nobody takes the call.
#[must_use]
pub fn treatment(treatment: &Treatment) -> pb::Treatment {
    let text = |text: &Option<Box<str>>| text.as_deref().unwrap_or_default().to_owned();
    let (on_no_answer, seconds) = match &treatment.on_no_answer {
        Some((target, seconds)) => (target.as_ref(), *seconds),
        None => ("", 0),
    };
    pb::Treatment {
        on_busy: text(&treatment.on_busy),
        on_no_answer: on_no_answer.into(),
        no_answer_seconds: seconds.into(),
        on_unreachable: text(&treatment.on_unreachable),
    }
}

/// A call that goes nowhere. Without words of its own it says what to look at.
#[must_use]
pub fn rejection(rejection: &Rejection) -> pb::Rejection {
    let message = if rejection.words.is_empty() { rejection.reason.hint() } else { &rejection.words };
    pb::Rejection {
        reason: rejection.reason.name().into(),
        message: message.into(),
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

/// The diversion header of a proto's identity, for elements that carry out a decision made elsewhere.
#[must_use]
pub fn diversion_form(identity: &pb::Identity) -> Option<DiversionForm> {
    match identity.diversion() {
        pb::identity::DiversionForm::Diversion => Some(DiversionForm::Diversion),
        pb::identity::DiversionForm::HistoryInfo => Some(DiversionForm::HistoryInfo),
        pb::identity::DiversionForm::Unspecified => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tandem_domain::document::terms::Transport;
    use tandem_domain::id::{Revision, TrunkName, UserId};
    use tandem_domain::number::Number;
    use tandem_domain::routing::decision::Reason;

    fn made(tenant: &TenantName) -> Made<'_> {
        Made { tenant, id: "r1-7", source: Source::LastGood, stale_ms: 1_500 }
    }

    fn routed() -> Decision {
        let identity = Identity {
            asserted: vec!["<tel:+4930123456>".into()],
            privacy: Some("id"),
            diversion: Some(DiversionForm::HistoryInfo),
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
            retry_on: [408, 503].into(),
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
        assert_eq!(diversion_form(identity), Some(DiversionForm::HistoryInfo));
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
            assert_eq!(canonical(number), number.to_string());
        }
    }
}
