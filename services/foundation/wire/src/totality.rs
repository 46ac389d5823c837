//! Whatever bytes come, nothing panics; and what is taken is taken whole.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use tandem_domain::id::TenantName;
use tandem_proto::routing::v1 as routing;

use crate::testing::read_all;
use crate::{directory, feed, testing};

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
