//! SDP (RFC 8866) of one audio stream with G.711: what is read of an offer or answer, and what is written.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

/// Which way audio flows, seen by the one who wrote the description (RFC 3264 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flowing {
    /// Both ways.
    SendReceive,
    /// From the writer only: the other side is on hold and hears music.
    SendOnly,
    /// To the writer only.
    ReceiveOnly,
    /// Neither way.
    Inactive,
}

impl Flowing {
    fn attribute(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// What the answer to this is (RFC 3264 section 6.1).
    pub(crate) fn answered(self) -> Self {
        match self {
            Self::SendOnly => Self::ReceiveOnly,
            Self::ReceiveOnly => Self::SendOnly,
            both => both,
        }
    }
}

/// The audio stream of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Where its writer receives.
    pub(crate) address: SocketAddr,
    /// Which way it flows.
    pub(crate) flowing: Flowing,
    /// Payload types, as preferred.
    pub(crate) payloads: Vec<u8>,
}

/// Whether a description can be answered by an element that speaks G.711.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answerable {
    /// With this of G.711.
    Yes(Session),
    /// It has no audio stream, or none with G.711: 488 (RFC 3261 section 21.4.26).
    No,
}

/// PCMU (G.711 mu-law) and PCMA (A-law), RFC 3551 section 6.
const G711: [u8; 2] = [0, 8];

/// Reads the first audio stream that is not switched off (port 0).
pub(crate) fn read(body: &[u8]) -> Option<Session> {
    let text = std::str::from_utf8(body).ok()?;
    let mut session_address: Option<IpAddr> = None;
    let mut flowing = Flowing::SendReceive;
    let mut audio: Option<(u16, Vec<u8>)> = None;
    let mut media_address: Option<IpAddr> = None;
    for line in text.lines() {
        let Some((kind, value)) = line.split_once('=') else { continue };
        match kind {
            "m" if audio.is_some() => break,
            "m" => audio = read_audio(value),
            "c" => {
                let address = value.rsplit(' ').next().and_then(|word| word.split('/').next()?.parse().ok());
                match audio {
                    Some(_) => media_address = address,
                    None => session_address = address,
                }
            }
            "a" => flowing = read_flowing(value).unwrap_or(flowing),
            _ => {}
        }
    }
    let (port, payloads) = audio?;
    let address = SocketAddr::new(media_address.or(session_address)?, port);
    Some(Session { address, flowing, payloads })
}

/// `audio 4000 RTP/AVP 0 8`; none when it is not audio or is switched off.
fn read_audio(value: &str) -> Option<(u16, Vec<u8>)> {
    let mut words = value.split_ascii_whitespace();
    if words.next()? != "audio" {
        return None;
    }
    let port: u16 = words.next()?.split('/').next()?.parse().ok()?;
    let payloads = words.skip(1).filter_map(|word| word.parse().ok()).collect();
    (port != 0).then_some((port, payloads))
}

fn read_flowing(attribute: &str) -> Option<Flowing> {
    [Flowing::SendReceive, Flowing::SendOnly, Flowing::ReceiveOnly, Flowing::Inactive]
        .into_iter()
        .find(|flowing| flowing.attribute() == attribute.trim_end())
}

/// Whether `body` can be answered, and by what.
pub(crate) fn answerable(body: &[u8]) -> Answerable {
    match read(body) {
        Some(mut session) if session.payloads.iter().any(|payload| G711.contains(payload)) => {
            session.payloads.retain(|payload| G711.contains(payload));
            Answerable::Yes(session)
        }
        _ => Answerable::No,
    }
}

/// Writes a description: audio is received at `address`, both kinds of G.711 are offered. `version` grows with
/// each description of one leg (RFC 3264 section 8).
pub(crate) fn write(address: SocketAddr, version: u32, flowing: Flowing) -> Bytes {
    let family = if address.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, port) = (address.ip(), address.port());
    let mut text = String::with_capacity(256);
    let written = write!(
        text,
        "v=0\r\no=- {port} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na={}\r\n",
        flowing.attribute()
    );
    debug_assert!(written.is_ok(), "writing to a String does not fail");
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let check = |address: &str, flowing| {
            let address: SocketAddr = address.parse().unwrap();
            let expected = Session { address, flowing, payloads: vec![0, 8, 101] };
            assert_eq!(read(&write(address, 1, flowing)), Some(expected));
        };
        check("127.1.0.10:40000", Flowing::SendReceive);
        check("127.1.0.10:40000", Flowing::SendOnly);
        check("[::1]:40000", Flowing::Inactive);
    }

    #[test]
    fn only_an_audio_stream_with_g711_is_answerable() {
        let check = |text: &str, expected: Option<(&str, &[u8])>| {
            let found = match answerable(text.as_bytes()) {
                Answerable::Yes(session) => Some((session.address.to_string(), session.payloads)),
                Answerable::No => None,
            };
            assert_eq!(found, expected.map(|(address, payloads)| (address.to_owned(), payloads.to_vec())));
        };
        let head = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n";
        check(&format!("{head}m=audio 4000 RTP/AVP 9 8\r\n"), Some(("10.0.0.1:4000", &[8])));
        check(
            &format!(
                "{head}m=audio 4000 RTP/AVP 0\r\nc=IN IP4 10.0.0.2\r\nm=video 1 RTP/AVP 31\r\nc=IN IP4 10.0.0.3\r\n"
            ),
            Some(("10.0.0.2:4000", &[0])),
        );
        check(&format!("{head}m=audio 0 RTP/AVP 0\r\n"), None);
        check(&format!("{head}m=audio 4000 RTP/AVP 9\r\n"), None);
        check(&format!("{head}m=video 4000 RTP/AVP 31\r\n"), None);
        check("", None);
    }

    #[test]
    fn hold_is_answered_by_its_counterpart() {
        assert_eq!(Flowing::SendOnly.answered(), Flowing::ReceiveOnly);
        assert_eq!(Flowing::Inactive.answered(), Flowing::Inactive);
        assert_eq!(Flowing::SendReceive.answered(), Flowing::SendReceive);
    }
}
