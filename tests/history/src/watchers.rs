//! A watcher against the log that survived: of each key what was written, in order, and at the end the last.

use std::collections::BTreeMap;

use crate::{Entry, History, Promise, Report, Revision, Told, Version, Watcher};

/// The versions of each key, as the log has them; none: it was deleted.
type Versions<'a> = BTreeMap<&'a str, Vec<(Revision, Option<&'a str>)>>;

pub(crate) fn check(history: &History, watcher: &Watcher, report: &mut Report) {
    let log = history.log.get(&watcher.of.0).map_or(&[][..], Vec::as_slice);
    let versions = versions(log, watcher);
    let mut walk = Walk {
        versions: &versions,
        undisturbed: history.disturbances.is_empty(),
        watcher,
        report,
        seen: BTreeMap::new(),
        told: BTreeMap::new(),
        whole: false,
    };
    for told in &watcher.told {
        match told {
            Told::Snapshot(all) => walk.snapshot(all),
            Told::Change(key, revision, value) if watcher.coalesces => {
                walk.state(key, *revision, value.as_deref());
            }
            Told::Change(key, revision, value) => walk.change(key, *revision, value.as_deref()),
            Told::Resumed => {
                walk.report.measured.resumed += 1;
                walk.told.clear();
            }
            Told::Expired => walk.whole = false,
        }
    }
    walk.end();
}

fn versions<'a>(log: &'a [Entry], watcher: &Watcher) -> Versions<'a> {
    let mut all = Versions::new();
    for entry in log.iter().filter(|e| e.tenant == watcher.of.1) {
        for change in entry.changes.iter().filter(|c| c.key.starts_with(&watcher.prefix)) {
            all.entry(&change.key).or_default().push((entry.revision, change.value.as_deref()));
        }
    }
    all
}

struct Walk<'a> {
    versions: &'a Versions<'a>,
    undisturbed: bool,
    watcher: &'a Watcher,
    report: &'a mut Report,
    /// What it knows: of each key the last revision that it was told, and the value.
    seen: BTreeMap<String, (Revision, Option<String>)>,
    /// Of each key the version that it was told last on this connection, if that survived.
    told: BTreeMap<String, Revision>,
    whole: bool,
}

impl Walk<'_> {
    fn broke(&mut self, promise: Promise, what: &str) {
        self.report.broke_by(promise, format!("{} {what}", self.watcher.name));
    }

    /// Whether a key had this value at this revision.
    fn was(&self, key: &str, revision: Revision, value: Option<&str>) -> bool {
        self.versions.get(key).is_some_and(|all| all.contains(&(revision, value)))
    }

    /// What a key was as of a revision.
    fn as_of(&self, key: &str, revision: Revision) -> Option<&str> {
        let all = self.versions.get(key).map_or(&[][..], Vec::as_slice);
        all[..all.partition_point(|(at, _)| *at <= revision)].last().and_then(|(_, value)| *value)
    }

    fn snapshot(&mut self, all: &BTreeMap<String, Version>) {
        self.told.clear();
        for (key, version) in all {
            let is = match self.watcher.coalesces {
                true => self.as_of(key, version.revision) == Some(&version.value),
                false => self.was(key, version.revision, Some(&version.value)),
            };
            if self.undisturbed && !is {
                let what = format!("was told {key} of {} in a snapshot, which never was", version.revision);
                self.broke(Promise::WatchInvented, &what);
            }
        }
        let told = |(key, v): (&String, &Version)| (key.clone(), (v.revision, Some(v.value.clone())));
        self.seen = all.iter().map(told).collect();
        self.whole = true;
    }

    /// The latest state of a key, as of a revision.
    fn state(&mut self, key: &str, revision: Revision, value: Option<&str>) {
        self.begun();
        self.report.measured.told += 1;
        let version = |(_, had): &&(Revision, Option<&str>)| value.is_some() && *had == value;
        let version = self.versions.get(key).and_then(|all| all.iter().find(version)).map(|(at, _)| *at);
        if self.undisturbed && self.as_of(key, revision) != value {
            let (promise, which) = match version.is_some_and(|at| at <= revision) {
                true => (Promise::WatchMissed, "which was older"),
                false => (Promise::WatchInvented, "which it was not"),
            };
            self.broke(promise, &format!("was told {key} as of {revision}, {which}"));
        }
        if let Some(at) = version {
            let before = self.told.insert(key.to_owned(), at).unwrap_or_default();
            if at < before {
                let what = format!("was told {key} of {at} after that of {before}");
                self.broke(Promise::WatchOutOfOrder, &what);
            }
        }
        self.seen.insert(key.to_owned(), (revision, value.map(str::to_owned)));
    }

    fn begun(&mut self) {
        if !self.whole {
            self.broke(Promise::WatchMissed, "was told a change and no snapshot before it");
            self.whole = true;
        }
    }

    fn change(&mut self, key: &str, revision: Revision, value: Option<&str>) {
        self.begun();
        let before = self.seen.get(key).map_or(0, |(revision, _)| *revision);
        if revision <= before {
            let what = format!("was told {key} of {revision} after {before}");
            self.broke(Promise::WatchOutOfOrder, &what);
        }
        let known = self.was(key, revision, value);
        if self.undisturbed && !known {
            self.broke(Promise::WatchInvented, &format!("was told {key} of {revision}, which never was"));
        }
        if known {
            let between = |(r, _): &&(Revision, _)| *r > before && *r < revision;
            let missed = self.versions.get(key).and_then(|all| all.iter().find(between)).map(|(r, _)| *r);
            // A key that the snapshot did not hold may have come and gone before it.
            if let Some(missed) = missed.filter(|_| before > 0) {
                let what = format!("was told {key} of {revision} and not of {missed} before it");
                self.broke(Promise::WatchMissed, &what);
            }
        }
        self.seen.insert(key.to_owned(), (revision, value.map(str::to_owned)));
    }

    fn end(&mut self) {
        if !self.whole {
            return self.broke(Promise::WatchMissed, "ends without the snapshot that it was to have");
        }
        let versions = self.versions;
        for (key, all) in versions {
            let Some((revision, value)) = all.last() else { continue };
            let known = self.seen.get(*key);
            let same = match (known, value) {
                (Some((r, v)), _) => {
                    let at = r == revision || value.is_none() || self.watcher.coalesces;
                    (v.as_deref() == *value) && at
                }
                (None, None) => true,
                (None, Some(_)) => false,
            };
            if !same {
                let what = format!("ends with {known:?} of {key}, which is {value:?} of {revision}");
                self.broke(Promise::WatchMissed, &what);
            }
        }
        let gone: Vec<String> = self
            .seen
            .iter()
            .filter(|(key, (_, value))| value.is_some() && !versions.contains_key(key.as_str()))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.broke(Promise::WatchInvented, &format!("ends with {key}, which is not there"));
        }
    }
}
