//! RFC 4475, message by message: what we make of each as a proxy, and which response it gets.
//!
//! Where the RFC leaves an element the choice between repairing and refusing, we refuse, so that nobody behind us
//! reads a message otherwise than we did. One exception: a malformed Date (3.1.2.12) is forwarded, because nothing
//! here reads it.

use std::path::PathBuf;
use std::time::Duration;

use tandem_sip::message::{
    Framed, Header, Keys, Message, Refusal, Start, StreamFramer, Table, check_extensions, check_forwarding,
    check_request,
};
use tandem_sip::proxy::{Config, Listener, Proxy};
use tandem_sip::transaction::Transport;
use tandem_sip::write::{Response, Splice};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Forwarded,
    /// With this status.
    Refused(u16),
    /// A response that cannot be believed.
    Dropped,
}
use Verdict::{Dropped, Forwarded, Refused};

const TABLE: &[(&str, &str, Verdict, &str)] = &[
    ("3.1.1.1", "wsinv", Forwarded, ""),
    ("3.1.1.2", "intmeth", Forwarded, ""),
    ("3.1.1.3", "esc01", Forwarded, ""),
    ("3.1.1.4", "escnull", Forwarded, ""),
    ("3.1.1.5", "esc02", Forwarded, ""),
    ("3.1.1.6", "lwsdisp", Forwarded, ""),
    ("3.1.1.7", "longreq", Forwarded, ""),
    ("3.1.1.8", "dblreq", Forwarded, ""),
    ("3.1.1.9", "semiuri", Forwarded, ""),
    ("3.1.1.10", "transports", Forwarded, ""),
    ("3.1.1.11", "mpart01", Forwarded, ""),
    ("3.1.1.12", "unreason", Forwarded, ""),
    ("3.1.1.13", "noreason", Forwarded, ""),
    ("3.1.2.1", "badinv01", Refused(400), "Malformed Via"),
    ("3.1.2.2", "clerr", Refused(400), "Body Shorter Than Content-Length"),
    ("3.1.2.3", "ncl", Refused(400), "Malformed Content-Length"),
    ("3.1.2.4", "scalar02", Refused(400), "Malformed CSeq"),
    ("3.1.2.5", "scalarlg", Dropped, ""),
    ("3.1.2.6", "quotbal", Refused(400), "Malformed To"),
    ("3.1.2.7", "ltgtruri", Refused(400), "Malformed Request-Line"),
    ("3.1.2.8", "lwsruri", Refused(400), "Malformed Request-Line"),
    ("3.1.2.9", "lwsstart", Refused(400), "Malformed Request-Line"),
    ("3.1.2.10", "trws", Refused(400), "Malformed Request-Line"),
    ("3.1.2.11", "escruri", Refused(400), "Headers in Request-URI"),
    // Lenience: a Date is none of a proxy's business.
    ("3.1.2.12", "baddate", Forwarded, ""),
    ("3.1.2.13", "regbadct", Refused(400), "Malformed Contact"),
    ("3.1.2.14", "badaspec", Refused(400), "Malformed To"),
    // The archive's file lacks the empty line, which is its first fault; see a_display_name_of_other_characters.
    ("3.1.2.15", "baddn", Refused(400), "Incomplete Message"),
    ("3.1.2.16", "badvers", Refused(505), "Version Not Supported"),
    ("3.1.2.17", "mismatch01", Refused(400), "CSeq Method Differs"),
    ("3.1.2.18", "mismatch02", Refused(400), "CSeq Method Differs"),
    ("3.1.2.19", "bigcode", Dropped, ""),
    ("3.2.1", "badbranch", Forwarded, ""),
    ("3.3.1", "insuf", Refused(400), "Missing From"),
    ("3.3.2", "unkscm", Refused(416), "Unsupported URI Scheme"),
    ("3.3.3", "novelsc", Refused(416), "Unsupported URI Scheme"),
    // Unknown schemes in To, From and Contact concern the registrar, not a proxy.
    ("3.3.4", "unksm2", Forwarded, ""),
    ("3.3.5", "bext01", Refused(420), "Bad Extension"),
    // 415 is the callee's answer.
    ("3.3.6", "invut", Forwarded, ""),
    // 401 is the registrar's answer.
    ("3.3.7", "regaut01", Forwarded, ""),
    ("3.3.8", "multi01", Refused(400), "Repeated CSeq"),
    ("3.3.9", "mcl01", Refused(400), "Several Content-Length Values"),
    // Dropped by who knows that its topmost Via is not ours: a_response_that_nobody_waits_for_is_dropped.
    ("3.3.10", "bcast", Forwarded, ""),
    ("3.3.11", "zeromf", Refused(483), "Too Many Hops"),
    ("3.3.12", "cparam01", Forwarded, ""),
    ("3.3.13", "cparam02", Forwarded, ""),
    ("3.3.14", "regescrt", Forwarded, ""),
    // 488 or 406 is the callee's answer.
    ("3.3.15", "sdp01", Forwarded, ""),
    ("3.4.1", "inv2543", Forwarded, ""),
];

