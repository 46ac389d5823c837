//! The marks that a receiver leaves in the topmost Via (RFC 3261 18.2.1, RFC 3581 4).

use std::net::{IpAddr, SocketAddr};

use crate::message::{FieldError, Via, host_address};

/// Where bytes are written to: it takes all of them.
pub(super) trait Out: std::io::Write {
    fn put(&mut self, bytes: &[u8]);
}

impl Out for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<A: smallvec::Array<Item = u8>> Out for smallvec::SmallVec<A> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Writes a Via value with `received` and `rport` as its source says; other bytes stay.
///
/// RFC 3581 4: when the request asks by `rport`, both are set, "even if it is identical to the sent-by". What the
/// sender itself wrote into them is not believed.
///
/// # Errors
/// If the value cannot be read; nothing is written then.
pub(super) fn stamp(value: &[u8], source: SocketAddr, out: &mut impl Out) -> Result<(), FieldError> {
    let via = Via::parse(value)?;
    let ip = source.ip().to_canonical();
    let differs = host_address(via.host).is_none_or(|host| host != ip);
    // Only these two parameters change, so the rest is copied between them.
    let mut copied = 0;
    for (name, range) in via.param_ranges(value) {
        if name.eq_ignore_ascii_case(b"received") || name.eq_ignore_ascii_case(b"rport") {
            out.put(&value[copied..range.start]);
            copied = range.end;
        }
    }
    out.put(&value[copied..]);
    if differs || via.rport.is_some() {
        out.put(b";received=");
        address(ip, out);
    }
    if via.rport.is_some() {
        // It takes all that is written.
        let _ = write!(out, ";rport={}", source.port());
    }
    Ok(())
}

/// Writes an address: most are of version 4, whose usual way through the formatter costs as much as the rest of a Via.
fn address(ip: IpAddr, out: &mut impl Out) {
    let IpAddr::V4(ip) = ip else {
        let _ = write!(out, "{ip}");
        return;
    };
    for (nth, octet) in ip.octets().into_iter().enumerate() {
        if nth > 0 {
            out.put(b".");
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let zeros = digits[..2].iter().take_while(|digit| **digit == 0).count();
        out.put(&digits.map(|digit| b'0' + digit)[zeros..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_the_formatter_does() {
        for text in ["0.0.0.0", "192.0.2.7", "10.100.99.255", "1.20.200.9", "2001:db8::1"] {
            let mut out = Vec::new();
            address(text.parse().unwrap(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
