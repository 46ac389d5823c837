//! `tandem sim status`: what a running simulator saw.

use std::fmt::Write as _;
use std::net::SocketAddr;

use tandem_proto::sim::v1 as pb;
use tandem_proto::sim::v1::simulator_client::SimulatorClient;
use tandem_runtime::exit::Exit;

use super::super::client::Server;
use super::super::{Global, answer, once};
use crate::show;

/// `tandem sim status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the simulator answers: the address of its own --status.
    #[arg(value_name = "ADDRESS:PORT")]
    at: SocketAddr,
    /// Only calls of this caller; the last nine digits count.
    #[arg(long, default_value = "", value_name = "NUMBER")]
    of: String,
}

/// Asks, and shows the answer.
pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let status = once(async {
        let mut client = SimulatorClient::new(Server::simulator(args.at).connect().await?);
        let request = pb::GetStatusRequest { marker: args.of.clone() };
        Ok(client.get_status(request).await?.into_inner())
    })?;
    let json = show::json::message("tandem.sim.v1.Status", &status)?;
    answer(global, &json, || text(&status))?;
    Ok(Exit::Ok)
}

fn text(status: &pb::Status) -> String {
    let mut out = format!("{}\n", status.kind);
    for e in &status.elements {
        let address = if e.sip_address.is_empty() { &e.media_address } else { &e.sip_address };
        let _ = writeln!(
            out,
            "  {:<16} {:<13} {:<10} {:<21} SIP {} in, {} out; {} legs up",
            e.name, e.kind, e.site, address, e.sip_received, e.sip_sent, e.calls_up
        );
    }
    for call in &status.calls {
        out.push_str(&leg(call));
    }
    if status.calls.is_empty() {
        out.push_str("\nno call was seen\n");
    }
    out
}

/// One leg of a call, on three lines at most.
fn leg(call: &pb::SeenCall) -> String {
    let (way, peer) = if call.outgoing { ("out to", "") } else { ("in from", call.peer.as_str()) };
    let became = match (call.status, call.ended) {
        (0, false) => "no answer yet".to_owned(),
        (0, true) => "ended without an answer".to_owned(),
        (status, ended) => format!("{status} {}{}", call.reason, if ended { ", ended" } else { ", up" }),
    };
    let to = if call.outgoing { call.request_uri.as_str() } else { peer };
    let mut out = format!("\n+{:.3} s  {} {way} {to}: {became}\n", call.at_us as f64 / 1e6, call.element);
    if !call.outgoing {
        let _ = writeln!(out, "    asked for {}", call.request_uri);
    }
    let _ = write!(out, "    from {}; RTP {} sent, {} received", call.from, call.rtp_sent, call.rtp_received);
    if !matches!(call.answered_by.as_str(), "" | "none") {
        let _ = write!(out, "; answered by {}", call.answered_by);
    }
    if !call.why.is_empty() {
        let _ = write!(out, "\n    {}", call.why);
    }
    out.push('\n');
    out
}
