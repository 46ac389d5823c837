//! What is told to people when it happens, and not a thousand times a second.

use std::time::Duration;

use tandem_sip::time::Now;

/// How long a line of the log is the last of its kind.
const EVERY: Duration = Duration::from_secs(60);

/// Lets a line of the log pass now and then, and counts what it holds back.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    next: Now,
    held_back: u64,
}

impl Seldom {
    /// Whether it is time to tell; then how many were held back since it was told last.
    pub(crate) fn due(&mut self, now: Now) -> Option<u64> {
        if now < self.next {
            self.held_back += 1;
            return None;
        }
        self.next = now + EVERY;
        Some(std::mem::take(&mut self.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_are_counted() {
        let (mut seldom, second) = (Seldom::default(), Duration::from_secs(1));
        let told: Vec<_> = [0, 1, 59, 60, 61, 130].map(|at| seldom.due(second * at)).into();
        assert_eq!(told, [Some(0), None, None, Some(2), None, Some(1)]);
    }
}
