use super::*;

fn text(parts: impl Iterator<Item = impl AsRef<[u8]>>) -> Vec<String> {
    parts.map(|part| String::from_utf8_lossy(part.as_ref()).into_owned()).collect()
}

#[test]
fn commas_part_outside_of_quotes_and_brackets() {
    let check =
        |value: &str, expected: &[&str]| assert_eq!(text(list(value.as_bytes())), expected, "{value}");
    check("", &[]);
    check("a", &["a"]);
    check("a , b,\r\n c", &["a", "b", "c"]);
    check("\"a,\\\",b\" <sip:a,b@c>;x=\",\", d", &["\"a,\\\",b\" <sip:a,b@c>;x=\",\"", "d"]);
    check(",a,", &["", "a", ""]);
    check("\"a,b", &["\"a,b"]);
    check("<a,b", &["<a,b"]);
}

#[test]
fn reads_a_via() {
    let via = Via::parse(
        b"SIP/2.0/UDP [2001:db8::9:1]:5070;received=192.0.2.1;rport=9;branch=z9hG4bKx;ttl=16;maddr=a.b;oc",
    )
    .unwrap();
    assert_eq!((via.transport, via.host, via.port), ("UDP", "[2001:db8::9:1]", Some(5070)));
    assert_eq!(
        (via.branch, via.rport, via.ttl, via.maddr),
        (Some("z9hG4bKx"), Some(Some(9)), Some(16), Some("a.b"))
    );
    assert_eq!(via.received, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(via.params().get("oc"), Some(None));
    let via =
        Via::parse(b"SIP  / 2.0\r\n /TCP   spindle.example.com : 5071  ;\r\n branch  =  z9hG4bK9 ; rport ")
            .unwrap();
    assert_eq!((via.transport, via.host, via.port), ("TCP", "spindle.example.com", Some(5071)));
    assert_eq!((via.branch, via.rport, via.has_transaction_branch()), (Some("z9hG4bK9"), Some(None), true));
    assert!(!Via::parse(b"SIP/2.0/UDP h;branch=z9hG4bK").unwrap().has_transaction_branch());
    // RFC 3261 25.1: COLON has blanks on both sides.
    assert_eq!(Via::parse(b"SIP/2.0/UDP h :\r\n 5071").unwrap().port, Some(5071));
    let (first, rest) = Via::first(b"SIP/2.0/UDP h;branch=x;a=\",\" , SIP/2.0/TCP k").unwrap();
    assert_eq!((first.host, first.branch, rest), ("h", Some("x"), &b", SIP/2.0/TCP k"[..]));
    assert_eq!(first.params().get("a"), Some(Some(&b"\",\""[..])));
    // RFC 5118 4.5: received comes with and without the brackets.
    for received in ["[2001:db8::9:255]", "2001:db8::9:255"] {
        let value = format!("SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3-111");
        assert_eq!(Via::parse(value.as_bytes()).unwrap().received, "2001:db8::9:255".parse().ok());
    }
}

#[test]
fn refuses_a_via_by_part() {
    let check = |value: &str, expected| assert_eq!(Via::parse(value.as_bytes()), Err(expected), "{value}");
    check("", FieldError::Protocol);
    check("SIP/2.0/UDP", FieldError::Protocol);
    check("SIP/7.0/UDP h", FieldError::Protocol);
    check("HTTP/2.0/UDP h", FieldError::Protocol);
    check("SIP/2.0/UDP ;branch=x", FieldError::SentBy);
    check("SIP/2.0/UDP h:0", FieldError::SentBy);
    check("SIP/2.0/UDP h:x", FieldError::SentBy);
    check("SIP/2.0/UDP h/x", FieldError::SentBy);
    check("SIP/2.0/UDP h:5060x", FieldError::SentBy);
    check("SIP/2.0/UDP [::1", FieldError::SentBy);
    check("SIP/2.0/UDP [::1]x", FieldError::SentBy);
    check("SIP/2.0/UDP h, SIP/2.0/UDP h", FieldError::Param);
    check("SIP/2.0/UDP 192.0.2.15;;,;,,", FieldError::Param);
    check("SIP/2.0/UDP h branch=x", FieldError::Param);
    check("SIP/2.0/UDP h;branch", FieldError::Param);
    check("SIP/2.0/UDP h;branch=", FieldError::Param);
    check("SIP/2.0/UDP h;branch=a;branch=b", FieldError::Param);
    check("SIP/2.0/UDP h;received=host", FieldError::Param);
    check("SIP/2.0/UDP h;rport=65536", FieldError::Param);
    check("SIP/2.0/UDP h;ttl=256", FieldError::Param);
}

#[test]
fn reads_an_address() {
    let check = |value: &str, name: &str, uri: &str, tag: Option<&str>| {
        let addr = Addr::parse(value.as_bytes()).unwrap_or_else(|error| panic!("{value}: {error}"));
        assert_eq!(String::from_utf8_lossy(&addr.display_name()), name, "{value}");
        assert_eq!(addr.uri().unwrap().as_str(), uri, "{value}");
        assert_eq!(addr.tag(), tag, "{value}");
    };
    check("sip:a@b", "", "sip:a@b", None);
    check("sip:a@b;tag=1", "", "sip:a@b", Some("1"));
    check("<sip:a@b;tag=2>;TAG = 1", "", "sip:a@b;tag=2", Some("1"));
    check("caller<sip:a@b>;tag=1", "caller", "sip:a@b", Some("1"));
    check("A. G. Bell  <sip:a@b>", "A. G. Bell", "sip:a@b", None);
    check("\"J R \\\\\\\"\"  <sip:a@b>\r\n ;\r\n tag = 9", "J R \\\"", "sip:a@b", Some("9"));
    check("\"<,>;\" <sip:a,b@c?x=y>", "<,>;", "sip:a,b@c?x=y", None);
    check("Jos\u{e9} <sip:a@b>", "Jos\u{e9}", "sip:a@b", None);
    check("\r\n sip:a@b ;   tag    = 1918181833n", "", "sip:a@b", Some("1918181833n"));
}

#[test]
fn refuses_an_address_by_part() {
    let check = |value: &str, expected| {
        let found = Addr::parse(value.as_bytes()).and_then(|addr| addr.uri());
        assert_eq!(found, Err(expected), "{value}");
    };
    check("", FieldError::Address);
    check("<>", FieldError::Address);
    check("<sip:a@b", FieldError::Address);
    check("\"Mr. J. User <sip:j.user@example.com>", FieldError::DisplayName);
    check("\"a\" sip:a@b", FieldError::DisplayName);
    check("Bell, Alexander <sip:a.g.bell@example.com>;tag=43", FieldError::Address);
    check("sip:user@example.com?Route=%3Csip:sip.example.com%3E", FieldError::Address);
    check("\"W\" < sip:t.watson@example.org >", FieldError::Uri(UriError::Scheme));
    check("<sip:a@b>;;", FieldError::Param);
    check("<sip:a@b>;tag=", FieldError::Param);
    check("<sip:a@b> x", FieldError::Param);
    check("*", FieldError::Uri(UriError::Scheme));
}

#[test]
fn reads_contact_parameters() {
    let check = |value: &str, q, expires| {
        let addr = Addr::parse(value.as_bytes()).unwrap();
        assert_eq!((addr.q(), addr.expires()), (q, expires), "{value}");
    };
    check("<sip:a>;q=0.33;expires=60", Some(330), Some(60));
    check("<sip:a>;q=1", Some(1000), None);
    check("<sip:a>;q=1.", Some(1000), None);
    check("<sip:a>;q=0.001;expires=280297596632815", Some(1), Some(u32::MAX));
    check("<sip:a>;q=1.001;expires=x", None, None);
    check("<sip:a>;q=0.3333", None, None);
    check("<sip:a>;q=.5", None, None);
}

#[test]
fn reads_a_cseq() {
    let check = |value: &str, expected: Option<(u32, &str)>| {
        let found = CSeq::parse(value.as_bytes()).ok().map(|cseq| (cseq.number, cseq.method));
        assert_eq!(found, expected, "{value}");
    };
    check("0009\r\n  INVITE", Some((9, "INVITE")));
    check("2147483647 X", Some((2_147_483_647, "X")));
    check("2147483648 X", None);
    check("36893488147419103232 REGISTER", None);
    check("1", None);
    check("1INVITE", None);
    check("-1 INVITE", None);
    check("1 INVITE x", None);
    check("", None);
}

#[test]
fn numbers_are_digits() {
    assert_eq!(number(b"0068"), Ok(68));
    assert_eq!(number(b"99999999999"), Ok(u32::MAX));
    assert_eq!(number(b"-1"), Err(FieldError::Number));
    assert_eq!(number(b""), Err(FieldError::Number));
}
