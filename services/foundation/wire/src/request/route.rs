//! `RouteCallRequest`, read in place.
//!
//! Hot path: every `RouteCall` passes here. Nothing is copied or allocated; text is lent from the bytes that came.

use prost::Message as _;
use tandem_domain::routing::attempt::{Facts, Ingress};
use tandem_proto::routing::v1 as pb;

use crate::attempt::{Attempt, Fields};
use crate::bytes;
use crate::limits::ATTEMPT_BYTES_MAX;
use crate::violation::{Violation, Violations};

/// A `RouteCallRequest` in its plain form: every field once at the most, none that this release does not know, and
/// an attempt of at most [`ATTEMPT_BYTES_MAX`] bytes. Clients write no other; what is not plain is decoded as a
/// message, which makes it plain.
#[derive(Clone, Copy, Debug)]
pub struct RouteCall<'a> {
    /// `tenants/{tenant}` as it was written, for [`Caller::tenant`](crate::caller::Caller::tenant).
    pub parent: &'a str,
    /// Waits until this revision is visible; 0: does not wait.
    pub min_revision: u64,
    /// Comes back with the answer.
    pub tag: u64,
    attempt: Option<Fields<'a>>,
    attempt_bytes: &'a [u8],
    assume: Option<&'a [u8]>,
}

impl<'a> RouteCall<'a> {
    /// Reads a request. None: it is not in its plain form, or no request at all; the message's own decoder says which.
    #[must_use]
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let mut call =
            Self { parent: "", min_revision: 0, tag: 0, attempt: None, attempt_bytes: &[], assume: None };
        let (mut fields, mut once) = (bytes::Fields::new(message), Once::default());
        while let Some((field, value)) = fields.next().ok()? {
            once.see(field)?;
            match field {
                1 => call.parent = value.text()?,
                2 => {
                    call.attempt_bytes = value.bytes().filter(|b| b.len() <= ATTEMPT_BYTES_MAX)?;
                    call.attempt = Some(attempt(call.attempt_bytes)?);
                }
                3 => call.min_revision = value.number()?,
                4 => call.tag = value.number()?,
                5 => call.assume = Some(value.bytes()?),
                _ => return None,
            }
        }
        Some(call)
    }

    /// The call, checked.
    ///
    /// # Errors
    /// What is wrong, with fields from the request (`attempt.called`).
    pub fn attempt(&self) -> Result<Attempt<'a>, Violations> {
        Attempt::check(self.attempt)
    }

    /// What the caller knows of this moment; `now_ms` is the handler's to fill in. Few calls say anything: those that
    /// do are decoded as a message.
    ///
    /// # Errors
    /// What is wrong, with fields from the request (`assume.agent`).
    pub fn facts(&self) -> Result<Facts, Violations> {
        let Some(assume) = self.assume else { return Ok(Facts::default()) };
        let unreadable = || Violation::new("assume", "cannot be read", "send an Assumptions message");
        let message = pb::Assumptions::decode(assume).map_err(|_| unreadable())?;
        crate::plan::read_assumptions(Some(message))
    }

    /// What is called, as it was written. None: the request says nothing of a call.
    #[must_use]
    pub fn called(&self) -> Option<&'a str> {
        self.attempt.map(|attempt| attempt.called)
    }

    /// The trunk that the call came by, as it was written. None: it did not come by one.
    #[must_use]
    pub fn trunk(&self) -> Option<&'a str> {
        match self.attempt?.ingress? {
            Ingress::Trunk(name) => Some(name),
            Ingress::User(_) => None,
        }
    }

    /// The `CallAttempt` as it came, encoded.
    #[must_use]
    pub const fn attempt_bytes(&self) -> &'a [u8] {
        self.attempt_bytes
    }
}

fn attempt(message: &[u8]) -> Option<Fields<'_>> {
    let mut attempt = Fields::default();
    let (mut fields, mut once) = (bytes::Fields::of_texts(message), Once::default());
    while let Some((field, value)) = fields.next().ok()? {
        once.see(field)?;
        match field {
            // One of the two.
            1 | 2 if attempt.ingress.is_some() => return None,
            1 => attempt.ingress = Some(Ingress::Trunk(value.text()?)),
            2 => attempt.ingress = Some(Ingress::User(value.text()?)),
            3 => attempt.called = value.text()?,
            4 => attempt.caller = value.text()?,
            5 => attempt.asserted = value.text()?,
            6 => attempt.private = value.number()? != 0,
            7 => attempt.replaces = value.number()? != 0,
            8 => attempt.forwarded_by = value.text()?,
            9 => attempt.forwards = u32::try_from(value.number()?).ok()?,
            10 => attempt.method = i32::try_from(value.number()?).ok()?,
            11 => attempt.call_id = value.text()?,
            12 => attempt.retargeted = i32::try_from(value.number()?).ok()?,
            13 => attempt.history_index = value.text()?,
            _ => return None,
        }
    }
    Some(attempt)
}

