//! What the elements of a simulation share.

use std::fmt;
use std::time::Duration;

use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::Life;

use crate::net::{Observer, Packet, Wan};

/// Time, chance, the life that ends all tasks, the WAN, and who watches the wire. Cheap to clone; simulators that are
/// given clones of one world share all of it, as elements of one network do.
#[derive(Clone)]
pub struct World {
    /// Tells the time; SIP timers run by it.
    pub clock: Clock,
    /// Draws Call-IDs, tags and branches.
    pub chance: Chance,
    /// Where tasks are spawned, and what ends them.
    pub life: Life,
    /// The switch that loses a WAN.
    pub wan: Wan,
    /// Is shown every packet, if anybody is to.
    pub observer: Option<Observer>,
    /// When the world began, by the clock's monotonic time: what status counts from.
    began: Duration,
}

impl World {
    /// A world with a whole WAN and no observer.
    pub fn new(clock: Clock, chance: Chance, life: Life) -> Self {
        let began = clock.monotonic();
        Self { clock, chance, life, wan: Wan::new(), observer: None, began }
    }

    /// With an observer of every packet.
    #[must_use]
    pub fn observed_by(mut self, observer: Observer) -> Self {
        self.observer = Some(observer);
        self
    }

    pub(crate) fn observe(&self, packet: &Packet<'_>) {
        if let Some(observer) = &self.observer {
            observer(packet);
        }
    }

    /// Since the world began.
    pub(crate) fn age(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.began)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("wan", &self.wan).field("observed", &self.observer.is_some()).finish()
    }
}
