//! The messages that are read.

const HEAD: &str = "INVITE sip:+498912345678@edge.example.com;user=phone SIP/2.0\r\n\
Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK77ef4c2312983.1;rport\r\n\
Max-Forwards: 69\r\n\
From: \"Alice Example\" <sip:+441632960001@gw.example.net>;tag=1928301774\r\n\
To: <sip:+498912345678@edge.example.com;user=phone>\r\n\
Call-ID: a84b4c76e66710@gw.example.net\r\n\
CSeq: 314159 INVITE\r\n\
Contact: <sip:+441632960001@192.0.2.10:5060;transport=udp>\r\n";

const MORE: &str = "Via: SIP/2.0/TLS proxy.example.net:5061;branch=z9hG4bK2d4790.1;received=192.0.2.7\r\n\
Route: <sip:edge.example.com;lr;transport=udp>\r\n\
Record-Route: <sip:proxy.example.net:5061;transport=tls;lr>\r\n\
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY\r\n\
Supported: 100rel, timer, replaces, histinfo\r\n\
Session-Expires: 1800;refresher=uac\r\n\
Min-SE: 90\r\n\
P-Asserted-Identity: <sip:+441632960001@gw.example.net>\r\n\
Content-Type: application/sdp\r\n";

const SDP: &str = "v=0\r\no=- 3724394400 3724394405 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
m=audio 49172 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";

/// 9 headers, no body, 525 bytes.
pub fn small() -> Vec<u8> {
    sized(525, "", "")
}

/// 18 headers, a body, 1208 bytes.
pub fn large() -> Vec<u8> {
    sized(1208, MORE, SDP)
}

/// Fills the message to `len` bytes: by its User-Agent, or by its body.
fn sized(len: usize, more: &str, body: &str) -> Vec<u8> {
    let build = |fill: usize| {
        let (agent, body) = match body {
            "" => (format!("Subject: {}\r\n", "x".repeat(fill)), String::new()),
            _ => (String::new(), format!("{body}a=x:{}\r\n", "x".repeat(fill))),
        };
        format!("{HEAD}{more}{agent}Content-Length: {:>3}\r\n\r\n{body}", body.len())
    };
    let missing = len - build(0).len();
    let message = build(missing).into_bytes();
    assert_eq!(message.len(), len);
    message
}
