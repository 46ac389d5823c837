//! The namespaces that this runs in: networks that are cut, and disks that are small.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether this is root's process, here.
pub(crate) fn root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.split_whitespace().take(2).eq(["Uid:", "0"]))
}

fn ip(args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("ip");
    let done = command.args(args).stderr(Stdio::inherit()).status().map_err(|e| format!("ip: {e}"))?;
    if done.success() { Ok(()) } else { Err(format!("ip {}: failed", args.join(" "))) }
}

/// The table of routes that lead nowhere.
const NOWHERE: &str = "100";

/// Makes loopback work, rules come before it, and a hole that what is sent to vanishes in: a route that refuses would
/// tell the sender at once, and Redis then tries from another address.
pub(crate) fn prepare() -> Result<(), String> {
    ip(&["link", "set", "lo", "up"])?;
    ip(&["rule", "add", "pref", "10", "lookup", "local"])?;
    ip(&["rule", "del", "pref", "0"])?;
    ip(&["link", "add", "hole", "type", "veth", "peer", "name", "bottom"])?;
    ip(&["link", "set", "hole", "arp", "off", "up"])?;
    ip(&["link", "set", "bottom", "arp", "off", "up"])?;
    std::fs::write("/proc/sys/net/ipv4/conf/hole/route_localnet", "1").map_err(|e| e.to_string())?;
    ip(&["route", "add", "127.0.0.0/8", "dev", "hole", "table", NOWHERE])
}

/// A cut between one host and others; healed when dropped.
pub(crate) struct Cut(Vec<(String, String)>);

impl Cut {
    /// Nothing passes between the one and the others, either way.
    pub(crate) fn between(one: &str, others: &[String]) -> Self {
        let pairs = others.iter().flat_map(|o| [(one.to_owned(), o.clone()), (o.clone(), one.to_owned())]);
        let pairs: Vec<_> = pairs.collect();
        for (from, to) in &pairs {
            ip(&["rule", "add", "pref", "5", "from", from, "to", to, "lookup", NOWHERE]).unwrap();
        }
        Self(pairs)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        for (from, to) in &self.0 {
            // One that is gone is healed as well.
            let _ = ip(&["rule", "del", "pref", "5", "from", from, "to", to]);
        }
    }
}

/// A disk of this many MiB; gone with the namespace.
pub(crate) fn small_disk(at: &Path, mib: u32) -> Result<PathBuf, String> {
    std::fs::create_dir_all(at).map_err(|e| e.to_string())?;
    let size = format!("size={mib}m");
    let mut command = Command::new("mount");
    let done =
        command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).status().map_err(|e| e.to_string())?;
    if done.success() { Ok(at.to_owned()) } else { Err("mount: failed".to_owned()) }
}

/// Fills a disk to its last byte; answers the file that is to be deleted.
pub(crate) fn fill(disk: &Path) -> PathBuf {
    let at = disk.join("filler");
    let mut file = std::fs::File::create(&at).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
    at
}
