//! The two ways in which a call is answered.

use tandem_domain::id::Revision;
use tandem_proto::routing::v1 as pb;

use crate::calls::gateway_of;
use crate::rig::{Rig, call, rig};

/// A call that the generated server answers, for it says an encoding; and its frames as they are given.
async fn by_hand(
    rig: &Rig,
    encoding: Option<&'static str>,
    frames: Vec<Vec<u8>>,
) -> (http::HeaderMap, Vec<u8>) {
    asked(rig, "RouteCall", encoding, frames).await
}

async fn asked(
    rig: &Rig,
    method: &str,
    encoding: Option<&'static str>,
    frames: Vec<Vec<u8>>,
) -> (http::HeaderMap, Vec<u8>) {
    use http_body_util::{BodyExt as _, StreamBody};
    use tower::{Service as _, ServiceExt as _};
    let mut request = http::Request::post(format!("http://pipe/tandem.routing.v1.Routing/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-request-id", "the-same");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let frames = frames.into_iter().map(|f| Ok::<_, tonic::Status>(http_body::Frame::data(f.into())));
    let body = tonic::body::Body::new(StreamBody::new(tokio_stream::iter(frames)));
    let mut channel = rig.channel.clone();
    let response = channel.ready().await.unwrap().call(request.body(body).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    headers.remove("date");
    (headers, body.to_bytes().to_vec())
}

fn framed(request: &pb::RouteCallRequest) -> Vec<u8> {
    use prost::Message as _;
    let message = request.encode_to_vec();
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), &message].concat()
}

fn unframed(mut body: Vec<u8>) -> pb::Decision {
    use prost::Message as _;
    let message = body.split_off(5);
    assert_eq!(body, [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes()].concat());
    let mut decision = pb::Decision::decode(message.as_slice()).unwrap();
    // The sequence differs from call to call.
    assert!(decision.name.starts_with("tenants/brandt/decisions/test-"), "{}", decision.name);
    decision.name.clear();
    decision
}

/// Nobody can tell from outside which way a call was answered: from bytes, or by the generated server because the
/// message came in pieces, in two, compressed or broken.
#[tokio::test]
async fn both_ways_of_answering_say_the_same() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let good = framed(&call("brandt", "+493023125101", revision));
    let (head, body) = by_hand(&rig, None, vec![good.clone()]).await;
    assert_eq!(head["grpc-status"], "0");
    let decision = unframed(body);
    assert_eq!(gateway_of(&decision), "lync");
    let pieces: Vec<Vec<u8>> = good.chunks(7).map(<[u8]>::to_vec).collect();
    for (encoding, frames) in
        [(Some("identity"), vec![good.clone()]), (None, pieces), (None, vec![Vec::new(), good.clone()])]
    {
        let (other_head, other) = by_hand(&rig, encoding, frames).await;
        assert_eq!(head, other_head);
        assert_eq!(decision, unframed(other));
    }
    // What is wrong is wrong in the same words, whoever finds it.
    for (request, reason) in [
        (call("nobody", "+493023125101", Revision(0)), "5"),
        (call("brandt", "", Revision(0)), "3"),
        (pb::RouteCallRequest::default(), "3"),
    ] {
        let short = by_hand(&rig, None, vec![framed(&request)]).await;
        let pieces = framed(&request).chunks(3).map(<[u8]>::to_vec).collect();
        assert_eq!(short.0["grpc-status"], reason, "{short:?}");
        assert_eq!(short, by_hand(&rig, None, pieces).await);
    }
    let mut broken = good.clone();
    broken[5] = 0xff;
    assert_eq!(by_hand(&rig, None, vec![broken]).await.0["grpc-status"], "13");
    let compressed = by_hand(&rig, Some("gzip"), vec![good.clone()]).await;
    assert_eq!(compressed.0["grpc-status"], "12", "an encoding that is not taken is refused by name");
    let large = [&[0][..], &(5_u32 << 20).to_be_bytes(), &vec![0; 5 << 20]].concat();
    assert_eq!(by_hand(&rig, None, vec![large]).await.0["grpc-status"], "8", "over the limit of a message");
}

#[tokio::test]
async fn a_message_that_is_not_plain_is_read_as_the_message_that_it_is() {
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let plain = call("brandt", "+493023125101", revision);
    let message = framed(&plain)[5..].to_vec();
    // The same twice merges to the same; a field of a later release is skipped.
    let twice = [message.clone(), message.clone()].concat();
    let later = [&message[..], &[0xa2, 0x06, 1, 9]].concat();
    for odd in [twice, later] {
        let frame = [&[0][..], &u32::try_from(odd.len()).unwrap().to_be_bytes(), &odd].concat();
        let (head, body) = by_hand(&rig, None, vec![frame]).await;
        assert_eq!(head["grpc-status"], "0");
        assert_eq!(gateway_of(&unframed(body)), "lync");
    }
    let all = pb::ListDecisionsRequest { parent: "tenants/brandt".into(), ..Default::default() };
    let kept = rig.client().list_decisions(all).await.unwrap().into_inner();
    assert_eq!(kept.decisions.len(), 2);
    assert!(kept.decisions.iter().all(|d| d.attempt == plain.attempt), "{kept:?}");
}

#[tokio::test]
async fn a_stream_takes_what_is_not_plain_and_ends_at_what_is_no_message() {
    use prost::Message as _;
    let rig = rig().await;
    let revision = rig.brandt("brandt").await;
    let framed =
        |message: &[u8]| [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat();
    let good = call("brandt", "+493023125101", revision).encode_to_vec();
    // A field of a later release; then what no decoder reads, behind which nothing is answered.
    let later = [&good[..], &[0xa2, 0x06, 1, 9]].concat();
    let frames = vec![framed(&later), framed(&good), framed(&[0xff]), framed(&good)];
    let (head, body) = asked(&rig, "RouteCalls", None, frames).await;
    assert_eq!(head["grpc-status"], "13");
    let mut rest = &body[..];
    let mut answers = 0;
    while let Some((prefix, after)) = rest.split_first_chunk::<5>() {
        let len = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        let answer = pb::RouteCallsResponse::decode(&after[..len]).unwrap();
        let Some(pb::route_calls_response::Result::Decision(decision)) = answer.result else {
            panic!("{answer:?}")
        };
        assert_eq!(gateway_of(&decision), "lync");
        (answers, rest) = (answers + 1, &after[len..]);
    }
    assert_eq!(answers, 2);
}