/// Fields that were seen, so that none is seen twice: a message merges what is repeated, and that is its own to do.
#[derive(Default)]
struct Once(u32);

impl Once {
    fn see(&mut self, field: u32) -> Option<()> {
        let bit = 1_u32.checked_shl(field)?;
        let first = self.0 & bit == 0;
        self.0 |= bit;
        first.then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(attempt: Option<pb::CallAttempt>) -> pb::RouteCallRequest {
        let parent = "tenants/acme".into();
        pb::RouteCallRequest { parent, attempt, min_revision: 7, tag: u64::MAX, assume: None }
    }

    proptest! {
        /// What a client sends is read in place, and says what the message says.
        #[test]
        fn what_the_message_says_is_read(attempt in crate::testing::attempt()) {
            let message = request(Some(attempt));
            let bytes = message.encode_to_vec();
            let call = RouteCall::read(&bytes).expect("a client's bytes are plain");
            prop_assert_eq!((call.parent, call.min_revision, call.tag), ("tenants/acme", 7, u64::MAX));
            prop_assert_eq!(call.attempt(), Attempt::read(message.attempt.as_ref()));
            prop_assert_eq!(pb::CallAttempt::decode(call.attempt_bytes()).ok(), message.attempt);
        }
    }

    #[test]
    fn what_the_caller_knows_is_read_and_what_is_wrong_with_it_named() {
        let facts = |assume| {
            let bytes = pb::RouteCallRequest { assume, ..request(None) }.encode_to_vec();
            RouteCall::read(&bytes).expect("a client's bytes are plain").facts()
        };
        assert_eq!(facts(None), Ok(Facts::default()));
        let silent = |host: &str, trunk: &str| pb::SilentAddress {
            trunk: trunk.into(),
            host: host.into(),
            port: 5060,
        };
        let known = pb::Assumptions {
            agent: "jane".into(),
            cic_silent_seconds: 31,
            attempts_alike: 2,
            silent: vec![silent("192.0.2.1", "cic"), silent("cic.example", "cic")],
            ..Default::default()
        };
        let read = facts(Some(known.clone())).unwrap();
        assert_eq!(read.agent.as_ref().map(|agent| agent.as_str()), Some("jane"));
        assert_eq!((read.cic_silent_seconds, read.attempts_alike), (Some(31), 2));
        let silents: Vec<_> = read.silent.iter().map(|s| (&*s.host, s.port, s.ip.is_some())).collect();
        assert_eq!(silents, [("192.0.2.1", 5060, true), ("cic.example", 5060, false)]);
        for (assume, field) in [
            (pb::Assumptions { agent: "J\u{7}".into(), ..known.clone() }, "assume.agent"),
            (pb::Assumptions { silent: vec![silent("", "cic")], ..known.clone() }, "assume.silent[0].host"),
            (pb::Assumptions { silent: vec![silent("a", "C")], ..known.clone() }, "assume.silent[0].trunk"),
            (pb::Assumptions { silent: vec![silent("a", "c"); 65], ..known.clone() }, "assume.silent"),
            (pb::Assumptions { attempts_alike: 65_536, ..known.clone() }, "assume.attempts_alike"),
        ] {
            let wrong = facts(Some(assume)).unwrap_err();
            assert!(wrong.iter().any(|v| v.field == field), "{field}: {wrong}");
        }
        let bytes = [&request(None).encode_to_vec()[..], &[0x2a, 1, 0xff]].concat();
        let wrong = RouteCall::read(&bytes).expect("plain").facts().unwrap_err();
        assert!(wrong.iter().any(|v| v.field == "assume"), "{wrong}");
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_message() {
        let plain = request(Some(pb::CallAttempt::default())).encode_to_vec();
        assert!(RouteCall::read(&plain).is_some());
        let twice = [&plain[..], &plain[..]].concat();
        let unknown = [&plain[..], &[0x32, 0]].concat();
        let broken = [&plain[..], &[0x0a, 9]].concat();
        let long = pb::CallAttempt { called: "1".repeat(ATTEMPT_BYTES_MAX), ..Default::default() };
        let long = request(Some(long)).encode_to_vec();
        let latin = request(None).encode_to_vec().into_iter().map(|b| if b == b'a' { 0xe4 } else { b });
        for odd in [twice, unknown, broken, long, latin.collect()] {
            assert!(RouteCall::read(&odd).is_none(), "{odd:x?}");
        }
    }
}
