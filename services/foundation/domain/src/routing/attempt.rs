//! What is asked: a call attempt, and the facts of the moment.

use std::net::IpAddr;

use crate::id::{SiteName, TrunkName, UserId};
use crate::number::Number;

/// A call as it came in. Strings are borrowed from the message or request; nothing is decoded yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallAttempt<'a> {
    /// By which trunk of the tenant it came in (an ingress claim decided that), or that a user of the API asks.
    pub ingress: Ingress<'a>,
    /// What is called: a `tel:` or `sip:` URI, `urn:service:sos`, or a plain number.
    pub called: &'a str,
    /// Who calls, as the message asserts it.
    pub caller: Caller<'a>,
    /// What the message says beside.
    pub hints: Hints<'a>,
    /// What the transport is; decides nothing today but stands in the explanation.
    pub method: Method,
}

/// Where a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingress<'a> {
    /// By a trunk of the tenant.
    Trunk(&'a str),
    /// From a registered or known user's own phone.
    User(&'a str),
}

/// Which request asks. The toll policy holds alike for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A new call.
    Invite,
    /// The target of a REFER.
    Refer,
    /// The contact of a 3xx.
    Redirect,
}

/// Who calls. Each is a URI or plain number as the message has it, without display name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller<'a> {
    /// From.
    pub from: &'a str,
    /// P-Asserted-Identity, believed only from a trusted trunk.
    pub asserted: Option<&'a str>,
    /// Whether Privacy has `id`, `header` or `user` (RFC 3323, 3325).
    pub private: bool,
}

/// What a message says beside who calls what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints<'a> {
    /// It has a Replaces header: it belongs to a dialog that stands somewhere.
    pub replaces: bool,
    /// Who forwarded: Diversion, History-Info or Referred-By, the topmost, as a URI or number.
    pub forwarded_by: Option<&'a str>,
    /// How often it was forwarded already.
    pub forwards: u8,
    /// How often who is asked has sent it elsewhere, this time counted, of which the message says nothing. 0: once.
    pub diversions: u8,
    /// Why who is asked sends it elsewhere now: of a [`Method::Redirect`] alone.
    pub retargeted: Option<Retargeted>,
    /// The index of the last History-Info entry that it has (RFC 7044 9.1), such as `1.1`.
    pub history: Option<&'a str>,
    /// Who sent it elsewhere before [`Self::forwarded_by`] did, of which the message says nothing: the first first.
    pub earlier: &'a [Earlier<'a>],
}

/// Who sent a call elsewhere before it was sent elsewhere again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// Who, as a URI or number.
    pub by: &'a str,
    /// Why.
    pub retargeted: Option<Retargeted>,
}

/// Why a call goes elsewhere than where it went first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retargeted {
    /// The called was busy.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// Nothing could reach the called.
    Unreachable,
    /// The called redirected it.
    Deflected,
}

impl Retargeted {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Busy, Self::NoAnswer, Self::Unreachable, Self::Deflected];

    /// As Diversion says it (RFC 5806 4).
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Busy => "user-busy",
            Self::NoAnswer => "no-answer",
            Self::Unreachable => "unavailable",
            Self::Deflected => "deflection",
        }
    }

    /// The SIP status that History-Info gives as the cause (RFC 7044 10.2).
    #[must_use]
    pub const fn cause(self) -> u16 {
        match self {
            Self::Busy => 486,
            Self::NoAnswer => 408,
            Self::Unreachable => 503,
            Self::Deflected => 302,
        }
    }
}

/// What is so at this moment, beside policy and directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Milliseconds since 1970, for the explanation only: no rule reads a clock.
    pub now_ms: u64,
    /// Addresses that were silent within the last 30 s: they go last (domain rules 3.2 A).
    pub silent: Vec<SilentAddress>,
    /// For how many seconds every address of the tenant's CIC trunks has been silent. None: it answers, or
    /// nobody asked.
    pub cic_silent_seconds: Option<u32>,
    /// Unanswered attempts at once with the same (caller, called, ingress, egress), this one not counted: a caller who
    /// is shown the same in everything.
    pub attempts_alike: u16,
    /// The same of callers with the same number, however they are shown beside it.
    pub attempts_by_number: u16,
    /// The calls for help of the last half hour, one of each callback number, the last (domain rules 9.1).
    pub returns: Vec<Returns>,
    /// Whether the element that asks is leaving: it takes no new call but one for help.
    pub leaving: bool,
    /// The agent that CIC chose for a queued call, if the plan is asked about one.
    pub agent: Option<UserId>,
    /// What is known of users' workstations; nobody named: no plug-in is connected.
    pub endpoints: Vec<EndpointFacts>,
    /// Whether the premises' media server is down.
    pub premises_media_server_down: bool,
    /// Whether the WAN is down, as a question of the plan ("what if"): `decide` looks at `cic_silent_seconds`.
    pub wan_lost: bool,
    /// Options 2 and 3, a question of the plan: whether Tandem's edge stands where it can (between the gateway
    /// and CIC or Mediation, and between Mediation and CIC). Under option 1 it is the proxy, asked or not.
    pub edge_in_path: bool,
}

/// A call for help, and by which number the caller is called back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returns {
    /// The number that was shown to the rescuer.
    pub callback: Number,
    /// The caller's.
    pub to: Number,
    /// How long ago it was, in seconds.
    pub ago_seconds: u32,
}

/// An address that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentAddress {
    /// Of which trunk.
    pub trunk: TrunkName,
    /// The host as policy writes it, or the address it resolved to.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The address, where it is known.
    pub ip: Option<IpAddr>,
}

/// What is known of a user's workstation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointFacts {
    /// Whose.
    pub user: UserId,
    /// Whether the plug-in is connected.
    pub plug_in: bool,
    /// Whether the Lync client is signed in on the same workstation.
    pub lync_client: bool,
    /// Where it is, if it said so.
    pub site: Option<SiteName>,
}
