//! How long from a saved tenant file until an edge decides by it.
//!
//!     bench-reload TANDEM [ROUNDS]        the program to start; 21 rounds by default
//!
//! Starts `TANDEM up` with one example tenant in a directory of its own, then saves the tenant's file again and again,
//! by turns with an explicit route that refuses a number and without. After each save an INVITE for that number goes
//! to the edge every two milliseconds, over UDP, from the address of the tenant's gateway, until an answer shows that
//! the edge decides by what was saved: a refusal, or 100 Trying. Prints the milliseconds from the start of the write to
//! the sending of that INVITE: least, median, most.

use std::error::Error;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The example's gateway, and a number that its policy refuses.
const GATEWAY: &str = "127.2.1.10:0";
const REFUSED: &str = "+493023125666";
/// The same policy, with the route at another number.
const ELSEWHERE: &str = "+493023125667";

/// How often an INVITE goes out, and how long it takes until something must be wrong.
const EVERY: Duration = Duration::from_millis(2);
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let tandem = args.next().ok_or("which program? bench-reload ../target/release/tandem")?;
    let rounds: usize = args.next().map_or(Ok(21), |n| n.parse())?;
    let base = tempfile::tempdir()?;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for folder in ["tenants", "directories"] {
        fs::create_dir(base.path().join(folder))?;
        fs::copy(examples.join(folder).join("brandt.yaml"), base.path().join(folder).join("brandt.yaml"))?;
    }
    let file = base.path().join("tenants/brandt.yaml");
    let with = fs::read_to_string(&file)?;
    let without = with.replace(REFUSED, ELSEWHERE);
    let port = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port();
    let _up = Up::start(&tandem, base.path(), port)?;
    let mut gateway = Gateway::new(port)?;
    gateway.until(true)?;
    let mut times = Vec::new();
    for round in 0..rounds {
        let refused = round % 2 == 1;
        let begun = Instant::now();
        fs::write(&file, if refused { &with } else { &without })?;
        times.push(gateway.until(refused)?.duration_since(begun));
    }
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{rounds} saves: least {:.0} ms, median {:.0} ms, most {:.0} ms",
        ms(times[0]),
        ms(times[times.len() / 2]),
        ms(times[times.len() - 1])
    );
    Ok(())
}

/// A running `tandem up`, ended with this.
struct Up(Child);

impl Up {
    fn start(tandem: &str, base: &Path, port: u16) -> Result<Self> {
        let under = |folder: &str| -> PathBuf { base.join(folder) };
        let child = Command::new(tandem)
            .args(["up", "--grpc", "127.0.0.1:0", "--listen", &format!("public=udp:127.0.0.1:{port}")])
            .arg("--tenants")
            .arg(under("tenants"))
            .arg("--directories")
            .arg(under("directories"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{tandem}: {error}"))?;
        Ok(Self(child))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who calls.
struct Gateway {
    socket: UdpSocket,
    edge: String,
    calls: u64,
}

impl Gateway {
    fn new(port: u16) -> Result<Self> {
        let socket = UdpSocket::bind(GATEWAY)?;
        socket.set_read_timeout(Some(EVERY))?;
        Ok(Self { socket, edge: format!("127.0.0.1:{port}"), calls: 0 })
    }

    /// Calls until an answer shows the refusal, or its absence; when the INVITE with that answer was sent.
    fn until(&mut self, refused: bool) -> Result<Instant> {
        let began = Instant::now();
        let mut sent: Vec<(u64, Instant)> = Vec::new();
        let mut buffer = [0; 4096];
        while began.elapsed() < PATIENCE {
            self.calls += 1;
            sent.push((self.calls, Instant::now()));
            self.socket.send_to(self.invite(self.calls)?.as_bytes(), &self.edge)?;
            while let Ok((len, _)) = self.socket.recv_from(&mut buffer) {
                let answer = String::from_utf8_lossy(&buffer[..len]);
                // Answers to calls of the round before tell nothing.
                let of = answer.split("Call-ID: reload-").nth(1).and_then(|rest| rest.split('\r').next());
                let of: Option<u64> = of.and_then(|number| number.parse().ok());
                let Some((_, at)) = sent.iter().find(|(call, _)| Some(*call) == of) else { continue };
                let shows = match answer.get(8..11) {
                    Some("100") => false,
                    Some(status) if status.starts_with(['4', '6']) => true,
                    _ => continue,
                };
                if shows == refused {
                    return Ok(*at);
                }
            }
        }
        Err(format!("no answer showed it within {PATIENCE:?}").into())
    }

    fn invite(&self, call: u64) -> Result<String> {
        let here = self.socket.local_addr()?;
        Ok(format!(
            "INVITE sip:{REFUSED}@{edge} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-reload-{call}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+4989123456@gw.brandt.example>;tag={call}\r\n\
             To: <sip:{REFUSED}@{edge}>\r\nCall-ID: reload-{call}\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:gw@{here}>\r\nContent-Length: 0\r\n\r\n",
            edge = self.edge,
        ))
    }
}
