//! Each crate's way to the keys; every reader checks what it found, so that none is timed failing.

use std::hint::black_box;

use tandem_sip::message::{Keys, Table};

/// Reads the message so many times.
pub struct Reader {
    pub name: &'static str,
    pub many: fn(&[u8], usize),
}

/// Ours first, to keys and for lines only: the others are set against it.
pub const READERS: &[Reader] = &[
    Reader { name: "tandem-sip, to keys", many: tandem },
    Reader { name: "tandem-sip, lines only", many: tandem_lines },
    Reader { name: "parsip 0.1.0, lines only", many: parsip_lines },
    Reader { name: "rsipstack 0.7.14, parse", many: rsipstack_parse },
    Reader { name: "rsipstack 0.7.14, to keys", many: rsipstack_keys },
    Reader { name: "rsip 0.4.0, parse", many: rsip_parse },
    Reader { name: "rsip 0.4.0, to keys", many: rsip_keys },
];

const CSEQ: u32 = 314_159;
const FROM_TAG: &str = "1928301774";

fn tandem(bytes: &[u8], times: usize) {
    let mut table = Table::new();
    for _ in 0..times {
        let message = table.parse_datagram(black_box(bytes)).expect("message");
        let keys = Keys::read(&message).expect("keys");
        assert!(keys.cseq.number == CSEQ && keys.from_tag == Some(FROM_TAG));
        black_box(&keys);
    }
}

fn tandem_lines(bytes: &[u8], times: usize) {
    let mut table = Table::new();
    for _ in 0..times {
        black_box(table.parse_datagram(black_box(bytes)).expect("message"));
    }
}

fn parsip_lines(bytes: &[u8], times: usize) {
    for _ in 0..times {
        let mut headers = [parsip::Header { name: "", value: &[] }; 32];
        let mut request = parsip::Request::new(&mut headers);
        assert!(matches!(request.parse(black_box(bytes)), parsip::IResult::Done(..)));
        black_box(&request);
    }
}

fn rsipstack_parse(bytes: &[u8], times: usize) {
    for _ in 0..times {
        black_box(rsipstack::sip::parser::parse_message(black_box(bytes)).expect("message"));
    }
}

fn rsipstack_keys(bytes: &[u8], times: usize) {
    use rsipstack::sip::{HeadersExt, ToTypedHeader};
    for _ in 0..times {
        let message = rsipstack::sip::parser::parse_message(black_box(bytes)).expect("message");
        let via = message.via_header().expect("via").typed().expect("via");
        let from = message.from_header().expect("from").typed().expect("from");
        let to = message.to_header().expect("to").typed().expect("to");
        let cseq = message.cseq_header().expect("cseq").typed().expect("cseq");
        let hops = message.max_forwards_header().expect("hops").value().parse::<u8>().expect("hops");
        assert!(cseq.seq == CSEQ && from.tag().is_some_and(|tag| tag.value() == FROM_TAG));
        black_box((via.branch(), to.tag(), message.call_id_header().expect("call id").value(), hops));
    }
}

fn rsip_parse(bytes: &[u8], times: usize) {
    for _ in 0..times {
        black_box(rsip::SipMessage::try_from(black_box(bytes)).expect("message"));
    }
}

fn rsip_keys(bytes: &[u8], times: usize) {
    use rsip::headers::ToTypedHeader;
    use rsip::prelude::{HeadersExt, UntypedHeader};
    for _ in 0..times {
        let message = rsip::SipMessage::try_from(black_box(bytes)).expect("message");
        let via = message.via_header().expect("via").typed().expect("via");
        let from = message.from_header().expect("from").typed().expect("from");
        let to = message.to_header().expect("to").typed().expect("to");
        let cseq = message.cseq_header().expect("cseq").typed().expect("cseq");
        let hops = message.max_forwards_header().expect("hops").num().expect("hops");
        assert!(cseq.seq == CSEQ && from.tag().is_some_and(|tag| tag.value() == FROM_TAG));
        black_box((via.branch(), to.tag(), message.call_id_header().expect("call id").value(), hops));
    }
}
