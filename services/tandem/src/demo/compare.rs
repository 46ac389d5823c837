//! What was observed against what was planned, column by column.

use tandem_domain::routing::plan::{Anchor, Answer, Element, Plan};

use super::observe::{Audio, Kind, Observed};
use super::scene::{Callee, First, Scene};

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) observed: String,
    pub(crate) planned: String,
    pub(crate) same: bool,
}

/// RTP packets that each side says, in the simulators' manual: all of them must arrive, each way, on each leg of audio.
pub(crate) const PACKETS: u64 = 10;

/// Every column of the decision table that a call on the wire shows.
pub(crate) fn columns(observed: &Observed, plan: &Plan, scene: &Scene, callee: Callee) -> Vec<Column> {
    let proxy = scene.first == First::Proxy;
    let column = |name, observed: String, planned: String| {
        let same = observed == planned;
        Column { name, observed, planned, same }
    };
    let mut columns = vec![
        column("hops", observed.hops_words(proxy), plan.hops_words()),
        column("sites", observed_sites(observed), planned_sites(plan)),
        column("numbers", observed_numbers(observed), planned_numbers(plan)),
        column("decided by", observed_deciders(observed), planned_deciders(plan)),
        column(
            "signalling crossings",
            observed.signalling_crossings().to_string(),
            plan.signalling_crossings.to_string(),
        ),
        column(
            "Mediation sessions",
            observed.mediation_sessions().to_string(),
            plan.mediation_sessions.to_string(),
        ),
        outcome(observed, plan),
    ];
    if plan.rejected.is_none() {
        let audio = planned_audio(plan, scene.recorded());
        columns.push(column("audio by", observed_audio(observed), audio.words()));
        let (without, with) = plan.media_crossings;
        let crossings = if audio.at_last == "MS" { with } else { without };
        columns.push(column(
            "media crossings",
            observed.media_crossings().to_string(),
            crossings.to_string(),
        ));
        columns.push(packets(observed, callee));
        columns.push(answer(observed, plan));
    }
    columns
}

/// What arrived of what was said. The caller of a queue talks to its music too, so more may arrive there.
fn packets(observed: &Observed, callee: Callee) -> Column {
    let planned = format!("{PACKETS} each way");
    let whole = heard_out(&observed.media, callee);
    let counts = |audio: &Audio| format!("{} {}/{}", audio.words(), audio.received[0], audio.received[1]);
    let observed = if whole {
        planned.clone()
    } else {
        observed.media.iter().map(counts).collect::<Vec<_>>().join(", ")
    };
    Column { name: "audio packets", observed, planned, same: whole }
}

/// Whether all that was said has arrived, each way, on each leg of audio; there is at least one.
pub(crate) fn heard_out(media: &[Audio], callee: Callee) -> bool {
    !media.is_empty() && media.iter().all(|audio| audio.carried(PACKETS, callee.queue))
}

/// Who holds the audio, in the words of the table.
struct Holder {
    /// While the caller waits in a queue.
    waiting: bool,
    /// When both talk.
    at_last: &'static str,
}

impl Holder {
    fn words(&self) -> String {
        match self {
            Self { waiting: true, at_last } if *at_last != "MS" => format!("MS, then {at_last}"),
            Self { at_last, .. } => (*at_last).to_owned(),
        }
    }
}

/// The plan says what is fixed and what can be; whether calls are recorded is the tenant's policy.
fn planned_audio(plan: &Plan, recorded: bool) -> Holder {
    let at_last = match plan.anchor {
        Anchor::QueueThenDirect | Anchor::QueueThenMed if recorded => "MS",
        Anchor::QueueThenDirect => "direct",
        Anchor::QueueThenMed => "MED",
        _ => plan.anchored_at.as_ref().map_or("direct", |(element, _)| element.name()),
    };
    Holder { waiting: matches!(plan.anchor, Anchor::QueueThenDirect | Anchor::QueueThenMed), at_last }
}

