//! The calling side: a window of calls in closed loop, over UDP, each followed to its end.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::message::{header, headers, tag};
use crate::{Result, bind};

/// Numbers of the tenant.
pub const NUMBERS: u64 = 1_000_000;
/// Calls in flight.
const WINDOW: u64 = 64;
const ROUND: Duration = Duration::from_secs(2);
/// A call that nobody answers for so long is lost: the load sends nothing twice, and the way is this machine's own.
const LOST: Duration = Duration::from_secs(3);

const SDP: &str = "v=0\r\no=caller 1 1 IN IP4 127.9.2.10\r\ns=-\r\nc=IN IP4 127.9.2.10\r\nt=0 0\r\n\
                   m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";

/// The number at a place.
pub fn number(at: u64) -> String {
    format!("+49302{at:06}")
}

/// How calls are to end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// By a 302, which is acknowledged.
    Redirected,
    /// By the 200 of a BYE, after ringing, answer and ACK.
    HungUp,
}

/// What became of the calls of a round.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// Ended as they were meant to.
    pub done: u64,
    pub seconds: f64,
    /// Nothing came.
    pub lost: u64,
    /// Ended by another status, by status.
    pub refused: BTreeMap<u16, u64>,
    /// Messages of calls that were over.
    pub late: u64,
}

/// A call in flight.
struct Call {
    id: u64,
    called: String,
    since: Instant,
    answered: bool,
}

/// The callers: a socket, and a place for each call in flight.
struct Callers {
    socket: UdpSocket,
    at: SocketAddr,
    server: SocketAddr,
    ends: Ends,
    out: Vec<u8>,
    calls: Vec<Option<Call>>,
    round: Round,
}

/// One round: calls until its time is over, then until each of them has ended. `first` numbers them.
pub fn round(from: &str, server: SocketAddr, ends: Ends, first: u64) -> Result<Round> {
    let socket = bind(from)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_millis(20)))?;
    let at = socket.local_addr()?;
    let calls = (0..WINDOW).map(|_| None).collect();
    let mut callers = Callers { socket, at, server, ends, out: Vec::new(), calls, round: Round::default() };
    callers.run(first)?;
    Ok(callers.round)
}

impl Callers {
    fn run(&mut self, first: u64) -> Result<()> {
        let (start, mut buffer) = (Instant::now(), [0; 8_192]);
        for id in first..first + WINDOW {
            self.begin(id)?;
        }
        let mut swept = start;
        loop {
            if let Ok(count) = self.socket.recv(&mut buffer) {
                let ended = self.on_message(std::str::from_utf8(&buffer[..count])?)?;
                if let Some(id) = ended.filter(|_| start.elapsed() < ROUND) {
                    self.begin(id + WINDOW)?;
                }
            }
            if swept.elapsed() > Duration::from_millis(100) {
                swept = Instant::now();
                for id in self.sweep() {
                    if start.elapsed() < ROUND {
                        self.begin(id + WINDOW)?;
                    }
                }
                if self.calls.iter().all(Option::is_none) {
                    break;
                }
            }
        }
        self.round.seconds = start.elapsed().as_secs_f64();
        Ok(())
    }

    /// Begins a call.
    fn begin(&mut self, id: u64) -> Result<()> {
        // Numbers in an order that no cache foresees.
        let called = number(id.wrapping_mul(0x9E37_79B9_7F4A_7C15) % NUMBERS);
        self.send("INVITE", id, 1, &called, None)?;
        let call = Call { id, called, since: Instant::now(), answered: false };
        self.calls[(id % WINDOW) as usize] = Some(call);
        Ok(())
    }

    /// The calls that are lost, which ends them.
    fn sweep(&mut self) -> Vec<u64> {
        let lost = |c: &mut Option<Call>| c.take_if(|c| c.since.elapsed() > LOST).map(|c| c.id);
        let lost: Vec<u64> = self.calls.iter_mut().filter_map(lost).collect();
        self.round.lost += lost.len() as u64;
        lost
    }

    /// A message came. The call that it ended, if it ended one.
    fn on_message(&mut self, message: &str) -> Result<Option<u64>> {
        let status: u16 = message.get(8..11).unwrap_or_default().parse()?;
        let id: u64 = header(message, "Call-ID").split('-').next().unwrap_or_default().parse()?;
        let place = (id % WINDOW) as usize;
        let Some(call) = self.calls[place].as_mut().filter(|c| c.id == id) else {
            self.round.late += 1;
            return Ok(None);
        };
        let bye = header(message, "CSeq").ends_with("BYE");
        match (status, self.ends, bye) {
            (..200, ..) => return Ok(None),
            (302, Ends::Redirected, false) => {
                let called = std::mem::take(&mut call.called);
                let uri = format!("sip:{called}@{};user=phone", self.server);
                self.send("ACK", id, 1, &called, Some((&uri, tag(header(message, "To")), "")))?;
                self.round.done += 1;
            }
            (200, Ends::HungUp, false) if call.answered => return Ok(None),
            (200, Ends::HungUp, false) => {
                call.answered = true;
                let called = std::mem::take(&mut call.called);
                self.hang_up(id, &called, message)?;
                return Ok(None);
            }
            (200, Ends::HungUp, true) => self.round.done += 1,
            _ => *self.round.refused.entry(status).or_default() += 1,
        }
        self.calls[place] = None;
        Ok(Some(id))
    }

    /// Acknowledges an answer, and ends the call, by the way that it was recorded to go.
    fn hang_up(&mut self, id: u64, called: &str, answer: &str) -> Result<()> {
        let routes: Vec<&str> = headers(answer, "Record-Route").collect();
        let routes: String = routes.iter().rev().map(|r| format!("Route: {r}\r\n")).collect();
        let target = header(answer, "Contact").trim_matches(['<', '>']);
        let within = Some((target, tag(header(answer, "To")), routes.as_str()));
        self.send("ACK", id, 1, called, within)?;
        self.send("BYE", id, 2, called, within)
    }

    /// Sends a request of a call; within a dialog with its target, To tag and Route lines.
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
