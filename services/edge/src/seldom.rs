//! What is told to people when it happens, and not a thousand times a second.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tandem_sip::time::Now;

/// How long a line of the log is the last of its kind about the same one.
const EVERY: Duration = Duration::from_secs(60);
/// How many are told of each for itself in that time; all beyond share one line. It bounds the log as well as the
/// memory: whoever sends from ever new addresses gets no more than this many lines a minute.
const KEYS_MAX: usize = 256;

/// Lets a line of the log pass now and then for each one that it is about, and counts what it holds back.
#[derive(Debug)]
pub(crate) struct Seldom<K> {
    told: HashMap<K, Told, foldhash::quality::RandomState>,
    /// Those for whom there was no room.
    others: Told,
    /// Before this no place becomes free.
    full_until: Now,
}

#[derive(Clone, Copy, Debug, Default)]
struct Told {
    next: Now,
    held_back: u64,
}

/// It is time to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    /// Lines about this one that were held back since it was told of last.
    pub(crate) more: u64,
    /// Lines about others that were held back and are not told of otherwise.
    pub(crate) others: u64,
}

impl<K> Default for Seldom<K> {
    fn default() -> Self {
        Self { told: HashMap::default(), others: Told::default(), full_until: Now::ZERO }
    }
}

impl<K: Eq + Hash> Seldom<K> {
    /// Whether it is time to tell of this one.
    pub(crate) fn due(&mut self, key: K, now: Now) -> Option<Due> {
        if !self.told.contains_key(&key) {
            self.make_room(now);
        }
        if self.told.len() >= KEYS_MAX && !self.told.contains_key(&key) {
            return self.others.due(now).map(|others| Due { more: 0, others });
        }
        let more = self.told.entry(key).or_default().due(now)?;
        Some(Due { more, others: std::mem::take(&mut self.others.held_back) })
    }

    /// Forgets those whose time is over, but not how many lines were held back of them.
    fn make_room(&mut self, now: Now) {
        if self.told.len() < KEYS_MAX || now < self.full_until {
            return;
        }
        let others = &mut self.others.held_back;
        self.told.retain(|_, told| {
            let stays = now < told.next;
            *others += if stays { 0 } else { told.held_back };
            stays
        });
        self.full_until = self.told.values().map(|told| told.next).min().unwrap_or(now);
    }
}

impl Told {
    fn due(&mut self, now: Now) -> Option<u64> {
        if now < self.next {
            self.held_back += 1;
            return None;
        }
        self.next = now + EVERY;
        Some(std::mem::take(&mut self.held_back))
    }
}

/// Whom a line about a source is about: the listener, and the address; of IPv6 the first 64 bits, for one machine has
/// all the others.
pub(crate) type Source = (u16, IpAddr);

pub(crate) fn source(listener: u16, ip: IpAddr) -> Source {
    let ip = match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        v4 => v4,
    };
    (listener, ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn due(more: u64, others: u64) -> Option<Due> {
        Some(Due { more, others })
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_are_counted() {
        let mut seldom = Seldom::default();
        let told: Vec<_> = [0, 1, 59, 60, 61, 130].map(|at| seldom.due("a", SECOND * at)).into();
        assert_eq!(told, [due(0, 0), None, None, due(2, 0), None, due(1, 0)]);
    }

    #[test]
    fn one_that_is_loud_hides_no_other() {
        let mut seldom = Seldom::default();
        for at in 0..1000 {
            assert_eq!(seldom.due("scanner", SECOND / 100 * at).is_some(), at == 0);
        }
        assert_eq!(seldom.due("gateway", SECOND * 10), due(0, 0));
    }

    #[test]
    fn any_number_of_them_have_bounded_room_and_what_was_held_back_is_said() {
        let mut seldom = Seldom::default();
        let told = (0..1000).filter(|key| seldom.due(*key, SECOND).is_some()).count();
        // Those who have room, and one line for all others.
        assert_eq!((told, seldom.told.len()), (KEYS_MAX + 1, KEYS_MAX));
        let last = 1000 - KEYS_MAX as u64 - 1;
        assert_eq!(seldom.due(0, SECOND * 2), None);
        // A minute later there is room, and the counts of those who lost theirs are not lost.
        assert_eq!(seldom.due(5000, SECOND * 62), due(0, last + 1));
        assert_eq!(seldom.told.len(), 1);
    }

    #[test]
    fn of_ipv6_a_machine_is_its_network_and_mapped_addresses_are_ipv4() {
        let of = |text: &str| source(3, text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
    }
}
