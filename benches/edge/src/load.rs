//! The load: callers and a phone in one process, in closed loop, over UDP.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::Result;

/// Numbers of the tenant.
pub const NUMBERS: u64 = 1_000_000;
/// Calls in flight.
const WINDOW: usize = 64;
const WARM: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_secs(2);
/// A call without an end for so long is lost.
const LOST: Duration = Duration::from_millis(1_500);

const SDP: &str = "v=0\r\no=caller 1 1 IN IP4 127.9.2.10\r\ns=-\r\nc=IN IP4 127.9.2.10\r\nt=0 0\r\n\
                   m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// The number at a place.
pub fn number(at: u64) -> String {
    format!("+49302{at:06}")
}

/// What a round measured.
#[derive(Clone, Copy)]
pub struct Measured {
    /// Calls that ended well.
    pub calls: u64,
    pub seconds: f64,
    /// Of the server.
    pub cpu_ns: u64,
    /// Calls without an end, and with another than was meant.
    pub failed: u64,
}

/// CPU time that processes have used, of all their threads.
fn cpu_ns(pids: &[u32]) -> u64 {
    let tasks =
        pids.iter().filter_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn headers<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    message.split("\r\n").skip(1).take_while(|l| !l.is_empty()).filter_map(move |line| {
        let (n, value) = line.split_once(':')?;
        n.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn header<'a>(message: &'a str, name: &str) -> &'a str {
    headers(message, name).next().unwrap_or_default()
}

/// A phone that rings, answers at once and is hung up on.
pub fn phone(socket: &UdpSocket) -> Result<()> {
    let at = socket.local_addr()?;
    let (mut buffer, mut out) = ([0; 8_192], Vec::new());
    loop {
        let (count, from) = socket.recv_from(&mut buffer)?;
        let Ok(message) = std::str::from_utf8(&buffer[..count]) else { continue };
        let lines: &[&str] = match message.split(' ').next() {
            Some("INVITE") => &["180 Ringing", "200 OK"],
            Some("BYE") => &["200 OK"],
            _ => continue,
        };
        for line in lines {
            out.clear();
            write!(out, "SIP/2.0 {line}\r\n")?;
            for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
                for value in headers(message, name) {
                    let tag = if name == "To" && !value.contains(";tag=") { ";tag=phone" } else { "" };
                    write!(out, "{name}: {value}{tag}\r\n")?;
                }
            }
            write!(out, "Contact: <sip:phone@{at}>\r\nContent-Length: 0\r\n\r\n")?;
            socket.send_to(&out, from)?;
        }
    }
}

/// A call in flight.
struct Call {
    called: String,
    since: Instant,
    answered: bool,
}

/// The callers.
struct Callers {
    socket: UdpSocket,
    at: SocketAddr,
    server: SocketAddr,
    out: Vec<u8>,
}

impl Callers {
    /// Sends a request of a call: `to_tag` with its `;tag=`, `routes` as header lines.
    fn send(
        &mut self,
        method: &str,
        id: u64,
        cseq: u32,
        called: &str,
        within: Option<(&str, &str, &str)>,
    ) -> Result<()> {
        let (at, server) = (self.at, self.server);
        let own = format!("sip:{called}@{server};user=phone");
        let (uri, to_tag, routes) = within.unwrap_or((&own, "", ""));
        // The ACK of a 2xx is a transaction of its own; that of a 302 is the INVITE's.
        let branch = if routes.is_empty() { "" } else { method };
        self.out.clear();
        write!(
            self.out,
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK-{id}-{cseq}{branch}\r\n{routes}\
             From: \"A caller\" <sip:+4989{id:08}@gw.acme.example>;tag=f{id}\r\nTo: <{own}>{to_tag}\r\n\
             Call-ID: {id}-a84b4c76e66710@{at}\r\nCSeq: {cseq} {method}\r\nContact: <sip:caller@{at}>\r\nMax-Forwards: 70\r\n"
        )?;
        if method == "INVITE" {
            write!(self.out, "Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}", SDP.len())?;
        } else {
            self.out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
        }
        self.socket.send(&self.out)?;
        Ok(())
    }
}

/// One round: calls that end with 302, or full calls from INVITE to the 200 of BYE.
pub fn round(from: &str, server: SocketAddr, pids: &[u32], full: bool, first: u64) -> Result<Measured> {
    let socket = UdpSocket::bind((from, 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut callers = Callers { at: socket.local_addr()?, socket, server, out: Vec::new() };
    let mut calls: HashMap<u64, Call> = HashMap::new();
    let (mut next, mut buffer, start) = (first, [0; 8_192], Instant::now());
    let (mut done, mut failed, mut before, mut swept) = (0, 0, None, start);
    while start.elapsed() < WARM + ROUND {
        if before.is_none() && start.elapsed() > WARM {
            (before, done) = (Some((Instant::now(), cpu_ns(pids))), 0);
        }
        while calls.len() < WINDOW {
            // Numbers in an order that no cache foresees.
            let called = number(next.wrapping_mul(0x9E37_79B9_7F4A_7C15) % NUMBERS);
            callers.send("INVITE", next, 1, &called, None)?;
            calls.insert(next, Call { called, since: Instant::now(), answered: false });
            next += 1;
        }
        if swept.elapsed() > Duration::from_millis(200) {
            swept = Instant::now();
            let held = calls.len();
            calls.retain(|_, c| c.since.elapsed() < LOST);
            failed += (held - calls.len()) as u64;
        }
        let Ok(count) = callers.socket.recv(&mut buffer) else { continue };
        let message = std::str::from_utf8(&buffer[..count])?;
        let status = message.get(8..11).unwrap_or_default();
        let id: u64 = header(message, "Call-ID").split('-').next().unwrap_or_default().parse()?;
        let Some(call) = calls.get_mut(&id).filter(|_| !status.starts_with('1')) else { continue };
        let to = header(message, "To");
        let to_tag = to.find(";tag=").map_or("", |at| &to[at..]);
        let bye = header(message, "CSeq").ends_with("BYE");
        match (status, full, bye) {
            ("302", false, _) => {
                let call = calls.remove(&id).ok_or("a call")?;
                let uri = format!("sip:{}@{server};user=phone", call.called);
                callers.send("ACK", id, 1, &call.called, Some((&uri, to_tag, "")))?;
                done += 1;
            }
            ("200", true, false) if call.answered => {}
            ("200", true, false) => {
                call.answered = true;
                let routes: Vec<&str> = headers(message, "Record-Route").collect();
                let routes: String = routes.iter().rev().map(|r| format!("Route: {r}\r\n")).collect();
                let target = header(message, "Contact").trim_matches(['<', '>']);
                let called = call.called.clone();
                callers.send("ACK", id, 1, &called, Some((target, to_tag, &routes)))?;
                callers.send("BYE", id, 2, &called, Some((target, to_tag, &routes)))?;
            }
            ("200", true, true) => {
                calls.remove(&id);
                done += 1;
            }
            _ => {
                calls.remove(&id);
                failed += 1;
            }
        }
    }
    let (since, cpu) = before.ok_or("the warm-up took the whole round")?;
    Ok(Measured { calls: done, seconds: since.elapsed().as_secs_f64(), cpu_ns: cpu_ns(pids) - cpu, failed })
}
