//! The whole way of a call as a client reads it, in the words of the decision table.

use tandem_domain::id::{TrunkName, UserId};
use tandem_domain::routing::attempt::{EndpointFacts, Facts, SilentAddress};
use tandem_domain::routing::plan::{
    Anchor, Answer, Callee, DecidedBy, Element, Features, Hop, Leg, ManualBecause, Plan, Row, Tri, WanLost,
};
use tandem_domain::routing::trail::Steps;
use tandem_domain::view::TenantView;
use tandem_proto::routing::v1 as pb;

use crate::decision::{rejection, step};
use crate::limits::{HOST_BYTES_MAX, PLUG_INS_MAX, SILENT_MAX, SILENT_SECONDS_MAX};
use crate::violation::{Reader, Violations};

/// The message of a plan.
#[must_use]
pub fn plan(plan: &Plan) -> pb::Plan {
    let (callee, user) = callee(&plan.callee);
    pb::Plan {
        callee,
        user,
        hops: plan.hops.iter().map(hop).collect(),
        legs: plan.legs.iter().map(leg).collect(),
        anchor: anchor(plan.anchor).into(),
        signalling_crossings: plan.signalling_crossings.into(),
        media_crossings_without_ms: plan.media_crossings.0.into(),
        media_crossings_with_ms: plan.media_crossings.1.into(),
        mediation_sessions: plan.mediation_sessions.into(),
        features: features(plan.features).into_iter().map(Into::into).collect(),
        answer: answer(plan.answer).into(),
        wan_lost: wan_lost(plan.wan_lost).into(),
        rejected: plan.rejected.as_ref().map(rejection),
        anchored_by: plan.anchored_at.as_ref().map_or("", |(by, _)| element(*by)).into(),
        anchored_site: plan.anchored_at.as_ref().map(|(_, site)| site.to_string()).unwrap_or_default(),
        srtp_mixed: plan.srtp_mixed,
        station_answer: plan.station_answer.map_or("", answer).into(),
    }
}

/// The message of an explanation. `text` is the ladder and the reasons, for people.
#[must_use]
pub fn explanation(decision: pb::Decision, whole: &Plan, trail: &Steps, text: String) -> pb::Explanation {
    pb::Explanation {
        decision: Some(decision),
        plan: Some(plan(whole)),
        trail: trail.0.iter().map(step).collect(),
        text,
    }
}

/// Reads the assumptions of a request: facts whose `now_ms` is the handler's to fill in.
///
/// # Errors
/// What is wrong with them, with fields from the request (`assume.agent`).
pub fn read_assumptions(message: Option<pb::Assumptions>) -> Result<Facts, Violations> {
    let message = message.unwrap_or_default();
    let mut reader = Reader::new();
    let facts = reader.inside("assume", |reader| {
        let agent = reader.some_name("agent", &message.agent, UserId::parse);
        let silent = message.cic_silent_seconds;
        if silent > SILENT_SECONDS_MAX {
            let fix = format!("at most {SILENT_SECONDS_MAX} seconds");
            reader.wrong("cic_silent_seconds", format!("{silent} is too large"), fix);
        }
        let endpoints = reader.inside("plug_ins", |reader| read_plug_ins(reader, &message.plug_ins));
        let addresses = reader.inside("silent", |reader| read_silent(reader, message.silent));
        Facts {
            agent,
            endpoints,
            silent: addresses,
            attempts_alike: reader.u16("attempts_alike", message.attempts_alike, "0 to 65535"),
            // Without the WAN nothing is heard of a CIC beyond it.
            cic_silent_seconds: match silent {
                0 => message.wan_lost.then_some(SILENT_SECONDS_MAX),
                seconds => Some(seconds),
            },
            wan_lost: message.wan_lost,
            premises_media_server_down: message.premises_media_server_down,
            edge_in_path: !message.edge_not_in_path,
            ..Facts::default()
        }
    });
    reader.finish(Some(facts))
}

