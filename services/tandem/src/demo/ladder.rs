//! A call that was observed, as a ladder: one column an element, one rung a leg, and under it who decided each leg.

use std::fmt::Write as _;

use tandem_domain::routing::render::wrapped;

use super::observe::{Hop, Observed};

/// Columns of one element's lane.
const LANE: usize = 10;

/// The ladder of a call. `proxy`: the edge is the SIP proxy of option 1. `color`: the output takes escapes.
pub(crate) fn ladder(observed: &Observed, proxy: bool, color: bool) -> String {
    let mut lanes: Vec<&Hop> = Vec::new();
    for hop in &observed.hops {
        if !lanes.iter().any(|lane| lane.address.ip() == hop.address.ip()) {
            lanes.push(hop);
        }
    }
    let cell = |text: &str| format!("{text:<LANE$}");
    let mut out = String::new();
    let heads: [String; 3] = [
        lanes.iter().map(|hop| cell(hop.kind.name(proxy))).collect(),
        lanes.iter().map(|hop| cell(hop.site.map_or("?", |site| site.name()))).collect(),
        lanes.iter().map(|_| cell("│")).collect(),
    ];
    for line in heads {
        let _ = writeln!(out, "  {}", line.trim_end());
    }
    let lane = |hop: &Hop| lanes.iter().position(|l| l.address.ip() == hop.address.ip()).unwrap_or(0);
    let width = lanes.len().saturating_sub(1) * LANE + 1;
    for (at, pair) in observed.hops.windows(2).enumerate() {
        let (from, to) = (lane(sender(&observed.hops[..=at], &pair[1])), lane(&pair[1]));
        let crosses = lanes[from].site != lanes[to].site;
        let rung = rung(lanes.len(), from, to, at + 1, crosses);
        let by = pair[1].by.map_or("?", |kind| kind.decider());
        let by = if by == "tandem" {
            painted("decided by tandem", "1", color)
        } else {
            format!("sent by simulated {by}")
        };
        let number = pair[1].number.as_ref().map(|n| format!(", {n}")).unwrap_or_default();
        let _ = writeln!(out, "  {rung:<width$}  {} {by}{number}", pair[1].transport);
    }
    let _ = writeln!(out);
    for (at, hop) in observed.hops.iter().enumerate().skip(1) {
        let _ = writeln!(out, "  {at:>2}  {}", wrapped(&hop.why, 6));
    }
    out
}

/// Who sent a leg: the last element before that is what sent it. After a redirection that is not the hop before.
fn sender<'a>(before: &'a [Hop], to: &Hop) -> &'a Hop {
    let found = before.iter().rev().find(|hop| Some(hop.kind) == to.sender);
    found.unwrap_or_else(|| &before[before.len() - 1])
}

/// One line, with an arrow between two lanes and the leg's number in it. `~` crosses the WAN.
fn rung(lanes: usize, from: usize, to: usize, number: usize, crosses: bool) -> String {
    let mut line: Vec<char> = std::iter::repeat_n(' ', lanes.saturating_sub(1) * LANE + 1).collect();
    for lane in 0..lanes {
        line[lane * LANE] = '│';
    }
    if from == to {
        return line.into_iter().collect();
    }
    let (left, right) = (from.min(to) * LANE, from.max(to) * LANE);
    let stroke = if crosses { '~' } else { '─' };
    line[left + 1..right].fill(stroke);
    line[if from < to { right - 1 } else { left + 1 }] = if from < to { '>' } else { '<' };
    for (at, digit) in number.to_string().chars().enumerate() {
        line[left + LANE / 2 - 1 + at] = digit;
    }
    line.into_iter().collect()
}

/// What Tandem decided on the way, with every rule that was considered.
pub(crate) fn reasons(observed: &Observed, color: bool) -> String {
    let mut out = String::new();
    for decision in observed.decisions() {
        let title = format!("{}, for {} from {}", decision.decision, decision.called, decision.ingress);
        let _ = writeln!(out, "  {}", painted(&wrapped(&title, 4), "1", color));
        for reason in &decision.reasons {
            let _ = writeln!(out, "    {}", wrapped(reason, 6));
        }
    }
    out
}

/// Text in a terminal's rendition, where it takes any.
pub(crate) fn painted(text: &str, rendition: &str, color: bool) -> String {
    if color { format!("\u{1b}[{rendition}m{text}\u{1b}[0m") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_goes_from_lane_to_lane() {
        let check = |from, to, crosses, expected: &str| assert_eq!(rung(3, from, to, 7, crosses), expected);
        check(0, 1, false, "│───7────>│         │");
        check(2, 1, true, "│         │<~~7~~~~~│");
    }
}
