//! From a message to what is asked about it: who calls whom, and what the message says beside. Everything is borrowed
//! from the receive buffer; nothing here is believed yet, for whom to believe is the domain's to say.

use std::hash::BuildHasher as _;

use tandem_domain::routing::attempt::{CallAttempt, Caller, Hints, Ingress, Method};
use tandem_sip::message::{Addr, Header, Keys, Message, addresses, list, number};
use tandem_wire::limits::HISTORY_INDEX_BYTES_MAX;

/// What a request says about the call it makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    /// The Request-URI.
    pub(crate) called: &'a str,
    /// Who calls.
    pub(crate) caller: Caller<'a>,
    /// What it says beside.
    pub(crate) hints: Hints<'a>,
    /// From, whole.
    from: Addr<'a>,
}

/// The header that carries a decision's id between elements that trust one another.
pub(crate) const DECISION: &str = "X-Tandem-Decision";

impl<'a> Said<'a> {
    /// Reads a request. What cannot be read counts as not said.
    pub(crate) fn read(message: &Message<'a>, keys: &Keys<'a>) -> Self {
        let mut said = Self {
            called: keys.uri,
            caller: Caller { from: text(keys.from.uri_text()).unwrap_or_default(), ..Caller::default() },
            hints: Hints::default(),
            from: keys.from,
        };
        let (mut history, mut referred) = (None, None);
        for line in message.lines() {
            let value = message.value(*line);
            match line.header {
                Header::AssertedIdentity if said.caller.asserted.is_none() => {
                    said.caller.asserted = first(value);
                }
                Header::Privacy => said.caller.private |= is_private(value),
                Header::Replaces => said.hints.replaces = true,
                Header::Diversion => said.diverted(value),
                Header::HistoryInfo if history.is_none() => history = Some(()),
                Header::ReferredBy if referred.is_none() => referred = first(value),
                _ => {}
            }
        }
        if history.is_some() {
            said.history(message);
        }
        said.hints.forwarded_by = said.hints.forwarded_by.or(referred);
        said
    }

    /// RFC 5806: the topmost Diversion is the last one; `counter` says how often that one diverted.
    fn diverted(&mut self, value: &'a [u8]) {
        for addr in addresses(value).flatten() {
            let counter = addr.params().get("counter").flatten().and_then(|v| number(v).ok()).unwrap_or(1);
            let counter = u8::try_from(counter.max(1)).unwrap_or(u8::MAX);
            self.hints.forwards = self.hints.forwards.saturating_add(counter);
            if self.hints.forwarded_by.is_none() {
                self.hints.forwarded_by = text(addr.uri_text());
            }
        }
    }

