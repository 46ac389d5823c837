//! Servers under test: children on core 0.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::cpu::Cpu;
use crate::{CALLER_REDIRECTED, KAMAILIO, Result};

/// One of them, ended by its pid.
pub struct Server {
    pub name: &'static str,
    pub at: SocketAddr,
    child: Child,
    pids: Vec<u32>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGTERM, for Kamailio then ends its workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Server {
    /// A server of our own: this program in another role, which says its address and then that it is ready.
    pub fn own(name: &'static str, role: &[&str]) -> Result<Self> {
        let own = std::env::current_exe()?;
        let mut command = Command::new("taskset");
        let mut child = command.args(["-c", "0"]).arg(own).args(role).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("its output")?).lines();
        let at = lines.next().ok_or("it ended")??.parse()?;
        lines.next().ok_or("it ended")??;
        let pids = vec![child.id()];
        Ok(Self { name, at, child, pids })
    }

    /// Kamailio with one worker and its fastest allocator, in a mode of `kamailio.cfg`.
    pub fn kamailio(name: &'static str, mode: &str, phone: SocketAddr) -> Result<Self> {
        let at = UdpSocket::bind((KAMAILIO, 0))?.local_addr()?;
        let config = concat!(env!("CARGO_MANIFEST_DIR"), "/kamailio.cfg");
        let mut command = Command::new("taskset");
        command.args(["-c", "0", "kamailio", "-f", config, "-DD", "-E", "-m", "8192", "-M", "32"]);
        command.args(["-x", "fm", "-X", "fm", "-Y", "/tmp", "-A", mode]);
        command.args(["-A", &format!("NEXT=\"sip:{phone}\""), "-l", &format!("udp:{at}")]);
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let child = command.env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut server = Self { name, at, child, pids: Vec::new() };
        server.wait()?;
        // Its workers are its children.
        let pid = server.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        server.pids = children.split_whitespace().filter_map(|p| p.parse().ok()).chain([pid]).collect();
        Ok(server)
    }

    /// It serves once it answers.
    fn wait(&mut self) -> Result<()> {
        let probe = UdpSocket::bind((CALLER_REDIRECTED, 0))?;
        probe.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (from, at, start) = (probe.local_addr()?, self.at, Instant::now());
        let ask = format!(
            "BYE sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-0\r\nFrom: <sip:a@{from}>;tag=1\r\n\
             To: <sip:{at}>;tag=2\r\nCall-ID: probe\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        loop {
            let _ = probe.send_to(ask.as_bytes(), at);
            if probe.recv(&mut [0; 2_048]).is_ok() {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(10) || self.child.try_wait()?.is_some() {
                return Err("kamailio does not serve".into());
            }
        }
    }

    /// What it has used so far.
    pub fn cpu(&self) -> Cpu {
        Cpu::read(&self.pids)
    }
}
