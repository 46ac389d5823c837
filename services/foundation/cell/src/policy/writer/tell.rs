//! What was done, told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::Writer;
use crate::policy::{FileStatus, State, Status, TENANT_TWICE, place};

impl Writer {
    /// Tells what was done.
    pub(super) fn tell(&self, writing: bool) {
        let mut files: BTreeMap<PathBuf, FileStatus> = BTreeMap::new();
        for (path, file) in &self.files {
            let status = files.entry(path.clone()).or_default();
            status.diagnostics.clone_from(&file.diagnostics);
            for name in &file.names {
                status.tenants.insert(name.clone(), State::Rejected);
            }
        }
        for (path, checked) in self.good() {
            let Some(status) = files.get_mut(&path) else { continue };
            let state = self.states.get(&checked.name).copied().unwrap_or(State::Waiting);
            status.tenants.insert(checked.name.clone(), state);
            let refused = self.refused.get(&checked.name).map_or(&[][..], Vec::as_slice);
            status.diagnostics.extend(place(&checked.document, refused));
        }
        for ((path, _), checked) in self.twice() {
            let Some(status) = files.get_mut(&path) else { continue };
            let words = format!("another document names {} as well", checked.name);
            let finding = TENANT_TWICE.at("metadata.name", words);
            status.diagnostics.extend(place(&checked.document, &[finding]));
        }
        let status = Status {
            writing,
            standing_by: !writing,
            settled: self.states.values().all(|s| *s != State::Waiting) && self.deleting.is_empty(),
            unreadable: self.unreadable.clone(),
            files,
            deleting: self.deleting.iter().map(|t| t.name.clone()).collect(),
            unnamed: self.gone.keys().map(|t| t.name.clone()).collect(),
            held: self.held.clone(),
        };
        self.told.send_if_modified(|told| {
            let changed = **told != status;
            if changed {
                *told = Arc::new(status);
            }
            changed
        });
    }
}
