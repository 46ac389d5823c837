//! `tandem call`: where a call goes, and why; asked of a running Tandem, or decided here from files.

mod offline;

use std::path::PathBuf;

use clap::Subcommand;
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::call_attempt::Ingress;
use tandem_proto::routing::v1::decision::Outcome;
use tandem_proto::routing::v1::routing_client::RoutingClient;
use tandem_runtime::clock::Clock;
use tandem_runtime::exit::Exit;
use tonic::{Code, Request, Status};

use super::client::Server;
use super::{Global, answer, once};
use crate::failure::Input;
use crate::show;

/// `tandem call`.
#[derive(Debug, Subcommand)]
pub(crate) enum Call {
    /// Decide the next hop of one call. Exits with 1 if the call is rejected.
    #[command(after_long_help = "Examples:\n  \
        tandem call route --tenant brandt --called +493023125103\n  \
        tandem call route --tenant brandt --called 3003 --from cic --output json\n  \
        tandem call route --tenant tenants/brandt.yaml --directory directories/brandt.yaml --called 3003 --from cic")]
    Route(Asked),
    /// Say the whole expected way, and every rule that was considered with why it lost.
    #[command(after_long_help = "Examples:\n  \
        tandem call explain --tenant brandt --called +493023125103 --caller +4915112345678\n  \
        tandem call explain --tenant albion --called +442079460103 --wan-lost\n  \
        tandem call explain --tenant tenants/brandt.yaml --directory directories/brandt.yaml --called +493023125103")]
    Explain {
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        assume: Assume,
    },
    /// List the decisions that the server remembers, its own and those of its edges, newest first.
    #[command(after_long_help = "Example:\n  tandem call list --tenant brandt --number +493023125103")]
    List {
        /// Whose.
        #[arg(long, value_name = "NAME")]
        tenant: String,
        /// Only calls to this number, in canonical form.
        #[arg(long, default_value = "", value_name = "NUMBER")]
        number: String,
        /// Only the call with this Call-ID.
        #[arg(long, default_value = "", value_name = "CALL-ID")]
        call_id: String,
        /// Only decisions of this outcome.
        #[arg(long, value_enum, value_name = "OUTCOME")]
        outcome: Option<OutcomeKind>,
        /// Only decisions of the last so many seconds.
        #[arg(long, value_name = "SECONDS")]
        last: Option<u32>,
        /// How many.
        #[arg(long, default_value_t = 20, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        #[command(flatten)]
        server: Server,
    },
}

/// How a call was decided.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum OutcomeKind {
    /// It goes somewhere.
    Routed,
    /// It goes nowhere.
    Rejected,
}

/// The call that is asked about.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    /// A tenant's name, to ask the server; or its YAML file, to decide here without one.
    #[arg(long, value_name = "NAME|FILE")]
    tenant: String,
    /// With a tenant's file: its people, YAML of `kind: Directory`. May be repeated.
    #[arg(long, value_name = "FILE")]
    directory: Vec<PathBuf>,
    /// What is called: a number, or a tel: or sip: URI.
    #[arg(long, value_name = "NUMBER")]
    called: String,
    /// Who calls.
    #[arg(long, default_value = "", value_name = "NUMBER")]
    caller: String,
    /// The trunk by which the call comes in.
    #[arg(long, default_value = "gateway", value_name = "TRUNK")]
    from: String,
    /// The user whose own phone calls, instead of a trunk.
    #[arg(long, conflicts_with = "from", value_name = "USER")]
    user: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// What is taken for true.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "What if")]
pub(crate) struct Assume {
    /// CIC chooses this agent for a queued call.
    #[arg(long, default_value = "", value_name = "USER")]
    agent: String,
    /// The WAN between the premises and the cloud is lost.
    #[arg(long)]
    wan_lost: bool,
    /// CIC has been silent for so long.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    cic_silent: u32,
    /// This user's plug-in is connected. May be repeated.
    #[arg(long, value_name = "USER")]
    plug_in: Vec<String>,
    /// The media server at the premises is down.
    #[arg(long)]
    media_server_down: bool,
    /// Options 2 and 3: draw the systems alone, as if Tandem's edge stood beside the calls and were asked by nobody.
    #[arg(long)]
    edge_not_in_path: bool,
}

impl Asked {
    fn attempt(&self) -> pb::CallAttempt {
        let ingress = match &self.user {
            Some(user) => Ingress::User(user.clone()),
            None => Ingress::Trunk(self.from.clone()),
        };
        pb::CallAttempt {
            ingress: Some(ingress),
            called: self.called.clone(),
            caller: self.caller.clone(),
            ..pb::CallAttempt::default()
        }
    }

    /// The tenant's file, if that is what was given: a name has neither a dot nor a slash.
    fn file(&self) -> anyhow::Result<Option<PathBuf>> {
        let file = self.tenant.contains(['/', '.']).then(|| PathBuf::from(&self.tenant));
        if file.is_none() && !self.directory.is_empty() {
            let why = "--directory needs the tenant's file too: --tenant tenants/NAME.yaml";
            return Err(Input(why.into()).into());
        }
        Ok(file)
    }

    fn parent(&self) -> String {
        format!("tenants/{}", self.tenant)
    }
}

impl Assume {
    fn message(self) -> pb::Assumptions {
        pb::Assumptions {
            agent: self.agent,
            wan_lost: self.wan_lost,
            cic_silent_seconds: self.cic_silent,
            plug_ins: self.plug_in,
            premises_media_server_down: self.media_server_down,
            edge_not_in_path: self.edge_not_in_path,
            ..pb::Assumptions::default()
        }
    }
}

