//! Metrics: what a process counts, told to whoever asks by HTTP (`GET /metrics`, OpenMetrics text).
//!
//! A part of the process says what it has when it is asked, and counts by itself, in plain numbers:
//!
//! ```
//! # use tandem_runtime::metrics::Metrics;
//! let metrics = Metrics::default();
//! metrics.collect(|say| say.counter("calls", "Calls that were decided.", &[(&[("source", "api")], 7)]));
//! assert!(metrics.text().unwrap().contains("tandem_calls_total{source=\"api\"} 7"));
//! ```
//!
//! No label holds a tenant, a number or a person: what is told here is told to whoever reaches the port.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::drain::Life;

/// Where metrics are told if nothing else is said: on this machine, at a port that exporters use.
pub const ADDRESS: &str = "127.0.0.1:9464";
/// Connections at once; the next waits.
const CONNECTIONS_MAX: usize = 8;
/// How long a connection may last.
const CONNECTION_WITHIN: Duration = Duration::from_secs(10);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A set of labels with what is counted under them.
pub type Labelled<'a, T> = (&'a [(&'a str, &'a str)], T);

/// Whoever has something to tell. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("tandem"))))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// What is told at one asking.
pub struct Say<'a>(DescriptorEncoder<'a>);

impl fmt::Debug for Say<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Say")
    }
}

impl Say<'_> {
    /// Something that only grows; its name gets `_total`.
    ///
    /// # Errors
    /// Of the writer.
    pub fn counter(&mut self, name: &str, help: &str, all: &[Labelled<'_, u64>]) -> fmt::Result {
        self.each(name, help, MetricType::Counter, all, |mut to, value| {
            to.encode_counter::<NoLabelSet, u64, f64>(value, None)
        })
    }

    /// Something as it is now.
    ///
    /// # Errors
    /// Of the writer.
    pub fn gauge(&mut self, name: &str, help: &str, all: &[Labelled<'_, f64>]) -> fmt::Result {
        self.each(name, help, MetricType::Gauge, all, |mut to, value| to.encode_gauge(value))
    }

    /// How often something was at most so much: the sum, and each bound with the count between it and the one before.
    /// The last bound is `f64::INFINITY`: the rest.
    ///
    /// # Errors
    /// Of the writer.
    pub fn histogram(&mut self, name: &str, help: &str, sum: f64, buckets: &[(f64, u64)]) -> fmt::Result {
        let count = buckets.iter().map(|(_, count)| count).sum();
        let all: &[Labelled<'_, ()>] = &[(&[], ())];
        self.each(name, help, MetricType::Histogram, all, |mut to, ()| {
            to.encode_histogram::<NoLabelSet>(sum, count, buckets, None)
        })
    }

    fn each<T>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        all: &[Labelled<'_, T>],
        one: impl Fn(MetricEncoder<'_>, &T) -> fmt::Result,
    ) -> fmt::Result {
        let mut to = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in all {
            let labels = labels.to_vec();
            one(to.encode_family(&labels)?, value)?;
        }
        Ok(())
    }
}

/// What tells.
struct Told<F>(F);

impl<F> fmt::Debug for Told<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Told")
    }
}

impl<F: Fn(&mut Say<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Told<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Say(encoder))
    }
}

impl Metrics {
    /// Asks this at every asking. Names are words with `_`, units last (`_seconds`, `_bytes`); `tandem_` is put before
    /// them.
    pub fn collect(&self, tell: impl Fn(&mut Say<'_>) -> fmt::Result + Send + Sync + 'static) {
        self.registry(|registry| registry.register_collector(Box::new(Told(tell))));
    }

    /// What there is to tell, as OpenMetrics text.
    ///
    /// # Errors
    /// Of whoever tells.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        self.registry(|registry| text::encode(&mut text, registry))?;
        Ok(text)
    }

    fn registry<T>(&self, with: impl FnOnce(&mut Registry) -> T) -> T {
        // Whoever panicked while it told left nothing half-done.
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells by HTTP, on a task of `life`. Answers where.
    ///
    /// # Errors
    /// A socket without an address.
    pub fn serve(&self, listener: TcpListener, life: &Life) -> std::io::Result<SocketAddr> {
        let address = listener.local_addr()?;
        let (metrics, drain) = (self.clone(), life.drain.clone());
        life.tasks.spawn("metrics", async move {
            tokio::select! {
                () = metrics.accept(listener) => {}
                () = drain.stopped() => {}
                () = drain.draining() => {}
            }
        });
        Ok(address)
    }

    async fn accept(&self, listener: TcpListener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        // Nobody closes the semaphore.
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let metrics = self.clone();
            // It ends by itself, soon.
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = metrics.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // Who left or was too slow is told nothing.
                let _ = tokio::time::timeout(CONNECTION_WITHIN, connection).await;
                drop(place);
            });
        }
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let (status, kind, text) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => match self.text() {
                Ok(text) => (StatusCode::OK, OPENMETRICS, text),
                Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", String::new()),
            },
            (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET\n".to_owned()),
            _ => (StatusCode::NOT_FOUND, "text/plain", "/metrics\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
        response
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use crate::drain::Phase;

    async fn ask(at: SocketAddr, what: &str) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!("{what} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_a_part_counts_is_told_by_http_and_nothing_else_is() {
        let (metrics, life) = (Metrics::default(), Life::new());
        metrics.collect(|say| {
            say.counter("calls", "Calls.", &[(&[("outcome", "yes")], 3), (&[("outcome", "no")], 1)])?;
            say.gauge("lag_seconds", "Behind.", &[(&[], 0.25)])?;
            say.histogram("took_seconds", "Took.", 1.5, &[(0.1, 2), (f64::INFINITY, 1)])
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = metrics.serve(listener, &life).unwrap();
        let told = ask(at, "GET /metrics").await;
        for line in [
            "HTTP/1.1 200 OK",
            "# HELP tandem_calls Calls.\n",
            "tandem_calls_total{outcome=\"no\"} 1\n",
            "tandem_lag_seconds 0.25\n",
            "tandem_took_seconds_bucket{le=\"0.1\"} 2\n",
            "tandem_took_seconds_bucket{le=\"+Inf\"} 3\n",
            "tandem_took_seconds_count 3\n",
            "# EOF\n",
        ] {
            assert!(told.contains(line), "{line}: {told}");
        }
        assert!(ask(at, "POST /metrics").await.starts_with("HTTP/1.1 405"));
        assert!(ask(at, "GET /").await.starts_with("HTTP/1.1 404"));
        life.shutdown.advance(Phase::Draining);
        tokio::time::timeout(Duration::from_secs(20), life.tasks.ended()).await.expect("it ends");
    }
}
