//! What an import comes to, against one state of the directory. Pure: a dry run and the real thing are this.
//!
//! Ownership: an account of a user (`cic`, `lync`) has a source. One whose source is CIC or Lync is changed by that
//! side's import alone, one whose source is Tandem by no side's import; one without a source by any. What an import
//! says of an account that it may not change is left aside with a warning; the rest of the entry is taken. An
//! account of its own side that names no source becomes the side's.

use std::collections::HashSet;
use std::sync::Arc;

use tandem_cell::follower::Snapshot;
use tandem_domain::directory::{self, check_number, check_station, check_workgroup};
use tandem_domain::document::directory::User;
use tandem_domain::document::terms::Source;
use tandem_domain::finding::Finding;
use tandem_domain::id::TenantId;
use tandem_domain::record::{Change, Kind, Record};
use tandem_domain::tenant::Config as Policy;
use tandem_domain::view::{TenantView, View};
use tandem_proto::station::v1 as pb;
use tandem_store::{Write, delete, put};
use tandem_wire::directory as wire;
use tandem_wire::name::Child;
use tandem_wire::request::Mode;
use tandem_wire::status::Refusal;

use super::Import;
use crate::config::Limits;
use crate::user;

/// The most errors, and the most warnings, of one answer.
const TOLD_MAX: usize = 1_000;

/// An entry whose message could be read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Which message of the stream.
    pub(super) index: u64,
    /// What it called itself.
    pub(super) label: String,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Put(Record),
    Delete(Child),
}

/// An entry that cannot be taken.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) index: u64,
    pub(super) entry: String,
    pub(super) findings: Vec<pb::Finding>,
}

/// What an import comes to.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The answer, its revision left open.
    pub(super) answer: pb::ImportDirectoryResponse,
    /// Each record once, in the order of the stream.
    pub(super) writes: Vec<Write>,
}

/// Plans on a thread where it holds up nobody: up to 400,000 entries are looked at.
pub(super) async fn make(shown: Arc<Snapshot>, import: Import) -> Result<(Import, Plan), Refusal> {
    let planning = tokio::task::spawn_blocking(move || {
        let plan = Planner::new(&shown.view, &import).map(|planner| planner.plan(&import));
        (import, plan.unwrap_or_default())
    });
    planning.await.map_err(|error| {
        tracing::error!(%error, "planning an import failed");
        Refusal::internal()
    })
}

struct Planner {
    tenant: TenantId,
    before: Arc<TenantView>,
    policy: Arc<Policy>,
    /// The directory as it becomes.
    draft: View,
    side: Option<Source>,
    replace: bool,
    seen: HashSet<(Kind, String)>,
    users: usize,
    numbers: usize,
    limits: Limits,
    plan: Plan,
    refused: Vec<Refused>,
    warnings: Vec<Refused>,
    /// Entries that were taken: index, label, kind and key.
    taken: Vec<(u64, String, Kind, String)>,
}

impl Planner {
    /// None: the tenant is gone, or has no policy; that was looked at before.
    fn new(view: &View, import: &Import) -> Option<Self> {
        let before = Arc::clone(view.tenant_by_id(&import.tenant)?);
        let replace = import.header.mode == Mode::Replace;
        let counted = |n: usize| if replace { 0 } else { n };
        Some(Self {
            tenant: import.tenant.clone(),
            policy: Arc::clone(before.config()?),
            draft: view.clone(),
            side: import.header.source,
            replace,
            seen: HashSet::new(),
            users: counted(before.users_len()),
            numbers: counted(before.assignments().count()),
            limits: import.limits,
            plan: Plan::default(),
            refused: import.refused.clone(),
            warnings: Vec::new(),
            taken: Vec::new(),
            before,
        })
    }

