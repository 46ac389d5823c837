//! What is printed: a call as a ladder with its comparison, the table of rows, the same as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::ladder::{ladder, painted, reasons};
use super::scene::Twist;
use super::stage::Outcome;

const GREEN: &str = "32";
const RED: &str = "31";
const BOLD: &str = "1";

/// How to read a call.
pub(crate) const LEGEND: &str = "\n\n\
    Each call is a ladder (~ crosses the WAN) with who decided each hop; under it what was seen, and of\n\
    each decision of Tandem's the rules that were considered: + decided, - lost, \u{b7} applied.";

/// What a call is.
fn title(outcome: &Outcome) -> String {
    let scene = &outcome.scene;
    let edge = if scene.edge { "" } else { ", Tandem's edge not in path" };
    let wan = if outcome.wan_lost { ", WAN cut" } else { "" };
    let (model, first) = (scene.net.model.words(), scene.first.words());
    let (row, callee) = (scene.row(outcome.callee), outcome.callee.name());
    format!("row {row}: {callee}, {model}, option {} ({first}){edge}{wan}", scene.first.option())
}

/// A call: ladder, who decided what and why, what was seen against what was planned.
pub(crate) fn call(outcome: &Outcome, color: bool) -> String {
    let mut out = String::new();
    let number = outcome.callee.number();
    let _ = writeln!(out, "{}", painted(&title(outcome), BOLD, color));
    let _ = writeln!(out, "  {} calls {number}\n", outcome.caller);
    out.push_str(&ladder(&outcome.observed, outcome.proxy(), color));
    let seen = &outcome.observed;
    let audio: Vec<String> = seen.media.iter().map(super::observe::Audio::words).collect();
    let _ = writeln!(out, "\n  status     {} {}", seen.status, seen.reason);
    let _ = writeln!(out, "  answer     {}", answer(outcome));
    let _ = writeln!(out, "  audio      {}, {} RTP packets arrived", audio.join(" "), seen.packets);
    let _ = writeln!(
        out,
        "  crossings  signalling {}, media {}",
        seen.signalling_crossings(),
        seen.media_crossings()
    );
    if !outcome.scene.edge {
        let _ = writeln!(out, "\n  Tandem decided nothing here: its edge is not in path.");
    } else {
        let _ = writeln!(out);
        out.push_str(&reasons(seen, color));
    }
    let _ = writeln!(out);
    out.push_str(&verdict(outcome, color));
    out
}

/// How the call was picked up, and why so.
fn answer(outcome: &Outcome) -> String {
    let seen = match outcome.observed.answered_by.as_str() {
        "manual" => "picked up by hand",
        "auto" => "went off-hook by itself",
        "cic" => "answered by CIC",
        _ => "not answered",
    };
    let why = outcome.plan.answer.why().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{seen}; planned: {}{why}", outcome.plan.answer.words())
}

/// One line where the call went as planned; otherwise each column that differs, both ways.
fn verdict(outcome: &Outcome, color: bool) -> String {
    if outcome.as_planned() {
        return format!("  {}\n", painted("as planned", GREEN, color));
    }
    let mut out = format!("  {}\n", painted("another way than planned", RED, color));
    for column in outcome.columns.iter().filter(|column| !column.same) {
        let _ = writeln!(out, "    {:<21} observed {}", column.name, column.observed);
        let _ = writeln!(out, "    {:<21} planned  {}", "", column.planned);
    }
    out
}

/// The rows, observed against planned.
pub(crate) fn table(outcomes: &[Outcome], color: bool) -> String {
    let head = ["row", "who", "edge", "hops observed", "sig", "med", "MED", "audio", "answer", "planned"];
    let mut rows: Vec<[String; 10]> = vec![head.map(str::to_owned)];
    for outcome in outcomes {
        rows.push(row(outcome));
    }
    let widths: [usize; 10] =
        std::array::from_fn(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0));
    let mut out = String::from(
        "Every row: seen on the wire, against the plan. sig, med: legs of signalling and of audio that\ncross the \
         WAN; MED: Mediation sessions; audio: who holds it; answer: how it was picked up, or the\nstatus; planned: \
         whether it went so, with * by a survivable rule. Sites, request numbers and who\ndecided each hop are \
         compared too, and shown where they differ.\n\n",
    );
    let mut last = String::new();
    for (at, row) in rows.iter().enumerate() {
        if let Some(outcome) = at.checked_sub(1).and_then(|at| outcomes.get(at)) {
            let group = group(outcome);
            if group != last {
                let _ = writeln!(out, "\n{}", painted(&group, BOLD, color));
                last = group;
            }
        }
        let line: String = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$} ")).collect();
        let line = line.trim_end();
        let good = at == 0 || outcomes[at - 1].as_planned();
        let _ = writeln!(out, "{}", if good { line.to_owned() } else { painted(line, RED, color) });
        if !good {
            for column in outcomes[at - 1].columns.iter().filter(|column| !column.same) {
                let _ = writeln!(
                    out,
                    "      {}: observed {}; planned {}",
                    column.name, column.observed, column.planned
                );
            }
        }
    }
    out
}

