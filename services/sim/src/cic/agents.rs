//! The users' states: status, logged on, on the phone; and which agent a workgroup's call is offered to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::config::{Config, Workgroup};
use super::status::{self, Status};

/// See the module.
pub(super) struct Agents {
    users: Mutex<HashMap<String, State>>,
    /// Counts changes: whoever waits for an agent looks again.
    changed: watch::Sender<u64>,
}

struct State {
    status: Status,
    logged_on: bool,
    /// Calls at the user's station.
    calls: u32,
    /// When the user last had a call of a workgroup: a counter, 0 for never.
    last_acd: u64,
}

impl Agents {
    pub(super) fn new(config: &Config) -> Self {
        let state = |user: &super::config::User| State {
            status: status::find(&user.status).unwrap_or(status::STATUSES[0]),
            logged_on: user.logged_on,
            calls: 0,
            last_acd: 0,
        };
        let users = config.users.iter().map(|user| (user.name.clone(), state(user))).collect();
        Self { users: Mutex::new(users), changed: watch::Sender::new(0) }
    }

    fn users(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, user: &str, change: impl FnOnce(&mut State)) -> bool {
        let mut users = self.users();
        let known = users.get_mut(user).map(change).is_some();
        drop(users);
        self.changed.send_modify(|changes| *changes += 1);
        known
    }

    /// False: no such user.
    pub(super) fn set_status(&self, user: &str, status: Status) -> bool {
        self.change(user, |state| state.status = status)
    }

    /// False: no such user.
    pub(super) fn set_logged_on(&self, user: &str, on: bool) -> bool {
        self.change(user, |state| state.logged_on = on)
    }

    pub(super) fn status(&self, user: &str) -> Option<Status> {
        self.users().get(user).map(|state| state.status)
    }

    /// The agent did not answer.
    pub(super) fn not_answering(&self, user: &str) {
        if let Some(status) = status::find(status::NOT_ANSWERING) {
            self.set_status(user, status);
        }
    }

    /// A call is at the user's station, until what is returned is dropped.
    pub(super) fn on_phone<'a>(&'a self, user: &str) -> OnPhone<'a> {
        self.change(user, |state| state.calls += 1);
        OnPhone { agents: self, user: user.to_owned() }
    }

    /// Takes the agent of a workgroup who is to have its next call: logged on, in a status for ACD, not on the phone;
    /// of those the one longest without such a call, then the first. The name, and why.
    pub(super) fn take(&self, workgroup: &Workgroup) -> Option<(String, String, OnPhone<'_>)> {
        let mut users = self.users();
        let next = users.values().map(|state| state.last_acd).max().unwrap_or(0) + 1;
        let eligible = |name: &&String| {
            users.get(*name).is_some_and(|state| state.logged_on && state.status.acd && state.calls == 0)
        };
        let last = |name: &&String| users.get(*name).map_or(0, |state| state.last_acd);
        let name = workgroup.agents.iter().filter(eligible).min_by_key(last)?.clone();
        let state = users.get_mut(&name)?;
        (state.last_acd, state.calls) = (next, 1);
        let why = format!("agent {name}: {}, logged on", state.status.name);
        drop(users);
        Some((name.clone(), why, OnPhone { agents: self, user: name }))
    }

    /// Follows changes from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

/// A call at a user's station.
pub(super) struct OnPhone<'a> {
    agents: &'a Agents,
    user: String,
}

impl Drop for OnPhone<'_> {
    fn drop(&mut self) {
        self.agents.change(&self.user, |state| state.calls = state.calls.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn the_agent_is_picked_by_status_logon_and_turn() {
        let config: Config = settings::parse(
            "cic.yaml",
            r#"
address: 127.1.0.20:0
users:
  - { name: ann, extension: "2001", status: At Lunch }
  - { name: bob, extension: "2002", logged_on: false }
  - { name: cat, extension: "2003" }
  - { name: dan, extension: "2004" }
workgroups:
  - { name: Sales, extension: "8000", agents: [ann, bob, cat, dan] }
"#,
        )
        .unwrap();
        let agents = Agents::new(&config);
        let take = || agents.take(&config.workgroups[0]);
        let (first, why, on_phone) = take().unwrap();
        assert_eq!((first.as_str(), why.as_str()), ("cat", "agent cat: Available, logged on"));
        let (second, _, second_on_phone) = take().unwrap();
        assert_eq!(second, "dan");
        assert!(take().is_none());
        drop((on_phone, second_on_phone));
        assert_eq!(take().unwrap().0, "cat");
        agents.not_answering("cat");
        assert_eq!(take().unwrap().0, "dan");
        assert!(agents.set_logged_on("bob", true));
        assert_eq!(take().unwrap().0, "bob");
        assert!(!agents.set_logged_on("eve", true));
        assert_eq!(agents.status("cat").unwrap().name, status::NOT_ANSWERING);
    }
}
