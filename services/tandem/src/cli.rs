//! The command line: what may be written, and who does it.

mod call;
pub(crate) mod client;
pub(crate) mod directory;
mod sim;
mod small;
mod store;
mod tenant;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use tandem_runtime::exit::Exit;
use tandem_runtime::telemetry::{Format, Log};
use tandem_runtime::term::{ColorChoice, Terminal};

use crate::{backup, demo, failure, serve, show, up};

/// Joins a hosted contact centre with each customer's Lync or Skype for Business: decides where calls go, and why.
#[derive(Debug, Parser)]
#[command(name = "tandem", version, propagate_version = true, max_term_width = 110)]
#[command(after_long_help = "Begin with:\n  \
    tandem up                                    everything in one process, with three example tenants\n  \
    tandem tenant check tenants/*.yaml           what is wrong with a file, where, and the fix\n  \
    tandem call explain --tenant brandt --called +493023125103\n\n\
    TANDEM_LOG sets what is logged, such as `info` or `warn,tandem_edge=debug`.")]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Global {
    /// For people, or for programs.
    #[arg(long, global = true, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub(crate) output: Output,
    /// Colour: auto, always or never. Auto is colour on a terminal only, and none where NO_COLOR is set.
    #[arg(long, global = true, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(crate) color: ColorChoice,
}

impl Global {
    /// What standard output can show.
    pub(crate) fn stdout(&self) -> Terminal {
        Terminal::stdout(self.color)
    }

    /// Whether a program reads.
    pub(crate) fn json(&self) -> bool {
        self.output == Output::Json
    }
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON value, errors included.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process: store, routing, stations and an edge.
    Up(up::Args),
    /// Run one service alone.
    Serve(serve::Args),
    /// Ask where a call goes, and why.
    #[command(subcommand)]
    Call(call::Call),
    /// Check tenants' YAML, draw them, say what their administrators must set.
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    /// Import users, stations, workgroups and numbers.
    #[command(subcommand)]
    Directory(directory::Directory),
    /// Look at a store.
    #[command(subcommand)]
    Store(store::StoreCommand),
    /// Write a store to files, continuously.
    Backup(backup::Args),
    /// Write what a backup holds to an empty store.
    Restore(backup::RestoreArgs),
    /// Watch real SIP calls take the way that each model and each inbound option prescribes.
    Demo(demo::Args),
    /// Play a PSTN gateway, a CIC server or a Lync system.
    Sim(sim::SimArgs),
    /// Help with the callers file, which says who may call the API.
    #[command(subcommand)]
    Caller(small::Caller),
    /// Say which release this is.
    Version,
    /// Write completions for a shell: `source <(tandem completions bash)`.
    Completions(small::Completions),
}

/// Reads the command line and does what it says.
pub(crate) fn main() -> Exit {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) if error.use_stderr() && wants_json(std::env::args_os()) => {
            failure::usage(&error);
            return Exit::Usage;
        }
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            // A closed pipe is the reader's choice.
            let _ = error.print();
            return exit;
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return Exit::Usage;
        }
    };
    let global = cli.global;
    run(cli).unwrap_or_else(|error| failure::report(&error, &global))
}

/// Whether a command line that could not be read asks for JSON all the same.
fn wants_json(args: impl Iterator<Item = std::ffi::OsString>) -> bool {
    let args: Vec<_> = args.collect();
    args.iter().any(|arg| arg == "--output=json") || args.windows(2).any(|pair| pair == ["--output", "json"])
}

/// The command line as clap knows it, with the exit codes at the end of its help.
fn command() -> clap::Command {
    let codes = Exit::ALL.map(|exit| format!("\n  {:>2}  {}", exit.code(), exit.meaning())).concat();
    let command = Cli::command();
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    command.after_long_help(format!("{after}\n\nExit codes:{codes}"))
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { global, command } = cli;
    let filter = match &command {
        Command::Serve(_) => "info",
        // `up` shows what became of policy itself.
        Command::Up(_) => "warn,tandem_cell=error",
        // Its tenants have no TLS and one gateway: nobody need be warned.
        Command::Demo(_) => "error",
        _ => "warn",
    };
    Log::from_env(filter, Format::Auto, Terminal::stderr(global.color)).install()?;
    match command {
        Command::Up(args) => up::run(args, &global),
        Command::Serve(args) => serve::run(args, &global),
        Command::Call(call) => call::run(call, &global),
        Command::Tenant(tenant) => tenant::run(tenant, &global),
        Command::Directory(directory) => directory::run(directory, &global),
        Command::Store(command) => store::run(&command, &global),
        Command::Backup(args) => backup::run(args, &global),
        Command::Restore(args) => backup::restore(&args, &global),
        Command::Demo(args) => demo::run(&args, &global),
        Command::Sim(args) => sim::run(&args, &global),
        Command::Caller(caller) => small::caller(caller, &global),
        Command::Version => small::version(&global),
        Command::Completions(args) => small::completions(&args, &mut self::command()),
    }
}

/// A runtime for a command that asks once and leaves.
pub(crate) fn once<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(task)
}

/// Writes an answer, as JSON or as text.
pub(crate) fn answer(
    global: &Global,
    json: &serde_json::Value,
    text: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    let text = if global.json() { serde_json::to_string_pretty(json)? } else { text() };
    show::line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        command().debug_assert();
    }

    #[test]
    fn help_says_what_exit_codes_mean() {
        let help = command().render_long_help().to_string();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("{:>2}  {}", exit.code(), exit.meaning())), "{help}");
        }
    }
}
