//! A call attempt as a client sends it.
//!
//! Hot path: every `RouteCall` passes here. The strings of the message are kept as they came and lent to the domain;
//! nothing is copied.

use tandem_domain::routing::attempt::{CallAttempt, Caller, Hints, Ingress, Method};
use tandem_proto::routing::v1 as pb;

use crate::limits::{CALL_ID_BYTES_MAX, FORWARDS_MAX, INGRESS_BYTES_MAX, URI_BYTES_MAX};
use crate::terms;
use crate::violation::{Reader, Violations};

/// A call attempt whose message was checked: it has an ingress and a called party, and nothing is over its limit.
#[derive(Clone, PartialEq, Debug)]
pub struct Attempt {
    message: pb::CallAttempt,
    method: Method,
    by_user: bool,
}

impl Attempt {
    /// Takes the `attempt` of a request.
    ///
    /// # Errors
    /// What is wrong, with fields from the request (`attempt.called`).
    pub fn read(message: Option<pb::CallAttempt>) -> Result<Self, Violations> {
        let mut reader = Reader::new();
        let Some(message) = message else {
            reader.wrong("attempt", "is missing", "say which call: set attempt.called and attempt.trunk");
            return reader.finish(None);
        };
        let (field, ingress, by_user) = match &message.ingress {
            Some(pb::call_attempt::Ingress::Trunk(name)) => ("attempt.trunk", name.as_str(), false),
            Some(pb::call_attempt::Ingress::User(id)) => ("attempt.user", id.as_str(), true),
            None => ("attempt.trunk", "", false),
        };
        if ingress.is_empty() {
            reader.wrong(field, "is empty", "name the trunk that the call came in by, or the user who calls");
        }
        reader.check_line(field, ingress, INGRESS_BYTES_MAX);
        if message.called.is_empty() {
            reader.wrong("attempt.called", "is empty", CALLED);
        }
        reader.check_line("attempt.called", &message.called, URI_BYTES_MAX);
        reader.check_line("attempt.caller", &message.caller, URI_BYTES_MAX);
        reader.check_line("attempt.asserted", &message.asserted, URI_BYTES_MAX);
        reader.check_line("attempt.forwarded_by", &message.forwarded_by, URI_BYTES_MAX);
        if message.forwards > FORWARDS_MAX {
            let problem = format!("{} is too large", message.forwards);
            reader.wrong("attempt.forwards", problem, format!("at most {FORWARDS_MAX}"));
        }
        // A client that does not say the method means a new call: most clients only ever ask for those.
        let method = if message.method == 0 {
            Some(Method::Invite)
        } else {
            reader.term("attempt.method", message.method)
        };
        reader.check_line("attempt.call_id", &message.call_id, CALL_ID_BYTES_MAX);
        reader.finish(method.map(|method| Self { message, method, by_user }))
    }

    /// The same as the domain reads it.
    #[must_use]
    pub fn lend(&self) -> CallAttempt<'_> {
        let message = &self.message;
        CallAttempt {
            ingress: if self.by_user {
                Ingress::User(self.ingress())
            } else {
                Ingress::Trunk(self.ingress())
            },
            called: &message.called,
            caller: Caller {
                from: &message.caller,
                asserted: some(&message.asserted),
                private: message.private,
            },
            hints: Hints {
                replaces: message.replaces,
                forwarded_by: some(&message.forwarded_by),
                forwards: u8::try_from(message.forwards).unwrap_or(u8::MAX),
            },
            method: self.method,
        }
    }

    fn ingress(&self) -> &str {
        match &self.message.ingress {
            Some(pb::call_attempt::Ingress::Trunk(name) | pb::call_attempt::Ingress::User(name)) => name,
            None => "",
        }
    }

    /// The Call-ID, for whoever remembers the decision. Empty: none was given.
    #[must_use]
    pub fn call_id(&self) -> &str {
        &self.message.call_id
    }

    /// The message as it came.
    #[must_use]
    pub fn message(&self) -> &pb::CallAttempt {
        &self.message
    }

    /// The message as it came.
    #[must_use]
    pub fn into_message(self) -> pb::CallAttempt {
        self.message
    }
}

/// The proto's form of an attempt that did not come by API: an edge's, or a command's. `call_id` may be empty.
#[must_use]
pub fn message(attempt: &CallAttempt<'_>, call_id: &str) -> pb::CallAttempt {
    let ingress = match attempt.ingress {
        Ingress::Trunk(name) => pb::call_attempt::Ingress::Trunk(name.into()),
        Ingress::User(id) => pb::call_attempt::Ingress::User(id.into()),
    };
    pb::CallAttempt {
        ingress: Some(ingress),
        called: attempt.called.into(),
        caller: attempt.caller.from.into(),
        asserted: attempt.caller.asserted.unwrap_or_default().into(),
        private: attempt.caller.private,
        replaces: attempt.hints.replaces,
        forwarded_by: attempt.hints.forwarded_by.unwrap_or_default().into(),
        forwards: attempt.hints.forwards.into(),
        method: terms::method(attempt.method).into(),
        call_id: call_id.into(),
    }
}

const CALLED: &str = "write it as tel:+4930123456, a SIP URI, or a plain number";

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pb::call_attempt::Ingress as By;

    fn good() -> pb::CallAttempt {
        pb::CallAttempt {
            ingress: Some(By::Trunk("gateway".into())),
            called: "tel:+4930123456".into(),
            caller: "sip:+4989@gw.example".into(),
            ..Default::default()
        }
    }

    #[test]
    fn an_attempt_is_lent_as_it_came() {
        let message = pb::CallAttempt {
            asserted: "tel:+4989".into(),
            private: true,
            forwards: 3,
            method: pb::call_attempt::Method::Refer.into(),
            call_id: "a@b".into(),
            ..good()
        };
        let attempt = Attempt::read(Some(message.clone())).unwrap();
        let lent = attempt.lend();
        assert_eq!(lent.ingress, Ingress::Trunk("gateway"));
        assert_eq!(lent.called, "tel:+4930123456");
        assert_eq!(lent.caller.asserted, Some("tel:+4989"));
        assert_eq!((lent.hints.forwards, lent.hints.forwarded_by), (3, None));
        assert_eq!(lent.method, Method::Refer);
        assert_eq!(super::message(&lent, attempt.call_id()), message);
    }

    #[test]
    fn an_attempt_that_says_no_method_is_a_new_call() {
        assert_eq!(Attempt::read(Some(good())).unwrap().lend().method, Method::Invite);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        let long = "1".repeat(URI_BYTES_MAX + 1);
        let cases: [(pb::CallAttempt, &str); 8] = [
            (pb::CallAttempt { ingress: None, ..good() }, "attempt.trunk"),
            (pb::CallAttempt { ingress: Some(By::User(String::new())), ..good() }, "attempt.user"),
            (pb::CallAttempt { called: String::new(), ..good() }, "attempt.called"),
            (pb::CallAttempt { called: long.clone(), ..good() }, "attempt.called"),
            (pb::CallAttempt { caller: "a\r\nb".into(), ..good() }, "attempt.caller"),
            (pb::CallAttempt { forwards: 256, ..good() }, "attempt.forwards"),
            (pb::CallAttempt { method: 9, ..good() }, "attempt.method"),
            (pb::CallAttempt { call_id: long, ..good() }, "attempt.call_id"),
        ];
        for (message, field) in cases {
            let violations = Attempt::read(Some(message)).unwrap_err();
            let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
            assert_eq!(fields, [field]);
        }
        assert!(Attempt::read(None).unwrap_err().to_string().starts_with("attempt: is missing"));
    }
}
