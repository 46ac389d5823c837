//! What all rounds brought.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use tandem_history::Measured;

use crate::round::Judged;

#[derive(Default)]
struct Row {
    faults: u64,
    broken: u64,
    sum: Measured,
    writable: Vec<u64>,
    detected: u64,
    unmeant: usize,
}

/// Rows by kind, in the order of their names.
#[derive(Default)]
pub(crate) struct Table(Mutex<BTreeMap<String, Row>>);

fn seconds(us: u64) -> String {
    format!("{:.1} s", us as f64 / 1e6)
}

impl Table {
    /// Takes what a round brought, and says it.
    pub(crate) fn take(&self, kind: &str, seed: u64, judged: Result<Judged, String>) {
        let mut rows = self.0.lock().unwrap();
        let row = rows.entry(kind.to_owned()).or_default();
        row.faults += 1;
        let judged = match judged {
            Ok(judged) => judged,
            Err(why) => {
                row.broken += 1;
                println!("{kind:<18} seed {seed:>16}: NOT JUDGED: {why}");
                return;
            }
        };
        let m = judged.report.measured;
        let word = if judged.report.kept() { "kept" } else { "BROKEN" };
        let unmeant = if judged.unmeant > 0 { "; another failover, not meant" } else { "" };
        row.unmeant += judged.unmeant;
        println!(
            "{kind:<18} seed {seed:>16}: {word}; committed {} ({} replicated), refused {}, indeterminate {}, unavailable \
            {}, lost local {}, lost outside {}, holders {}, overlap {}, writable {}, resyncs {}, told {}, resumed {}{unmeant}",
            m.committed,
            m.replicated,
            m.refused,
            m.indeterminate,
            m.unavailable,
            m.lost_local,
            m.lost_outside,
            m.holders,
            seconds(m.overlap),
            seconds(judged.writable),
            m.diverged,
            m.told,
            m.resumed
        );
        if !judged.report.kept() {
            row.broken += 1;
            println!("{}", judged.report);
        }
        let sum = &mut row.sum;
        sum.committed += m.committed;
        sum.replicated += m.replicated;
        sum.refused += m.refused;
        sum.indeterminate += m.indeterminate;
        sum.unavailable += m.unavailable;
        sum.lost_local += m.lost_local;
        sum.lost_outside += m.lost_outside;
        sum.holders += m.holders;
        sum.overlap = sum.overlap.max(m.overlap);
        sum.diverged += m.diverged;
        sum.told += m.told;
        sum.resumed += m.resumed;
        row.writable.push(judged.writable);
        row.detected = row.detected.max(judged.detected);
    }

    /// Whether every promise was kept in every round.
    pub(crate) fn kept(&self) -> bool {
        self.0.lock().unwrap().values().all(|row| row.broken == 0)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | done | broken | acknowledged | of these replicated | refused | not known | not done | lost local \
            | lost outside | holders | longest overlap | writable again: median | longest | failover: longest | \
            resyncs | told | resumed | failovers not meant |"
        )?;
        writeln!(f, "| --- |{}", " ---: |".repeat(18))?;
        for (kind, row) in self.0.lock().unwrap().iter() {
            let m = &row.sum;
            let mut writable = row.writable.clone();
            writable.sort_unstable();
            let median = writable.get(writable.len() / 2).copied().unwrap_or_default();
            writeln!(
                f,
                "| {kind} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                row.faults,
                row.broken,
                m.committed,
                m.replicated,
                m.refused,
                m.indeterminate,
                m.unavailable,
                m.lost_local,
                m.lost_outside,
                m.holders,
                seconds(m.overlap),
                seconds(median),
                seconds(writable.last().copied().unwrap_or_default()),
                seconds(row.detected),
                m.diverged,
                m.told,
                m.resumed,
                row.unmeant
            )?;
        }
        Ok(())
    }
}