fn observed_audio(observed: &Observed) -> String {
    let holds = |kind| observed.media.iter().any(|audio| audio.ends.iter().any(|(end, _)| *end == kind));
    let at_last = match observed.media.as_slice() {
        [] => "no audio",
        _ if holds(Kind::Ms) => "MS",
        _ if holds(Kind::Med) => "MED",
        _ => "direct",
    };
    Holder { waiting: observed.served, at_last }.words()
}

fn observed_sites(observed: &Observed) -> String {
    let sites: Vec<&str> = observed.hops.iter().map(|h| h.site.map_or("?", |s| s.name())).collect();
    sites.join(" ")
}

fn planned_sites(plan: &Plan) -> String {
    let sites: Vec<&str> = plan.hops.iter().map(|h| h.site.as_str()).collect();
    sites.join(" ")
}

/// A telephone is rung at its address: what number it is asked for is nobody's concern. The gateway is not asked.
fn is_asked_for_a_number(element: Element) -> bool {
    !matches!(element, Element::Cph | Element::Lph | Element::Gw)
}

fn observed_numbers(observed: &Observed) -> String {
    let asked = observed.hops.iter().filter(|h| !matches!(h.kind, Kind::Cph | Kind::Lph | Kind::Gw));
    let digits = |number: &String| number.trim_start_matches('+').to_owned();
    runs(asked.map(|h| h.number.as_ref().map_or_else(|| "?".to_owned(), digits)).collect())
}

fn planned_numbers(plan: &Plan) -> String {
    let asked = plan.hops.iter().filter(|h| is_asked_for_a_number(h.element));
    let digits = |number: String| number.trim_start_matches('+').to_owned();
    runs(asked.map(|h| h.number.map_or_else(|| "?".to_owned(), |n| digits(n.to_string()))).collect())
}

/// `2x12065550103 3x12065550123`.
fn runs(words: Vec<String>) -> String {
    let mut counted: Vec<(usize, String)> = Vec::new();
    for word in words {
        match counted.last_mut() {
            Some((times, last)) if *last == word => *times += 1,
            _ => counted.push((1, word)),
        }
    }
    let shown: Vec<String> = counted.into_iter().map(|(times, word)| format!("{times}x{word}")).collect();
    shown.join(" ")
}

fn observed_deciders(observed: &Observed) -> String {
    let by: Vec<&str> = observed.hops.iter().skip(1).map(|h| h.by.map_or("?", |k| k.decider())).collect();
    by.join(" ")
}

fn planned_deciders(plan: &Plan) -> String {
    let by: Vec<&str> = plan.hops.iter().skip(1).map(|h| h.decided_by.name()).collect();
    by.join(" ")
}

/// Answered, or refused with the reason's status.
fn outcome(observed: &Observed, plan: &Plan) -> Column {
    let planned = plan.rejected.as_ref().map_or(200, |r| u32::from(r.reason.status()));
    let name = |status: u32| if status == 200 { "answered".to_owned() } else { format!("refused {status}") };
    Column {
        name: "outcome",
        observed: name(observed.status),
        planned: name(planned),
        same: observed.status == planned,
    }
}

/// How the telephone was picked up. The answer itself is always the 200 OK.
fn answer(observed: &Observed, plan: &Plan) -> Column {
    let may_be: &[&str] = match plan.answer {
        // As its own settings say, and the demonstration's CIC phones are picked up by hand.
        Answer::CicPhone => &["manual"],
        Answer::LyncClient | Answer::Manual(_) => &["manual"],
        Answer::AutoOffHook | Answer::Rcc => &["auto"],
        Answer::System => &["cic"],
        Answer::None => &["none"],
    };
    let seen = observed.answered_by.as_str();
    let same = may_be.contains(&seen);
    Column { name: "answer", observed: seen.to_owned(), planned: plan.answer.words().to_owned(), same }
}
