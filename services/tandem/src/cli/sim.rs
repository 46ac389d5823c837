//! `tandem sim`: a simulator in a process of its own.

mod seen;

use std::net::SocketAddr;

use anyhow::Context as _;
use serde_json::json;
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{self, Grace, Life, Phase};
use tandem_runtime::exit::Exit;
use tandem_runtime::listen::{Bind, require_loopback};
use tandem_runtime::serve::Server;
use tandem_sim::cli::{Error, Kind};
use tandem_sim::{CallResult, Place, Simulator, SimulatorService, StartError, World};

use super::{Global, answer};
use crate::failure::Input;
use crate::show;

/// `tandem sim`.
#[derive(Debug, clap::Args)]
#[command(
    about = "Play a PSTN gateway, a CIC server or a Lync system",
    long_about = "Plays a PSTN gateway, a CIC server or a Lync system on real sockets, configured in its vendor's own \
                  terms. Each element needs an IP address of its own: on one machine use 127.x.y.z.",
    after_long_help = "Examples:\n  \
        tandem sim cic --config examples/sim/cic.yaml\n  \
        tandem sim lync --config examples/sim/lync.yaml --status 127.0.0.1:7100\n  \
        tandem sim status 127.0.0.1:7100\n  \
        tandem sim gateway --config examples/sim/gateway.yaml --call +14255550101 --caller +12065550001"
)]
pub(crate) struct SimArgs {
    #[command(subcommand)]
    sim: Sim,
}

#[derive(Debug, clap::Subcommand)]
enum Sim {
    #[command(flatten)]
    Play(Kind),
    /// Say what a running simulator saw: its elements, and every leg of every call.
    #[command(after_long_help = "Examples:\n  \
        tandem sim status 127.0.0.1:7100\n  \
        tandem sim status 127.0.0.1:7100 --of +4915112345678 --output json")]
    Status(seen::Args),
}

/// Does what `tandem sim` says.
pub(crate) fn run(args: &SimArgs, global: &Global) -> anyhow::Result<Exit> {
    match &args.sim {
        Sim::Play(kind) => play(kind, global),
        Sim::Status(args) => seen::run(args, global),
    }
}

fn play(kind: &Kind, global: &Global) -> anyhow::Result<Exit> {
    if kind.run_args().check {
        kind.check()?;
        answer(global, &json!({"ok": true}), || "the configuration is right".to_owned())?;
        return Ok(Exit::Ok);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut exit = Exit::Ok;
        let told = &mut exit;
        let run = |life: Life| async move {
            let world = World::new(Clock::machine(), Chance::machine(), life.clone());
            let simulator = kind.start(&world).map_err(not_started)?;
            end_at_once(&life);
            let status = status(kind, &simulator, &life)?.map(|at| at.to_string());
            let calls = kind.run_args().calls();
            if calls.is_empty() {
                let json = json!({"ready": true, "status": status});
                return answer(global, &json, || "running; Ctrl-C ends it".to_owned());
            }
            for call in calls {
                if !place(&simulator, call, global).await? {
                    *told = Exit::Failed;
                }
            }
            life.shutdown.leave();
            Ok(())
        };
        drain::run(Grace::DESK, drain::signals()?, run).await?;
        Ok(exit)
    })
}

/// An error of the library as one of the command's, so that it has its exit code.
fn not_started(error: Error) -> anyhow::Error {
    match error {
        Error::Config(rejected) => rejected.into(),
        Error::Start(StartError::Listen(why)) => why.into(),
        Error::Start(why) => Input(why.to_string()).into(),
        Error::Set { .. } => Input(error.to_string()).into(),
    }
}

/// A simulator has nothing to bring to an end: what it plays ends when nobody plays it any more.
fn end_at_once(life: &Life) {
    let (shutdown, drain) = (life.shutdown.clone(), life.drain.clone());
    life.tasks.spawn("sim end", async move {
        drain.leaving().await;
        shutdown.advance(Phase::Stopped);
    });
}

/// Serves status queries. They name every call, so they are for this machine only.
fn status(kind: &Kind, simulator: &Simulator, life: &Life) -> anyhow::Result<Option<SocketAddr>> {
    let Some(address) = kind.run_args().status else { return Ok(None) };
    require_loopback(address, "--status").map_err(|_| {
        Input(format!("--status tells of every call, so it listens on this machine only, not on {address}"))
    })?;
    let listener = Bind::new(address, "--status").tcp()?;
    let at = listener.local_addr()?;
    show::error(&format!("status at {at}; ask with `tandem sim status {at}`"));
    Server::new("status", life.clone(), Chance::machine())
        .service(SimulatorService::new(simulator.clone()).into_server())
        .descriptors(tandem_proto::DESCRIPTORS)
        .reflection(true)
        .tcp(listener, None)
        .start()?;
    Ok(Some(at))
}

/// Places one call; whether it was answered.
async fn place(simulator: &Simulator, call: Place, global: &Global) -> anyhow::Result<bool> {
    let called = call.called.clone();
    let ongoing = simulator.place_call(call).map_err(|why| Input(why.to_string()))?;
    let result: CallResult = ongoing.result().await;
    let setup = u64::try_from(result.setup.as_millis()).context("a call takes no ages")?;
    let json = json!({
        "called": called, "callId": result.call_id, "status": result.status, "reason": result.reason,
        "setupMs": setup, "redirectedTo": result.redirected_to, "rtpSent": result.rtp_sent,
        "rtpReceived": result.rtp_received,
    });
    answer(global, &json, || {
        let audio = format!("RTP {} sent, {} received", result.rtp_sent, result.rtp_received);
        format!("{called}: {} {} after {setup} ms; {audio}", result.status, result.reason)
    })?;
    Ok((200..300).contains(&result.status))
}
