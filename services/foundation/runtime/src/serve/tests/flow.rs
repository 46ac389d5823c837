//! Streams that are answered from bytes.

use std::convert::Infallible;
use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use tonic::body::Body;
use tower::{Service as _, ServiceExt as _};

use super::super::{MESSAGE_BYTES_MAX, Progress, Replies, Reply, Streamed};
use super::*;

/// Says again what it hears, and how many messages came together.
#[derive(Default)]
struct Echo(Mutex<Vec<usize>>);

impl Streamed for Echo {
    fn call(&self, messages: &[Bytes], _: &http::Extensions, replies: &mut Replies) -> Progress {
        self.0.lock().unwrap().push(messages.len());
        for (at, message) in messages.iter().enumerate() {
            match &message[..] {
                b"end" => return Progress::Ends(refusal(Code::Aborted, "ENOUGH", "enough")),
                b"wait" => {
                    let answer = async {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        let mut out = Reply::buffer(8);
                        out.extend_from_slice(b"waited");
                        Ok(Reply::new(out))
                    };
                    return Progress::Waits(at, Box::pin(answer));
                }
                said => {
                    let failed = replies.add(|out| {
                        out.extend_from_slice(b"half an answer");
                        Err(())
                    });
                    assert_eq!(failed, Err(()));
                    let added = replies.add(|out| {
                        out.extend_from_slice(said);
                        Ok::<_, Infallible>(())
                    });
                    assert_eq!(added, Ok(()));
                }
            }
        }
        Progress::Done
    }
}

fn framed(messages: &[&str]) -> Vec<u8> {
    let frame = |m: &&str| [&[0][..], &u32::try_from(m.len()).unwrap().to_be_bytes(), m.as_bytes()].concat();
    messages.iter().flat_map(frame).collect()
}

fn unframed(mut body: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some((prefix, rest)) = body.split_first_chunk::<5>() {
        let len = u32::from_be_bytes(prefix[1..].try_into().unwrap()) as usize;
        messages.push(String::from_utf8(rest[..len].to_vec()).unwrap());
        body = &rest[len..];
    }
    messages
}

/// What comes back for these pieces of a request, which ends with them or does not: messages, code and words.
async fn asked(
    channel: &Channel,
    encoding: Option<&str>,
    pieces: Vec<Vec<u8>>,
    ends: bool,
) -> (Vec<String>, i32, String) {
    let mut request = http::Request::post(format!("http://pipe/{PROBE}/Watch"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(encoding) = encoding {
        request = request.header("grpc-encoding", encoding);
    }
    let pieces = pieces.into_iter().map(|p| Ok::<_, Status>(http_body::Frame::data(p.into())));
    let pieces = futures::stream::iter(pieces);
    let body = match ends {
        true => Body::new(StreamBody::new(pieces)),
        false => Body::new(StreamBody::new(pieces.chain(futures::stream::pending()))),
    };
    let mut channel = channel.clone();
    let response = channel.ready().await.unwrap().call(request.body(body).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let mut headers = head.headers;
    headers.extend(body.trailers().cloned().unwrap_or_default());
    let status = Status::from_header_map(&headers).expect("a status at the end");
    (unframed(&body.to_bytes()), status.code().into(), status.message().to_owned())
}

fn echo() -> (Channel, Life, Arc<Echo>) {
    let echo = Arc::new(Echo::default());
    let (channel, life) = serve(|server| server.streamed("/test.v1.Probe/Watch", echo.clone()));
    (channel, life, echo)
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_order_however_the_requests_came() {
    let (channel, _life, _) = echo();
    let said = ["a", "", "wait", "b", "wait", "wait", "c"];
    let expected = ["a", "", "waited", "b", "waited", "waited", "c"];
    let bytes = framed(&said);
    for size in [1, 3, 7, bytes.len()] {
        let pieces = bytes.chunks(size).map(<[u8]>::to_vec).collect();
        let (messages, code, _) = asked(&channel, None, pieces, true).await;
        assert_eq!((messages, code), (expected.map(String::from).to_vec(), 0), "in pieces of {size}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_is_answered_together_up_to_a_limit() {
    let (channel, _life, echo) = echo();
    let many = framed(&["m"; 100]);
    let (messages, code, _) = asked(&channel, Some("identity"), vec![many], true).await;
    assert_eq!((messages.len(), code), (100, 0));
    assert_eq!(*echo.0.lock().unwrap(), [32, 32, 32, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_where_a_message_ends_it_and_after_the_answers_before() {
    let (channel, _life, _) = echo();
    let (messages, code, words) = asked(&channel, None, vec![framed(&["a", "end", "b"])], false).await;
    assert_eq!((messages, code, words.as_str()), (vec!["a".into()], Code::Aborted.into(), "enough"));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_ends_the_stream_by_name_after_the_answers_before() {
    let (channel, _life, _) = echo();
    let long = u32::try_from(MESSAGE_BYTES_MAX + 1).unwrap().to_be_bytes();
    for (broken, expected, word) in [
        (vec![1, 0, 0, 0, 0], Code::Internal, "compressed"),
        ([&[0][..], &long].concat(), Code::ResourceExhausted, "4194305"),
        (vec![0, 0, 0, 0, 9, b'x'], Code::Internal, "within a message"),
    ] {
        let (messages, code, words) = asked(&channel, None, vec![framed(&["a"]), broken], true).await;
        assert_eq!((messages, code), (vec!["a".into()], expected.into()), "{words}");
        assert!(words.contains(word), "{words}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_messages_are_compressed_is_the_generated_servers() {
    let (channel, _life, echo) = echo();
    let (_, code, _) = asked(&channel, Some("gzip"), vec![framed(&["a"])], true).await;
    assert_eq!(code, i32::from(Code::Unimplemented));
    assert!(echo.0.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_well_when_the_process_drains() {
    let (channel, life, _) = echo();
    let drained = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        life.shutdown.advance(Phase::Draining);
    };
    let (answered, ()) = tokio::join!(asked(&channel, None, vec![framed(&["a"])], false), drained);
    assert_eq!(answered, (vec!["a".into()], 0, String::new()));
}
