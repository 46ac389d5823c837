use super::super::{FieldError, Table};
use super::*;

const OPTIONS: &str = "OPTIONS sip:a@b SIP/2.0\n\
    Via: SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP i\n\
    From: <sip:f@g>;tag=1\n\
    To: <sip:t@u>\n\
    Call-ID: c@d\n\
    CSeq: 1 OPTIONS\n\
    Max-Forwards: 70\n\
    Route: <sip:r;lr>, <sip:s>\n\
    l: 4\n\nbody";

/// Gives the checks the message that `from` to `to` makes of the OPTIONS.
fn with<T>(from: &str, to: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
    assert!(OPTIONS.contains(from), "{from}");
    let bytes = OPTIONS.replace(from, to).replace('\n', "\r\n").into_bytes();
    let mut table = Table::new();
    check(&table.parse_datagram(&bytes).unwrap())
}

#[test]
fn keys_are_read_in_one_walk() {
    with("", "", |message| {
        let keys = check_request(message, 4).unwrap();
        assert_eq!((keys.method, keys.uri, keys.status), ("OPTIONS", "sip:a@b", None));
        assert_eq!((keys.via.host, keys.via.branch), ("h", Some("z9hG4bK1")));
        assert_eq!((keys.from_tag, keys.to_tag, keys.is_in_dialog()), (Some("1"), None, false));
        assert_eq!((keys.call_id, keys.cseq.number, keys.max_forwards), ("c@d", 1, Some(70)));
        assert_eq!(keys.route().unwrap().unwrap().uri_text(), b"sip:r;lr");
    });
    with("OPTIONS sip:a@b SIP/2.0", "SIP/2.0 200 OK", |message| {
        let keys = Keys::read(message).unwrap();
        assert_eq!((keys.method, keys.uri, keys.status), ("OPTIONS", "", Some(200)));
    });
    with("Max-Forwards: 70", "Max-Forwards: 300", |message| {
        assert_eq!(Keys::read(message).unwrap().max_forwards, Some(255));
    });
    with("Max-Forwards: 70\n", "", |message| assert_eq!(Keys::read(message).unwrap().max_forwards, None));
}

#[test]
fn bad_keys_are_named() {
    let check = |from: &str, to: &str, expected| {
        let found = with(from, to, |message| Keys::read(message).map(|_| ()));
        assert_eq!(found, Err(expected), "{from} {to}");
    };
    check("Via: SIP/2.0/UDP h;branch=z9hG4bK1, SIP/2.0/UDP i\n", "", KeyError::Missing(Header::Via));
    check("From: <sip:f@g>;tag=1\n", "", KeyError::Missing(Header::From));
    check("To: <sip:t@u>\n", "", KeyError::Missing(Header::To));
    check("Call-ID: c@d\n", "", KeyError::Missing(Header::CallId));
    check("CSeq: 1 OPTIONS\n", "", KeyError::Missing(Header::CSeq));
    check("Route", "f: <sip:x>\nRoute", KeyError::Repeated(Header::From));
    check("Route", "Max-Forwards: 70\nRoute", KeyError::Repeated(Header::MaxForwards));
    check("c@d", "c d", KeyError::Malformed(Header::CallId, FieldError::Word));
    check("c@d", "", KeyError::Malformed(Header::CallId, FieldError::Word));
    check("70", "-1", KeyError::Malformed(Header::MaxForwards, FieldError::Number));
    check("SIP/2.0/UDP h", "SIP/2.0", KeyError::Malformed(Header::Via, FieldError::Protocol));
    check("1 OPTIONS", "1 INVITE", KeyError::CSeqMethod);
    check("1 OPTIONS", "1 options", KeyError::CSeqMethod);
}