    /// RFC 7044: the last entry is who is called now, the one before it who forwarded. A Diversion says who, too.
    fn history(&mut self, message: &Message<'a>) {
        let (mut last, mut before, mut count) = (None, None, 0_u8);
        for addr in message.all(Header::HistoryInfo).flat_map(addresses).flatten() {
            before = last.replace(addr);
            count = count.saturating_add(1);
        }
        // A longer one than the API takes is nobody's: what comes after it begins anew.
        let index = last.and_then(|addr| text(addr.params().get("index")??));
        self.hints.history = index.filter(|index| index.len() <= HISTORY_INDEX_BYTES_MAX);
        if self.hints.forwarded_by.is_some() {
            return;
        }
        self.hints.forwarded_by = before.and_then(|addr: Addr<'a>| text(without_headers(addr.uri_text())));
        self.hints.forwards = count.saturating_sub(1);
    }

    /// What the caller shows in From, the name and the user part, hashed. A back-to-back agent passes both on, and has
    /// another host; colleagues who are shown to the network as one number often differ in one of them.
    pub(crate) fn shown(&self) -> u64 {
        let user = self.from.uri_text().split(|b| *b == b'@').next().unwrap_or_default();
        foldhash::fast::FixedState::default().hash_one((self.from.display_name(), user))
    }

    /// The question about it, from a trunk.
    pub(crate) fn attempt(&self, trunk: &'a str, method: Method) -> CallAttempt<'a> {
        CallAttempt {
            ingress: Ingress::Trunk(trunk),
            called: self.called,
            caller: self.caller,
            hints: self.hints,
            method,
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// The URI of the first address in a line.
fn first(value: &[u8]) -> Option<&str> {
    addresses(value).next()?.ok().and_then(|a| text(a.uri_text()))
}

/// A URI without its `?headers`: a History-Info entry carries its Reason there.
fn without_headers(uri: &[u8]) -> &[u8] {
    uri.split(|b| *b == b'?').next().unwrap_or_default()
}

/// RFC 3323 4.2, RFC 3325 9.3: what hides who calls. Values are parted by ';', by some senders by ','.
fn is_private(value: &[u8]) -> bool {
    let hides =
        |v: &[u8]| ["id", "header", "user"].iter().any(|w| v.trim_ascii().eq_ignore_ascii_case(w.as_bytes()));
    value.split(|b| matches!(b, b';' | b',')).any(hides)
}

/// The URI that a REFER refers to.
pub(crate) fn refer_to<'a>(message: &Message<'a>) -> Option<&'a str> {
    first(message.first(Header::ReferTo)?)
}

/// Whether a Call-Info or Alert-Info line would make a phone answer by itself: an open microphone to whoever sent it.
pub(crate) fn answers_by_itself(message: &Message<'_>) -> bool {
    let holds = |value: &[u8], word: &[u8]| value.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
    message.all(Header::CallInfo).flat_map(list).any(|v| holds(v, b"answer-after"))
        || message
            .all(Header::AlertInfo)
            .flat_map(list)
            .any(|v| holds(v, b"answer-after") || holds(v, b"autoanswer") || holds(v, b"auto-answer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_sip::message::Table;

    fn read(lines: &str, look: impl FnOnce(Said<'_>)) {
        let bytes = format!(
            "INVITE sip:+4930123@edge.example;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
             From: \"Jane, D.\" <sip:+4989555@gw.example>;tag=1\r\nTo: <sip:+4930123@edge.example>\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\n{lines}\r\n"
        );
        let mut table = Table::new();
        let message = table.parse_datagram(bytes.as_bytes()).unwrap();
        let keys = Keys::read(&message).unwrap();
        look(Said::read(&message, &keys));
    }

    #[test]
    fn who_calls_whom() {
        read(
            "P-Asserted-Identity: <sip:+49891@gw.example>, <tel:+49891>\r\nPrivacy: id;critical\r\n",
            |said| {
                assert_eq!(said.called, "sip:+4930123@edge.example;user=phone");
                assert_eq!(said.caller.from, "sip:+4989555@gw.example");
                assert_eq!(said.caller.asserted, Some("sip:+49891@gw.example"));
                assert!(said.caller.private && !said.hints.replaces);
            },
        );
        read("Privacy: none\r\nReplaces: a;to-tag=b;from-tag=c\r\n", |said| {
            assert!(!said.caller.private && said.hints.replaces && said.caller.asserted.is_none());
        });
    }

    #[test]
    fn who_forwarded_it_and_how_often() {
        for (lines, by, times) in [
            ("", None, 0),
            ("Diversion: <sip:+491@a>;counter=2, <sip:+492@a>\r\n", Some("sip:+491@a"), 3),
            ("Diversion: <sip:+491@a>;counter=x\r\nDiversion: <sip:+492@a>\r\n", Some("sip:+491@a"), 2),
            ("History-Info: <sip:+491@a>;index=1\r\n", None, 0),
            (
                "History-Info: <sip:+491@a?Reason=SIP%3Bcause%3D486>;index=1\r\nHistory-Info: <sip:+492@a>;index=1.1\r\n",
                Some("sip:+491@a"),
                1,
            ),
            ("Referred-By: <sip:jane@a>\r\n", Some("sip:jane@a"), 0),
            ("Referred-By: <sip:jane@a>\r\nDiversion: <tel:+493>\r\n", Some("tel:+493"), 1),
            ("Diversion: <\r\n", None, 0),
        ] {
            read(lines, |said| {
                assert_eq!((said.hints.forwarded_by, said.hints.forwards), (by, times), "{lines}");
            });
        }
    }

    #[test]
    fn a_line_that_opens_a_microphone_is_known() {
        let check = |lines: &str, expected: bool| {
            let bytes = format!("INVITE sip:a@b SIP/2.0\r\n{lines}\r\n");
            let mut table = Table::new();
            let message = table.parse_datagram(bytes.as_bytes()).unwrap();
            assert_eq!(answers_by_itself(&message), expected, "{lines}");
        };
        check("Call-Info: <sip:b>;answer-after=0\r\n", true);
        check("Call-Info: <http://a/p.jpg>;purpose=icon\r\n", false);
        check("Alert-Info: <http://a>;info=alert-autoanswer;delay=0\r\n", true);
        check("Alert-Info: <http://a/ring.wav>\r\n", false);
    }
}
