//! CPU time that servers have used, by thread.

use std::collections::BTreeMap;
use std::fs;

/// CPU nanoseconds of each thread of some processes, by thread id.
#[derive(Clone, Debug, Default)]
pub struct Cpu(BTreeMap<u32, Thread>);

#[derive(Clone, Debug)]
struct Thread {
    name: String,
    ns: u64,
}

impl Cpu {
    /// Reads what the threads of these processes have used so far.
    pub fn read(pids: &[u32]) -> Self {
        let tasks =
            pids.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten().flatten();
        Self(
            tasks
                .filter_map(|task| {
                    let id = task.file_name().to_str()?.parse().ok()?;
                    let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
                    let ns = schedstat.split(' ').next()?.parse().ok()?;
                    let name = fs::read_to_string(task.path().join("comm")).ok()?.trim().to_owned();
                    Some((id, Thread { name, ns }))
                })
                .collect(),
        )
    }

    /// Of all threads together.
    pub fn ns(&self) -> u64 {
        self.0.values().map(|t| t.ns).sum()
    }

    /// Each thread's nanoseconds since `before`, the busiest first.
    pub fn since(&self, before: &Self) -> Vec<(&str, u64)> {
        let used = |(id, t): (&u32, &Thread)| t.ns - before.0.get(id).map_or(0, |b| b.ns);
        let mut all: Vec<(&str, u64)> =
            self.0.iter().map(|(id, t)| (t.name.as_str(), used((id, t)))).collect();
        all.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
        all
    }
}