    fn plan(mut self, import: &Import) -> Plan {
        for entry in &import.entries {
            if let Err(finding) = self.entry(entry) {
                let Entry { index, label, .. } = entry;
                let refused = Refused { index: *index, entry: label.clone(), findings: vec![finding] };
                self.refused.push(refused);
            }
        }
        let whole = self.refused.is_empty();
        if self.replace && whole {
            self.delete_others();
        }
        let mut plan = std::mem::take(&mut self.plan);
        if self.replace && !whole {
            // All or nothing.
            plan = Plan::default();
        } else {
            self.look_at_taken();
        }
        plan.answer.refused = self.refused.len() as u64;
        plan.answer.errors = told(self.refused);
        plan.answer.warnings = told(self.warnings);
        plan
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), pb::Finding> {
        match &entry.what {
            What::Put(record) => self.put(entry, record.clone()),
            What::Delete(_) if self.replace => Err(error(
                "entry.delete_in_replace",
                "delete",
                "a REPLACE deletes what it does not name",
                "leave the entry out, or use MERGE",
            )),
            What::Delete(child) => self.delete(entry, child),
        }
    }

    fn put(&mut self, entry: &Entry, record: Record) -> Result<(), pb::Finding> {
        let (record, key) = self.keyed(record)?;
        let kind = record.kind();
        self.once(kind, &key)?;
        let old = self.old(kind, &key);
        let record = match (record, &old) {
            (Record::User(user), old) => {
                let old = match old {
                    Some(Record::User(old)) => Some(&**old),
                    _ => None,
                };
                Record::User(Arc::new(self.owned(entry, old, Arc::unwrap_or_clone(user))?))
            }
            (record, _) => record,
        };
        self.room(kind, old.is_none())?;
        if old.as_ref() == Some(&record) {
            self.plan.answer.unchanged += 1;
        } else {
            self.plan.answer.written += 1;
            self.plan.writes.push(put(&key, &record));
            self.change(kind, &key, Some(record));
        }
        self.taken.push((entry.index, entry.label.clone(), kind, key));
        Ok(())
    }

    /// A record with its key; a number becomes canonical, for that is what it is found by.
    fn keyed(&self, record: Record) -> Result<(Record, String), pb::Finding> {
        Ok(match record {
            Record::Number(assignment) => {
                let number = self.canonical("number", &assignment.number)?;
                let mut assignment = Arc::unwrap_or_clone(assignment);
                assignment.number.clone_from(&number);
                (Record::Number(assignment.into()), number)
            }
            Record::User(ref u) => (record.clone(), u.id.to_string()),
            Record::Station(ref s) => (record.clone(), s.id.to_string()),
            Record::Workgroup(ref w) => (record.clone(), w.id.to_string()),
            Record::Tenant(_) | Record::Policy(_) | Record::IngressClaim(_) | Record::Process(_) => {
                return Err(error("entry.malformed", "item", "is no directory entry", "send another"));
            }
        })
    }

    fn canonical(&self, field: &'static str, text: &str) -> Result<String, pb::Finding> {
        let found = user::number(&self.policy, text).map(|n| n.to_string());
        found.ok_or_else(|| {
            let none = directory::checks::NUMBER_INVALID.at(field, format!("{text:?} is no number"));
            wire::finding(&none)
        })
    }

    fn once(&mut self, kind: Kind, key: &str) -> Result<(), pb::Finding> {
        if self.seen.insert((kind, key.to_owned())) {
            return Ok(());
        }
        let words = format!("the {} {key} was named by an entry before", kind.name());
        Err(error("entry.twice", "", &words, "name each once in an import"))
    }

    fn room(&mut self, kind: Kind, new: bool) -> Result<(), pb::Finding> {
        let (count, max, what) = match kind {
            Kind::User => (&mut self.users, self.limits.users, "users"),
            Kind::Number => (&mut self.numbers, self.limits.numbers, "numbers"),
            _ => return Ok(()),
        };
        if !new && !self.replace {
            return Ok(());
        }
        if *count >= max {
            let words = format!("the tenant has {max} {what}, the most that it may have");
            return Err(error("directory.full", "", &words, "delete some first, or divide the tenant"));
        }
        *count += 1;
        Ok(())
    }

    fn delete(&mut self, entry: &Entry, child: &Child) -> Result<(), pb::Finding> {
        let (kind, key) = match child {
            Child::User(id) => (Kind::User, id.to_string()),
            Child::Station(id) => (Kind::Station, id.to_string()),
            Child::Workgroup(id) => (Kind::Workgroup, id.to_string()),
            Child::Number(text) => (Kind::Number, self.canonical("delete", text)?),
            Child::Decision(_) => {
                return Err(error("entry.malformed", "delete", "is no directory entry", "name another"));
            }
        };
        self.once(kind, &key)?;
        let Some(old) = self.old(kind, &key) else {
            self.plan.answer.unchanged += 1;
            return Ok(());
        };
        if let Some(owner) = owner(&old, self.side) {
            let words = format!("the user has an account that only the import of {owner} may change");
            return Err(error(
                "entry.owned",
                "delete",
                &words,
                "delete it on that side, or clear its source",
            ));
        }
        self.remove(kind, &key);
        tracing::trace!(label = entry.label, "deletes");
        Ok(())
    }