/// What rows have in common.
fn group(outcome: &Outcome) -> String {
    let scene = &outcome.scene;
    let (model, option, first) = (scene.net.model.words(), scene.first.option(), scene.first.words());
    let wan = if outcome.wan_lost { ", WAN cut" } else { "" };
    format!("{model}, option {option} ({first}){wan}")
}

fn row(outcome: &Outcome) -> [String; 10] {
    let seen = |name: &str| {
        let found = outcome.columns.iter().find(|column| column.name == name);
        found.map_or_else(String::new, |c| {
            if c.same { c.observed.clone() } else { format!("{}≠{}", c.observed, c.planned) }
        })
    };
    let scene = &outcome.scene;
    let edge = match (scene.edge, outcome.proxy()) {
        (true, true) => "proxy",
        (true, false) => "edge",
        (false, _) => "none",
    };
    let answer =
        if outcome.observed.status == 200 { seen("answer") } else { seen("outcome").replace("refused ", "") };
    [
        scene.row(outcome.callee).to_string(),
        outcome.callee.name(),
        edge.to_owned(),
        outcome.observed.hops_words(outcome.proxy()).replace(" > ", ">"),
        seen("signalling crossings"),
        seen("media crossings"),
        seen("Mediation sessions"),
        seen("audio by"),
        answer,
        match (outcome.as_planned(), outcome.observed.decisions().any(|decision| decision.survivable)) {
            (true, true) => "yes*",
            (true, false) => "yes",
            (false, _) => "NO",
        }
        .to_owned(),
    ]
}

/// A control: a scene that must come out wrong, and whether it did.
pub(crate) fn control(outcome: &Outcome, expected: bool, color: bool) -> String {
    let (what, how) = match outcome.scene.twist {
        Some(Twist::NoSharedUsage) => (
            "Lync's trunks share no PSTN usage",
            "Lync cannot route from trunk to trunk: the call never reaches CIC",
        ),
        _ => (
            "the direct number is also the Line URI",
            "Lync's reverse lookup rings at once: CIC never sees the call",
        ),
    };
    let hops = outcome.observed.hops_words(false);
    let verdict = if expected {
        painted("came out wrong, as it must", GREEN, color)
    } else {
        painted("did NOT come out wrong as the real systems would", RED, color)
    };
    let status = outcome.observed.status;
    format!("control: {what}\n  {how}\n  observed {hops}, status {status}: {verdict}\n")
}

/// A call for programs.
pub(crate) fn json(outcome: &Outcome) -> Value {
    let scene = &outcome.scene;
    let seen = &outcome.observed;
    let hops: Vec<Value> = seen.hops.iter().map(|hop| hop_json(hop, outcome.proxy())).collect();
    json!({
        "row": scene.row(outcome.callee),
        "tenant": scene.name(),
        "model": scene.net.model.words(),
        "option": scene.first.option(),
        "callee": outcome.callee.name(),
        "edge": if scene.edge { "in path" } else { "not in path" },
        "wanCut": outcome.wan_lost,
        "caller": outcome.caller,
        "called": outcome.callee.number(),
        "status": seen.status,
        "answeredBy": seen.answered_by,
        "hops": hops,
        "audio": seen.media.iter().map(super::observe::Audio::words).collect::<Vec<_>>(),
        "rtpPackets": seen.packets,
        "columns": outcome.columns,
        "asPlanned": outcome.as_planned(),
    })
}

fn hop_json(hop: &super::observe::Hop, proxy: bool) -> Value {
    json!({
        "element": hop.kind.name(proxy),
        "name": hop.name,
        "address": hop.address.to_string(),
        "site": hop.site.map(|site| site.name()),
        "number": hop.number,
        "transport": hop.transport,
        "decidedBy": hop.by.map(|kind| kind.decider()),
        "simulated": hop.by.is_some_and(|kind| kind.decider() != "tandem"),
        "why": hop.why,
        "decisions": hop.decisions.iter().map(|d| json!({
            "name": d.decision,
            "revision": d.revision,
            "survivable": d.survivable,
            "reasons": d.reasons,
        })).collect::<Vec<_>>(),
    })
}
