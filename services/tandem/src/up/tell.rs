//! What `tandem up` says while it runs, on standard error: in words, or for programs by one JSON object a line.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tandem_cell::Cell;
use tandem_cell::policy::{DELETED, FileStatus, GONE_FOR, LISTENER_UNKNOWN, State, Status};
use tandem_domain::id::TenantName;
use tandem_domain::view::TenantView;
use tandem_runtime::document::{Diagnostic, render_all};
use tandem_runtime::drain::Life;
use tandem_runtime::term::Terminal;

use crate::cli::{Global, directory};
use crate::process::Running;
use crate::show;

/// How it is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Teller {
    json: bool,
    color: bool,
}

impl Teller {
    pub(super) fn new(global: &Global) -> Self {
        let color = !global.json() && Terminal::stderr(global.color).color;
        Self { json: global.json(), color }
    }

    /// Says that something happened: to people in words, to a program by name and fields as well.
    fn say(self, event: &str, mut fields: Value, words: impl FnOnce() -> String) {
        let words = words();
        if self.json {
            fields["event"] = event.into();
            fields["message"] = words.trim_end().into();
            show::error(&fields.to_string());
        } else {
            show::error(&words);
        }
    }

    /// The example tenants are gone.
    pub(super) fn removed(self) {
        self.say("examples_removed", json!({}), || {
            "the example tenants are removed, edits too; --data DIR or --tenants DIR keeps them".into()
        });
    }

    /// Says what was not taken at the start.
    pub(super) fn complain(self, running: &Running) {
        let status = running.policy.status();
        for (path, file) in &status.files {
            self.rejected(path, file);
        }
        for (path, file) in &status.files {
            self.unheard(path, file);
        }
        self.unnamed(&Status::default(), &status);
        for done in running.imported.iter().filter(|done| done.response.refused > 0) {
            let found = directory::diagnostics(done);
            let fields = json!({"file": done.path.display().to_string(), "tenant": done.tenant.as_str(), "refused": done.response.refused,
                                "diagnostics": found});
            self.say("import_refused", fields, || directory::report(done, false, self.color));
        }
        for (path, tenant) in &running.passed_over {
            self.say("not_imported", json!({"file": path.display().to_string(), "tenant": tenant.as_str()}), || {
                let path = path.display();
                format!(
                    "{path}: not imported, for tenant {tenant} is not in force; give its file to --tenants or mend it, \
                     then `tandem directory import {path}`\n"
                )
            });
        }
    }

    fn rejected(self, path: &Path, file: &FileStatus) {
        if !file.is_rejected() {
            return;
        }
        self.say(
            "rejected",
            json!({"file": path.display().to_string(), "diagnostics": file.diagnostics}),
            || {
                let found = render_all(&file.diagnostics, self.color);
                format!("{found}\nwhat was in force before stays in force; mend the file and save it\n")
            },
        );
    }

    /// Says by which listeners no call will come, of a file that is taken.
    fn unheard(self, path: &Path, file: &FileStatus) {
        let is = |d: &&Diagnostic| d.finding.message.starts_with(LISTENER_UNKNOWN.code);
        let found: Vec<Diagnostic> = file.diagnostics.iter().filter(is).cloned().collect();
        if !file.is_rejected() && !found.is_empty() {
            let fields = json!({"file": path.display().to_string(), "diagnostics": found});
            self.say("listener_unknown", fields, || render_all(&found, self.color));
        }
    }

    /// Says what becomes of tenants that no file names any more.
    fn unnamed(self, before: &Status, now: &Status) {
        if now.unnamed.is_empty() || (&before.unnamed, &before.held) == (&now.unnamed, &now.held) {
            return;
        }
        let names: Vec<&str> = now.unnamed.iter().map(|name| name.as_str()).collect();
        let seconds = now.held.is_none().then_some(GONE_FOR.as_secs());
        let held = now.held.as_ref().map(ToString::to_string);
        let fields = json!({"tenants": names, "deletedInSeconds": seconds, "keptFor": held});
        self.say("unnamed", fields, || {
            let fate = match &now.held {
                Some(why) => format!("kept, for {why}"),
                None => format!(
                    "deleted with all it has in {} minutes, unless its file comes back",
                    GONE_FOR.as_secs() / 60
                ),
            };
            let names = names.join(", ");
            format!("no file names {names}: {fate}; an empty file NAME.{DELETED} deletes at once")
        });
    }

    /// Says what becomes of files that are saved.
    pub(super) fn watch(self, running: &Running, life: &Life) {
        let (policy, cell, drain) = (running.policy.clone(), running.cell.clone(), life.drain.clone());
        life.tasks.spawn("up watch", async move {
            let (mut last, mut there) = (policy.status(), Size::of_all(&cell));
            loop {
                let next = tokio::select! {
                    next = policy.until(|now| now.settled && differs(&last, now)) => next,
                    () = drain.draining() => return,
                };
                let Some(next) = next else { return };
                self.changed(&last, &next);
                self.deleted(&there, &next);
                (last, there) = (next, Size::of_all(&cell));
            }
        });
    }

    fn changed(self, before: &Status, now: &Status) {
        self.unnamed(before, now);
        for (path, file) in &now.files {
            if before.files.get(path) == Some(file) {
                continue;
            }
            self.rejected(path, file);
            self.unheard(path, file);
            for (name, state) in &file.tenants {
                if let State::InForce { generation, revision } = state {
                    let fields =
                        json!({"tenant": name.as_str(), "generation": generation, "revision": revision.0});
                    self.say("in_force", fields, || {
                        format!("{name}: generation {generation} in force at revision {revision}")
                    });
                }
            }
        }
    }

    /// Says what is deleted with tenants that were there and are no file's any more, nor wait for theirs.
    fn deleted(self, there: &BTreeMap<TenantName, Size>, now: &Status) {
        let is_named = |name: &TenantName| {
            now.unnamed.contains(name) || now.files.values().any(|file| file.tenants.contains_key(name))
        };
        for (name, Size { users, numbers }) in there.iter().filter(|(name, _)| now.writing && !is_named(name))
        {
            self.say("deleted", json!({"tenant": name.as_str(), "users": users, "numbers": numbers}), || {
                format!(
                    "{name}: deleted with all it has, {users} users and {numbers} numbers; to have it back, put its \
                     file back without a {name}.{DELETED}, and import its directory again"
                )
            });
        }
    }
}

/// How much a tenant has.
struct Size {
    users: usize,
    numbers: usize,
}

impl Size {
    fn of_all(cell: &Cell) -> BTreeMap<TenantName, Self> {
        let snapshot = cell.view().snapshot();
        let tenants = snapshot.view.tenants().filter(|tenant| !tenant.is_deleting());
        let size = |t: &TenantView| Self { users: t.users_len(), numbers: t.numbers_len() };
        tenants.map(|tenant| (tenant.id().name.clone(), size(tenant))).collect()
    }
}

fn differs(before: &Status, now: &Status) -> bool {
    (&before.files, &before.unnamed, &before.held) != (&now.files, &now.unnamed, &now.held)
}
