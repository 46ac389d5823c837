//! A client of a running Tandem: whom to ask, and with which credential.

use std::path::PathBuf;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::failure::{Input, Unreachable};

/// Whom to ask.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Server {
    /// The API to ask: http://HOST:PORT, or https://HOST:PORT for TLS.
    #[arg(long, env = "TANDEM_SERVER", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    server: String,
    /// A file that holds the bearer token. `tandem up --dev` on this machine asks for none.
    #[arg(long, env = "TANDEM_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the certificates (PEM) that vouch for an https server.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long an answer may take, in seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Whether it is a simulator, and no `tandem up`.
    #[arg(skip)]
    is_simulator: bool,
}

/// Puts the token on each request.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Whom it asks: the URL, without what may be secret in it.
impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, rest) = self.server.split_once("://").unwrap_or(("http", &self.server));
        write!(f, "{scheme}://{}", rest.rsplit('@').next().unwrap_or_default())
    }
}

/// A connection with its credential.
pub(crate) type Connected = InterceptedService<Channel, Bearer>;

impl Server {
    /// A simulator on this machine, which asks for no credential.
    pub(crate) fn simulator(address: std::net::SocketAddr) -> Self {
        let server = format!("http://{address}");
        Self { server, token_file: None, ca: None, timeout: 10, is_simulator: true }
    }

    /// How long an answer may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }

    /// Connects.
    ///
    /// # Errors
    /// A server that cannot be reached, or files that cannot be used.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connected> {
        let bearer = Bearer(self.token()?);
        Ok(InterceptedService::new(self.channel().await?, bearer))
    }

    /// Connects, with what goes with each request apart.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub(crate) async fn channel(&self) -> anyhow::Result<Channel> {
        let fix = if self.is_simulator {
            "is a simulator running with `--status` and this address?"
        } else {
            "is `tandem up` running there? Name another with --server"
        };
        let unreachable = |why: String| Unreachable { server: self.server.clone(), why, fix };
        self.endpoint()?.connect().await.map_err(|error| {
            // The outermost error says "transport error" and no more.
            let mut why: &dyn std::error::Error = &error;
            while let Some(source) = why.source() {
                why = source;
            }
            unreachable(why.to_string()).into()
        })
    }

    /// The endpoint, not connected yet.
    ///
    /// # Errors
    /// An address that is none, or files that cannot be used.
    pub(crate) fn endpoint(&self) -> anyhow::Result<Endpoint> {
        let wrong = || Input(format!("--server `{}` is no URL; write http://HOST:PORT", self.server));
        let endpoint = Endpoint::from_shared(self.server.clone()).map_err(|_| wrong())?;
        let scheme = endpoint.uri().scheme_str().map(str::to_owned);
        let endpoint = endpoint.connect_timeout(self.timeout());
        match scheme.as_deref() {
            Some("http") => Ok(endpoint),
            Some("https") => {
                let missing = || {
                    Input("https needs --ca FILE: the certificates (PEM) that vouch for the server".into())
                };
                let ca = self.ca.as_ref().ok_or_else(missing)?;
                let pem = std::fs::read(ca).map_err(|why| Input(format!("{}: {why}", ca.display())))?;
                let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
                Ok(endpoint.tls_config(tls)?)
            }
            _ => Err(wrong().into()),
        }
    }

    /// The token as a header's value.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no token. What it holds is not told.
    pub(crate) fn token(&self) -> anyhow::Result<Option<MetadataValue<Ascii>>> {
        let Some(file) = &self.token_file else { return Ok(None) };
        let text =
            std::fs::read_to_string(file).map_err(|why| Input(format!("{}: {why}", file.display())))?;
        if text.trim().is_empty() {
            return Err(Input(format!("{} is empty: it must hold the bearer token", file.display())).into());
        }
        let mut value = format!("Bearer {}", text.trim())
            .parse::<MetadataValue<Ascii>>()
            .map_err(|_| Input(format!("{} holds no token: one word of ASCII is wanted", file.display())))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}
