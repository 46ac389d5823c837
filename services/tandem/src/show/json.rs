//! Protocol messages as JSON, by the mapping that protobuf itself defines: what any other gRPC tool would print.

use anyhow::Context as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;

/// A message as JSON. `name` is its full name, such as `tandem.routing.v1.Decision`.
///
/// # Errors
/// A name that no definition has: a fault of ours.
pub(crate) fn message(name: &str, message: &impl prost::Message) -> anyhow::Result<Value> {
    let pool = DescriptorPool::decode(tandem_proto::DESCRIPTORS)?;
    let descriptor = pool.get_message_by_name(name).with_context(|| format!("no message is named {name}"))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    // 64-bit numbers as numbers: revisions stay far below 2^53, and scripts compare them. An empty list and a zero are
    // there: a script that asks for a field finds it.
    let options = SerializeOptions::new().stringify_64_bit_integers(false).skip_default_fields(false);
    Ok(dynamic.serialize_with_options(serde_json::value::Serializer, &options)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tandem_proto::routing::v1 as pb;

    use super::*;

    #[test]
    fn a_message_is_what_protobuf_says() {
        let owner = pb::Owner { kind: pb::owner::Kind::CicUser.into(), id: "jane".into() };
        let decision =
            pb::Decision { revision: 7, owner: Some(owner), stale_ms: 0, ..pb::Decision::default() };
        let expected = json!({
            "name": "", "revision": 7, "called": "", "owner": {"kind": "CIC_USER", "id": "jane"},
            "emergency": false, "source": "SOURCE_UNSPECIFIED", "staleMs": 0,
        });
        assert_eq!(message("tandem.routing.v1.Decision", &decision).unwrap(), expected);
    }
}
