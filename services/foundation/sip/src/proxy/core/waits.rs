//! What time brings to a call: failover, ringing too long, Timer C.

use crate::time::Now;
use crate::transaction::ClientId;

use super::super::branch::{After, Heard};
use super::super::{CallId, Output};
use super::Proxy;

/// What a call waits for. The numbers name the round of targets and the branch.
#[derive(Clone, Copy, Debug)]
pub(in crate::proxy) enum Wait {
    /// Nothing at all was heard.
    NoResponse(CallId, u32, usize),
    /// Nothing but a 100 was heard.
    Only100(CallId, u32, usize),
    /// A cancelled branch has had its time.
    Cancelled(CallId, u32, usize),
    /// RFC 3261 16.8.
    TimerC(CallId, usize),
    /// It rang long enough.
    NoAnswer(CallId, u32),
}

impl Proxy {
    pub(super) fn on_wait(&mut self, wait: Wait, now: Now) {
        match wait {
            Wait::NoResponse(id, round, at) => self.no_response(id, round, at, now),
            Wait::Only100(id, round, at) => self.only_100(id, round, at, now),
            Wait::Cancelled(id, round, at) => self.cancel_wait(id, round, at, now),
            Wait::TimerC(id, at) => self.timer_c(id, at, now),
            Wait::NoAnswer(id, round) => self.no_answer(id, round, now),
        }
    }

    /// The status that a current branch of this round has heard.
    fn heard(&self, id: CallId, round: u32, at: usize) -> Option<Heard> {
        let call = self.calls.get(&id).filter(|c| c.round == round && !c.done && !c.answered)?;
        let branch = call.branches.get(at)?;
        (branch.is_pending() && at + 1 == call.branches.len()).then_some(branch.heard)
    }

    /// The trunk's patience is over: the branch is left, its late 2xx apart (RFC 3261 16.7 step 5).
    fn no_response(&mut self, id: CallId, round: u32, at: usize, now: Now) {
        if self.heard(id, round, at) != Some(Heard::Nothing) {
            return;
        }
        self.cancel_branch(id, at, now);
        let Some(branch) = self.calls.get_mut(&id).and_then(|c| c.branches.get_mut(at)) else { return };
        branch.left = true;
        let (client, peer, tag) = (branch.client, branch.peer, branch.tag);
        self.layer.stop_resending(client);
        self.outputs.push(Output::Silent(id, peer, tag));
        self.fail_over(id, tag, now);
    }

    fn only_100(&mut self, id: CallId, round: u32, at: usize, now: Now) {
        if self.heard(id, round, at) == Some(Heard::Hundred) {
            if let Some(call) = self.calls.get_mut(&id) {
                call.after = After::Next;
            }
            self.cancel_branch(id, at, now);
        }
    }

    fn fail_over(&mut self, id: CallId, tag: u32, now: Now) {
        if self.calls.get(&id).is_some_and(|c| c.next < c.targets.len() && !c.cancelled) {
            self.outputs.push(Output::FailedOver(id, tag));
        }
        self.try_next(id, now);
    }

    /// The branch did not end in time after its CANCEL: it is left behind.
    fn cancel_wait(&mut self, id: CallId, round: u32, at: usize, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| c.round == round && !c.done && !c.answered)
        else {
            return;
        };
        let last = at + 1 == call.branches.len();
        let after = call.after;
        let Some(branch) = call.branches.get_mut(at).filter(|b| b.is_pending()) else { return };
        branch.left = true;
        let tag = branch.tag;
        if last {
            self.after_cancel(id, after, tag, now);
        }
    }

    /// What was to happen after a cancelled branch has ended.
    pub(super) fn after_cancel(&mut self, id: CallId, after: After, tag: u32, now: Now) {
        let cancelled = self.calls.get(&id).is_some_and(|c| c.cancelled);
        match after {
            _ if cancelled => self.give_up(id, now),
            After::Next => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.after = After::Stand;
                }
                self.fail_over(id, tag, now);
            }
            After::NoAnswer => {
                if let Some(call) = self.calls.get_mut(&id) {
                    call.next = call.targets.len();
                }
                self.try_next(id, now);
            }
            After::Stand => self.try_next(id, now),
        }
    }

    fn timer_c(&mut self, id: CallId, at: usize, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| !c.done && !c.answered) else { return };
        let Some(branch) = call.branches.get_mut(at).filter(|b| b.is_pending()) else { return };
        if branch.rings_until > now {
            // It rang since.
            branch.timer_c = Some(self.waits.set(branch.rings_until, Wait::TimerC(id, at)));
            return;
        }
        if branch.heard == Heard::Nothing {
            // Its own timer B says so sooner.
            return;
        }
        call.after = After::NoAnswer;
        self.cancel_branch(id, at, now);
    }

    fn no_answer(&mut self, id: CallId, round: u32, now: Now) {
        let Some(call) = self.calls.get_mut(&id).filter(|c| c.round == round && !c.done && !c.answered)
        else {
            return;
        };
        call.after = After::NoAnswer;
        let at = call.branches.len().saturating_sub(1);
        match call.current().map(|b| b.heard) {
            Some(Heard::Nothing) => {
                let Some(branch) = call.current() else { return };
                branch.left = true;
                let (client, tag) = (branch.client, branch.tag);
                self.layer.stop_resending(client);
                self.after_cancel(id, After::NoAnswer, tag, now);
            }
            Some(_) => self.cancel_branch(id, at, now),
            None => {}
        }
    }

    /// A client transaction gave up by itself (timers B and F).
    pub(super) fn on_timeout(&mut self, client: ClientId, now: Now) {
        let Some((id, at)) = self.by_client.get(&client).copied() else { return };
        self.branch_failed(id, at, 408, now);
    }
}
