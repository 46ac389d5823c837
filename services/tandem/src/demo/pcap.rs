//! Packets for Wireshark: raw IPv4 (LINKTYPE_RAW) with UDP or TCP inside, as the simulators saw them on the wire.
//!
//! What the edge sends and gets is there too, where a simulator at the other end hears it: with the WAN cut, what it
//! sends to the CIC that nothing reaches any more is not. Streams are written as whole
//! messages, with sequence numbers that fit and without a handshake.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tandem_sim::net::{Direction, Observer, Packet, Transport};

/// `LINKTYPE_RAW`: the packet begins with its IP header.
const LINKTYPE_RAW: u32 = 101;
/// Bytes of a packet that are kept at most: all that IPv4 can carry.
const SNAP: u32 = 65_535;
const IPV4: usize = 20;
const UDP: usize = 8;
const TCP: usize = 20;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;

/// A capture file that is being written. Cheap to clone; clones are one file.
#[derive(Clone)]
pub(crate) struct Capture(Arc<Mutex<Writer>>);

struct Writer {
    out: BufWriter<File>,
    packets: Vec<(u64, Vec<u8>)>,
    /// The next sequence number of each direction of each connection.
    sequence: HashMap<(SocketAddr, SocketAddr), u32>,
}

impl Capture {
    /// Makes the file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("--pcap {}", path.display()))?;
        let out = BufWriter::new(file);
        Ok(Self(Arc::new(Mutex::new(Writer { out, packets: Vec::new(), sequence: HashMap::new() }))))
    }

    /// Watches the wire: what simulators send, and what they get from an edge, which shows nothing of itself.
    pub(crate) fn observer(&self, is_edge: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Observer {
        let writer = Arc::clone(&self.0);
        Arc::new(move |packet: &Packet<'_>| {
            if packet.direction == Direction::Sent || is_edge(packet.from.ip()) {
                writer.lock().unwrap_or_else(PoisonError::into_inner).keep(packet);
            }
        })
    }

    /// Writes what was seen, in the order of time. The number of packets.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn finish(&self) -> anyhow::Result<usize> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        writer.packets.sort_by_key(|(at, _)| *at);
        let Writer { out, packets, .. } = &mut *writer;
        for (word, size) in
            [(0xa1b2_c3d4_u32, 4), (2, 2), (4, 2), (0, 4), (0, 4), (SNAP, 4), (LINKTYPE_RAW, 4)]
        {
            out.write_all(&word.to_le_bytes()[..size])?;
        }
        for (at, bytes) in packets.iter() {
            let length = u32::try_from(bytes.len()).unwrap_or(SNAP);
            let [seconds, micros] = [at / 1_000_000, at % 1_000_000].map(|n| u32::try_from(n).unwrap_or(0));
            for word in [seconds, micros, length, length] {
                out.write_all(&word.to_le_bytes())?;
            }
            out.write_all(bytes)?;
        }
        out.flush()?;
        Ok(packets.len())
    }
}

impl Writer {
    fn keep(&mut self, packet: &Packet<'_>) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (packet.from.ip(), packet.to.ip()) else { return };
        let head = if packet.transport == Transport::Udp { UDP } else { TCP };
        let Ok(total) = u16::try_from(IPV4 + head + packet.bytes.len()) else { return };
        let protocol = if packet.transport == Transport::Udp { PROTOCOL_UDP } else { PROTOCOL_TCP };
        let mut bytes = Vec::with_capacity(usize::from(total));
        bytes.extend_from_slice(&[0x45, 0]);
        bytes.extend_from_slice(&total.to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0x40, 0, 64, protocol, 0, 0]);
        bytes.extend_from_slice(&from.octets());
        bytes.extend_from_slice(&to.octets());
        let sum = checksum(&bytes);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes.extend_from_slice(&packet.from.port().to_be_bytes());
        bytes.extend_from_slice(&packet.to.port().to_be_bytes());
        if packet.transport == Transport::Udp {
            // A checksum of zero is none (RFC 768).
            bytes.extend_from_slice(&(total - 20).to_be_bytes());
            bytes.extend_from_slice(&[0, 0]);
        } else {
            let acknowledged = *self.sequence.get(&(packet.to, packet.from)).unwrap_or(&1);
            let next = self.sequence.entry((packet.from, packet.to)).or_insert(1);
            bytes.extend_from_slice(&next.to_be_bytes());
            bytes.extend_from_slice(&acknowledged.to_be_bytes());
            // Header of five words, PSH and ACK, a window, no checksum, nothing urgent.
            bytes.extend_from_slice(&[0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
            *next = next.wrapping_add(u32::try_from(packet.bytes.len()).unwrap_or(0));
        }
        bytes.extend_from_slice(packet.bytes);
        self.packets.push((packet.unix_micros, bytes));
    }
}

/// RFC 791 section 3.1.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_sums_to_nothing() {
        // A known IPv4 header with its checksum taken out.
        let mut header: Vec<u8> =
            vec![0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
        let sum = checksum(&header);
        assert_eq!(sum, 0xb861);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(checksum(&header), 0);
    }

    #[test]
    fn a_datagram_is_written_as_raw_ip() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let capture = Capture::create(file.path()).unwrap();
        let packet = Packet {
            unix_micros: 3_000_007,
            from: "127.20.1.10:5060".parse().unwrap(),
            to: "127.20.1.20:5060".parse().unwrap(),
            transport: Transport::Udp,
            direction: Direction::Sent,
            carried: tandem_sim::net::Carried::Sip,
            bytes: b"OPTIONS",
        };
        capture.observer(|_| false)(&packet);
        capture.observer(|_| false)(&Packet { direction: Direction::Received, ..packet });
        assert_eq!(capture.finish().unwrap(), 1);
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_le_bytes());
        assert_eq!(bytes[20..24], LINKTYPE_RAW.to_le_bytes());
        assert_eq!((bytes[24], bytes[28], bytes[32]), (3, 7, 35));
        assert_eq!(bytes[24 + 16], 0x45);
        assert_eq!(checksum(&bytes[40..60]), 0);
        assert_eq!(&bytes[68..], b"OPTIONS");
    }
}