fn torture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture").join(format!("{name}.dat"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// As a proxy without extensions does, with the answer it writes.
fn verdict(bytes: &[u8]) -> (Verdict, Option<Vec<u8>>) {
    let mut table = Table::new();
    let failed = match table.parse_datagram(bytes) {
        Ok(message) => {
            return match message.start() {
                Start::Response { .. } if Keys::read(&message).is_ok() => (Forwarded, None),
                Start::Response { .. } => (Dropped, None),
                Start::Request { .. } => match request(&message) {
                    Ok(()) => (Forwarded, None),
                    Err(refusal) => (Refused(refusal.status), Some(answer(&message, &refusal))),
                },
            };
        }
        Err(error) => error,
    };
    match table.salvage(bytes) {
        Some(message) => (Refused(failed.status()), Some(answer(&message, &Refusal::from(failed)))),
        None => (Dropped, None),
    }
}

fn request(message: &Message<'_>) -> Result<(), Refusal> {
    let keys = check_request(message, 16 * 1024)?;
    check_forwarding(message, &keys, &[])
}

fn answer(message: &Message<'_>, refusal: &Refusal) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(Response::refuse(message, refusal, Some("ours"), None, &mut out).finish(), Ok(()));
    out
}

#[test]
fn each_message_gets_what_the_rfc_says() {
    let mut names = Vec::new();
    for &(section, name, expected, reason) in TABLE {
        let (found, answer) = verdict(&torture(name));
        let answer = answer.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert_eq!(found, expected, "{section} {name}: {answer:?}");
        if let (Refused(status), Some(answer)) = (found, answer) {
            let line = format!("SIP/2.0 {status} {reason}\r\n");
            assert!(answer.starts_with(&line), "{section} {name}: {answer}");
            let mut table = Table::new();
            let message = table.parse_datagram(answer.as_bytes()).unwrap();
            assert!(message.first(Header::Via).is_some() && message.first(Header::CSeq).is_some(), "{name}");
        }
        names.push(format!("{name}.dat"));
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/torture");
    let files =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = files.filter(|file| file.ends_with(".dat")).collect();
    names.sort();
    files.sort();
    assert_eq!(names, files, "each file is in the table");
}

/// The bytes are the archive's: the lengths that the RFC's text speaks of, and what a tool that mends line ends would
/// change.
#[test]
fn each_file_has_the_bytes_of_the_rfcs_archive() {
    let (mut bytes, mut digest) = (0, 0xcbf2_9ce4_8422_2325_u64);
    for &(section, name, ..) in TABLE {
        let file = torture(name);
        bytes += file.len();
        // FNV-1a.
        digest =
            file.iter().fold(digest, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let head = file.windows(4).position(|end| end == b"\r\n\r\n").map_or(file.len(), |at| at + 4);
        let text = String::from_utf8_lossy(&file[..head]).to_lowercase();
        let length = text.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            matches!(field.trim(), "content-length" | "l").then(|| value.trim().to_owned())
        });
        let body = (file.len() - head).to_string();
        let expected = match name {
            "clerr" => Some("9999"),
            "ncl" => Some("-999"),
            // A second request follows the first.
            "dblreq" => Some("0"),
            // The first of two that differ.
            "mcl01" => Some("13"),
            "inv2543" => None,
            _ => Some(body.as_str()),
        };
        assert_eq!(length.as_deref(), expected, "{section} {name}");
        let bare =
            file.iter().enumerate().any(|(at, byte)| *byte == b'\n' && (at == 0 || file[at - 1] != b'\r'));
        assert_eq!(bare, name == "mpart01", "{section} {name}: LF without CR, in a binary body only");
    }
    assert_eq!((bytes, digest), (24_656, 11_120_470_145_409_110_015));
}

/// 3.1.2.15: as the RFC prints it, with its empty line. "An element receiving this message may respond with a 400".
#[test]
fn a_display_name_of_other_characters_is_refused() {
    let bytes = [torture("baddn").as_slice(), b"\r\n"].concat();
    let (found, answer) = verdict(&bytes);
    assert_eq!(found, Refused(400));
    assert!(answer.unwrap().starts_with(b"SIP/2.0 400 Malformed From\r\n"));
}

