//! What holds for any bytes: no panic, no byte changed unasked, no difference by how a stream is cut.

use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tandem_sip::message::{
    Framed, Header, Keys, Message, Refusal, StreamFramer, Table, Uri, Via, addresses, check_extensions,
    check_forwarding, check_request, list,
};
use tandem_sip::write::{Response, Splice, ack, cancel};

fn torture() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
    files.sort();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "dat"));
    files.iter().filter_map(|path| std::fs::read(path).ok()).collect()
}

/// Reads all that can be read of a message, and writes all that can be written of it.
fn exercise(message: &Message<'_>) {
    for (header, name, value) in message.headers() {
        assert!(!name.is_empty() && (header == Header::Other || Header::of(name) == header));
        for part in list(value) {
            let _ = Via::parse(part).map(|via| via.params().count());
            let _ = Uri::parse(part).map(|uri| uri.user_text().map(|text| text.len()));
        }
        for addr in addresses(value).flatten() {
            let _ = (addr.display_name(), addr.q(), addr.expires(), addr.params().count());
            if let Ok(uri) = addr.uri() {
                assert!(uri.equivalent(&uri), "{}", uri.as_str());
            }
        }
    }
    let refusal = check_request(message, 1024).and_then(|keys| {
        check_forwarding(message, &keys, &[])?;
        check_extensions(message, &keys, &[])
    });
    let refusal = refusal.err().unwrap_or(Refusal::LOOP_DETECTED);
    let source = "192.0.2.1:5060".parse().ok();
    let mut out = Vec::new();
    if Response::refuse(message, &refusal, Some("tag"), source, &mut out)
        .record_route(message)
        .finish()
        .is_ok()
    {
        let mut table = Table::new();
        assert!(table.parse_datagram(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
    }
    let _ = (cancel(message, &mut out), ack(message, message, &mut out));
    let mut splice = Splice::new(*message);
    splice
        .request_uri("sip:new@host")
        .prepend(Header::Via, "SIP/2.0/UDP us;branch=z9hG4bKx")
        .remove(Header::Route, 0);
    splice
        .set(Header::MaxForwards, 69)
        .ensure_content_length()
        .retain(Header::Contact, |nth, _| nth % 2 == 0);
    let _ = splice.write(&mut out);
}

/// As [`exercise`], for bytes that may be a message.
fn exercise_bytes(bytes: &[u8]) {
    let mut table = Table::new();
    if let Ok(message) = table.parse_datagram(bytes) {
        exercise(&message);
        let mut out = Vec::new();
        assert_eq!(Splice::new(message).write(&mut out), Ok(()));
        assert_eq!(out, message.bytes());
        return;
    }
    if let Some(message) = table.salvage(bytes) {
        exercise(&message);
    }
}

/// What a stream gives that comes in these pieces: messages, pings, and the fault that closes it.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut framer, mut table, mut found) = (StreamFramer::new(), Table::new(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next(&mut table) {
                Ok(None) => break,
                Ok(Some(Framed::Ping)) => found.push(b"ping".to_vec()),
                Ok(Some(Framed::Message(message))) => found.push(message.bytes().to_vec()),
                Err(error) => {
                    found.push(error.to_string().into_bytes());
                    if let Some(message) = framer.salvage(&table) {
                        exercise(&message);
                    }
                    return found;
                }
            }
        }
    }
    found
}

/// A value as a careless or hostile peer writes it, without line ends.
fn value() -> impl Strategy<Value = String> {
    let pieces = [
        "sip:",
        "a",
        "@",
        "b.c",
        "<",
        ">",
        "\"",
        "\\",
        ";",
        "tag=",
        "=",
        ",",
        " ",
        "\r\n ",
        "[::1]",
        ":5060",
        "%4",
        "z9hG4bK",
        "SIP/2.0/UDP",
        "*",
        "?",
        "7",
        "INVITE",
        "\u{e9}",
        "\t",
    ];
    vec(select(pieces.to_vec()), 0..12).prop_map(|parts| parts.concat())
}

