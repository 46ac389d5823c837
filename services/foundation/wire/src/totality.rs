//! Whatever bytes come, nothing panics; and what is taken is taken whole.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use tandem_domain::id::TenantName;
use tandem_proto::{routing::v1 as routing, station::v1 as station};

use crate::{attempt, directory, feed, plan, testing};

/// Reads bytes as every message that we take.
fn read_all(bytes: &[u8]) {
    let acme = TenantName::parse("acme").unwrap();
    if let Ok(message) = routing::RouteCallRequest::decode(bytes) {
        let _ = crate::name::parent("parent", &message.parent);
        if let Ok(read) = attempt::Attempt::read(message.attempt) {
            // Lent and written again, an attempt is the same.
            let lent = attempt::message(&read.lend(), read.call_id());
            assert_eq!(attempt::Attempt::read(Some(lent)).unwrap().lend().called, read.lend().called);
        }
    }
    if let Ok(message) = routing::Assumptions::decode(bytes) {
        let _ = plan::read_assumptions(Some(message));
    }
    if let Ok(message) = routing::Chunk::decode(bytes)
        && let Ok(feed::Read::Changes(changes)) = feed::read(message)
    {
        let chunks = feed::chunks(&changes);
        let again: Vec<_> = chunks.into_iter().map(|chunk| feed::read(chunk).unwrap()).collect();
        let again = again.into_iter().flat_map(|read| match read {
            feed::Read::Changes(changes) => changes,
            feed::Read::Skipped => Vec::new(),
        });
        assert_eq!(again.collect::<Vec<_>>(), changes);
    }
    if let Ok(message) = station::User::decode(bytes)
        && let Ok(user) = directory::read_user(&acme, message)
    {
        assert_eq!(directory::read_user(&acme, directory::user(&acme, &user)).unwrap(), user);
    }
    if let Ok(message) = station::Station::decode(bytes) {
        let _ = directory::read_station(&acme, message);
    }
    if let Ok(message) = station::Workgroup::decode(bytes) {
        let _ = directory::read_workgroup(&acme, message);
    }
    if let Ok(message) = station::NumberAssignment::decode(bytes) {
        let _ = directory::read_number(message);
    }
}

/// A right message with some bytes changed: it gets further than chance alone.
fn bent() -> impl Strategy<Value = Vec<u8>> {
    let encoded = prop_oneof![
        testing::change().prop_map(|change| {
            feed::chunks([&change]).first().map(Message::encode_to_vec).unwrap_or_default()
        }),
        testing::user()
            .prop_map(|user| { directory::user(&TenantName::parse("acme").unwrap(), &user).encode_to_vec() }),
        testing::attempt().prop_map(|attempt| {
            let request = routing::RouteCallRequest { attempt: Some(attempt), ..Default::default() };
            request.encode_to_vec()
        }),
    ];
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (encoded, changes).prop_map(|(mut bytes, changes)| {
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..256)) {
        read_all(&bytes);
    }

    #[test]
    fn bent_messages_are_read_or_refused(bytes in bent()) {
        read_all(&bytes);
    }
}