/// Does what `tandem call` says.
pub(crate) fn run(call: Call, global: &Global) -> anyhow::Result<Exit> {
    match call {
        Call::Route(asked) => route(&asked, global),
        Call::Explain { asked, assume } => explain(&asked, assume, global),
        Call::List { tenant, number, call_id, outcome, last, limit, server } => {
            let now = Clock::machine().unix_micros();
            let since = |seconds| now.saturating_sub(u64::from(seconds) * 1_000_000);
            let outcome = match outcome {
                Some(OutcomeKind::Routed) => pb::OutcomeKind::Routed,
                Some(OutcomeKind::Rejected) => pb::OutcomeKind::Rejected,
                None => pb::OutcomeKind::Unspecified,
            };
            let request = pb::ListDecisionsRequest {
                parent: format!("tenants/{tenant}"),
                page_size: limit,
                number,
                call_id,
                from_us: last.map_or(0, since),
                outcome: outcome.into(),
                ..pb::ListDecisionsRequest::default()
            };
            list(request, &server, global)
        }
    }
}

/// A request that ends in time.
fn within<T>(message: T, server: &Server) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(server.timeout());
    request
}

fn route(asked: &Asked, global: &Global) -> anyhow::Result<Exit> {
    let decision = match asked.file()? {
        Some(file) => {
            offline::Offline::read(&file, &asked.directory)?.route(asked.attempt()).map_err(by_option)?
        }
        None => once(async {
            let request = pb::RouteCallRequest {
                parent: asked.parent(),
                attempt: Some(asked.attempt()),
                ..pb::RouteCallRequest::default()
            };
            let mut client = RoutingClient::new(asked.server.connect().await?);
            Ok(client.route_call(within(request, &asked.server)).await?.into_inner())
        })
        .map_err(by_option)?,
    };
    let json = show::json::message("tandem.routing.v1.Decision", &decision)?;
    answer(global, &json, || show::decision::text(&decision))?;
    Ok(exit(Some(&decision)))
}

fn explain(asked: &Asked, assume: Assume, global: &Global) -> anyhow::Result<Exit> {
    let explanation = match asked.file()? {
        Some(file) => offline::Offline::read(&file, &asked.directory)?
            .explain(asked.attempt(), assume.message())
            .map_err(by_option)?,
        None => once(async {
            let request = pb::ExplainCallRequest {
                parent: asked.parent(),
                attempt: Some(asked.attempt()),
                assume: Some(assume.message()),
                min_revision: 0,
            };
            let mut client = RoutingClient::new(asked.server.connect().await?);
            Ok(client.explain_call(within(request, &asked.server)).await?.into_inner())
        })
        .map_err(by_option)?,
    };
    let json = show::json::message("tandem.routing.v1.Explanation", &explanation)?;
    answer(global, &json, || explanation.text.clone())?;
    Ok(exit(explanation.decision.as_ref()))
}

/// What is said of a field of the API, said of the option that fills it.
fn by_option(error: anyhow::Error) -> anyhow::Error {
    const OPTIONS: [(&str, &str); 7] = [
        ("attempt.called", "--called"),
        ("attempt.caller", "--caller"),
        ("attempt.trunk", "--from"),
        ("attempt.user", "--user"),
        ("assume.agent", "--agent"),
        ("assume.plug_ins", "--plug-in"),
        ("assume.cic_silent_seconds", "--cic-silent"),
    ];
    let words = match (error.downcast_ref::<Input>(), error.downcast_ref::<Status>()) {
        (Some(Input(words)), _) => words,
        (_, Some(status)) if status.code() == Code::InvalidArgument => status.message(),
        _ => return error,
    };
    Input(OPTIONS.iter().fold(words.to_owned(), |words, (field, option)| words.replace(field, option))).into()
}

/// A rejection is an answer, and for a script it is the answer no.
fn exit(decision: Option<&pb::Decision>) -> Exit {
    match decision.and_then(|d| d.outcome.as_ref()) {
        Some(Outcome::Rejection(_)) => Exit::Failed,
        _ => Exit::Ok,
    }
}

fn list(request: pb::ListDecisionsRequest, server: &Server, global: &Global) -> anyhow::Result<Exit> {
    let answered = once(async {
        let mut client = RoutingClient::new(server.connect().await?);
        Ok(client.list_decisions(within(request, server)).await?.into_inner())
    })?;
    let json = show::json::message("tandem.routing.v1.ListDecisionsResponse", &answered)?;
    answer(global, &json, || match answered.decisions.as_slice() {
        [] => "no decision is remembered".to_owned(),
        facts => {
            let mut texts: Vec<String> = facts.iter().map(fact).collect();
            if !answered.next_page_token.is_empty() {
                texts.push("more are remembered; --limit shows more, --last and --outcome choose".to_owned());
            }
            texts.join("\n\n")
        }
    })?;
    Ok(Exit::Ok)
}

fn fact(fact: &pb::DecisionFact) -> String {
    let decision = fact.decision.clone().unwrap_or_default();
    let asked = fact.attempt.as_ref().map_or("", |a| a.called.as_str());
    let at = show::time::utc(fact.at_us);
    format!("{at}  {}  asked for {asked}\n{}", decision.name, show::decision::text(&decision))
}
