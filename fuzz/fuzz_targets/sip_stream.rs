//! One stream: the first bytes say how it is cut, which must make no difference.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_sip::message::{Framed, StreamFramer, Table};

fuzz_target!(|bytes: &[u8]| {
    let Some((sizes, stream)) = bytes.split_at_checked(4) else { return };
    let whole = frames([stream].into_iter());
    assert_eq!(frames(stream.chunks(1)), whole);
    let mut sizes = sizes.iter().cycle().map(|size| usize::from(*size) + 1);
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        let size = sizes.next()?.min(rest.len());
        let (piece, after) = rest.split_at(size);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(frames(pieces), whole);
});

/// Messages, pings, and the fault that closes the stream.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut framer, mut table, mut found) = (StreamFramer::new(), Table::new(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next(&mut table) {
                Ok(None) => break,
                Ok(Some(Framed::Ping)) => found.push(b"ping".to_vec()),
                Ok(Some(Framed::Message(message))) => found.push(message.bytes().to_vec()),
                Err(error) => {
                    found.push(error.to_string().into_bytes());
                    let _ = framer.salvage(&table).map(|message| message.headers().count());
                    return found;
                }
            }
        }
    }
    found
}