#[test]
fn requests_are_refused_with_a_reason() {
    let check = |from: &str, to: &str, status: u16, reason: &str| {
        let refusal = with(from, to, |message| check_request(message, 4).map(|_| ())).unwrap_err();
        assert_eq!((refusal.status, refusal.reason.as_ref()), (status, reason), "{from} {to}");
    };
    check("l: 4\n\nbody", "l: 5\n\nlarge", 413, "Request Entity Too Large");
    check("sip:a@b", "http://a", 416, "Unsupported URI Scheme");
    check("sip:a@b", "urn:service:sos", 416, "Unsupported URI Scheme");
    check("sip:a@b", "sip:a@b@c", 400, "Malformed Request-URI");
    check("sip:a@b", "sip:a@b?Route=%3csip:c%3e", 400, "Headers in Request-URI");
    check("sip:f@g", "sip:f g", 400, "Malformed From");
    check("sip:t@u", "sip:t@u:0", 400, "Malformed To");
    check("<sip:r;lr>", "\"", 400, "Malformed Route");
    check("1 OPTIONS", "1", 400, "Malformed CSeq");
    check("To: <sip:t@u>\n", "", 400, "Missing To");
    let register = OPTIONS.replace("OPTIONS", "REGISTER");
    for (contact, expected) in
        [("*", true), ("<sip:x>, <tel:+1>;expires=0", true), ("sip:x y", false), (",", false)]
    {
        let bytes = register.replace("Route", &format!("Contact: {contact}\nRoute")).replace('\n', "\r\n");
        let mut table = Table::new();
        let message = table.parse_datagram(bytes.as_bytes()).unwrap();
        assert_eq!(check_request(&message, 4).is_ok(), expected, "{contact}");
    }
}

#[test]
fn hops_and_extensions_stop_a_request() {
    let forward = |from: &str, to: &str| {
        with(from, to, |message| check_forwarding(message, &Keys::read(message).unwrap(), &["known"]))
    };
    assert_eq!(forward("", ""), Ok(()));
    assert_eq!(forward("70", "0"), Err(Refusal::TOO_MANY_HOPS));
    assert_eq!(forward("Route", "Proxy-Require: Known\nRoute"), Ok(()));
    assert_eq!(forward("Route", "Require: other\nRoute"), Ok(()));
    let refusal = forward("Route", "Proxy-Require: a, known\nProxy-Require: b\nRoute").unwrap_err();
    assert_eq!((refusal.status, refusal.line), (420, Some((Header::Unsupported, "a, b".to_owned()))));
    assert_eq!(forward("Route", "Proxy-Require: a b\nRoute").unwrap_err().reason, "Malformed Proxy-Require");
    // RFC 3261 8.2.2.3, 9.1: a CANCEL is never refused for its extensions.
    assert_eq!(forward("OPTIONS", "CANCEL"), Ok(()));
    let cancel = OPTIONS
        .replace("OPTIONS", "CANCEL")
        .replace("Route", "Proxy-Require: a\nRoute")
        .replace('\n', "\r\n");
    let mut table = Table::new();
    let message = table.parse_datagram(cancel.as_bytes()).unwrap();
    assert_eq!(check_forwarding(&message, &Keys::read(&message).unwrap(), &[]), Ok(()));
}

/// RFC 5031 4.1: the call for help names a service and no address.
#[test]
fn a_service_is_called_by_its_name() {
    for (method, uri, expected) in [
        ("INVITE", "urn:service:sos", true),
        ("INVITE", "URN:Service:sos.fire", true),
        ("ACK", "urn:service:sos", true),
        ("CANCEL", "urn:service:sos", true),
        ("MESSAGE", "urn:service:sos", false),
        ("INVITE", "urn:service", false),
        ("INVITE", "urn:isbn:1", false),
        ("INVITE", "urn:services:sos", false),
    ] {
        let bytes = OPTIONS.replace("OPTIONS", method).replace("sip:a@b", uri).replace('\n', "\r\n");
        let mut table = Table::new();
        let message = table.parse_datagram(bytes.as_bytes()).unwrap();
        let status = check_request(&message, 4).map_err(|refusal| refusal.status).map(|_| ());
        assert_eq!(status, if expected { Ok(()) } else { Err(416) }, "{method} {uri}");
    }
}
