use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn takes_a_uri_apart() {
    let found = uri("SIP:alice;day=tue:s%45c@[2001:db8::1]:5061;transport=tcp;lr?subject=a%20b&x=");
    assert_eq!(
        (found.scheme, found.user, found.password),
        (Scheme::Sip, Some("alice;day=tue"), Some("s%45c"))
    );
    assert_eq!((found.host, found.port), ("[2001:db8::1]", Some(5061)));
    assert_eq!(found.address(), "2001:db8::1".parse().ok());
    assert_eq!(found.params().collect::<Vec<_>>(), [("transport", Some("tcp")), ("lr", None)]);
    assert_eq!(found.param("LR"), Some(None));
    assert_eq!(found.param("maddr"), None);
    assert_eq!(found.headers().collect::<Vec<_>>(), [("subject", Some("a%20b")), ("x", Some(""))]);
    let found = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!((found.scheme, found.user, found.host), (Scheme::Tel, Some("+1-201-555-0123"), ""));
    assert_eq!(uri("soap.beep://192.0.2.103:3002").scheme, Scheme::Other);
    assert_eq!(uri("sip:%75se%72@h").user_text().unwrap(), "user");
    assert_eq!(uri("sip:a%0d%0ab@h").user_text(), None);
}

#[test]
fn refuses_by_part() {
    let check = |text: &str, expected| assert_eq!(Uri::parse(text.as_bytes()), Err(expected), "{text}");
    check("", UriError::Scheme);
    check("alice@example.com", UriError::Scheme);
    check("9p:x", UriError::Scheme);
    check("sip:", UriError::Host);
    check("sip:@h", UriError::User);
    check("sip:a b@h", UriError::User);
    check("sip:a%4@h", UriError::User);
    check("sip:a%zz@h", UriError::User);
    check("sip:a\u{e9}@h", UriError::User);
    check("sip:a@b@c", UriError::Host);
    check("sip:a@", UriError::Host);
    check("sip:a@h h", UriError::Host);
    check("sip:a@[::1", UriError::Host);
    check("sip:a@[::g]", UriError::Host);
    check("sip:a@[::1]x", UriError::Host);
    check("sip:a@::1", UriError::Host);
    check("sip:a@h:", UriError::Port);
    check("sip:a@h:0", UriError::Port);
    check("sip:a@h:65536", UriError::Port);
    check("sip:a@h;", UriError::Params);
    check("sip:a@h;;lr", UriError::Params);
    check("sip:a@h;lr=", UriError::Params);
    check("sip:a@h;a=b=c", UriError::Params);
    check("sip:a@h;lr;x=1;LR", UriError::Params);
    check(&format!("sip:a@h{}", (0..65).map(|n| format!(";p{n}")).collect::<String>()), UriError::Params);
    check(&format!("sip:a@h?a={}", "&a=".repeat(64)), UriError::Headers);
    check("tel:+1;ext=1;ext=2", UriError::Params);
    check("sip:a@h?", UriError::Headers);
    check("sip:a@h?x", UriError::Headers);
    check("tel:", UriError::User);
    check("tel:bob!", UriError::User);
    check("tel:+1;", UriError::Params);
    check("isbn:", UriError::Host);
    check("isbn:1 2", UriError::Host);
}

/// RFC 3261 19.1.4, its own examples.
#[test]
fn compares_as_the_rfc_shows() {
    let check = |text: &str, other: &str, expected| {
        assert_eq!(uri(text).equivalent(&uri(other)), expected, "{text} {other}");
        assert_eq!(uri(other).equivalent(&uri(text)), expected, "{other} {text}");
    };
    check("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true);
    check("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true);
    check("sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true);
    check("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true);
    let headers = ("?Subject=next%20meeting&Priority=urgent", "?priority=urgent&Subject=next%20meeting");
    check(&format!("sip:a@b.com{}", headers.0), &format!("sip:a@b.com{}", headers.1), true);
    check(
        "sip:biloxi.com;transport=tcp;method=REGISTER",
        "sip:biloxi.com;method=REGISTER;transport=tcp",
        true,
    );
    check("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false);
    check("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false);
    check("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false);
    check("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false);
    check("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false);
    check("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false);
    check("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false);
    check("sip:a@b", "sips:a@b", false);
    check("sip:a@b", "sip:b", false);
    check("sip:a:x@b", "sip:a@b", false);
    // RFC 3261 19.1.4: an escaped reserved character is not the character.
    check("sip:a%3Bx@b", "sip:a;x@b", false);
    check("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]", true);
    check("tel:+1-201-555-0123", "tel:+12015550123", true);
    check("tel:123;phone-context=a.com", "tel:123;phone-context=A.COM", true);
    check("tel:123;phone-context=a.com", "tel:123", false);
    check("isbn:1", "isbn:1", true);
}
