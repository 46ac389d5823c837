//! A follower against the log that survived: it is shown every entry once and in order, is told when it saw what did not
//! survive, and ends where the log ends.

use std::collections::{BTreeMap, HashMap};

use crate::{Cause, Change, Entry, Follower, History, Id, Promise, Record, Report, Revision, Saw, Shard};

/// Records by tenant and key: version and value.
type View = BTreeMap<(String, String), (Revision, String)>;

pub(crate) fn check(history: &History, follower: &Follower, report: &mut Report) {
    let mut shards: BTreeMap<Shard, Vec<&Saw>> = history.log.keys().map(|s| (*s, Vec::new())).collect();
    for (shard, saw) in &follower.saw {
        shards.entry(*shard).or_default().push(saw);
    }
    for (shard, saws) in shards {
        let mut walk = Walk::new(history, follower, shard, report);
        for (n, saw) in saws.iter().enumerate() {
            match saw {
                Saw::Listed { records, position, at } => walk.listed(records, *position, *at),
                Saw::Entries(entries) => walk.entries(entries),
                Saw::Resync(cause) => walk.resync(*cause, saws.get(n + 1).copied()),
            }
        }
        if !follower.stopped {
            walk.end();
        }
    }
}

/// Where a follower stands towards the log that survived.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// It was told to list, or has not listed yet.
    Nowhere,
    /// It has seen what survived up to this place of the log, exclusive.
    With(usize),
    /// It has seen what did not survive.
    Elsewhere,
}

struct Walk<'a> {
    history: &'a History,
    log: &'a [Entry],
    place_of: HashMap<(Revision, Id), usize>,
    cut: Revision,
    name: String,
    report: &'a mut Report,
    stand: Stand,
    /// The last that it saw: revision, commit and shard time.
    last: Option<(Revision, Id, u64)>,
    view: View,
}

impl<'a> Walk<'a> {
    fn new(history: &'a History, follower: &Follower, shard: Shard, report: &'a mut Report) -> Self {
        let log = history.log.get(&shard).map_or(&[][..], Vec::as_slice);
        Self {
            history,
            log,
            place_of: log.iter().enumerate().map(|(n, e)| ((e.revision, e.id), n)).collect(),
            cut: history.cut.get(&shard).copied().unwrap_or_default(),
            name: format!("{} in shard {shard}", follower.name),
            report,
            stand: Stand::Nowhere,
            last: None,
            view: View::new(),
        }
    }

    fn broke(&mut self, promise: Promise, what: &str) {
        self.report.broke_by(promise, format!("{} {what}", self.name));
    }

    fn listed(&mut self, records: &[Record], position: Option<(Revision, Id)>, at: u64) {
        self.stand = match position {
            None => Stand::With(0),
            Some(p) => self.place_of.get(&p).map_or(Stand::Elsewhere, |n| Stand::With(n + 1)),
        };
        self.last = position.map(|(revision, id)| (revision, id, at));
        self.view = records
            .iter()
            .map(|r| ((r.tenant.clone(), r.key.clone()), (r.version, r.value.clone())))
            .collect();
        if let Stand::With(next) = self.stand {
            self.listing(next);
        }
    }

    /// A listing shows what the log says at its position. It may show a later version: the change to it is shown again.
    fn listing(&mut self, next: usize) {
        let at = self.last.map_or(0, |(revision, ..)| revision);
        let expected = replayed(&self.log[..next]);
        let mut wrong = Vec::new();
        for (key, (version, value)) in &self.view {
            if *version <= at && expected.get(key) != Some(&(*version, value.clone())) {
                wrong.push(format!("was listed {key:?} of {version} at {at}, which is not what it is there"));
            }
        }
        for key in expected.keys().filter(|key| !self.view.contains_key(*key)) {
            if !self.may_be_gone(key, next) {
                wrong.push(format!("was not listed {key:?}, which is there at {at}"));
            }
        }
        wrong.iter().for_each(|what| self.broke(Promise::WrongListing, what));
    }

    /// Whether a listing may have met the end of a record that was there before this place: it comes later in the log; or,
    /// where something was done to the store, in what did not survive, for somebody asked for it, or it ends by itself.
    fn may_be_gone(&self, (tenant, key): &(String, String), place: usize) -> bool {
        let ends = |c: &Change| c.key == *key && c.value.is_none();
        let ours = |e: &&Entry| e.tenant == *tenant;
        let later = self.log[place..].iter().filter(ours).flat_map(|e| &e.changes).any(ends);
        if later || self.history.disturbances.is_empty() {
            return later;
        }
        let attempts = self.history.attempts.iter().filter(|a| a.tenant == *tenant);
        let was = self.log[..place].iter().filter(ours).flat_map(|e| &e.changes).rfind(|c| c.key == *key);
        attempts.flat_map(|a| &a.changes).any(ends) || was.is_some_and(|c| c.token.is_some())
    }

