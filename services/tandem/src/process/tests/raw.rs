//! Calls of any method with any bytes.

use http_body_util::{BodyExt as _, Full};
use tonic::body::Body;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{Bytes, http};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tower::ServiceExt as _;

/// Messages that are bytes already.
#[derive(Clone, Copy, Debug, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(to, &message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let all = bytes::Buf::remaining(from);
        Ok(Some(bytes::Buf::copy_to_bytes(from, all).to_vec()))
    }
}

/// Sends messages, and answers what came back; the error is how the call ended. What streams looks no different from
/// what does not.
pub(super) async fn call(
    channel: &Channel,
    path: &str,
    headers: &[(&'static str, &str)],
    messages: Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, Status> {
    let mut request = Request::new(tokio_stream::iter(messages));
    for (key, value) in headers {
        let value: MetadataValue<_> = value.parse().unwrap();
        request.metadata_mut().insert(*key, value);
    }
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let path: PathAndQuery = path.parse().unwrap();
    let mut answers = client.streaming(request, path, Raw).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
}

/// Sends an empty message that says it is compressed, past what the client would write.
pub(super) async fn compressed(
    channel: &Channel,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<(), Status> {
    let mut request = http::Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (key, value) in headers {
        request = request.header(*key, *value);
    }
    let message = Full::new(Bytes::from_static(&[1, 0, 0, 0, 0])).map_err(|never| match never {});
    let response = channel.clone().oneshot(request.body(Body::new(message)).unwrap()).await.unwrap();
    Status::from_header_map(response.headers()).map_or(Ok(()), Err)
}
