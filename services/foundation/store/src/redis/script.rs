//! The server-side scripts, and how they are called: by the hash of their source, or with it where the server does
//! not know it yet. Not functions: scripts of two releases live side by side.

use std::sync::LazyLock;

use redis::{Cmd, Script as Source};

/// A script.
#[derive(Debug)]
pub(super) struct Script {
    source: String,
    hash: String,
}

impl Script {
    /// A script on one shard.
    fn of(head: &str, parts: &[&str]) -> Self {
        let source = format!("{head}\n{}", parts.join("\n"));
        let hash = Source::new(&source).get_hash().to_owned();
        Self { source, hash }
    }

    /// The command that calls it.
    pub(super) fn call(&self, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
        self.command("EVALSHA", &self.hash, keys, args)
    }

    /// The command that brings it along.
    pub(super) fn bring(&self, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
        self.command("EVAL", &self.source, keys, args)
    }

    /// The command that makes a server know it.
    pub(super) fn load(&self) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("SCRIPT").arg("LOAD").arg(&self.source);
        cmd
    }

    fn command(&self, name: &str, script: &str, keys: &[Vec<u8>], args: &[Vec<u8>]) -> Cmd {
        let bytes: usize = keys.iter().chain(args).map(Vec::len).sum();
        let mut cmd = Cmd::with_capacity(3 + keys.len() + args.len(), bytes + script.len() + 32);
        cmd.arg(name).arg(script).arg(keys.len());
        keys.iter().chain(args).for_each(|bytes| {
            cmd.arg(bytes.as_slice());
        });
        cmd
    }
}

/// A script that writes: refused as a whole, before it begins, where writing is refused.
fn writes(parts: &[&str]) -> Script {
    Script::of("#!lua", parts)
}

const SHARD: &str = include_str!("lua/shard.lua");

pub(super) static COMMIT: LazyLock<Script> =
    LazyLock::new(|| writes(&[SHARD, include_str!("lua/commit.lua")]));
pub(super) static TURN: LazyLock<Script> = LazyLock::new(|| writes(&[SHARD, include_str!("lua/turn.lua")]));
pub(super) static SWEEP: LazyLock<Script> = LazyLock::new(|| writes(&[SHARD, include_str!("lua/sweep.lua")]));
pub(super) static PEEK: LazyLock<Script> = LazyLock::new(|| writes(&[SHARD, include_str!("lua/peek.lua")]));
pub(super) static SESSION: LazyLock<Script> =
    LazyLock::new(|| writes(&[SHARD, include_str!("lua/session.lua")]));
pub(super) static STAGE: LazyLock<Script> = LazyLock::new(|| writes(&[SHARD, include_str!("lua/stage.lua")]));
pub(super) static FORGET: LazyLock<Script> =
    LazyLock::new(|| writes(&[SHARD, include_str!("lua/forget.lua")]));
pub(super) static RAISE: LazyLock<Script> = LazyLock::new(|| writes(&[include_str!("lua/raise.lua")]));
pub(super) static GET: LazyLock<Script> =
    LazyLock::new(|| Script::of("#!lua flags=no-writes", &[SHARD, include_str!("lua/get.lua")]));

/// Those that every connection makes known at its start.
pub(super) fn all() -> [&'static Script; 9] {
    [&COMMIT, &TURN, &SWEEP, &PEEK, &SESSION, &STAGE, &FORGET, &RAISE, &GET]
}

/// A call of a script, as it is sent; kept, for it may have to be sent again.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) script: &'static Script,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) args: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn cmd(&self) -> Cmd {
        self.script.call(&self.keys, &self.args)
    }

    pub(super) fn bring(&self) -> Cmd {
        self.script.bring(&self.keys, &self.args)
    }
}
