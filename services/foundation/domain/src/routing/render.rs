//! Plans and decisions as text, for people: a ladder, the facts under it, and the reasons.
//!
//! Pure, without colour, at most [`WIDTH`] columns where no name is longer. `─` is a leg inside a site, `~` one that
//! crosses between sites. Each hop says who decided it, and whether it was decided, observed or is a prediction.

use std::fmt::Write as _;

use super::decision::{Carriage, Decision, Outcome, Owner, Route, Treatment};
use super::plan::{Answer, Callee, DecidedBy, Element, Hop, Join, Leg, Plan};
use super::trail::{Step, Steps, Verdict};

/// The columns that text is wrapped to.
pub const WIDTH: usize = 100;

/// How a hop is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Known {
    /// Tandem decides it.
    Decided,
    /// The systems' own configuration is expected to send the call here.
    Predicted,
    /// It was seen on the wire.
    Observed,
}

impl Known {
    /// As the ladder labels it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Decided => "decided",
            Self::Predicted => "predicted",
            Self::Observed => "observed",
        }
    }

    /// What a plan says of a hop by itself: decided by Tandem, or a prediction.
    #[must_use]
    pub const fn of(hop: &Hop) -> Self {
        match hop.decided_by {
            DecidedBy::Tandem => Self::Decided,
            DecidedBy::Gateway | DecidedBy::Cic | DecidedBy::Lync => Self::Predicted,
        }
    }
}

/// A whole explanation: the decision, the expected way, and why.
#[must_use]
pub fn explanation(decision: &Decision, plan: &Plan, trail: &Steps) -> String {
    let mut out = self::decision(decision);
    out.push('\n');
    out.push_str(&ladder(plan, |_, hop| Known::of(hop)));
    out.push('\n');
    out.push_str(&reasons(trail));
    out
}

/// A plan as a ladder, with what follows from it underneath. `known` labels each hop, by its place in the plan.
#[must_use]
pub fn ladder(plan: &Plan, known: impl Fn(usize, &Hop) -> Known) -> String {
    let mut out = String::new();
    let columns = columns(plan);
    if !plan.hops.is_empty() {
        rungs(&mut out, plan, &columns, known);
        out.push('\n');
    }
    facts(&mut out, plan);
    out
}

/// One column an element, in the order in which the call meets them.
fn columns(plan: &Plan) -> Vec<&Hop> {
    let mut columns: Vec<&Hop> = Vec::new();
    for hop in &plan.hops {
        if !columns.iter().any(|c| same_column(c, hop)) {
            columns.push(hop);
        }
    }
    columns
}

/// The caller's Lync phone and the called one are two columns where they stand apart; Mediation is one, however
/// often it is met.
fn same_column(a: &Hop, b: &Hop) -> bool {
    a.element == b.element && a.site == b.site
}

/// Columns of one element's lane: wide enough for an arrow, at most for most site names.
const LANES: std::ops::RangeInclusive<usize> = 8..=10;

fn rungs(out: &mut String, plan: &Plan, columns: &[&Hop], known: impl Fn(usize, &Hop) -> Known) {
    let column = |hop: &Hop| columns.iter().position(|c| same_column(c, hop)).unwrap_or(0);
    let longest = columns.iter().map(|c| c.site.as_str().chars().count()).max().unwrap_or(0);
    let wide = (longest + 1).clamp(*LANES.start(), *LANES.end());
    let lane = |text: &str| format!("{text:<wide$}");
    let width = columns.len().saturating_sub(1) * wide + 1;
    let head: String = columns.iter().map(|c| lane(c.element.name())).collect();
    let sites: String = columns.iter().map(|c| lane(&cut(c.site.as_str(), wide - 1))).collect();
    let idle: String = columns.iter().map(|_| lane("│")).collect();
    for line in [head, sites, idle.clone()] {
        let _ = writeln!(out, "  {}", line.trim_end());
    }
    let mut legs = plan.legs.iter().filter(|l| !l.side && l.letter != 'a');
    let mut number = None;
    for (at, pair) in plan.hops.windows(2).enumerate() {
        let [from, to] = pair else { continue };
        match to.join {
            Join::Next => {}
            Join::Aside => {
                let _ = writeln!(out, "  {:<width$}  CIC rings the caller's own station", idle.trim_end());
                continue;
            }
            Join::OnAnswer => {
                let _ = writeln!(out, "  {:<width$}  once that is answered", idle.trim_end());
                continue;
            }
        }
        let Some(leg) = legs.next() else { continue };
        let rung = rung(columns.len(), wide, (column(from), column(to)), leg);
        let mut text =
            format!("{} by {}, {}", leg_words(leg), to.decided_by.words(), known(at + 1, to).words());
        if to.number.is_some() && to.number != number {
            number = to.number;
            let _ = write!(text, ", {}", to.number.map(|n| n.to_string()).unwrap_or_default());
        }
        let text = wrapped(&text, width + 4);
        let mut lines = text.lines().map(str::trim_start);
        let _ = writeln!(out, "  {rung}  {}", lines.next().unwrap_or_default());
        for more in lines {
            let _ = writeln!(out, "  {:<width$}  {more}", idle.trim_end());
        }
    }
}

