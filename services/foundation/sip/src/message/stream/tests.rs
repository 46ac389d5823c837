use super::super::{Header, Start};
use super::*;

const INVITE: &str = "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nl: 4\r\n\r\nbody";
const BYE: &str = "BYE sip:c@d SIP/2.0\r\nContent-Length: 0\r\n\r\n";

/// Everything a stream gives when it comes in pieces of `size` bytes.
fn frames(stream: &[u8], size: usize) -> Vec<String> {
    let mut framer = StreamFramer::new();
    let mut table = Table::new();
    let mut found = Vec::new();
    for piece in stream.chunks(size) {
        framer.push(piece);
        loop {
            match framer.next(&mut table) {
                Ok(None) => break,
                Ok(Some(Framed::Ping)) => found.push("ping".to_owned()),
                Ok(Some(Framed::Message(message))) => {
                    found.push(String::from_utf8_lossy(message.bytes()).into_owned());
                }
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
        }
    }
    found
}

#[test]
fn pieces_of_any_size_give_the_same_messages() {
    let stream = format!("\r\n\r\n\r\n{INVITE}{BYE}\r\n\r\n\r\n{INVITE}\r\n");
    for size in 1..=stream.len() {
        assert_eq!(
            frames(stream.as_bytes(), size),
            ["ping", INVITE, BYE, "ping", INVITE],
            "pieces of {size}"
        );
    }
}

#[test]
fn faults_close_the_stream_by_name() {
    let check = |stream: &str, expected: ParseError| {
        for size in [1, 7, stream.len()] {
            let found = frames(format!("{BYE}{stream}").as_bytes(), size);
            assert_eq!(found, [BYE.to_owned(), StreamError(expected).to_string()], "{stream:.60}");
        }
    };
    // RFC 3261 18.3: on a stream "the Content-Length header field MUST be used".
    check("BYE sip:c SIP/2.0\r\n\r\n", ParseError::ContentLengthMissing);
    check("BYE sip:c SIP/2.0\r\nl: x\r\n\r\n", ParseError::ContentLength);
    check("BYE sip:c SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n", ParseError::ContentLengthConflict);
    check("BYE sip:c SIP/2.0\r\nl: 65535\r\n\r\n", ParseError::MessageTooLarge);
    check("BYE sip:c SIP/9.0\r\nl: 0\r\n\r\n", ParseError::Version);
    check("BYE sip:c SIP/2.0\r\nl: 0\r\nbad\r\n\r\n", ParseError::HeaderLine);
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ParseError::StartLine);
    check("\x16\x03\x01", ParseError::StartLine);
    check(&"a".repeat(MESSAGE_BYTES_MAX + 1), ParseError::HeadUnfinished);
}

#[test]
fn a_fault_stays_and_can_be_answered() {
    let mut framer = StreamFramer::new();
    let mut table = Table::new();
    framer.push(INVITE.replace("l: 4", "l: -4").as_bytes());
    for _ in 0..2 {
        assert_eq!(framer.next(&mut table).unwrap_err(), StreamError(ParseError::ContentLength));
        framer.push(BYE.as_bytes());
    }
    let message = framer.salvage(&table).unwrap();
    assert_eq!(message.start(), Start::Request { method: "INVITE", uri: "sip:a@b" });
    assert!(message.first(Header::Via).is_some());
}

#[test]
fn a_shared_table_serves_two_streams_in_turn() {
    let (mut one, mut other, mut table) = (StreamFramer::new(), StreamFramer::new(), Table::new());
    let (head, body) = INVITE.split_at(INVITE.len() - 2);
    one.push(head.as_bytes());
    assert!(one.next(&mut table).unwrap().is_none());
    assert!(one.is_amid_message());
    other.push(BYE.as_bytes());
    assert!(matches!(other.next(&mut table), Ok(Some(Framed::Message(_)))));
    assert!(!other.is_amid_message());
    one.push(body.as_bytes());
    let Ok(Some(Framed::Message(message))) = one.next(&mut table) else { panic!("no message") };
    assert_eq!((message.body(), message.lines().len()), (b"body".as_slice(), 2));
}
