//! One datagram: read all that can be read of it, write all that can be written of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_sip::message::{
    Header, Message, Refusal, Table, Uri, Via, addresses, check_extensions, check_forwarding, check_request,
    list,
};
use tandem_sip::write::{Response, Splice, WriteError, ack, cancel};

fuzz_target!(|bytes: &[u8]| {
    let mut table = Table::new();
    if let Ok(message) = table.parse_datagram(bytes) {
        let mut out = Vec::new();
        assert_eq!(Splice::new(message).write(&mut out), Ok(()));
        assert_eq!(out, message.bytes());
        read(&message);
        write(&message);
    } else if let Some(message) = table.salvage(bytes) {
        read(&message);
        write(&message);
    }
});

fn read(message: &Message<'_>) {
    for (_, _, value) in message.headers() {
        for part in list(value) {
            let _ = Via::parse(part).map(|via| via.params().count());
        }
        for addr in addresses(value).flatten() {
            let _ = (addr.display_name(), addr.q(), addr.expires(), addr.tag());
            if let Ok(uri) = addr.uri() {
                same(&uri);
            }
        }
        if let Ok(uri) = Uri::parse(value) {
            same(&uri);
        }
    }
}

fn same(uri: &Uri<'_>) {
    assert!(uri.equivalent(uri), "{}", uri.as_str());
    let _ = uri.user_text();
}

fn write(message: &Message<'_>) {
    let refusal = check_request(message, 1024).and_then(|keys| {
        check_forwarding(message, &keys, &[])?;
        check_extensions(message, &keys, &[])
    });
    let refusal = refusal.err().unwrap_or(Refusal::LOOP_DETECTED);
    let source = "192.0.2.1:5060".parse().ok();
    let mut out = Vec::new();
    match Response::refuse(message, &refusal, Some("tag"), source, &mut out).record_route(message).finish() {
        Ok(()) => reads(&out),
        Err(error) => assert_eq!(error, WriteError::TooLarge),
    }
    out.clear();
    if cancel(message, &mut out).is_ok() {
        reads(&out);
    }
    out.clear();
    if ack(message, message, &mut out).is_ok() {
        reads(&out);
    }
    out.clear();
    let mut splice = Splice::new(*message);
    splice.prepend(Header::Via, "SIP/2.0/UDP us;branch=z9hG4bKx").remove(Header::Route, 0);
    splice
        .set(Header::MaxForwards, 69)
        .ensure_content_length()
        .retain(Header::Contact, |nth, _| nth % 2 == 0);
    splice.body(b"other");
    if splice.write(&mut out).is_ok() && message.lines().len() + 3 <= tandem_sip::message::HEADERS_MAX {
        let mut table = Table::new();
        // A salvaged message keeps its faults; one that was whole stays whole.
        if let Ok(written) = table.parse_datagram(&out) {
            assert_eq!(written.body(), b"other");
            assert_eq!(written.first(Header::Via), Some(b"SIP/2.0/UDP us;branch=z9hG4bKx".as_slice()));
        }
    }
}

/// Holds that what we wrote is a message, as far as its lines may be counted.
fn reads(bytes: &[u8]) {
    let mut table = Table::new();
    let error = table.parse_datagram(bytes).err();
    let allowed = matches!(
        error,
        None | Some(
            tandem_sip::message::ParseError::TooManyHeaders | tandem_sip::message::ParseError::LineTooLong
        )
    );
    assert!(allowed, "{error:?} {}", String::from_utf8_lossy(bytes));
}