    fn remove(&mut self, kind: Kind, key: &str) {
        match kind {
            Kind::User => self.users = self.users.saturating_sub(1),
            Kind::Number => self.numbers = self.numbers.saturating_sub(1),
            _ => {}
        }
        self.plan.answer.deleted += 1;
        self.plan.writes.push(delete(kind, key));
        self.change(kind, key, None);
    }

    /// Of a replacement: deletes what it did not name.
    fn delete_others(&mut self) {
        let before = Arc::clone(&self.before);
        let all = before
            .users()
            .map(|u| Record::User(Arc::clone(u)))
            .chain(before.stations().map(|s| Record::Station(Arc::clone(s))))
            .chain(before.workgroups().map(|w| Record::Workgroup(Arc::clone(w))))
            .chain(before.assignments().map(|n| Record::Number(Arc::clone(n))));
        let mut others: Vec<(Kind, String, Option<&'static str>)> = all
            .map(|record| (record.kind(), key_of(&record), owner(&record, self.side)))
            .filter(|(kind, key, _)| !self.seen.contains(&(*kind, key.clone())))
            .collect();
        // The view has no order; an answer has.
        others.sort_unstable();
        for (kind, key, owner) in others {
            match owner {
                None => self.remove(kind, &key),
                Some(owner) => {
                    let words =
                        format!("the import does not name it, but {owner} owns an account of it: it stays");
                    let finding =
                        warning("entry.owned", "", &words, "delete it on that side, or clear its source");
                    self.warnings.push(Refused { index: 0, entry: key, findings: vec![finding] });
                    self.plan.answer.unchanged += 1;
                }
            }
        }
    }

    /// A user with the accounts that this import may not change left as they were.
    fn owned(&mut self, entry: &Entry, old: Option<&User>, mut new: User) -> Result<User, pb::Finding> {
        let side = self.side;
        let mut left = Vec::new();
        let old_cic = old.and_then(|u| u.cic.as_ref());
        if let Some(kept) = old_cic.filter(|a| is_others(a.source, side)) {
            if new.cic.as_ref() != Some(kept) {
                left.push(("cic", kept.source));
            }
            new.cic = Some(kept.clone());
        } else if let Some(account) = new.cic.as_mut().filter(|_| side == Some(Source::Cic)) {
            adopt(&mut account.source, Source::Cic, "cic.source")?;
        }
        let old_lync = old.and_then(|u| u.lync.as_ref());
        if let Some(kept) = old_lync.filter(|a| is_others(a.source, side)) {
            if new.lync.as_ref() != Some(kept) {
                left.push(("lync", kept.source));
            }
            new.lync = Some(kept.clone());
        } else if let Some(account) = new.lync.as_mut().filter(|_| side == Some(Source::Lync)) {
            adopt(&mut account.source, Source::Lync, "lync.source")?;
        }
        for (field, source) in left {
            let words = format!("{} owns it: it was left as it is", source.map_or("", word));
            let finding = warning("entry.owned", field, &words, "change it on that side");
            let (index, entry) = (entry.index, entry.label.clone());
            self.warnings.push(Refused { index, entry, findings: vec![finding] });
        }
        Ok(new)
    }

    fn old(&self, kind: Kind, key: &str) -> Option<Record> {
        match kind {
            Kind::User => self.before.user(key).cloned().map(Record::User),
            Kind::Station => self.before.station(key).cloned().map(Record::Station),
            Kind::Workgroup => self.before.workgroup(key).cloned().map(Record::Workgroup),
            Kind::Number => self.before.assignment(key).cloned().map(Record::Number),
            Kind::Tenant | Kind::Policy | Kind::IngressClaim | Kind::Process => None,
        }
    }

    fn change(&mut self, kind: Kind, key: &str, record: Option<Record>) {
        let (tenant, key) = (self.tenant.clone(), key.to_owned());
        let (revision, at) = (self.before.revision(), self.before.now());
        self.draft.apply(&Change { tenant, kind, key, record, revision, at });
    }

    /// Checks each entry that was taken in the directory as it becomes, until there is enough to tell.
    fn look_at_taken(&mut self) {
        let Some(after) = self.draft.tenant_by_id(&self.tenant).cloned() else { return };
        for (index, label, kind, key) in std::mem::take(&mut self.taken) {
            if self.warnings.len() >= TOLD_MAX {
                break;
            }
            let found = look(&self.policy, &after, kind, &key);
            if !found.is_empty() {
                let findings = found.iter().map(wire::finding).collect();
                self.warnings.push(Refused { index, entry: label, findings });
            }
        }
    }
}

fn look(policy: &Policy, directory: &TenantView, kind: Kind, key: &str) -> Vec<Finding> {
    let found = match kind {
        Kind::User => directory.user(key).map(|u| directory::check(policy, u, directory).states),
        Kind::Station => directory.station(key).map(|s| check_station(policy, s, directory)),
        Kind::Workgroup => directory.workgroup(key).map(|w| check_workgroup(policy, w, directory)),
        Kind::Number => directory.assignment(key).map(|n| check_number(policy, n, directory)),
        Kind::Tenant | Kind::Policy | Kind::IngressClaim | Kind::Process => None,
    };
    found.unwrap_or_default()
}

fn key_of(record: &Record) -> String {
    match record {
        Record::User(u) => u.id.to_string(),
        Record::Station(s) => s.id.to_string(),
        Record::Workgroup(w) => w.id.to_string(),
        Record::Number(n) => n.number.clone(),
        Record::Tenant(_) | Record::Policy(_) | Record::IngressClaim(_) | Record::Process(_) => String::new(),
    }
}

/// Whether an account of this source is another's than the side on whose behalf an import comes.
fn is_others(source: Option<Source>, side: Option<Source>) -> bool {
    source.is_some_and(|source| source != side.unwrap_or(Source::Tandem))
}

/// The other side that has an account of a user, if one has.
fn owner(record: &Record, side: Option<Source>) -> Option<&'static str> {
    let Record::User(user) = record else { return None };
    let sources = [user.cic.as_ref().and_then(|a| a.source), user.lync.as_ref().and_then(|a| a.source)];
    sources.into_iter().find(|s| is_others(*s, side)).flatten().map(word)
}