fn leg_words(leg: &Leg) -> String {
    match leg.media {
        Some(media) => format!("{} with {media}", leg.protocol),
        None => leg.protocol.clone(),
    }
}

/// One line of the ladder, with an arrow between two lanes.
fn rung(lanes: usize, wide: usize, (from, to): (usize, usize), leg: &Leg) -> String {
    let mut line: Vec<char> = std::iter::repeat_n(' ', lanes.saturating_sub(1) * wide + 1).collect();
    for lane in 0..lanes {
        line[lane * wide] = '│';
    }
    let (left, right) = (from.min(to) * wide, from.max(to) * wide);
    let stroke = if leg.crosses { '~' } else { '─' };
    for place in line.iter_mut().take(right).skip(left + 1) {
        *place = stroke;
    }
    let (head, arrow) = if from < to { (right - 1, '>') } else { (left + 1, '<') };
    if let Some(place) = line.get_mut(head) {
        *place = arrow;
    }
    if let Some(place) = line.get_mut(left.midpoint(right)) {
        *place = leg.letter;
    }
    line.into_iter().collect()
}

fn facts(out: &mut String, plan: &Plan) {
    let mut row = |label: &str, text: &str| {
        let _ = writeln!(out, "  {label:<10} {}", wrapped(text, 13));
    };
    row("callee", &callee(plan));
    if !plan.hops.is_empty() {
        row("way", &plan.hops_words());
    }
    if !plan.legs.is_empty() {
        row("legs", &plan.legs_words());
    }
    for leg in plan.legs.iter().filter(|l| l.side) {
        let when = if leg.conditional { ", only if the call is recorded" } else { "" };
        let crosses = if leg.crosses { ", between sites" } else { "" };
        let ends = if leg.from == leg.to { leg.from.words().into() } else { ends(leg) };
        row(&format!("  {}", leg.letter), &format!("{ends}: {}{crosses}{when}", leg_words(leg)));
    }
    if let Some(rejected) = &plan.rejected {
        let reason = rejected.reason;
        row("ends", &format!("{} {}: {}", reason.status(), reason.name(), rejected.words));
    } else {
        let now = plan.anchored_at.as_ref().map_or_else(
            || "; now nobody: the ends talk directly".into(),
            |(element, site)| format!("; now {} at {site}", element.name()),
        );
        row("audio", &format!("{}{now}", plan.anchor.words()));
        if plan.srtp_mixed {
            row("", "SRTP on one side, RTP on the other: a media server must join them");
        }
        row("features", &plan.features_words());
        let answer = |answer: Answer| {
            answer.words().to_owned() + &answer.why().map(|w| format!(" ({w})")).unwrap_or_default()
        };
        if let Some(station) = plan.station_answer {
            row("station", &format!("the caller's own: {}", answer(station)));
        }
        row("answer", &answer(plan.answer));
    }
    let signalling = plan.signalling_crossings;
    match plan.media_crossings {
        _ if plan.rejected.is_some() => row("crossings", &format!("signalling {signalling}")),
        (without, with) if without == with => {
            row("crossings", &format!("signalling {signalling}, media {with}"))
        }
        (without, with) => {
            row(
                "crossings",
                &format!("signalling {signalling}, media {without}; with a media server in the way {with}"),
            );
        }
    }
    row("sessions", &format!("{} of Lync Mediation", plan.mediation_sessions));
    if plan.rejected.is_some() {
        return;
    }
    row("WAN lost", &format!("{}: {}", plan.wan_lost.name(), plan.wan_lost.words()));
}

fn ends(leg: &Leg) -> String {
    format!("{} to {}", leg.from.words(), leg.to.words())
}

fn callee(plan: &Plan) -> String {
    match &plan.callee {
        Callee::User(id, Some(row)) => format!("{id}, {}: {}", row.name(), row.words()),
        Callee::User(id, None) => format!("{id}, who has no endpoint of the table"),
        Callee::Agent(id, Some(row)) => {
            format!("a queue; its agent is {id}, {}: {}", plan.callee.name(), row.words())
        }
        Callee::Agent(id, None) => format!("a queue; its agent is {id}, who has no endpoint of the table"),
        Callee::Queue => "a queue; which agent takes the call is CIC's choice".into(),
        Callee::System(Element::Cic) => "CIC itself".into(),
        Callee::System(_) => "Lync, which decides further".into(),
        Callee::Pstn => "the PSTN".into(),
        Callee::Nobody => "nobody".into(),
    }
}

