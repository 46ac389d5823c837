//! Time and chance, passed in.
//!
//! Nothing in Tandem reads a clock or draws a random number on its own: it is handed a [`Clock`] and a
//! [`Chance`]. In a process these are the machine's; in a test they are a hand that moves and a seed.
//!
//! Invariants: [`Clock::monotonic`] never goes back; [`Clock::unix_micros`] may (an operator sets the clock), so
//! nothing computes a duration from it; two [`Chance`] of one seed give the same bytes in the same order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::Instant;

/// A source of wall time and monotonic time. Cheap to clone; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Machine { origin: Instant },
    Manual(watch::Receiver<Hands>),
}

#[derive(Clone, Copy, Debug)]
struct Hands {
    unix_micros: u64,
    monotonic: Duration,
}

impl Clock {
    /// The machine's clock. Monotonic time counts from this call and follows tokio's clock, so that a test with
    /// paused time moves it.
    pub fn machine() -> Self {
        Self(Kind::Machine { origin: Instant::now() })
    }

    /// A clock that stands still at `unix_micros` until its [`ManualClock`] moves it.
    pub fn manual(unix_micros: u64) -> (Self, ManualClock) {
        let (tx, rx) = watch::channel(Hands { unix_micros, monotonic: Duration::ZERO });
        (Self(Kind::Manual(rx)), ManualClock(tx))
    }

