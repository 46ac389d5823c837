//! Users in the order of their ids, as pages want them.
//!
//! The view keeps users in no order. They are sorted once for a state of the directory, and the pages of a list are
//! read from the state that the first of them was read from: a list is of one moment, however long its reader takes
//! within a minute, and a page costs what it holds and not what the tenant has.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_domain::document::directory::User;
use tandem_domain::view::TenantView;

/// How long a list that nobody reads on is kept.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// How many lists are kept: each holds a state of a directory that may have changed since.
const KEPT_MAX: usize = 32;

/// A state of a directory, in order.
#[derive(Debug)]
pub(crate) struct Ordered {
    /// The state.
    pub(crate) tenant: Arc<TenantView>,
    users: Vec<Arc<User>>,
}

impl Ordered {
    fn new(tenant: Arc<TenantView>) -> Self {
        let mut users: Vec<Arc<User>> = tenant.users().cloned().collect();
        users.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        Self { tenant, users }
    }

    /// The users after an id.
    pub(crate) fn after(&self, id: Option<&str>) -> &[Arc<User>] {
        let at = id.map_or(0, |id| self.users.partition_point(|u| u.id.as_str() <= id));
        self.users.get(at..).unwrap_or_default()
    }
}

/// The lists that are being read.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<VecDeque<(Duration, Arc<Ordered>)>>);

impl Lists {
    /// The state to read a page from: the one of `revision`, if it is kept, else the tenant as it is shown. `now` is
    /// monotonic.
    pub(crate) async fn of(
        &self,
        shown: Arc<TenantView>,
        revision: Option<u64>,
        now: Duration,
    ) -> Option<Arc<Ordered>> {
        if let Some(kept) = self.kept(&shown, revision, now) {
            return Some(kept);
        }
        // Not on a thread that others wait for: a tenant may have 100,000 users.
        let sorted = tokio::task::spawn_blocking(move || Arc::new(Ordered::new(shown))).await.ok()?;
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.push_front((now, Arc::clone(&sorted)));
        lists.truncate(KEPT_MAX);
        Some(sorted)
    }

    fn kept(&self, shown: &Arc<TenantView>, revision: Option<u64>, now: Duration) -> Option<Arc<Ordered>> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|(used, _)| now.saturating_sub(*used) < KEPT_FOR);
        let fits = |kept: &Arc<TenantView>| match revision {
            Some(revision) => kept.id() == shown.id() && kept.revision().0 == revision,
            None => Arc::ptr_eq(kept, shown),
        };
        let at = lists.iter().position(|(_, list)| fits(&list.tenant))?;
        let (_, list) = lists.remove(at)?;
        lists.push_front((now, Arc::clone(&list)));
        Some(list)
    }
}
