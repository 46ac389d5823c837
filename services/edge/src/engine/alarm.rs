//! The moment at which the engine looks again if nothing comes.

use futures::future::BoxFuture;
use tandem_runtime::clock::Clock;
use tandem_sip::time::Now;

/// Rings at a moment or before it. Deadlines mostly move on, as each is met long before its time: an alarm that is set
/// already and rings too soon costs less than one that is set anew for every message.
pub(super) struct Alarm {
    clock: Clock,
    set: Option<(Now, BoxFuture<'static, ()>)>,
}

impl Alarm {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, set: None }
    }

    pub(super) fn set(&mut self, next: Option<Now>) {
        match (next, &self.set) {
            (Some(next), Some((at, _))) if *at <= next => {}
            (Some(next), _) => {
                let clock = self.clock.clone();
                self.set = Some((next, Box::pin(async move { clock.sleep_until(next).await })));
            }
            (None, _) => self.set = None,
        }
    }

    /// Waits until it rings; forever if it is not set. Cancel-safe.
    pub(super) async fn rings(&mut self) {
        match &mut self.set {
            Some((_, alarm)) => alarm.await,
            None => std::future::pending().await,
        }
        self.set = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn an_alarm_rings_at_the_soonest_moment_that_was_set() {
        let (clock, hand) = Clock::manual(0);
        let mut alarm = Alarm::new(clock);
        let second = Duration::from_secs(1);
        alarm.set(Some(second * 3));
        alarm.set(Some(second));
        // Later than what is set: it rings too soon, which only costs a look.
        alarm.set(Some(second * 2));
        assert_eq!(alarm.rings().now_or_never(), None);
        hand.advance(second);
        assert_eq!(alarm.rings().now_or_never(), Some(()));
        alarm.set(Some(second * 2));
        assert_eq!(alarm.rings().now_or_never(), None);
        alarm.set(None);
        hand.advance(second * 9);
        assert_eq!(alarm.rings().now_or_never(), None);
    }
}
