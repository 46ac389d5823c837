//! Writing SIP messages. Only what is put in here goes out: nothing is copied from another leg by itself.

use std::fmt::Write;

use bytes::Bytes;

use super::wire::Message;

/// What every element can be asked.
const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE";

/// A message being written: headers in the order in which they were added. Via comes first whenever it was added.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    start: String,
    vias: String,
    head: String,
    body: Bytes,
}

impl Draft {
    pub(super) fn request(method: &str, uri: &str) -> Self {
        Self {
            start: format!("{method} {} SIP/2.0\r\n", clean(uri)),
            vias: String::new(),
            head: "Max-Forwards: 70\r\n".to_owned(),
            body: Bytes::new(),
        }
    }

    /// A response to `request` (RFC 3261 section 8.2.6): its Via, From, Call-ID and CSeq, and its To with `to_tag` where it
    /// has none.
    pub(super) fn response(request: &Message, status: u16, reason: &str, to_tag: &str) -> Self {
        let mut draft = Self {
            start: format!("SIP/2.0 {status} {}\r\n", clean(reason)),
            vias: String::new(),
            head: String::with_capacity(512),
            body: Bytes::new(),
        };
        for via in request.all("Via") {
            draft.via(via);
        }
        for name in ["From", "Call-ID", "CSeq"] {
            draft.header(name, request.header(name).unwrap_or_default());
        }
        let to = request.header("To").unwrap_or_default();
        if status == 100 || request.to_tag().is_some() {
            draft.header("To", to);
        } else {
            draft.header("To", &format!("{to};tag={to_tag}"));
        }
        draft
    }

    /// What a dialog needs of a response that may establish it (12.1.1).
    pub(super) fn establishing(mut self, request: &Message, contact: &str) -> Self {
        for route in request.all("Record-Route") {
            self.header("Record-Route", route);
        }
        self.header("Contact", contact);
        self.header("Allow", ALLOW);
        self
    }

    pub(super) fn via(&mut self, value: &str) {
        write(&mut self.vias, "Via", value);
    }

    pub(super) fn header(&mut self, name: &str, value: &str) {
        write(&mut self.head, name, value);
    }

    /// Says what an element can be asked.
    pub(super) fn allowing(&mut self) {
        self.header("Allow", ALLOW);
    }

    pub(super) fn sdp(mut self, body: Bytes) -> Self {
        if !body.is_empty() {
            self.header("Content-Type", "application/sdp");
        }
        self.body = body;
        self
    }

    pub(super) fn finish(self) -> Bytes {
        let mut text = self.start;
        text.push_str(&self.vias);
        text.push_str(&self.head);
        write(&mut text, "Content-Length", &self.body.len().to_string());
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        Bytes::from(bytes)
    }
}

fn write(text: &mut String, name: &str, value: &str) {
    let written = write!(text, "{name}: {}\r\n", clean(value));
    debug_assert!(written.is_ok(), "writing to a String does not fail");
}

/// A line end in a value would begin another header: none leaves.
fn clean(value: &str) -> String {
    value.chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_begin_a_header() {
        let mut draft = Draft::request("OPTIONS", "sip:a@b\r\nEvil: 1");
        draft.header("From", "<sip:a@b>\r\nEvil: 2");
        let text = String::from_utf8(draft.finish().to_vec()).unwrap();
        assert_eq!(text.lines().filter(|line| line.starts_with("Evil")).count(), 0, "{text}");
    }

    #[test]
    fn via_comes_first_and_length_last() {
        let mut draft = Draft::request("BYE", "sip:a@b");
        draft.header("Call-ID", "1");
        draft.via("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1");
        let text = String::from_utf8(draft.sdp(Bytes::from_static(b"v=0\r\n")).finish().to_vec()).unwrap();
        assert_eq!(
            text,
            "BYE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             Call-ID: 1\r\n\
             Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\nv=0\r\n"
        );
    }
}