fn word(source: Source) -> &'static str {
    match source {
        Source::Tandem => "Tandem",
        Source::Cic => "CIC",
        Source::Lync => "Lync",
    }
}

/// An account of the import's own side becomes the side's.
fn adopt(source: &mut Option<Source>, side: Source, field: &'static str) -> Result<(), pb::Finding> {
    match source {
        None => *source = Some(side),
        Some(given) if *given == side => {}
        Some(_) => {
            let words = format!("the import is {}'s, but the account says another source", word(side));
            return Err(error("entry.source", field, &words, "leave the source out"));
        }
    }
    Ok(())
}

fn error(code: &str, field: &str, message: &str, fix: &str) -> pb::Finding {
    made(pb::finding::Severity::Error, code, field, message, fix)
}

fn warning(code: &str, field: &str, message: &str, fix: &str) -> pb::Finding {
    made(pb::finding::Severity::Warning, code, field, message, fix)
}

fn made(severity: pb::finding::Severity, code: &str, field: &str, message: &str, fix: &str) -> pb::Finding {
    pb::Finding {
        code: code.to_owned(),
        severity: severity.into(),
        field: field.to_owned(),
        message: message.to_owned(),
        fix: fix.to_owned(),
    }
}

/// The first of what is told, in the order of the stream.
fn told(mut refused: Vec<Refused>) -> Vec<pb::EntryError> {
    refused.sort_by_key(|r| r.index);
    let one = |r: Refused| {
        let (index, entry) = (r.index, r.entry);
        r.findings.into_iter().map(move |f| pb::EntryError { index, entry: entry.clone(), finding: Some(f) })
    };
    refused.into_iter().flat_map(one).take(TOLD_MAX).collect()
}
