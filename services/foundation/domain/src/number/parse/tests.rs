use super::*;

fn show(text: &str) -> String {
    match parse(text) {
        Ok(Dialled::Global(n)) => n.to_string(),
        Ok(Dialled::Local(d)) => d.as_str().to_owned(),
        Ok(Dialled::Service(s)) => format!("service {s}"),
        Ok(Dialled::Address { user, host }) => format!("address {}@{host}", user.unwrap_or_default()),
        Err(e) => format!("refused: {e}"),
    }
}

#[test]
fn every_form_of_what_is_called_is_read() {
    for (text, expected) in [
        ("tel:+49-30-123.456", "+4930123456"),
        ("TEL:+1(234)567-8912;ext=12345", "+12345678912;ext=12345"),
        ("tel:+4930123456;isub=12;ext=3-4", "+4930123456;ext=34"),
        ("tel:+4930123456;EXT=34;x-other=1", "+4930123456;ext=34"),
        ("tel:3456;phone-context=example.com", "3456"),
        ("tel:863-1234;phone-context=+1-914-555", "8631234"),
        ("sip:+4930123456@gw.example;user=phone", "+4930123456"),
        ("sip:+4930123456;ext=12@gw.example:5060;transport=tcp;user=phone", "+4930123456;ext=12"),
        ("sips:030123456@gw.example", "030123456"),
        ("SIP:%2B4930123@gw.example", "+4930123"),
        ("sip:+49301%32%33@gw.example", "+4930123"),
        ("sip:3456:secret@gw.example", "3456"),
        ("sip:3456@gw.example?Replaces=a", "3456"),
        ("sip:jane@example.com", "address jane@example.com"),
        ("sip:example.com:5060;transport=udp", "address @example.com"),
        ("sip:[2001:db8::1]:5060", "address @[2001:db8::1]"),
        ("sip:jane@[2001:db8::1]", "address jane@[2001:db8::1]"),
        ("sip:4930123@example.com;gr=urn:uuid:1", "address 4930123@example.com"),
        ("sip:+4930@pool.example;opaque=user:epid:x;gruu", "address +4930@pool.example"),
        ("sip:*97@example.com", "address *97@example.com"),
        ("sip:4930@example.com;lr;GR", "address 4930@example.com"),
        ("sip:4930@example.com?gr=1;gr", "4930"),
        ("sip:4930@[2001:db8::1]:5060;user=ip", "4930"),
        (" sip:+4930@example.com\t", "+4930"),
        ("urn:service:sos", "service sos"),
        ("URN:service:sos.fire", "service sos.fire"),
        ("+49 (30) 123-456", "+4930123456"),
        (" 030 / 123 ", "refused: a number has digits, with + before them or nothing"),
        ("030 123 456", "030123456"),
        ("112", "112"),
        ("9001149301234567890123", "9001149301234567890123"),
    ] {
        assert_eq!(show(text), expected, "{text:?}");
    }
}

#[test]
fn what_cannot_be_called_is_refused_by_name() {
    for (text, expected) in [
        ("", "nothing was dialled"),
        ("tel:", "nothing was dialled"),
        ("tel:+", "nothing was dialled"),
        ("tel:+---", "nothing was dialled"),
        ("+1234567890123456", "a number has at most 15 digits (E.164)"),
        ("123456789012345678901234567890123", "what is dialled has at most 24 digits"),
        ("tel:+49;ext=1234567890123456", "an extension has at most 15 digits"),
        ("tel:+49;ext=1;ext=2", "a number has one extension"),
        ("tel:3456;ext=1", "only a global number (+) has an extension"),
        ("tel:+49 30", "a number has digits, with + before them or nothing"),
        ("jane@example.com", "a number has digits, with + before them or nothing"),
        ("http://example.com", "a number has digits, with + before them or nothing"),
        ("sip:jane@example.com;user=phone", "a number has digits, with + before them or nothing"),
        ("sip:@example.com", "a sip URI has one user part before its @"),
        ("sip:a@b@example.com", "a sip URI has one user part before its @"),
        ("sip:", "a sip URI needs a host"),
        ("sip:3456@", "a sip URI needs a host"),
        ("sip:3456@:5060", "a sip URI needs a host"),
        ("sip:3456@;lr", "a sip URI needs a host"),
        ("sip:3456@?a=b", "a sip URI needs a host"),
        ("tel:+49%3", "a % is followed by two hexadecimal digits"),
        ("urn:service:", "nothing was dialled"),
        ("+49\u{660}", "a number has digits, with + before them or nothing"),
    ] {
        assert_eq!(show(text), format!("refused: {expected}"), "{text:?}");
    }
    assert!(matches!(parse(&"1".repeat(TEXT_BYTES_MAX + 1)), Err(Refusal::TooLong { unit: "bytes", .. })));
}

#[test]
fn sos_and_what_is_below_it_are_calls_for_help() {
    for (text, sos) in [
        ("urn:service:sos", true),
        ("urn:service:SOS.police", true),
        ("urn:service:counseling", false),
        ("urn:service:sosumi", false),
        ("112", false),
    ] {
        assert_eq!(parse(text).unwrap().is_sos(), sos, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,40}|[a-z:;=@+%0-9.\\-\\[\\]]{0,60}") {
        let _ = parse(&text);
    }

    #[test]
    fn separators_and_case_do_not_matter(digits in "[0-9]{1,15}", at in 0_usize..15) {
        let plain = show(&format!("tel:+{digits}"));
        let mut with = digits.clone();
        with.insert(at.min(digits.len()), '-');
        proptest::prop_assert_eq!(&plain, &show(&format!("SIP:+{with}@h;USER=phone")));
        proptest::prop_assert_eq!(&plain, &show(&format!("+{with}")));
    }
}