/// Refuses assumptions about people whom the tenant does not have.
///
/// # Errors
/// Each of them, by its field.
pub fn known(facts: &Facts, tenant: &TenantView) -> Result<(), Violations> {
    let mut reader = Reader::new();
    reader.inside("assume", |reader| {
        let mut check = |field: &str, user: &UserId| {
            if tenant.user(user.as_str()).is_none() {
                reader.wrong(
                    field,
                    format!("{user} is no user of this tenant"),
                    "name a user of its directory",
                );
            }
        };
        facts.agent.iter().for_each(|user| check("agent", user));
        facts.endpoints.iter().for_each(|endpoint| check("plug_ins", &endpoint.user));
    });
    reader.finish(Some(()))
}

/// Users whose plug-in is connected and whose Lync client is signed in on the same workstation.
fn read_plug_ins(reader: &mut Reader, users: &[String]) -> Vec<EndpointFacts> {
    if users.len() > PLUG_INS_MAX {
        reader.wrong("", format!("has {} users", users.len()), format!("at most {PLUG_INS_MAX}"));
        return Vec::new();
    }
    let endpoint = |(at, id): (usize, &String)| {
        let user = reader.at(at, |reader| reader.name("", id, UserId::parse))?;
        Some(EndpointFacts { user, plug_in: true, lync_client: true, site: None })
    };
    users.iter().enumerate().filter_map(endpoint).collect()
}

/// Addresses that did not answer.
fn read_silent(reader: &mut Reader, addresses: Vec<pb::SilentAddress>) -> Vec<SilentAddress> {
    if addresses.len() > SILENT_MAX {
        reader.wrong("", format!("has {} addresses", addresses.len()), format!("at most {SILENT_MAX}"));
        return Vec::new();
    }
    let address = |(at, address): (usize, pb::SilentAddress)| {
        reader.at(at, |reader| {
            let host = reader.full_line("host", address.host, HOST_BYTES_MAX, "192.0.2.1");
            let port = reader.u16("port", address.port, "1 to 65535");
            let trunk = reader.name("trunk", &address.trunk, TrunkName::parse)?;
            let ip = host.parse().ok();
            Some(SilentAddress { trunk, host, port, ip })
        })
    };
    addresses.into_iter().enumerate().filter_map(address).collect()
}

fn callee(callee: &Callee) -> (String, String) {
    let named = |prefix: char, user: &UserId, row: Option<Row>| {
        let row = match row {
            None => "UNSUPPORTED".into(),
            Some(Row::ImOnly) => "IM_ONLY".into(),
            Some(row) => format!("{prefix}{}", row_digit(row)),
        };
        (row, user.to_string())
    };
    match callee {
        Callee::User(user, row) => named('R', user, *row),
        Callee::Agent(user, row) => named('Q', user, *row),
        Callee::Queue => ("QUEUE".into(), String::new()),
        Callee::System(_) => ("SYSTEM".into(), String::new()),
        Callee::Pstn => ("PSTN".into(), String::new()),
        Callee::Nobody => ("NOBODY".into(), String::new()),
    }
}

const fn row_digit(row: Row) -> char {
    match row {
        Row::R1 | Row::ImOnly => '1',
        Row::R2 => '2',
        Row::R3 => '3',
        Row::R4 => '4',
        Row::R5 => '5',
        Row::R6 => '6',
    }
}

fn hop(hop: &Hop) -> pb::Hop {
    pb::Hop {
        element: element(hop.element).into(),
        site: hop.site.to_string(),
        number: hop.number.map(|n| n.to_string()).unwrap_or_default(),
        decided_by: match hop.decided_by {
            DecidedBy::Tandem => "tandem",
            DecidedBy::Gateway => "gateway",
            DecidedBy::Cic => "cic",
            DecidedBy::Lync => "lync",
        }
        .into(),
        predicted: hop.decided_by != DecidedBy::Tandem,
    }
}

fn leg(leg: &Leg) -> pb::Leg {
    pb::Leg {
        letter: leg.letter.into(),
        from: element(leg.from).into(),
        to: element(leg.to).into(),
        protocol: leg.protocol.clone(),
        media: leg.media.unwrap_or_default().into(),
        crosses: leg.crosses,
        side: leg.side,
        conditional: leg.conditional,
    }
}

