//! A call attempt as a client sends it.
//!
//! Hot path: every `RouteCall` passes here. The strings are lent to the domain as they came; nothing is copied.

use tandem_domain::routing::attempt::{CallAttempt, Caller, Hints, Ingress, Method};
use tandem_proto::routing::v1 as pb;

use crate::limits::{
    CALL_ID_BYTES_MAX, FORWARDS_MAX, HISTORY_INDEX_BYTES_MAX, INGRESS_BYTES_MAX, URI_BYTES_MAX,
};
use crate::terms;
use crate::violation::{Reader, Violations};

/// The fields of a `CallAttempt`, lent from the message or from its bytes, not yet checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) ingress: Option<Ingress<'a>>,
    pub(crate) called: &'a str,
    pub(crate) caller: &'a str,
    pub(crate) asserted: &'a str,
    pub(crate) private: bool,
    pub(crate) replaces: bool,
    pub(crate) forwarded_by: &'a str,
    pub(crate) forwards: u32,
    pub(crate) method: i32,
    pub(crate) call_id: &'a str,
    pub(crate) retargeted: i32,
    pub(crate) history_index: &'a str,
}

impl<'a> From<&'a pb::CallAttempt> for Fields<'a> {
    fn from(message: &'a pb::CallAttempt) -> Self {
        use pb::call_attempt::Ingress as By;
        Self {
            ingress: message.ingress.as_ref().map(|by| match by {
                By::Trunk(name) => Ingress::Trunk(name),
                By::User(id) => Ingress::User(id),
            }),
            called: &message.called,
            caller: &message.caller,
            asserted: &message.asserted,
            private: message.private,
            replaces: message.replaces,
            forwarded_by: &message.forwarded_by,
            forwards: message.forwards,
            method: message.method,
            call_id: &message.call_id,
            retargeted: message.retargeted,
            history_index: &message.history_index,
        }
    }
}

/// A call attempt that was checked: it has an ingress and a called party, and nothing is over its limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt<'a> {
    call: CallAttempt<'a>,
    call_id: &'a str,
}

impl<'a> Attempt<'a> {
    /// Checks the `attempt` of a request.
    ///
    /// # Errors
    /// What is wrong, with fields from the request (`attempt.called`).
    pub fn read(message: Option<&'a pb::CallAttempt>) -> Result<Self, Violations> {
        Self::check(message.map(Fields::from))
    }

    pub(crate) fn check(fields: Option<Fields<'a>>) -> Result<Self, Violations> {
        let mut reader = Reader::new();
        let Some(fields) = fields else {
            reader.wrong("attempt", "is missing", "say which call: set attempt.called and attempt.trunk");
            return reader.finish(None);
        };
        let (field, name) = match fields.ingress {
            Some(Ingress::Trunk(name)) => ("attempt.trunk", name),
            Some(Ingress::User(id)) => ("attempt.user", id),
            None => ("attempt.trunk", ""),
        };
        if name.is_empty() {
            reader.wrong(field, "is empty", "name the trunk that the call came in by, or the user who calls");
        }
        reader.check_line(field, name, INGRESS_BYTES_MAX);
        if fields.called.is_empty() {
            reader.wrong("attempt.called", "is empty", CALLED);
        }
        reader.check_line("attempt.called", fields.called, URI_BYTES_MAX);
        reader.check_line("attempt.caller", fields.caller, URI_BYTES_MAX);
        reader.check_line("attempt.asserted", fields.asserted, URI_BYTES_MAX);
        reader.check_line("attempt.forwarded_by", fields.forwarded_by, URI_BYTES_MAX);
        if fields.forwards > FORWARDS_MAX {
            let problem = format!("{} is too large", fields.forwards);
            reader.wrong("attempt.forwards", problem, format!("at most {FORWARDS_MAX}"));
        }
        // A client that does not say the method means a new call: most clients only ever ask for those.
        let method = if fields.method == 0 {
            Some(Method::Invite)
        } else {
            reader.term("attempt.method", fields.method)
        };
        reader.check_line("attempt.call_id", fields.call_id, CALL_ID_BYTES_MAX);
        let retargeted = reader.some_term("attempt.retargeted", fields.retargeted);
        reader.check_line("attempt.history_index", fields.history_index, HISTORY_INDEX_BYTES_MAX);
        let call = fields.ingress.zip(method).map(|(ingress, method)| CallAttempt {
            ingress,
            called: fields.called,
            caller: Caller { from: fields.caller, asserted: some(fields.asserted), private: fields.private },
            hints: Hints {
                replaces: fields.replaces,
                forwarded_by: some(fields.forwarded_by),
                forwards: u8::try_from(fields.forwards).unwrap_or(u8::MAX),
                diversions: 0,
                earlier: &[],
                retargeted,
                history: some(fields.history_index),
            },
            method,
        });
        reader.finish(call.map(|call| Self { call, call_id: fields.call_id }))
    }

