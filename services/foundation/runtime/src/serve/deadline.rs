//! Deadlines: every call has one, the caller's or ours.
//!
//! gRPC over HTTP/2 (grpc/grpc PROTOCOL-HTTP2.md): `Timeout → "grpc-timeout" TimeoutValue TimeoutUnit`, the value
//! at most eight digits, the unit one of H, M, S, m, u, n.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;

use super::DescriptorError;

/// With less than this left a call is refused: the answer could not be back in time, and work for nobody only
/// harms those who still wait.
pub(super) const LEAST: Duration = Duration::from_millis(5);

/// When the call at hand must be answered. In the request's extensions; a handler passes what remains on to the
/// store and to other services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub(super) Instant);

impl Deadline {
    /// What is left; zero once it has passed.
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The moment itself, for `tokio::time::timeout_at`.
    pub fn at(&self) -> Instant {
        self.0
    }
}

/// How long calls of a method may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// When the caller says nothing; `None` means no deadline.
    pub default: Option<Duration>,
    /// However much the caller asks for; `None` means as long as it asks for.
    pub max: Option<Duration>,
}

impl Limits {
    /// What a call to memory deserves: 5 s by default, 60 s at most.
    pub const UNARY: Self =
        Self { default: Some(Duration::from_secs(5)), max: Some(Duration::from_secs(60)) };
    /// A stream lives until somebody ends it, or until the deadline that its caller gave.
    pub const STREAM: Self = Self { default: None, max: None };

    fn apply(self, asked: Option<Duration>) -> Option<Duration> {
        match (asked.or(self.default), self.max) {
            (Some(wanted), Some(max)) => Some(wanted.min(max)),
            (wanted, max) => wanted.or(max),
        }
    }
}

/// The deadlines of all methods.
#[derive(Clone, Debug)]
pub struct Deadlines {
    unary: Limits,
    stream: Limits,
    named: HashMap<String, Limits>,
    streams: HashMap<String, bool>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { unary: Limits::UNARY, stream: Limits::STREAM, named: HashMap::new(), streams: HashMap::new() }
    }
}

impl Deadlines {
    /// Sets the limits of unary methods that have none of their own.
    #[must_use]
    pub fn unary(mut self, limits: Limits) -> Self {
        self.unary = limits;
        self
    }

    /// Sets the limits of streaming methods that have none of their own.
    #[must_use]
    pub fn stream(mut self, limits: Limits) -> Self {
        self.stream = limits;
        self
    }

    /// Sets the limits of one method, as in `/tandem.routing.v1.RoutingService/RouteCall`.
    #[must_use]
    pub fn method(mut self, path: impl Into<String>, limits: Limits) -> Self {
        self.named.insert(path.into(), limits);
        self
    }

    /// Learns from an encoded `FileDescriptorSet` which methods stream.
    pub(super) fn learn(&mut self, encoded: &[u8]) -> Result<(), DescriptorError> {
        let set = prost_types::FileDescriptorSet::decode(encoded)
            .map_err(|error| DescriptorError(error.to_string()))?;
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    self.streams.insert(path, method.server_streaming() || method.client_streaming());
                }
            }
        }
        Ok(())
    }

    /// Whether the method streams, in either direction.
    pub(super) fn is_stream(&self, path: &str) -> bool {
        self.streams.get(path).copied().unwrap_or(false)
    }

    /// How long this call may take, given what its caller asked for.
    pub(super) fn allow(&self, path: &str, asked: Option<Duration>) -> Option<Duration> {
        let general = if self.is_stream(path) { self.stream } else { self.unary };
        // Looked up only where there is something: most servers name no method.
        let limits =
            if self.named.is_empty() { general } else { self.named.get(path).copied().unwrap_or(general) };
        limits.apply(asked)
    }
}

/// Reads `grpc-timeout`; `Err` when it is there and cannot be read.
pub(super) fn asked(headers: &http::HeaderMap) -> Result<Option<Duration>, ()> {
    headers.get("grpc-timeout").map(|value| parse_timeout(value.as_bytes()).ok_or(())).transpose()
}

fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (&unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount = digits
        .iter()
        .try_fold(0_u64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')))?;
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_timeouts_are_read_as_the_protocol_writes_them() {
        let check = |text: &str, expected| assert_eq!(parse_timeout(text.as_bytes()), expected, "{text:?}");
        check("1H", Some(Duration::from_secs(3600)));
        check("2M", Some(Duration::from_secs(120)));
        check("3S", Some(Duration::from_secs(3)));
        check("4m", Some(Duration::from_millis(4)));
        check("5u", Some(Duration::from_micros(5)));
        check("6n", Some(Duration::from_nanos(6)));
        check("99999999H", Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "S", "1", "1s", "123456789S", "-1S", "1.5S", " 1S"] {
            check(bad, None);
        }
    }

    #[test]
    fn the_callers_deadline_counts_up_to_ours() {
        let second = Duration::from_secs(1);
        let own = Limits { default: Some(second), max: Some(2 * second) };
        let deadlines = Deadlines::default().unary(own).method("/p.S/Slow", Limits::STREAM);
        assert_eq!(deadlines.allow("/p.S/M", None), Some(second));
        assert_eq!(deadlines.allow("/p.S/M", Some(second / 2)), Some(second / 2));
        assert_eq!(deadlines.allow("/p.S/M", Some(9 * second)), Some(2 * second));
        assert_eq!(deadlines.allow("/p.S/Slow", None), None);
        assert_eq!(deadlines.allow("/p.S/Slow", Some(9 * second)), Some(9 * second));
    }

    #[test]
    fn streams_are_known_from_the_descriptors() {
        let mut deadlines = Deadlines::default();
        deadlines.learn(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
        assert!(deadlines.is_stream("/grpc.health.v1.Health/Watch"));
        assert!(!deadlines.is_stream("/grpc.health.v1.Health/Check"));
        assert_eq!(deadlines.allow("/grpc.health.v1.Health/Watch", None), None);
        assert_eq!(deadlines.allow("/grpc.health.v1.Health/Check", None), Limits::UNARY.default);
        deadlines.learn(b"\xff").unwrap_err();
    }
}
