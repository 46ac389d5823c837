//! The arguments of `tandem sim`, for the binary to take in.
//!
//! ```text
//! tandem sim gateway --config gw.yaml --call "+14255550101" --caller "+12065550001"
//! tandem sim cic     --config cic.yaml --set "ann=status:At Lunch"
//! tandem sim lync    --config lync.yaml --status 127.0.0.1:7100
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use tandem_runtime::document::Rejected;

use crate::behaviour::Command;
use crate::service::StartError;
use crate::settings::{self, millis};
use crate::{Place, Simulator, World, cic, gateway, lync};

/// Which simulator.
#[derive(Clone, Debug, Subcommand)]
pub enum Kind {
    /// A PSTN gateway: callers on the PSTN, routes to the tenant's systems, parties who answer.
    #[command(after_long_help = "Examples:\n  \
        tandem sim gateway --config gw.yaml --call +14255550101 --caller +12065550001 --hold-ms 2000\n  \
        tandem sim gateway --config gw.yaml --set GW=error:503")]
    Gateway(RunArgs),
    /// A CIC server with its media servers, lines, stations, workgroups and phones.
    #[command(after_long_help = "Examples:\n  \
        tandem sim cic --config cic.yaml --set 'ann=status:At Lunch' --set MS=down\n  \
        tandem sim cic --config cic.yaml --from ann-phone --call +12065550100")]
    Cic(RunArgs),
    /// A Lync system: a Mediation Server, a Front End and their users' endpoints.
    #[command(after_long_help = "Examples:\n  \
        tandem sim lync --config lync.yaml --set lee-phone=ring\n  \
        tandem sim lync --config lync.yaml --from lee-phone --call 0204")]
    Lync(RunArgs),
}

/// How a simulator is run.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Its configuration (YAML), in its vendor's terms.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Check the configuration and leave.
    #[arg(long)]
    pub check: bool,
    /// Place this call, then leave with its result; may be repeated, one call follows the other.
    #[arg(long, value_name = "NUMBER")]
    pub call: Vec<String>,
    /// Who calls: GW, a phone's name, or for CIC a user's name.
    #[arg(long, value_name = "ELEMENT", requires = "call", default_value = "GW")]
    pub from: String,
    /// The caller's number. A caller on the PSTN needs one; a phone or user has its own.
    #[arg(long, value_name = "NUMBER", requires = "call", default_value = "")]
    pub caller: String,
    /// How long a call is held after the answer, in milliseconds.
    #[arg(long, value_name = "MS", requires = "call", default_value_t = 300)]
    pub hold_ms: u32,
    /// How long a call may ring, in milliseconds.
    #[arg(long, value_name = "MS", requires = "call", default_value_t = 10_000)]
    pub ring_ms: u32,
    /// How an element, a CIC user or the network is to behave from the start: ELEMENT=BEHAVIOUR, for example
    /// CIC=error:503, ann=status:At Lunch, lee-phone=ring, =wan-cut:127.1.0.0/16.
    #[arg(long, value_name = "ELEMENT=BEHAVIOUR", value_parser = read_setting)]
    pub set: Vec<(String, Command)>,
    /// Answer status queries (gRPC, tandem.sim.v1) at this address.
    #[arg(long, value_name = "ADDRESS")]
    pub status: Option<SocketAddr>,
}

/// Why a simulator does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its configuration is wrong.
    #[error(transparent)]
    Config(#[from] Rejected),
    /// It cannot start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A `--set` names nothing that is there.
    #[error("--set {element}: {source}")]
    Set {
        /// What was named.
        element: String,
        /// Why not.
        source: crate::service::BehaveError,
    },
}

impl Kind {
    /// How it is run.
    pub fn run_args(&self) -> &RunArgs {
        match self {
            Self::Gateway(args) | Self::Cic(args) | Self::Lync(args) => args,
        }
    }

    /// Reads the configuration and no more.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Rejected> {
        let file = &self.run_args().config;
        match self {
            Self::Gateway(_) => settings::load::<gateway::Config>(file).map(|_| ()),
            Self::Cic(_) => settings::load::<cic::Config>(file).map(|_| ()),
            Self::Lync(_) => settings::load::<lync::Config>(file).map(|_| ()),
        }
    }

    /// Starts it, and has its elements behave as `--set` says.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn start(&self, world: &World) -> Result<Simulator, Error> {
        let args = self.run_args();
        let simulator = match self {
            Self::Gateway(_) => gateway::Gateway::start(settings::load(&args.config)?, world)?,
            Self::Cic(_) => cic::Cic::start(settings::load(&args.config)?, world)?,
            Self::Lync(_) => lync::Lync::start(settings::load(&args.config)?, world)?,
        };
        for (element, command) in &args.set {
            simulator
                .set_behaviour(element, command)
                .map_err(|source| Error::Set { element: element.clone(), source })?;
        }
        Ok(simulator)
    }
}

impl RunArgs {
    /// The calls to place, in order.
    pub fn calls(&self) -> Vec<Place> {
        let call = |called: &String| Place {
            caller: self.caller.clone(),
            hold: Some(millis(self.hold_ms)),
            ring: millis(self.ring_ms).max(Duration::from_millis(1)),
            ..Place::new(&self.from, called)
        };
        self.call.iter().map(call).collect()
    }
}

/// `ELEMENT=BEHAVIOUR`.
fn read_setting(text: &str) -> Result<(String, Command), String> {
    let (element, behaviour) = text
        .split_once('=')
        .filter(|(_, behaviour)| !behaviour.is_empty())
        .ok_or_else(|| "write ELEMENT=BEHAVIOUR, for example CIC=silent".to_owned())?;
    let command: Command = behaviour.parse().map_err(|error| format!("{error}"))?;
    Ok((element.to_owned(), command))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(subcommand)]
        sim: Kind,
    }

    fn parse(line: &str) -> Result<Kind, clap::Error> {
        Cli::try_parse_from(line.split(' ')).map(|cli| cli.sim)
    }

    #[test]
    fn a_line_becomes_calls_and_behaviours() {
        let line =
            "sim gateway --config x.yaml --call +1425 --call +1426 --caller +1206 --set GW=busy --hold-ms 5";
        let kind = parse(line).unwrap();
        let calls = kind.run_args().calls();
        assert_eq!(calls.iter().map(|call| call.called.as_str()).collect::<Vec<_>>(), ["+1425", "+1426"]);
        assert_eq!((calls[0].caller.as_str(), calls[0].hold), ("+1206", Some(Duration::from_millis(5))));
        assert_eq!(kind.run_args().set, [("GW".to_owned(), "busy".parse().unwrap())]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let check = |line: &str, expected: &str| {
            let error = parse(line).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("sim gateway", "--config");
        check("sim pbx --config x.yaml", "pbx");
        check("sim cic --config x.yaml --set CIC=explode", "`explode` is no behaviour");
        check("sim cic --config x.yaml --set CIC", "ELEMENT=BEHAVIOUR");
    }

    #[test]
    fn the_examples_are_right() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/sim");
        for kind in ["gateway", "cic", "lync"] {
            let kind = parse(&format!("sim {kind} --config {root}/{kind}.yaml")).unwrap();
            kind.check().unwrap();
        }
    }
}
