//! Which servers say that they are primaries, looked at all the while: a failover that nobody meant is seen when it is, and
//! no more is excused by it than it can have lost.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tandem_faults::record::Recorder;
use tandem_history::{Disturbance, Moment};
use tandem_servers::Server;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long a server may take to answer.
const ANSWER: Duration = Duration::from_millis(300);
/// By how much a look may be late, microseconds.
const SLACK: Moment = 500_000;
/// How far behind the primary the replica that is elected may be, microseconds: `min-replicas-max-lag`.
const BEHIND: Moment = 2_000_000;

/// From when to when a server said that it is a primary. One that does not answer is what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    server: usize,
    from: Moment,
    until: Moment,
}

/// Looks at servers until it is ended.
pub(crate) struct Roles {
    stop: Arc<AtomicBool>,
    looking: Vec<JoinHandle<Vec<Span>>>,
    began: Instant,
}

/// Microseconds since a moment.
fn micros(since: Instant) -> Moment {
    since.elapsed().as_micros() as u64
}

impl Roles {
    /// Begins to look; before anybody writes.
    pub(crate) fn look(servers: &[Server]) -> Self {
        let (stop, began) = (Arc::<AtomicBool>::default(), Instant::now());
        let at = |(n, server): (usize, &Server)| {
            let at = SocketAddr::new(server.host.parse().unwrap(), server.port);
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || look(n, at, &stop, began))
        };
        let looking = servers.iter().enumerate().map(at).collect();
        Self { stop, looking, began }
    }

    /// Ends; answers failovers that were not meant, by the recorder's clock. `before` are the primaries that there were,
    /// `meant` is who was to become one.
    pub(crate) fn unmeant(
        self,
        recorder: &Recorder,
        before: &[usize],
        meant: Option<usize>,
    ) -> Vec<Disturbance> {
        self.stop.store(true, Ordering::SeqCst);
        let spans: Vec<Span> = self.looking.into_iter().flat_map(|l| l.join().unwrap()).collect();
        let earlier = micros(self.began).saturating_sub(recorder.now());
        let mut found = unmeant(&spans, before, meant);
        for disturbance in &mut found {
            disturbance.from = disturbance.from.saturating_sub(earlier);
            disturbance.until = disturbance.until.saturating_sub(earlier);
        }
        found
    }
}

fn unmeant(spans: &[Span], before: &[usize], meant: Option<usize>) -> Vec<Disturbance> {
    let mut found = Vec::new();
    for (n, span) in spans.iter().enumerate() {
        let earlier = spans[..n].iter().filter(|s| s.server == span.server).count();
        let expected = usize::from(before.contains(&span.server)) + usize::from(meant == Some(span.server));
        if earlier < expected {
            continue;
        }
        // Whoever was a primary then may have acknowledged what this one lacks, until it was none any more.
        let deposed = spans.iter().filter(|s| s.server != span.server && s.from < span.from);
        let until = deposed.map(|s| s.until).filter(|until| *until >= span.from).max().unwrap_or(span.from);
        let (from, until) = (span.from.saturating_sub(BEHIND + SLACK), until + SLACK);
        let what = "a failover that was not meant".to_owned();
        found.push(Disturbance { what, from, until, overlap: BEHIND + until - from, loses: true });
    }
    found
}

fn look(server: usize, at: SocketAddr, stop: &AtomicBool, began: Instant) -> Vec<Span> {
    let (mut spans, mut since, mut connection) = (Vec::new(), None, None);
    while !stop.load(Ordering::SeqCst) {
        let asked = micros(began);
        match (is_primary(at, &mut connection), since) {
            (Some(true), None) => since = Some(asked),
            (Some(false), Some(from)) => {
                spans.push(Span { server, from, until: micros(began) });
                since = None;
            }
            (None, _) => connection = None,
            _ => {}
        }
        std::thread::sleep(LOOK);
    }
    spans.extend(since.map(|from| Span { server, from, until: micros(began) }));
    spans
}

/// Whether it says that it is a primary; none: it says nothing.
fn is_primary(at: SocketAddr, connection: &mut Option<TcpStream>) -> Option<bool> {
    if connection.is_none() {
        let made = TcpStream::connect_timeout(&at, ANSWER).ok()?;
        made.set_read_timeout(Some(ANSWER)).ok()?;
        *connection = Some(made);
    }
    let stream = connection.as_mut()?;
    stream.write_all(b"ROLE\r\n").ok()?;
    let mut answer = [0; 16 * 1024];
    let read = stream.read(&mut answer).ok().filter(|read| *read > 0)?;
    let said = String::from_utf8_lossy(&answer[..read]);
    match said.split("\r\n").nth(2)? {
        "master" => Some(true),
        "slave" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Moment = 1_000_000;

    fn span(server: usize, from: Moment, until: Moment) -> Span {
        Span { server, from: from * S, until: until * S }
    }

    #[test]
    fn what_is_meant_is_excused_nothing_and_what_is_not_only_while_two_were_primaries() {
        let windows = |spans: &[Span], before: &[usize], meant| -> Vec<(Moment, Moment)> {
            unmeant(spans, before, meant).iter().map(|d| (d.from, d.until)).collect()
        };
        assert_eq!(windows(&[span(0, 0, 60)], &[0], None), []);
        assert_eq!(windows(&[span(0, 0, 12), span(1, 10, 60)], &[0], Some(1)), []);
        let other = [span(0, 0, 14), span(1, 10, 60)];
        assert_eq!(windows(&other, &[0], None), [(10 * S - BEHIND - SLACK, 14 * S + SLACK)]);
        assert_eq!(windows(&other, &[0], Some(2)).len(), 1, "another than was meant");
        // There and back again; each has its own window.
        let back = [span(0, 0, 14), span(0, 40, 60), span(1, 10, 41)];
        let there = (10 * S - BEHIND - SLACK, 14 * S + SLACK);
        assert_eq!(windows(&back, &[0], None), [(40 * S - BEHIND - SLACK, 41 * S + SLACK), there]);
        assert_eq!(windows(&back, &[0], Some(1)).len(), 1, "back again was not meant");
    }
}
