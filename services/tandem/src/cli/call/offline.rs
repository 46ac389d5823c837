//! A view made of files: the same decision that a server with these files would take, without one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tandem_domain::document::directory::DirectorySpec;
use tandem_domain::id::{Incarnation, Revision, TenantId};
use tandem_domain::number::canonical::{Origin, canonical};
use tandem_domain::number::parse::parse;
use tandem_domain::record::{Change, Kind, PolicyRecord, Record, TenantRecord, cell};
use tandem_domain::routing::attempt::Facts;
use tandem_domain::routing::trail::{NoTrail, Steps};
use tandem_domain::routing::{decide, plan, render};
use tandem_domain::tenant::Config;
use tandem_domain::view::{TenantView, View};
use tandem_proto::routing::v1 as pb;
use tandem_runtime::clock::Clock;
use tandem_wire::attempt::Attempt;
use tandem_wire::decision::{Made, Source};

use crate::cli::tenant;
use crate::failure::Input;

/// A tenant out of files.
pub(super) struct Offline(Arc<TenantView>);

impl Offline {
    /// Reads a tenant, and the directories that are its own.
    ///
    /// # Errors
    /// What is wrong with the files, with its place.
    pub(super) fn read(file: &Path, directories: &[PathBuf]) -> anyhow::Result<Self> {
        let mut files = vec![file.to_owned()];
        files.extend_from_slice(directories);
        let read = tenant::valid(&files)?;
        if let [tenant] = read.tenants.as_slice() {
            for path in directories {
                let people = tenant::read(std::slice::from_ref(path))?.directories;
                if !people.iter().any(|(_, d)| d.metadata.name.as_str() == tenant.name.as_str()) {
                    let why = format!("{}: no directory of tenant {}", path.display(), tenant.name);
                    return Err(
                        Input(format!("{why}; give the people of this tenant with --directory")).into()
                    );
                }
            }
        }
        let [tenant] = read.tenants.as_slice() else {
            return Err(
                Input(format!("{}: more than one tenant; keep one in the file", file.display())).into()
            );
        };
        let id = TenantId { name: tenant.name.clone(), incarnation: Incarnation(1) };
        let spec = tenant.tenant.spec.clone();
        let mut changes = Changes { tenant: id.clone(), list: Vec::new() };
        changes.list.push(Change {
            tenant: cell(),
            ..changes.change(
                id.name.as_str(),
                Record::Tenant(TenantRecord { tenant: id.clone(), deleting: false }),
            )
        });
        changes.push("", Record::Policy(Arc::new(PolicyRecord { generation: 1, spec })));
        for (_, people) in
            read.directories.iter().filter(|(_, d)| d.metadata.name.as_str() == id.name.as_str())
        {
            changes.people(&tenant.compiled.config, &people.spec)?;
        }
        let view = View::build(&changes.list);
        let found = view.tenant(id.name.as_str()).cloned();
        found.map(Self).ok_or_else(|| Input(format!("{}: no tenant came of it", file.display())).into())
    }

    fn made(&self) -> Made<'_> {
        Made { tenant: &self.0.id().name, id: "offline", source: Source::Live, stale_ms: 0 }
    }

    /// Decides one call.
    ///
    /// # Errors
    /// What is wrong with the call as it is written.
    pub(super) fn route(&self, attempt: pb::CallAttempt) -> anyhow::Result<pb::Decision> {
        let attempt = Attempt::read(Some(&attempt)).map_err(refused)?;
        let facts = Facts { now_ms: now_ms(), ..Facts::default() };
        let decided = decide(&self.0, attempt.call(), &facts, &mut NoTrail);
        Ok(tandem_wire::decision::decision(&decided, self.made()))
    }

    /// The whole expected way of one call.
    ///
    /// # Errors
    /// What is wrong with the call or the assumptions as they are written.
    pub(super) fn explain(
        &self,
        attempt: pb::CallAttempt,
        assume: pb::Assumptions,
    ) -> anyhow::Result<pb::Explanation> {
        let attempt = Attempt::read(Some(&attempt)).map_err(refused)?;
        let assumed = tandem_wire::plan::read_assumptions(Some(assume)).map_err(refused)?;
        let facts = Facts { now_ms: now_ms(), ..assumed };
        tandem_wire::plan::known(&facts, &self.0).map_err(refused)?;
        let mut trail = Steps::default();
        let decided = decide(&self.0, attempt.call(), &facts, &mut trail);
        let whole = plan::plan(&self.0, attempt.call(), &facts, &mut trail);
        let text = render::explanation(&decided, &whole, &trail);
        let message = tandem_wire::decision::decision(&decided, self.made());
        Ok(tandem_wire::plan::explanation(message, &whole, &trail, text))
    }
}

/// In the words in which the server would refuse it.
fn refused(violations: tandem_wire::violation::Violations) -> anyhow::Error {
    Input(tandem_wire::status::Refusal::from(violations).message().to_owned()).into()
}

fn now_ms() -> u64 {
    Clock::machine().unix_micros() / 1000
}

/// Records as a log would bring them.
struct Changes {
    tenant: TenantId,
    list: Vec<Change>,
}

impl Changes {
    fn change(&self, key: &str, record: Record) -> Change {
        let revision = Revision(1);
        let kind: Kind = record.kind();
        Change {
            tenant: self.tenant.clone(),
            kind,
            key: key.to_owned(),
            record: Some(record),
            revision,
            at: 0,
        }
    }

    fn push(&mut self, key: &str, record: Record) {
        let change = self.change(key, record);
        self.list.push(change);
    }

    fn people(&mut self, config: &Config, spec: &DirectorySpec) -> anyhow::Result<()> {
        for user in &spec.users {
            self.push(user.id.as_str(), Record::User(Arc::new(user.clone())));
        }
        for station in &spec.stations {
            self.push(station.id.as_str(), Record::Station(Arc::new(station.clone())));
        }
        for workgroup in &spec.workgroups {
            self.push(workgroup.id.as_str(), Record::Workgroup(Arc::new(workgroup.clone())));
        }
        for assigned in &spec.numbers {
            let wrong = || Input(format!("{:?} in the directory is no number", assigned.number));
            let dialled = parse(&assigned.number).map_err(|_| wrong())?;
            let nowhere = Origin { trunk: None, site: None };
            let key = canonical(config, nowhere, &dialled).map_err(|_| wrong())?;
            self.push(&key.to_string(), Record::Number(Arc::new(assigned.clone())));
        }
        Ok(())
    }
}