    /// Wall time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted. May go back.
    pub fn unix_micros(&self) -> u64 {
        match &self.0 {
            // A machine whose clock stands before 1970 has no time worth more than zero.
            Kind::Machine { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX)),
            Kind::Manual(rx) => rx.borrow().unix_micros,
        }
    }

    /// Time since this clock was made. Never goes back.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Kind::Machine { origin } => origin.elapsed(),
            Kind::Manual(rx) => rx.borrow().monotonic,
        }
    }

    /// Waits until [`monotonic`](Self::monotonic) has reached `when`. Cancel-safe.
    ///
    /// On a manual clock whose hand was dropped this never returns: its time has ended.
    pub async fn sleep_until(&self, when: Duration) {
        match &self.0 {
            Kind::Machine { origin } => tokio::time::sleep_until(*origin + when).await,
            Kind::Manual(rx) => {
                let mut rx = rx.clone();
                if rx.wait_for(|hands| hands.monotonic >= when).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Waits for `duration` of this clock's monotonic time. Cancel-safe.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.monotonic().saturating_add(duration)).await;
    }
}

/// The hand that moves a manual [`Clock`].
#[derive(Debug)]
pub struct ManualClock(watch::Sender<Hands>);

impl ManualClock {
    /// Moves wall and monotonic time forward, and wakes what slept until then.
    pub fn advance(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.0.send_modify(|hands| {
            hands.unix_micros = hands.unix_micros.saturating_add(micros);
            hands.monotonic = hands.monotonic.saturating_add(by);
        });
    }

    /// Sets wall time alone, as an operator or NTP does: forward or back.
    pub fn set_unix_micros(&self, unix_micros: u64) {
        self.0.send_modify(|hands| hands.unix_micros = unix_micros);
    }
}

/// A source of random bytes, jitter and ids. Cheap to clone; clones draw from the same source.
#[derive(Clone, Debug)]
pub struct Chance(Source);

#[derive(Clone, Debug)]
enum Source {
    Machine(Arc<Ids>),
    Seeded(Arc<Mutex<u64>>, Arc<Ids>),
}

/// Ids need to be unlike each other, not secret: a random start, then a counter put through a mixing function
/// that maps distinct numbers to distinct numbers. A request id costs no system call.
#[derive(Debug)]
struct Ids {
    prefix: u64,
    next: AtomicU64,
}

impl Chance {
    /// The machine's source (`getrandom`).
    ///
    /// # Panics
    ///
    /// When the operating system gives no random bytes, which on a supported system it always does once booted.
    pub fn machine() -> Self {
        let mut seed = [0; 16];
        machine_fill(&mut seed);
        Self(Source::Machine(Arc::new(Ids::new(u128::from_le_bytes(seed)))))
    }

    /// A source whose every draw follows from `seed`. For tests: print the seed when one fails.
    pub fn seeded(seed: u64) -> Self {
        let ids = Ids::new((u128::from(mix(seed)) << 64) | u128::from(mix(!seed)));
        Self(Source::Seeded(Arc::new(Mutex::new(seed)), Arc::new(ids)))
    }

    /// Fills `buffer` with bytes that, from the machine's source, nobody can foretell: fit for secrets.
    ///
    /// # Panics
    ///
    /// As [`machine`](Self::machine).
    pub fn fill(&self, buffer: &mut [u8]) {
        match &self.0 {
            Source::Machine(_) => machine_fill(buffer),
            Source::Seeded(state, _) => {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                for chunk in buffer.chunks_mut(8) {
                    *state = state.wrapping_add(GOLDEN);
                    chunk.copy_from_slice(&mix(*state).to_le_bytes()[..chunk.len()]);
                }
            }
        }
    }

    /// 64 random bits.
    pub fn u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A number from `0` to `bound - 1`, each as likely as the other to one part in 2^64 / `bound`; 0 when
    /// `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // Lemire's multiplication instead of a remainder: its bias is far below anything jitter could show.
        u64::try_from((u128::from(self.u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// `base` made up to `percent` longer or shorter, so that what was started together does not end together.
    pub fn jitter(&self, base: Duration, percent: u8) -> Duration {
        let nanos = u64::try_from(base.as_nanos()).unwrap_or(u64::MAX);
        let spread = (u128::from(nanos) * u128::from(percent.min(100)) / 100) as u64;
        let drawn = self.below(spread.saturating_mul(2).saturating_add(1));
        Duration::from_nanos((nanos - spread).saturating_add(drawn))
    }

    /// A new id, unlike every other of this source and, by a random start, of every other process.
    pub fn request_id(&self) -> RequestId {
        match &self.0 {
            Source::Machine(ids) | Source::Seeded(_, ids) => ids.next(),
        }
    }
}

impl Ids {
    fn new(seed: u128) -> Self {
        Self { prefix: (seed >> 64) as u64, next: AtomicU64::new(seed as u64) }
    }

    fn next(&self) -> RequestId {
        let drawn = mix(self.next.fetch_add(1, Ordering::Relaxed));
        RequestId::from_bits((u128::from(self.prefix) << 64) | u128::from(drawn))
    }
}

/// The id of one request: 32 lower-case hexadecimal digits when made here, and whatever the caller sent (at most
/// [`RequestId::LEN_MAX`] visible ASCII characters) when taken over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    bytes: [u8; Self::LEN_MAX],
    len: u8,
}

impl RequestId {
    /// A UUID's text form is the longest that is taken over (api conventions: at most 36 ASCII characters).
    pub const LEN_MAX: usize = 36;

    fn from_bits(bits: u128) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut bytes = [0; Self::LEN_MAX];
        for (i, byte) in bytes.iter_mut().take(32).enumerate() {
            *byte = HEX[((bits >> (124 - 4 * i)) & 0xf) as usize];
        }
        Self { bytes, len: 32 }
    }

    /// Takes over a caller's id, or `None` when it is empty, too long or holds anything but visible ASCII: it goes
    /// into the log, and a log line must not be written by a stranger.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > Self::LEN_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return None;
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Some(Self { bytes, len: u8::try_from(text.len()).ok()? })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection on 64 bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[expect(clippy::expect_used, reason = "without random bytes nothing that follows could be safe")]
fn machine_fill(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_only_by_hand() {
        let (clock, hand) = Clock::manual(1_000);
        assert_eq!((clock.unix_micros(), clock.monotonic()), (1_000, Duration::ZERO));
        hand.advance(Duration::from_millis(2));
        assert_eq!((clock.unix_micros(), clock.monotonic()), (3_000, Duration::from_millis(2)));
        hand.set_unix_micros(7);
        assert_eq!((clock.unix_micros(), clock.monotonic()), (7, Duration::from_millis(2)));
    }

    #[tokio::test]
    async fn a_sleep_on_a_manual_clock_ends_when_the_hand_has_passed_it() {
        let (clock, hand) = Clock::manual(0);
        let mut sleep = tokio_test_task(clock.sleep(Duration::from_secs(5)));
        assert!(!sleep.is_done().await);
        hand.advance(Duration::from_secs(4));
        assert!(!sleep.is_done().await);
        hand.advance(Duration::from_secs(1));
        assert!(sleep.is_done().await);
    }

    struct Polled<F>(std::pin::Pin<Box<F>>, bool);

    fn tokio_test_task<F: Future>(future: F) -> Polled<F> {
        Polled(Box::pin(future), false)
    }

    impl<F: Future> Polled<F> {
        async fn is_done(&mut self) -> bool {
            if !self.1 {
                self.1 = futures::poll!(&mut self.0).is_ready();
            }
            self.1
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_machine_clock_follows_paused_time() {
        let clock = Clock::machine();
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.monotonic(), Duration::from_secs(3600));
        // 2020-01-01: whatever runs this has a clock that is later.
        assert!(clock.unix_micros() > 1_577_836_800_000_000);
    }

    #[test]
    fn one_seed_gives_one_sequence_and_another_seed_another() {
        let draw = |seed| {
            let chance = Chance::seeded(seed);
            (chance.u64(), chance.below(10), chance.request_id().to_string())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn jitter_stays_within_its_percentage() {
        let chance = Chance::seeded(3);
        let base = Duration::from_secs(100);
        let drawn: Vec<_> = (0..1000).map(|_| chance.jitter(base, 10)).collect();
        assert!(drawn.iter().all(|d| (90..=110).contains(&d.as_secs())));
        assert!(drawn.iter().any(|d| d.as_secs() < 95) && drawn.iter().any(|d| d.as_secs() > 105));
        assert_eq!(chance.jitter(Duration::ZERO, 10), Duration::ZERO);
        assert_eq!(chance.below(0), 0);
    }

    #[test]
    fn request_ids_differ() {
        let chance = Chance::machine();
        let ids: std::collections::HashSet<_> = (0..10_000).map(|_| chance.request_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.as_str().len() == 32));
        assert_ne!(Chance::machine().request_id().as_str()[..16], chance.request_id().as_str()[..16]);
    }

    #[test]
    fn a_foreign_request_id_is_taken_only_if_it_cannot_harm_the_log() {
        for good in ["a", "6f1c1a52-0c0e-4b5c-9d4c-1c6e4f9b7a11", "x=1;y"] {
            assert_eq!(RequestId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\nb", "é", &"x".repeat(37)] {
            assert_eq!(RequestId::parse(bad), None, "{bad:?}");
        }
    }
}
