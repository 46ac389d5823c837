//! The small commands: digests of tokens, the release, completions.

use std::io::{self, IsTerminal as _, Read as _};

use clap::Subcommand;
use clap_complete::Shell;
use serde_json::json;
use tandem_runtime::clock::Chance;
use tandem_runtime::exit::Exit;

use super::{Global, answer};
use crate::failure::Input;

/// `tandem caller`.
#[derive(Debug, Subcommand)]
#[command(after_long_help = "The callers file (--callers of `up` and `serve`; read again when saved):\n\n  \
    apiVersion: tandem.dev/v1\n  \
    kind: Callers\n  \
    callers:\n    \
      - subject: brandt-reports          # what logs call it\n      \
        tenants: [brandt]                # or [\"*\"]: all\n      \
        scopes: [routing.decide]         # or [\"*\"]: everything\n      \
        tokenDigests: [2c26b46b68ff...]  # of `tandem caller digest`; or uris, dnsNames: of its client certificate\n\n\
    Scopes: routing.decide (where a call goes), routing.explain (why), routing.read (decisions that are remembered), \
    feed.follow (an edge), directory.read, directory.write.")]
pub(crate) enum Caller {
    /// Print the digest of a token, for `tokenDigests` of the callers file.
    ///
    /// The token is read from standard input, so that it stands in no history of a shell. With --new one is made and
    /// printed with its digest.
    #[command(
        after_long_help = "Examples:\n  tandem caller digest < token.txt\n  tandem caller digest --new"
    )]
    Digest {
        /// Make a token: 32 bytes of chance.
        #[arg(long)]
        new: bool,
    },
}

/// Does what `tandem caller` says.
pub(crate) fn caller(caller: Caller, global: &Global) -> anyhow::Result<Exit> {
    let Caller::Digest { new } = caller;
    if new {
        let mut bytes = [0; 32];
        Chance::machine().fill(&mut bytes);
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let digest = tandem_wire::caller::digest(&token);
        answer(global, &json!({"token": token, "digest": digest}), || {
            format!("token   {token}\ndigest  {digest}")
        })?;
        return Ok(Exit::Ok);
    }
    if io::stdin().is_terminal() {
        return Err(
            Input("write the token to standard input: tandem caller digest < token.txt".into()).into()
        );
    }
    let mut token = String::new();
    io::stdin().lock().take(64 * 1024).read_to_string(&mut token)?;
    let token = token.trim();
    if token.is_empty() || token.contains(|c: char| c.is_whitespace() || !c.is_ascii()) {
        return Err(Input("a token is one word of printable ASCII characters".into()).into());
    }
    let digest = tandem_wire::caller::digest(token);
    answer(global, &json!({"digest": digest}), || digest.clone())?;
    Ok(Exit::Ok)
}

/// Says which release this is.
pub(crate) fn version(global: &Global) -> anyhow::Result<Exit> {
    let version = env!("CARGO_PKG_VERSION");
    let json = json!({"version": version, "api": tandem_domain::document::API_VERSION});
    answer(global, &json, || format!("tandem {version}"))?;
    Ok(Exit::Ok)
}

/// `tandem completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// Which shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Writes the completions of a shell.
pub(crate) fn completions(args: &Completions, command: &mut clap::Command) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, command, "tandem", &mut text);
    crate::show::line(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Ok)
}
