//! Why: every rule that was considered, which won, and why each other lost.
//!
//! `decide` and `plan` are generic over the sink. [`NoTrail`] keeps nothing and compiles away: its `KEEPS` is
//! a constant, and no word is composed for it.

use std::borrow::Cow;

/// A sink for the reasons of one decision.
pub trait Trail {
    /// Whether anything is kept. Callers compose words only if so.
    const KEEPS: bool;

    /// Takes one step. `words` is called only if something is kept.
    fn step(&mut self, rule: Rule, verdict: Verdict, words: impl FnOnce() -> Cow<'static, str>);
}

/// Keeps nothing, costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTrail;

impl Trail for NoTrail {
    const KEEPS: bool = false;

    #[inline(always)]
    fn step(&mut self, _: Rule, _: Verdict, _: impl FnOnce() -> Cow<'static, str>) {}
}

/// Keeps every step, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steps(pub Vec<Step>);

impl Trail for Steps {
    const KEEPS: bool = true;

    fn step(&mut self, rule: Rule, verdict: Verdict, words: impl FnOnce() -> Cow<'static, str>) {
        self.0.push(Step { rule, verdict, words: words() });
    }
}

/// One rule that was considered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub rule: Rule,
    /// What came of it.
    pub verdict: Verdict,
    /// Why, in words that a telephony administrator knows.
    pub words: Cow<'static, str>,
}

/// What came of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It decided.
    Won,
    /// It could have decided, but did not: the words say why.
    Lost,
    /// It changed something on the way (a number rewritten, a target put last).
    Applied,
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $print:literal, $section:literal;)+) => {
        /// The rules, as administrators name them. `section` is the chapter of the domain rules.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Rule { $($(#[$doc])* $name,)+ }

        impl Rule {
            /// Every rule.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// A stable name, for APIs and tests.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $print,)+ }
            }

            /// Where the domain rules speak of it.
            #[must_use]
            pub const fn section(self) -> &'static str {
                match self { $(Self::$name => $section,)+ }
            }
        }
    };
}

rules! {
    /// Emergency before everything.
    Emergency = "emergency", "9.1";
    /// A request that belongs to a dialog elsewhere, or whose Request-URI is no number.
    Dialog = "dialog", "9.1";
    /// What was dialled became a number.
    Normalisation = "normalisation", "1.3";
    /// An explicit route of the administrator.
    ExplicitRoute = "explicit-route", "3.1";
    /// A number of a CIC user, workgroup or Attendant profile.
    CicOwner = "cic-owner", "3.1";
    /// A Line URI of a Lync user.
    LyncOwner = "lync-owner", "3.1";
    /// The default of the inbound option.
    DefaultOwner = "default-owner", "3.1";
    /// Which system is met first.
    InboundOption = "inbound-option", "3.2";
    /// A number never goes back to the system it came from.
    NoReturn = "no-return", "3.3";
    /// A rescuer calls back whoever called for help.
    EmergencyCallback = "emergency-callback", "9.1";
    /// An element that leaves takes no new call.
    Leaving = "leaving", "3.2";
    /// Too many unanswered attempts alike.
    AttemptsAlike = "attempts-alike", "3.3";
    /// The endpoint row of the called user.
    EndpointRow = "endpoint-row", "1.2";
    /// Who may call what by which trunk.
    Toll = "toll", "9.1";
    /// Which way out to the PSTN.
    PstnEgress = "pstn-egress", "3.4";
    /// The survivable rules of local control.
    Survivable = "survivable", "2.4";
    /// The order of targets.
    Targets = "targets", "3.2";
    /// Who the called trunk is told calls.
    CallerIdentity = "caller-identity", "9.1";
    /// What happens when nobody takes the call.
    Treatment = "treatment", "3.2";
    /// Where the audio is fixed.
    MediaAnchor = "media-anchor", "2.3";
    /// Whether anybody can join SRTP and RTP.
    Transcryption = "transcryption", "2.2";
    /// How the call is answered.
    AnswerMode = "answer-mode", "3.6";
    /// A plan that meets a system twice with one number.
    Loop = "loop", "3.3";
}