/// 3.1.1.1: folds, blanks, compact forms and leading zeros are read through.
#[test]
fn the_short_tortuous_invite_has_its_keys() {
    let bytes = torture("wsinv");
    let mut table = Table::new();
    let message = table.parse_datagram(&bytes).unwrap();
    let keys = Keys::read(&message).unwrap();
    assert_eq!((keys.method, keys.cseq.number, keys.max_forwards), ("INVITE", 9, Some(68)));
    assert_eq!((keys.from_tag, keys.to_tag), (Some("98asjd8"), Some("1918181833n")));
    assert_eq!((keys.via.transport, keys.via.host, keys.via.branch), ("UDP", "192.0.2.2", Some("390skdjuw")));
    assert_eq!(keys.call_id, "wsinv.ndaksdj@192.0.2.1");
    let route = keys.route().unwrap().unwrap().uri().unwrap();
    assert_eq!((route.host, route.param("lr")), ("services.example.com", Some(None)));
    assert_eq!(message.body().len(), 150);
}

/// 3.1.1.5: C%6Fntact is not Contact, and the method is not REGISTER.
#[test]
fn escapes_mean_nothing_outside_of_uris() {
    let bytes = torture("esc02");
    let mut table = Table::new();
    let message = table.parse_datagram(&bytes).unwrap();
    assert_eq!(message.all(Header::Contact).count(), 2);
    assert_eq!(Keys::read(&message).unwrap().method, "RE%47IST%45R");
}

/// 3.1.1.8: as a datagram the second request is excess and goes no further; on a stream it is a message.
#[test]
fn the_double_request_is_one_by_datagram_and_two_by_stream() {
    let bytes = torture("dblreq");
    let mut table = Table::new();
    let message = table.parse_datagram(&bytes).unwrap();
    let mut out = Vec::new();
    Splice::new(message).write(&mut out).unwrap();
    assert!(bytes.starts_with(&out) && out.ends_with(b"Content-Length: 0\r\n\r\n"));

    let mut framer = StreamFramer::new();
    framer.push(&bytes);
    let mut methods = Vec::new();
    while let Ok(Some(framed)) = framer.next(&mut table) {
        if let Framed::Message(message) = framed {
            methods.push(Keys::read(&message).unwrap().method.to_owned());
        }
    }
    assert_eq!(methods, ["REGISTER", "INVITE"]);
}

/// 3.2.1: a cookie without more names no transaction; RFC 2543 rules match it.
#[test]
fn a_bare_cookie_is_no_branch() {
    for (name, expected) in [("badbranch", false), ("inv2543", false), ("semiuri", true)] {
        let bytes = torture(name);
        let mut table = Table::new();
        let message = table.parse_datagram(&bytes).unwrap();
        assert_eq!(Keys::read(&message).unwrap().via.has_transaction_branch(), expected, "{name}");
    }
}

/// 3.3.5: Proxy-Require is for proxies, Require for user agents; what is known is not listed.
#[test]
fn unknown_extensions_are_named() {
    let bytes = torture("bext01");
    let mut table = Table::new();
    let message = table.parse_datagram(&bytes).unwrap();
    let keys = Keys::read(&message).unwrap();
    let unsupported = |result: Result<(), Refusal>| result.unwrap_err().line.unwrap();
    assert_eq!(
        unsupported(check_forwarding(&message, &keys, &[])),
        (Header::Unsupported, "noProxiesSupportThis, norDoAnyProxiesSupportThis".to_owned())
    );
    assert_eq!(
        unsupported(check_extensions(&message, &keys, &["NothingSupportsThis"])),
        (Header::Unsupported, "nothingSupportsThisEither".to_owned())
    );
    assert!(
        check_forwarding(&message, &keys, &["noProxiesSupportThis", "norDoAnyProxiesSupportThis"]).is_ok()
    );
}

/// 3.3.10: a response whose topmost Via is another's is dropped, and so is each other response: nobody asked.
#[test]
fn a_response_that_nobody_waits_for_is_dropped() {
    let listener = Listener { transport: Transport::Udp, host: "192.0.2.1".into(), port: 5060 };
    let mut proxy = Proxy::new(Config::new(vec![listener], [7; 16]));
    let mut table = Table::new();
    for name in ["bcast", "unreason", "noreason"] {
        let bytes = torture(name);
        let message = table.parse_datagram(&bytes).unwrap();
        assert!(matches!(message.start(), Start::Response { .. }));
        proxy.on_response(&message, Duration::ZERO);
        assert_eq!((proxy.drain().count(), proxy.held()), (0, (0, 0)), "{name}");
    }
}

/// What is forwarded is forwarded whole.
#[test]
fn each_message_survives_a_splice_byte_for_byte() {
    for &(_, name, ..) in TABLE {
        let bytes = torture(name);
        let mut table = Table::new();
        let Ok(message) = table.parse_datagram(&bytes) else { continue };
        let mut out = Vec::new();
        Splice::new(message).write(&mut out).unwrap();
        assert_eq!(out, bytes[..message.bytes().len()], "{name}");
    }
}