/// A decision: where the call goes next, and with what.
#[must_use]
pub fn decision(decision: &Decision) -> String {
    let mut out = String::new();
    let mut row = |label: &str, text: &str| {
        let _ = writeln!(out, "  {label:<10} {}", wrapped(text, 13));
    };
    let none = if decision.emergency { "for help" } else { "no number" };
    let called = decision.called.map_or_else(|| none.into(), |n| n.to_string());
    row("called", &called);
    row("owner", &owner(decision));
    match &decision.outcome {
        Outcome::Reject(rejection) => {
            let reason = rejection.reason;
            row("refused", &format!("{} {}", reason.status(), reason.name()));
            row("", if rejection.words.is_empty() { reason.hint() } else { &rejection.words });
        }
        Outcome::Route(route) => {
            for (label, text) in route_rows(route) {
                row(&label, &text);
            }
        }
    }
    row("revision", &decision.revision.to_string());
    out
}

fn owner(decision: &Decision) -> String {
    if decision.emergency {
        return "not asked: an emergency call".into();
    }
    match &decision.owner {
        Owner::CicUser(id) => format!("CIC, for the user {id}"),
        Owner::Workgroup(id) => format!("CIC, for the workgroup {id}"),
        Owner::Attendant => "CIC, for Attendant".into(),
        Owner::LyncUser(id) => format!("Lync, for the user {id}"),
        Owner::Cic => "CIC".into(),
        Owner::Lync => "Lync".into(),
        Owner::Pstn => "the PSTN".into(),
        Owner::Nobody => "nobody".into(),
        Owner::Refused => "nobody: the administrator refuses it".into(),
        Owner::NotLookedUp => "not asked".into(),
    }
}

fn route_rows(route: &Route) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let how = match route.carriage {
        Carriage::Redirect => "302: the caller's side places the call anew at the first target that takes it",
        Carriage::Proxy => "proxy: Tandem stays in the way and tries the targets in order",
    };
    let survivable = if route.survivable { ", by a survivable rule" } else { "" };
    rows.push(("carried".into(), format!("{how}{survivable}")));
    for (at, target) in route.targets.iter().enumerate() {
        let label = format!("target {}", at + 1);
        let place = format!("{} at {}:{} ({})", target.trunk, target.host, target.port, target.transport);
        rows.push((label, format!("{place} as {}", target.request_uri)));
    }
    if let Some(target) = route.targets.first() {
        let codes: Vec<String> = target.retry_on.iter().map(ToString::to_string).collect();
        let on = if codes.is_empty() { String::new() } else { format!(", or after {}", codes.join(" ")) };
        rows.push((
            "next after".into(),
            format!(
                "{} ms of silence, {} ms with nothing but 100{on}",
                target.no_response_ms, target.only_100_ms
            ),
        ));
        rows.push(("caller".into(), identity(target)));
    }
    for (label, text) in treatment(&route.treatment) {
        rows.push((label.into(), text));
    }
    rows
}

fn identity(target: &super::decision::Target) -> String {
    let identity = &target.identity;
    let mut parts = Vec::new();
    if identity.asserted.is_empty() {
        // A proxy rewrites no From (domain rules 9.1): it arrives, and nobody vouches for it.
        parts.push("From as it came, nothing asserted".to_owned());
    } else {
        parts.push(identity.asserted.join(", "));
    }
    parts.extend(identity.privacy.map(|p| format!("Privacy: {p}")));
    parts.extend(identity.diverted.as_ref().map(|d| format!("{}: {}", d.header, d.entry)));
    if identity.strip {
        parts.push("private headers of the sender removed".into());
    }
    parts.join("; ")
}

fn treatment(treatment: &Treatment) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(to) = &treatment.on_busy {
        rows.push(("busy", format!("to {to}")));
    }
    if let Some((to, seconds)) = &treatment.on_no_answer {
        rows.push(("no answer", format!("after {seconds} s to {to}")));
    }
    if let Some(to) = &treatment.on_unreachable {
        rows.push(("unreached", format!("to {to}")));
    }
    rows
}

/// Every rule that was considered: `+` decided, `-` lost, `·` applied.
#[must_use]
pub fn reasons(trail: &Steps) -> String {
    let mut out = String::from("  why (+ decided, - lost, · applied)\n");
    // A decision and a plan of one call consider some rules twice, with one outcome: that is said once.
    let fresh = |at: &usize| !trail.0[..*at].contains(&trail.0[*at]);
    for Step { rule, verdict, words } in (0..trail.0.len()).filter(fresh).map(|at| &trail.0[at]) {
        let mark = match verdict {
            Verdict::Won => '+',
            Verdict::Lost => '-',
            Verdict::Applied => '·',
        };
        let _ = writeln!(out, "  {mark} {:<16} {:<4} {}", rule.name(), rule.section(), wrapped(words, 26));
    }
    out
}

fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// Text in lines of at most [`WIDTH`] columns, unless a word is longer: the first begins at column `indent`, the others
/// are indented so far.
#[must_use]
pub fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    let mut used = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used > indent && used + 1 + length > WIDTH {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            used = indent;
        } else if used > indent {
            out.push(' ');
            used += 1;
        }
        out.push_str(word);
        used += length;
    }
    out
}
