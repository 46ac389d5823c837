use super::*;

fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

const HEAD: &str = "OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\n";

#[test]
fn finds_lines_values_and_body() {
    let bytes = crlf("INVITE sip:a@b SIP/2.0\nv : one\nSubject:\n two\n\tthree \nVIA:four\nl: 3\n\nxyzTRAIL");
    let mut table = Table::new();
    let message = table.parse_datagram(&bytes).unwrap();
    assert_eq!(message.start(), Start::Request { method: "INVITE", uri: "sip:a@b" });
    assert_eq!(message.all(Header::Via).collect::<Vec<_>>(), [b"one".as_slice(), b"four"]);
    assert_eq!(message.first(Header::Subject), Some(b"two\r\n\tthree".as_slice()));
    assert_eq!(message.first(Header::Route), None);
    assert_eq!(message.body(), b"xyz");
    assert_eq!(message.bytes().len(), bytes.len() - 5);
    let names: Vec<_> = message.headers().map(|(_, name, _)| name).collect();
    assert_eq!(names, [b"v".as_slice(), b"Subject", b"VIA", b"l"]);
}

#[test]
fn reads_a_response_without_a_reason() {
    let bytes = crlf("SIP/2.0 100 \n\n");
    let mut table = Table::new();
    assert_eq!(table.parse_datagram(&bytes).unwrap().start(), Start::Response { status: 100, reason: b"" });
}

#[test]
fn refuses_by_name() {
    let check = |text: &[u8], expected: ParseError| {
        let mut table = Table::new();
        let found = table.parse_datagram(text).map(|message| message.start());
        assert_eq!(found, Err(expected), "{}", String::from_utf8_lossy(&text[..text.len().min(200)]));
    };
    let with = |line: &str| crlf(&format!("{HEAD}{line}\n\n"));
    check(b"", ParseError::Empty);
    check(b"\r\n\r\n", ParseError::Empty);
    check(b"hello", ParseError::HeadUnfinished);
    check(&crlf("INVITE sip:a SIP/2.0\nVia: x\n"), ParseError::HeadUnfinished);
    check(b"INVITE sip:a SIP/2.0\n\n", ParseError::BareLineEnd);
    check(b"INVITE sip:a SIP/2.0\r\nSubject: a\rb\r\n\r\n", ParseError::BareLineEnd);
    check(&with("Subject: a\0b"), ParseError::Nul);
    check(&with("Subject: \\\\\0b"), ParseError::Nul);
    check(&with("no colon here"), ParseError::HeaderLine);
    check(&with(": no name"), ParseError::HeaderLine);
    check(&with("na[me: x"), ParseError::HeaderLine);
    check(&with("Content-Length: -1"), ParseError::ContentLength);
    check(&with("Content-Length: 4294967296"), ParseError::ContentLength);
    check(&with("Content-Length:"), ParseError::ContentLength);
    check(&with("Content-Length: 0, 0"), ParseError::ContentLength);
    check(&with("Content-Length: 0\nl: 1"), ParseError::ContentLengthConflict);
    check(&with("Content-Length: 1"), ParseError::BodyShort);
    check(&crlf("INVITE  sip:a SIP/2.0\n\n"), ParseError::StartLine);
    check(&crlf("INVITE sip:a SIP/2.0 \n\n"), ParseError::StartLine);
    check(&crlf("INVITE sip:a; lr SIP/2.0\n\n"), ParseError::StartLine);
    check(&crlf("INVITE <sip:a> SIP/2.0\n\n"), ParseError::StartLine);
    check(&crlf("INVITE sip:a HTTP/1.1\n\n"), ParseError::StartLine);
    check(&crlf("INVITE sip:a SIP/3.0\n\n"), ParseError::Version);
    check(&crlf("SIP/7.0 200 OK\n\n"), ParseError::Version);
    check(&crlf("SIP/2.0 4294967301 no\n\n"), ParseError::Status);
    check(&crlf("SIP/2.0 099 no\n\n"), ParseError::Status);
    check(&crlf("SIP/2.0 200\n\n"), ParseError::StartLine);
    check(&with(&format!("Subject: {}", "x".repeat(LINE_BYTES_MAX))), ParseError::LineTooLong);
    check(&with(&"a: b\n".repeat(HEADERS_MAX)), ParseError::TooManyHeaders);
    check(&vec![b'x'; MESSAGE_BYTES_MAX + 1], ParseError::MessageTooLarge);
}

#[test]
fn limits_are_met_exactly() {
    let mut table = Table::new();
    let name = "Subject: ";
    let line = format!("{name}{}", "x".repeat(LINE_BYTES_MAX - 2 - name.len()));
    assert!(table.parse_datagram(&crlf(&format!("{HEAD}{line}\n\n"))).is_ok());
    let lines = "a: b\n".repeat(HEADERS_MAX - 1);
    assert!(table.parse_datagram(&crlf(&format!("{HEAD}{lines}\n"))).is_ok());
    let body = "x".repeat(MESSAGE_BYTES_MAX - crlf(&format!("{HEAD}\n")).len());
    assert!(table.parse_datagram(&crlf(&format!("{HEAD}\n{body}"))).is_ok());
}

/// RFC 3261 25.1: quoted-pair = "\" (%x00-09 / %x0B-0C / %x0E-7F).
#[test]
fn nul_may_stand_in_a_quoted_pair() {
    let mut table = Table::new();
    assert!(table.parse_datagram(&crlf(&format!("{HEAD}To: \"\\\0\" <sip:a>\n\n"))).is_ok());
}

#[test]
fn what_an_answer_needs_is_salvaged() {
    let check = |text: String, expected: bool| {
        let bytes = crlf(&text);
        let mut table = Table::new();
        table.parse_datagram(&bytes).unwrap_err();
        let via = table.salvage(&bytes).and_then(|message| message.first(Header::Via));
        assert_eq!(via, expected.then_some(b"SIP/2.0/UDP h;branch=z9hG4bK1".as_slice()), "{text}");
    };
    check(format!("{HEAD}l: 5\n\n"), true);
    check(format!("{HEAD}bad\n\n"), true);
    check(HEAD.replace("2.0\n", "9.0\n") + "\n", true);
    check(HEAD.replace("sip:a@b", "sip:a@b; lr") + "\n", true);
    check(HEAD.replace("OPTIONS", "ACK") + "bad\n\n", false);
    check(HEAD.replace("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 2000 OK") + "\n", false);
    // Without its empty line, but cut at the end of a line; and cut within one.
    check(HEAD.to_owned(), true);
    check(format!("{HEAD}Subject: ba"), false);
}

#[test]
fn a_table_forgets_the_message_before() {
    let mut table = Table::new();
    table.parse_datagram(&crlf(&format!("{HEAD}l: 5\n\n"))).unwrap_err();
    let bytes = crlf("BYE sip:c SIP/2.0\n\n");
    let message = table.parse_datagram(&bytes).unwrap();
    assert_eq!(message.lines().len(), 0);
    assert_eq!(message.content_length(), None);
}
