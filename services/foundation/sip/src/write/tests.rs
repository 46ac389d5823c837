use super::*;
use crate::message::{Message, Refusal, Table};

const INVITE: &str = "INVITE sip:bob@old;lr SIP/2.0\r\n\
    Via: SIP/2.0/UDP a:5070;rport;branch=z9hG4bK1 , SIP/2.0/TCP b;branch=z9hG4bK2\r\n\
    v: SIP/2.0/UDP c;branch=z9hG4bK3\r\n\
    X-Odd :  kept,\r\n\tas  it came \r\n\
    Route: <sip:us;lr>,\r\n <sip:next,1;lr>, <sip:last;lr>\r\n\
    Route: <sip:more;lr>\r\n\
    Record-Route: <sip:p1;lr>\r\n\
    f: \"A, B\" <sip:a@b>;tag=1\r\n\
    t: sip:b@c\r\n\
    Call-ID: id@a\r\n\
    CSeq: 7 INVITE\r\n\
    Max-Forwards: 70\r\n\
    Timestamp: 54\r\n\
    l: 4\r\n\r\nbody";

fn message<'a>(table: &'a mut Table, text: &'a str) -> Message<'a> {
    table.parse_datagram(text.as_bytes()).unwrap()
}

/// What a splice makes of the INVITE.
fn spliced(edit: impl FnOnce(&mut Splice<'_>)) -> Result<String, WriteError> {
    let mut table = Table::new();
    let mut splice = Splice::new(message(&mut table, INVITE));
    edit(&mut splice);
    let mut out = Vec::new();
    splice.write(&mut out).map(|()| String::from_utf8(out).unwrap())
}

/// Holds that `edit` changes exactly `from` into `to`.
fn check(from: &str, to: &str, edit: impl FnOnce(&mut Splice<'_>)) {
    assert_eq!(INVITE.matches(from).count(), 1, "{from}");
    assert_eq!(spliced(edit).unwrap(), INVITE.replace(from, to));
}

#[test]
fn without_edits_every_byte_stays() {
    assert_eq!(spliced(|_| ()).unwrap(), INVITE);
    let mut table = Table::new();
    let with_rest = format!("{INVITE}excess");
    let mut out = b"before".to_vec();
    Splice::new(message(&mut table, &with_rest)).write(&mut out).unwrap();
    assert_eq!(out, format!("before{INVITE}").into_bytes());
}

#[test]
fn edits_change_their_place_alone() {
    check("sip:bob@old;lr", "sip:x@new", |splice| {
        splice.request_uri("sip:x@new");
    });
    check("Via: SIP/2.0/UDP a", "Via: 1\r\nVia: 2\r\nVia: SIP/2.0/UDP a", |splice| {
        splice.prepend(Header::Via, 1).prepend(Header::Via, 2);
    });
    check("Record-Route: ", "Record-Route: <sip:us;lr>\r\nRecord-Route: ", |splice| {
        splice.prepend(Header::RecordRoute, "<sip:us;lr>");
    });
    check("Via: SIP/2.0/UDP a", "Path: <sip:us>\r\nVia: SIP/2.0/UDP a", |splice| {
        splice.prepend(Header::Path, "<sip:us>");
    });
    check("Max-Forwards: 70", "Max-Forwards: 69", |splice| {
        splice.set(Header::MaxForwards, 69);
    });
    check("\r\n\r\nbody", "\r\nSubject: s\r\nX-Y: z\r\n\r\nbody", |splice| {
        splice.set(Header::Subject, "s").append_named("X-Y", "z").ensure_content_length();
    });
    check("<sip:next,1;lr>", "<sip:here>", |splice| {
        splice.replace(Header::Route, 1, "<sip:here>");
    });
    check("<sip:more;lr>", "<sip:here>", |splice| {
        splice.replace(Header::Route, 3, "<sip:here>");
    });
    check("\"A, B\" <sip:a@b>;tag=1", "<sip:x>;tag=2", |splice| {
        splice.replace(Header::From, 0, "<sip:x>;tag=2");
    });
    check("l: 4\r\n\r\nbody", "l: 5\r\n\r\nother", |splice| {
        splice.body(b"other");
    });
}

#[test]
fn values_are_removed_within_their_list() {
    const LINE: &str = "Route: <sip:us;lr>,\r\n <sip:next,1;lr>, <sip:last;lr>\r\n";
    let check = |keep: &'static [usize], left: &str| {
        check(LINE, left, |splice| {
            splice.retain(Header::Route, |nth, _| nth == 3 || keep.contains(&nth));
        });
    };
    check(&[0, 1, 2], LINE);
    check(&[1, 2], "Route: <sip:next,1;lr>, <sip:last;lr>\r\n");
    check(&[0, 2], "Route: <sip:us;lr>, <sip:last;lr>\r\n");
    check(&[0, 1], "Route: <sip:us;lr>,\r\n <sip:next,1;lr>\r\n");
    check(&[0], "Route: <sip:us;lr>\r\n");
    check(&[1], "Route: <sip:next,1;lr>\r\n");
    check(&[2], "Route: <sip:last;lr>\r\n");
    check(&[], "");
    // The only value takes its line along; the topmost Via does not.
    super::tests::check("Route: <sip:more;lr>\r\n", "", |splice| {
        splice.remove(Header::Route, 3);
    });
    super::tests::check("SIP/2.0/UDP a:5070;rport;branch=z9hG4bK1 , ", "", |splice| {
        splice.remove(Header::Via, 0);
    });
}

#[test]
fn values_that_break_a_line_are_refused() {
    for bad in ["a\rb", "a\nb", "a\0b", "x\r\nVia: evil"] {
        assert_eq!(Safe::new(bad), Err(WriteError::LineBreak));
        let check = |edit: fn(&mut Splice<'_>, &str)| {
            assert_eq!(spliced(|splice| edit(splice, bad)), Err(WriteError::LineBreak));
        };
        check(|splice, bad| {
            splice.set(Header::MaxForwards, bad);
        });
        check(|splice, bad| {
            splice.append(Header::Subject, bad).append(Header::Date, 1);
        });
        check(|splice, bad| {
            splice.request_uri(bad);
        });
        check(|splice, bad| {
            splice.append_named(bad, 1);
        });
        check(|splice, bad| {
            splice.replace(Header::Route, 0, bad);
        });
        let mut out = b"kept".to_vec();
        let mut table = Table::new();
        let request = message(&mut table, INVITE);
        let found = Response::new(&request, 200, bad, None, None, &mut out).finish();
        assert_eq!((found, out.as_slice()), (Err(WriteError::LineBreak), b"kept".as_slice()));
        assert_eq!(Request::new("BYE", bad, &mut out).finish(), Err(WriteError::LineBreak));
        assert_eq!(
            Request::new("BYE", "sip:a", &mut out).line(Header::To, bad).finish(),
            Err(WriteError::LineBreak)
        );
        assert_eq!(out, b"kept");
    }
    assert_eq!(Safe::new("plain").unwrap().to_string(), "plain");
    let missing = spliced(|splice| {
        splice.replace(Header::Route, 4, 1);
    });
    assert_eq!(missing, Err(WriteError::NoSuchValue));
    let large = vec![b'x'; MESSAGE_BYTES_MAX];
    let mut table = Table::new();
    let mut out = Vec::new();
    assert_eq!(
        Splice::new(message(&mut table, INVITE)).body(&large).write(&mut out),
        Err(WriteError::TooLarge)
    );
    assert!(out.is_empty());
}

/// A line that starts with a blank is a fault; a line inserted before it would take it for its fold.
#[test]
fn a_salvaged_message_is_not_forwarded() {
    let bytes = "INVITE sip:a SIP/2.0\r\n soT: x\r\nVia: SIP/2.0/UDP h\r\n\r\n";
    let mut table = Table::new();
    assert!(table.parse_datagram(bytes.as_bytes()).is_err());
    let message = table.salvage(bytes.as_bytes()).unwrap();
    assert_eq!(
        Splice::new(message).append(Header::Subject, 1).write(&mut Vec::new()),
        Err(WriteError::Faulty)
    );
}

/// RFC 3581 4, RFC 3261 18.2.1.
#[test]
fn a_via_says_where_its_request_came_from() {
    let check = |via: &str, source: &str, expected: &str| {
        let mut out = Vec::new();
        via::stamp(via.as_bytes(), source.parse().unwrap(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{via}");
    };
    let v4 = "192.0.2.1:9988";
    check("SIP/2.0/UDP 192.0.2.1;branch=x", v4, "SIP/2.0/UDP 192.0.2.1;branch=x");
    check("SIP/2.0/UDP 192.0.2.2;branch=x", v4, "SIP/2.0/UDP 192.0.2.2;branch=x;received=192.0.2.1");
    check("SIP/2.0/UDP host;branch=x", v4, "SIP/2.0/UDP host;branch=x;received=192.0.2.1");
    check(
        "SIP/2.0/UDP 192.0.2.1;rport;branch=x",
        v4,
        "SIP/2.0/UDP 192.0.2.1;branch=x;received=192.0.2.1;rport=9988",
    );
    check("SIP/2.0/UDP h ; received=6.6.6.6 ; x=1", v4, "SIP/2.0/UDP h  ; x=1;received=192.0.2.1");
    check("SIP/2.0/UDP 192.0.2.1;received=6.6.6.6", v4, "SIP/2.0/UDP 192.0.2.1");
    let v6 = "[2001:db8::1]:5060";
    check("SIP/2.0/UDP [2001:DB8:0::1];branch=x", v6, "SIP/2.0/UDP [2001:DB8:0::1];branch=x");
    check("SIP/2.0/UDP h", v6, "SIP/2.0/UDP h;received=2001:db8::1");
    check("SIP/2.0/UDP 192.0.2.1", "[::ffff:192.0.2.1]:5060", "SIP/2.0/UDP 192.0.2.1");
    super::tests::check(
        "a:5070;rport;branch=z9hG4bK1 ,",
        "a:5070;branch=z9hG4bK1;received=192.0.2.1;rport=9988 ,",
        |splice| {
            splice.stamp_via(v4.parse().unwrap());
        },
    );
}

#[test]
fn a_response_holds_what_8_2_6_asks_for() {
    let mut table = Table::new();
    let request = message(&mut table, INVITE);
    let mut out = Vec::new();
    Response::new(&request, 180, "Ringing", Some("t1"), Some("192.0.2.1:9988".parse().unwrap()), &mut out)
        .record_route(&request)
        .line(Header::Contact, "<sip:us>")
        .finish()
        .unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "SIP/2.0 180 Ringing\r\n\
         Via: SIP/2.0/UDP a:5070;branch=z9hG4bK1;received=192.0.2.1;rport=9988 , SIP/2.0/TCP b;branch=z9hG4bK2\r\n\
         Via: SIP/2.0/UDP c;branch=z9hG4bK3\r\n\
         From: \"A, B\" <sip:a@b>;tag=1\r\n\
         To: sip:b@c;tag=t1\r\n\
         Call-ID: id@a\r\n\
         CSeq: 7 INVITE\r\n\
         Record-Route: <sip:p1;lr>\r\n\
         Contact: <sip:us>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let mut out = Vec::new();
    Response::new(&request, 100, "Trying", Some("t1"), None, &mut out).finish().unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("To: sip:b@c\r\n") && text.contains("Timestamp: 54\r\n"), "{text}");
}

#[test]
fn a_refusal_takes_its_line_along() {
    let mut table = Table::new();
    let request = message(&mut table, INVITE);
    let line = Some((Header::Unsupported, "foo, bar".to_owned()));
    let refusal = Refusal { status: 420, reason: "Bad Extension".into(), line };
    let mut out = Vec::new();
    Response::refuse(&request, &refusal, Some("t"), None, &mut out).finish_with("text/plain", b"no").unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("SIP/2.0 420 Bad Extension\r\n"), "{text}");
    assert!(
        text.ends_with("Unsupported: foo, bar\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno"),
        "{text}"
    );
}

/// RFC 3261 9.1 and 17.1.1.3.
#[test]
fn cancel_and_ack_follow_their_invite() {
    let (mut table, mut other) = (Table::new(), Table::new());
    let invite = message(&mut table, INVITE);
    let expected = |method: &str, to: &str| {
        format!(
            "{method} sip:bob@old;lr SIP/2.0\r\n\
             Via: SIP/2.0/UDP a:5070;rport;branch=z9hG4bK1\r\n\
             Route: <sip:us;lr>,\r\n <sip:next,1;lr>, <sip:last;lr>\r\n\
             Route: <sip:more;lr>\r\n\
             From: \"A, B\" <sip:a@b>;tag=1\r\n\
             To: {to}\r\n\
             Call-ID: id@a\r\n\
             CSeq: 7 {method}\r\n\
             Max-Forwards: 70\r\n\
             Content-Length: 0\r\n\r\n"
        )
    };
    let mut out = Vec::new();
    cancel(&invite, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected("CANCEL", "sip:b@c"));
    let response = message(&mut other, "SIP/2.0 486 Busy Here\r\nTo: sip:b@c;tag=z\r\n\r\n");
    let mut out = Vec::new();
    ack(&invite, &response, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), expected("ACK", "sip:b@c;tag=z"));
    assert_eq!(cancel(&response, &mut Vec::new()), Err(WriteError::NoSuchValue));
}