/// An element as the decision table abbreviates it.
#[must_use]
pub const fn element(element: Element) -> &'static str {
    match element {
        Element::Gw => "GW",
        Element::Px => "PX",
        Element::Edge => "EDGE",
        Element::Cic => "CIC",
        Element::Med => "MED",
        Element::Fe => "FE",
        Element::Ms => "MS",
        Element::Cph => "CPH",
        Element::Lph => "LPH",
        Element::Pstn => "PSTN",
    }
}

const fn anchor(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::DirectOrMs => "direct GW-phone (MS if recorded or always-in)",
        Anchor::MedOrBypass => "MED, or GW-endpoint if bypass",
        Anchor::MedOrMs => "MED (MS if recorded, always-in or RTP/SRTP mixed)",
        Anchor::MedMsIfRecorded => "MED (MS if recorded)",
        Anchor::MedMsIfRecordedOrAlwaysIn => "MED (MS if recorded or always-in)",
        Anchor::QueueThenDirect => "MS (queue), then MS if recorded else direct",
        Anchor::QueueThenMed => "MS (queue), then MS if recorded else MED",
        Anchor::LyncOnly => "between Lync endpoints",
        Anchor::MediaServer => "MS",
        Anchor::WithoutMediaServer => "direct, or MED where it is in the way (no media server may be used)",
        Anchor::None => "",
    }
}

fn features(features: Features) -> Vec<&'static str> {
    let recording = match features.recording {
        Tri::No => None,
        Tri::Possible => Some("recording if policy says so"),
        Tri::Yes => Some("recording"),
    };
    let plain = [
        (features.supervisor, "supervisor monitoring"),
        (features.voicemail, "CIC voicemail"),
        (features.agent_not_answering, "ACD - Agent Not Answering"),
        (features.wrap_up, "wrap-up"),
        (features.presence_sync, "presence sync"),
        (features.rcc, "remote call control"),
    ];
    recording.into_iter().chain(plain.into_iter().filter(|(has, _)| *has).map(|(_, name)| name)).collect()
}

const fn answer(answer: Answer) -> &'static str {
    match answer {
        Answer::CicPhone => "at the CIC phone, which CIC signals",
        Answer::LyncClient => "by hand, in the Lync client or at the Lync phone",
        Answer::AutoOffHook => "by itself: the plug-in takes the Lync client off-hook",
        Answer::Manual(ManualBecause::NoPlugIn) => "by hand: the user has no plug-in",
        Answer::Manual(ManualBecause::PlugInAbsent) => "by hand: the plug-in is not connected",
        Answer::Manual(ManualBecause::LyncClientAbsent) => "by hand: the Lync client is absent or signed out",
        Answer::Manual(ManualBecause::PhoneNotPaired) => {
            "by hand: the Lync phone is not paired with the client of that workstation"
        }
        Answer::Manual(ManualBecause::Row5) => "by hand: the Lync client controls the call",
        Answer::Rcc => "by CIC at its own phone, told by the Lync client",
        Answer::System => "by the system itself",
        Answer::None => "by nobody",
    }
}