    /// The same as the domain reads it.
    #[must_use]
    pub const fn call(&self) -> &CallAttempt<'a> {
        &self.call
    }

    /// The Call-ID, for whoever remembers the decision. Empty: none was given.
    #[must_use]
    pub const fn call_id(&self) -> &'a str {
        self.call_id
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
        retargeted: attempt.hints.retargeted.map_or(0, |why| terms::retargeted(why).into()),
        history_index: attempt.hints.history.unwrap_or_default().into(),
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
    use tandem_domain::routing::attempt::Retargeted;

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
            method: pb::call_attempt::Method::Redirect.into(),
            call_id: "a@b".into(),
            retargeted: pb::call_attempt::Retargeted::NoAnswer.into(),
            history_index: "1.2".into(),
            ..good()
        };
        let attempt = Attempt::read(Some(&message)).unwrap();
        let lent = attempt.call();
        assert_eq!(lent.ingress, Ingress::Trunk("gateway"));
        assert_eq!(lent.called, "tel:+4930123456");
        assert_eq!(lent.caller.asserted, Some("tel:+4989"));
        assert_eq!((lent.hints.forwards, lent.hints.forwarded_by), (3, None));
        assert_eq!(lent.method, Method::Redirect);
        assert_eq!((lent.hints.retargeted, lent.hints.history), (Some(Retargeted::NoAnswer), Some("1.2")));
        assert_eq!(super::message(lent, attempt.call_id()), message);
    }

    #[test]
    fn an_attempt_that_says_no_method_is_a_new_call() {
        assert_eq!(Attempt::read(Some(&good())).unwrap().call().method, Method::Invite);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_field() {
        let long = "1".repeat(URI_BYTES_MAX + 1);
        let cases: [(pb::CallAttempt, &str); 10] = [
            (pb::CallAttempt { ingress: None, ..good() }, "attempt.trunk"),
            (pb::CallAttempt { ingress: Some(By::User(String::new())), ..good() }, "attempt.user"),
            (pb::CallAttempt { called: String::new(), ..good() }, "attempt.called"),
            (pb::CallAttempt { called: long.clone(), ..good() }, "attempt.called"),
            (pb::CallAttempt { caller: "a\r\nb".into(), ..good() }, "attempt.caller"),
            (pb::CallAttempt { forwards: 256, ..good() }, "attempt.forwards"),
            (pb::CallAttempt { method: 9, ..good() }, "attempt.method"),
            (pb::CallAttempt { call_id: long.clone(), ..good() }, "attempt.call_id"),
            (pb::CallAttempt { retargeted: 9, ..good() }, "attempt.retargeted"),
            (pb::CallAttempt { history_index: long, ..good() }, "attempt.history_index"),
        ];
        for (message, field) in cases {
            let violations = Attempt::read(Some(&message)).unwrap_err();
            let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
            assert_eq!(fields, [field]);
        }
        assert!(Attempt::read(None).unwrap_err().to_string().starts_with("attempt: is missing"));
    }
}
