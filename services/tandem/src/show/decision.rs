//! A decision as text: where the call goes next, who is tried in which order, and at which revision that is so.

use std::fmt::Write as _;

use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::decision::{Outcome, Source};
use tandem_proto::routing::v1::route::Carriage;

/// Writes a decision, without colour.
pub(crate) fn text(decision: &pb::Decision) -> String {
    let mut out = String::new();
    if decision.emergency {
        out.push_str("called    for help: nothing else applies\n");
    } else {
        let called = if decision.called.is_empty() { "(no number)" } else { &decision.called };
        let _ = writeln!(out, "called    {called}{}", owner(decision.owner.as_ref()));
    }
    match &decision.outcome {
        Some(Outcome::Route(route)) => self::route(&mut out, route),
        Some(Outcome::Rejection(no)) => {
            let _ = writeln!(out, "rejected  {} (SIP {}): {}", no.reason, no.sip_status, no.message);
        }
        None => {}
    }
    let _ = write!(out, "revision  {}{}", decision.revision, age(decision));
    out
}

fn owner(owner: Option<&pb::Owner>) -> String {
    let Some(owner) = owner else { return String::new() };
    let kind = owner.kind().as_str_name().to_ascii_lowercase().replace('_', " ");
    if owner.id.is_empty() { format!("  ({kind})") } else { format!("  ({kind} {})", owner.id) }
}

fn route(out: &mut String, route: &pb::Route) {
    let how = match route.carriage() {
        Carriage::Redirect => "redirect",
        Carriage::Proxy => "proxy",
        Carriage::Unspecified => "",
    };
    let survivable = if route.survivable { "  (survivable rule)" } else { "" };
    for (at, target) in route.targets.iter().enumerate() {
        let label = if at == 0 { "goes to" } else { "or else" };
        let transport = target.transport().as_str_name().to_ascii_lowercase().replace("_or_", "/");
        let _ = writeln!(
            out,
            "{label:<9} {} {}:{} {transport}, by {how}{survivable}\n          {}",
            target.trunk, target.host, target.port, target.request_uri
        );
    }
    if let Some(after) = &route.treatment {
        let seconds = format!("no answer in {} s", after.no_answer_seconds);
        for (when, to) in [
            ("busy", &after.on_busy),
            (seconds.as_str(), &after.on_no_answer),
            ("unreachable", &after.on_unreachable),
        ] {
            if !to.is_empty() {
                let _ = writeln!(out, "then      {when}: {to}");
            }
        }
    }
}

fn age(decision: &pb::Decision) -> String {
    let source = match decision.source() {
        Source::LastGood => ", the last good feed",
        Source::Live | Source::Unspecified => "",
    };
    match decision.stale_ms {
        0 => source.to_owned(),
        ms => format!("{source}, {ms} ms old"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_reads_from_top_to_bottom() {
        let target = pb::Target {
            trunk: "cic".into(),
            host: "192.0.2.1".into(),
            port: 5060,
            transport: pb::Transport::Tcp.into(),
            request_uri: "sip:3001@192.0.2.1".into(),
            ..pb::Target::default()
        };
        let treatment = pb::Treatment { on_busy: "+49301".into(), ..pb::Treatment::default() };
        let route = pb::Route {
            carriage: Carriage::Proxy.into(),
            targets: vec![target],
            treatment: Some(treatment),
            survivable: false,
        };
        let decision = pb::Decision {
            called: "+49302".into(),
            revision: 9,
            owner: Some(pb::Owner { kind: pb::owner::Kind::CicUser.into(), id: "jane".into() }),
            outcome: Some(Outcome::Route(route)),
            ..pb::Decision::default()
        };
        let expected = "called    +49302  (cic user jane)\n\
                        goes to   cic 192.0.2.1:5060 tcp, by proxy\n          sip:3001@192.0.2.1\n\
                        then      busy: +49301\nrevision  9";
        assert_eq!(text(&decision), expected);
    }
}