const fn wan_lost(wan_lost: WanLost) -> &'static str {
    match wan_lost {
        WanLost::NotApplicable => "n/a",
        WanLost::Works => "works",
        WanLost::Survivable(false) => "surv",
        WanLost::Survivable(true) => "surv*",
        WanLost::Hunt(false) => "hunt",
        WanLost::Hunt(true) => "hunt*",
        WanLost::Voicemail(false) => "vm",
        WanLost::Voicemail(true) => "vm*",
        WanLost::Announce => "announce",
        WanLost::Queue(false) => "queue",
        WanLost::Queue(true) => "queue*",
        WanLost::Fails => "fail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::id::SiteName;
    use tandem_domain::number::Number;
    use tandem_domain::routing::decision::{Reason, Rejection};

    fn some_plan() -> Plan {
        Plan {
            callee: Callee::Agent(UserId::parse("jane").unwrap(), Some(Row::R4)),
            hops: vec![Hop {
                element: Element::Med,
                site: SiteName::parse("berlin").unwrap(),
                number: Number::parse_canonical("+4930123"),
                decided_by: DecidedBy::Cic,
                join: tandem_domain::routing::plan::Join::Next,
            }],
            legs: vec![Leg {
                letter: 'e',
                from: Element::Cic,
                to: Element::Med,
                protocol: "SIP/TCP 5068".into(),
                media: Some("SRTP"),
                crosses: true,
                side: false,
                conditional: true,
            }],
            anchor: Anchor::QueueThenMed,
            anchored_at: Some((Element::Ms, SiteName::parse("cloud").unwrap())),
            srtp_mixed: true,
            signalling_crossings: 1,
            media_crossings: (2, 3),
            mediation_sessions: 4,
            features: Features { recording: Tri::Possible, wrap_up: true, ..Features::default() },
            answer: Answer::AutoOffHook,
            station_answer: Some(Answer::Manual(ManualBecause::NoPlugIn)),
            wan_lost: WanLost::Hunt(true),
            rejected: Some(Rejection { reason: Reason::Toll, words: String::new() }),
        }
    }

    #[test]
    fn a_plan_says_its_way_in_the_tables_words() {
        let message = plan(&some_plan());
        assert_eq!((message.callee.as_str(), message.user.as_str()), ("Q4", "jane"));
        let hop = &message.hops[0];
        assert_eq!(
            (hop.element.as_str(), hop.site.as_str(), hop.number.as_str()),
            ("MED", "berlin", "+4930123")
        );
        assert!(hop.predicted, "what CIC decides is a prediction");
        let leg = &message.legs[0];
        assert_eq!((leg.letter.as_str(), leg.from.as_str(), leg.to.as_str()), ("e", "CIC", "MED"));
        assert_eq!((leg.protocol.as_str(), leg.media.as_str()), ("SIP/TCP 5068", "SRTP"));
        assert!(leg.crosses && leg.conditional && !leg.side);
        let crossings = (message.media_crossings_without_ms, message.media_crossings_with_ms);
        assert_eq!((message.signalling_crossings, crossings, message.mediation_sessions), (1, (2, 3), 4));
        assert_eq!(message.features, ["recording if policy says so", "wrap-up"]);
        assert_eq!(message.wan_lost, "hunt*");
        assert_eq!(message.anchor, "MS (queue), then MS if recorded else MED");
        assert_eq!((message.anchored_by.as_str(), message.anchored_site.as_str()), ("MS", "cloud"));
        assert!(message.srtp_mixed);
        assert_eq!(message.station_answer, "by hand: the user has no plug-in");
        assert_eq!(message.rejected.unwrap().reason, "toll.refused");
    }

    #[test]
    fn assumptions_become_facts() {
        let facts = read_assumptions(Some(pb::Assumptions {
            agent: "jane".into(),
            cic_silent_seconds: 12,
            plug_ins: vec!["jane".into()],
            wan_lost: true,
            edge_not_in_path: true,
            ..Default::default()
        }))
        .unwrap();
        assert_eq!(facts.agent, UserId::parse("jane").ok());
        assert_eq!(facts.cic_silent_seconds, Some(12));
        assert!(facts.wan_lost && !facts.edge_in_path);
        assert!(facts.endpoints[0].plug_in && facts.endpoints[0].lync_client);
        assert_eq!(read_assumptions(None), Ok(Facts { edge_in_path: true, ..Facts::default() }));
    }

    #[test]
    fn assumptions_over_their_limits_are_refused_by_name() {
        let violations = read_assumptions(Some(pb::Assumptions {
            agent: "a/b".into(),
            cic_silent_seconds: u32::MAX,
            plug_ins: vec!["x".into(); PLUG_INS_MAX + 1],
            ..Default::default()
        }))
        .unwrap_err();
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["assume.agent", "assume.cic_silent_seconds", "assume.plug_ins"]);
    }
}