fn message_text() -> impl Strategy<Value = Vec<u8>> {
    let names = [
        "Via",
        "v",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Max-Forwards",
        "Route",
        "Record-Route",
        "Contact",
        "Subject",
        "X-Odd",
        "Require",
        "Proxy-Require",
    ];
    let lines = vec((select(names.to_vec()), select(vec![":", ": ", " : ", "\t:"]), value()), 0..16);
    (
        select(vec!["INVITE sip:a@b SIP/2.0", "SIP/2.0 200 OK", "REGISTER tel:+1;x SIP/2.0"]),
        lines,
        vec(any::<u8>(), 0..64),
    )
        .prop_map(|(start, lines, body)| {
            let lines: String =
                lines.iter().map(|(name, colon, value)| format!("{name}{colon}{value}\r\n")).collect();
            let mut bytes = format!("{start}\r\n{lines}l: {}\r\n\r\n", body.len()).into_bytes();
            bytes.extend(body);
            bytes
        })
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..2048)) {
        exercise_bytes(&bytes);
        frames([bytes.as_slice()]);
    }

    #[test]
    fn any_lines_are_read_without_panic(bytes in message_text()) {
        exercise_bytes(&bytes);
    }

    #[test]
    fn mutated_torture_is_read_without_panic(
        which in any::<Index>(),
        changes in vec((any::<Index>(), any::<u8>(), 0..3_u8), 1..8),
        other in (any::<Index>(), any::<Index>()),
    ) {
        let files = torture();
        let mut bytes = which.get(&files).clone();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        exercise_bytes(&bytes);
        let second = other.0.get(&files);
        bytes.truncate(other.1.index(bytes.len() + 1));
        bytes.extend(second);
        exercise_bytes(&bytes);
        frames([bytes.as_slice()]);
    }

    #[test]
    fn pieces_make_no_difference(
        parts in vec((0..4_u8, any::<Index>(), message_text()), 1..5),
        cuts in vec(any::<Index>(), 0..12),
    ) {
        let files = torture();
        let mut stream = Vec::new();
        for (kind, file, text) in parts {
            match kind {
                0 => stream.extend(b"\r\n\r\n"),
                1 => stream.extend(file.get(&files)),
                _ => stream.extend(text),
            }
        }
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        prop_assert_eq!(frames(pieces), frames([stream.as_slice()]));
        prop_assert_eq!(frames(stream.chunks(1)), frames([stream.as_slice()]));
    }

    #[test]
    fn a_prepended_via_changes_nothing_else(bytes in message_text()) {
        let (mut table, mut again) = (Table::new(), Table::new());
        if let Ok(message) = table.parse_datagram(&bytes) {
            let mut out = Vec::new();
            Splice::new(message).prepend(Header::Via, "SIP/2.0/UDP us").write(&mut out).unwrap();
            let forwarded = again.parse_datagram(&out).unwrap();
            let rest: Vec<_> = forwarded.headers().filter(|(.., value)| *value != b"SIP/2.0/UDP us").collect();
            prop_assert_eq!(rest, message.headers().collect::<Vec<_>>());
            prop_assert_eq!(forwarded.first(Header::Via), Some(b"SIP/2.0/UDP us".as_slice()));
            prop_assert_eq!(forwarded.body(), message.body());
            // And taken off again, it is the message that came.
            let mut back = Vec::new();
            Splice::new(forwarded).remove(Header::Via, 0).write(&mut back).unwrap();
            prop_assert_eq!(back, message.bytes());
        }
    }

    #[test]
    fn removed_values_are_the_ones_asked_for(bytes in message_text(), keeps in vec(any::<bool>(), 16)) {
        let (mut table, mut again) = (Table::new(), Table::new());
        if let Ok(message) = table.parse_datagram(&bytes) {
            let keep = |nth: usize| keeps[nth % keeps.len()];
            let mut out = Vec::new();
            Splice::new(message).retain(Header::Route, |nth, _| keep(nth)).write(&mut out).unwrap();
            let left = again.parse_datagram(&out).unwrap();
            let values = |message: &Message<'_>| message.all(Header::Route).flat_map(list).map(<[u8]>::to_vec).collect::<Vec<_>>();
            let expected: Vec<_> = values(&message).into_iter().enumerate().filter(|(nth, _)| keep(*nth)).map(|(_, value)| value).collect();
            // Empty places at a line's end lose their meaning with their commas, so only named values count.
            let named = |values: Vec<Vec<u8>>| values.into_iter().filter(|value| !value.is_empty()).collect::<Vec<_>>();
            prop_assert_eq!(named(values(&left)), named(expected));
        }
    }

    /// The keys that a strict reader finds are the ones that a forwarded copy has.
    #[test]
    fn keys_survive_a_splice(bytes in message_text()) {
        let (mut table, mut again) = (Table::new(), Table::new());
        if let Ok(message) = table.parse_datagram(&bytes) {
            let mut out = Vec::new();
            Splice::new(message).append(Header::Date, "x").write(&mut out).unwrap();
            let forwarded = again.parse_datagram(&out).unwrap();
            prop_assert_eq!(format!("{:?}", Keys::read(&message)), format!("{:?}", Keys::read(&forwarded)));
        }
    }
}