    fn entries(&mut self, entries: &[Entry]) {
        if self.stand == Stand::Nowhere {
            self.broke(Promise::SkippedEvent, "was shown entries before a listing");
        }
        for entry in entries {
            self.entry(entry);
        }
        if entries.last().is_some_and(|e| e.more) {
            self.broke(Promise::Torn, "was shown a part of what belongs together");
        }
    }

    fn entry(&mut self, entry: &Entry) {
        let at = entry.revision;
        match self.last {
            Some((last, id, _)) if last == at && id == entry.id => {
                self.broke(Promise::RepeatedEvent, &format!("was shown {at} twice"));
                return;
            }
            Some((last, ..)) if last >= at => {
                self.broke(Promise::OutOfOrder, &format!("was shown {at} after {last}"));
            }
            _ => {}
        }
        self.last = Some((at, entry.id, entry.at));
        let found = self.place_of.get(&(at, entry.id)).copied();
        self.stand = match (self.stand, found) {
            (Stand::With(next), Some(n)) => {
                if n > next {
                    let missed = self.log[next].revision;
                    self.broke(Promise::SkippedEvent, &format!("was shown {at} and not {missed} before it"));
                }
                if self.log[n] != *entry {
                    self.broke(Promise::Torn, &format!("was shown another {at} than the log has"));
                }
                Stand::With(n + 1)
            }
            (Stand::Elsewhere, Some(n)) => {
                let what = format!("was shown {at}, which survived, after what did not, and was not told");
                self.broke(Promise::UnnoticedDivergence, &what);
                Stand::With(n + 1)
            }
            (Stand::Nowhere, Some(n)) => Stand::With(n + 1),
            (_, None) => Stand::Elsewhere,
        };
        apply(&mut self.view, entry);
    }

    fn resync(&mut self, cause: Cause, then: Option<&Saw>) {
        match cause {
            Cause::Compacted => {
                self.report.measured.compacted += 1;
                self.trimmed(then);
            }
            Cause::Diverged => self.report.measured.diverged += 1,
        }
        if cause == Cause::Diverged && self.history.disturbances.is_empty() {
            self.broke(Promise::NeedlessResync, "was told of another history, and there is none");
        }
        self.stand = Stand::Nowhere;
        self.last = None;
        self.view.clear();
    }

    /// Whether the log might be cut past where this follower stood.
    fn trimmed(&mut self, then: Option<&Saw>) {
        let Some((last, id, last_at)) = self.last else { return };
        let Some(place) = self.place_of.get(&(last, id)).copied() else { return };
        if last > self.cut {
            self.broke(Promise::WrongTrim, &format!("was told that {last} was cut, and it is there"));
        }
        let Some(Saw::Listed { position: Some(position), at, .. }) = then else { return };
        let newest = self.place_of.get(position).copied();
        if newest.is_some_and(|newest| place + 1 >= newest) {
            self.broke(
                Promise::WrongTrim,
                &format!("stood at {last}, the entry before the newest, and it was cut"),
            );
        } else if self.history.log_age > 0 && at.saturating_sub(last_at) < self.history.log_age {
            self.broke(Promise::WrongTrim, &format!("stood at {last}, which was cut before its time"));
        }
    }

    fn end(&mut self) {
        let next = match self.stand {
            Stand::With(next) => next,
            Stand::Nowhere if self.log.is_empty() => return,
            Stand::Nowhere => return self.broke(Promise::NotConverged, "was not shown the shard again"),
            Stand::Elsewhere => {
                return self.broke(Promise::NotConverged, "ends with what did not survive");
            }
        };
        if next < self.log.len() {
            let what = format!("ends {} entries before the log's end", self.log.len() - next);
            return self.broke(Promise::NotConverged, &what);
        }
        let expected = replayed(self.log);
        if self.view != expected {
            let differs =
                |(key, value): &(&(String, String), &(Revision, String))| expected.get(*key) != Some(*value);
            let key = self.view.iter().find(differs).map(|(k, _)| k.clone());
            let key = key.or_else(|| expected.keys().find(|k| !self.view.contains_key(*k)).cloned());
            self.broke(Promise::NotConverged, &format!("ends with another {key:?} than the log"));
        }
    }
}

fn apply(view: &mut View, entry: &Entry) {
    for change in &entry.changes {
        let key = (entry.tenant.clone(), change.key.clone());
        match &change.value {
            Some(value) => drop(view.insert(key, (entry.revision, value.clone()))),
            None => drop(view.remove(&key)),
        }
    }
}

fn replayed(log: &[Entry]) -> View {
    let mut view = View::new();
    log.iter().for_each(|entry| apply(&mut view, entry));
    view
}
