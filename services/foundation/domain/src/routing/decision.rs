//! What is answered: the next hop.

use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::document::terms::{DiversionForm, Transport};
use crate::id::{Revision, TrunkName, UserId, WorkgroupId};
use crate::tenant::RetryOn;

/// The next hop from where it was asked. What lies beyond is the [`Plan`](super::plan::Plan)'s prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The policy and directory it was computed at.
    pub revision: Revision,
    /// Whose number it is.
    pub owner: Owner,
    /// What was called, in canonical form, where it is a number.
    pub called: Option<crate::number::Number>,
    /// Whether this is an emergency call: no quota, toll policy, loop limit or treatment applies.
    pub emergency: bool,
    /// Where it goes.
    pub outcome: Outcome,
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// To these targets, in order.
    Route(Route),
    /// Nowhere.
    Reject(Rejection),
}

/// Whose number it is (domain rules 3.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A CIC user's (Lync-enabled or not).
    CicUser(UserId),
    /// A workgroup's.
    Workgroup(WorkgroupId),
    /// An Attendant profile's: CIC answers itself.
    Attendant,
    /// A Lync-only user's, or a Line URI called as such.
    LyncUser(UserId),
    /// CIC's, by an explicit route or by default.
    Cic,
    /// Lync's, by an explicit route or by default.
    Lync,
    /// Outside the tenant.
    Pstn,
    /// Inside the tenant's ranges, and nobody's.
    Nobody,
    /// The administrator refuses it.
    Refused,
    /// Not looked up: emergency, dialog, or no number.
    NotLookedUp,
}

/// How an element carries a route out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Carriage {
    /// The ingress trunk takes redirects, and no treatment may follow: 302 with the targets.
    Redirect,
    /// The element stays in the way as a proxy.
    Proxy,
}

/// Where a call goes, in order, and what happens if nobody takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// How.
    pub carriage: Carriage,
    /// Trunk failover: the same destination by other addresses (domain rules 3.2 A). At most 16.
    pub targets: Vec<Target>,
    /// Another destination because this one is busy, does not answer or cannot be reached (domain rules 3.2 B).
    /// None where the owner has treatments of its own.
    pub treatment: Treatment,
    /// Whether a survivable rule chose the targets.
    pub survivable: bool,
}

/// One address to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Of which trunk.
    pub trunk: TrunkName,
    /// The host as policy writes it.
    pub host: SmolStr,
    /// The port.
    pub port: u16,
    /// How SIP travels to it.
    pub transport: Transport,
    /// The Request-URI to write, in that trunk's number form.
    pub request_uri: String,
    /// Who the trunk is told calls, shared by all targets of a trunk.
    pub identity: Arc<Identity>,
    /// After this long without any response the next target is tried, in ms.
    pub no_response_ms: u32,
    /// After this long with nothing but a 100 the next target is tried, in ms.
    pub only_100_ms: u32,
    /// Final responses after which the next target is tried.
    pub retry_on: RetryOn,
}

/// Who a trunk is told calls (domain rules 9.1). A proxy adds these headers and never rewrites From.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Identity {
    /// P-Asserted-Identity values to write, such as `<sip:+4930123@gw.example;user=phone>` and `<tel:+4930123>`.
    /// Any that came in are removed.
    pub asserted: SmallVec<[String; 2]>,
    /// The Privacy value to write.
    pub privacy: Option<&'static str>,
    /// Whose call it was, of one that is sent elsewhere than where it went first.
    pub diverted: Option<Diverted>,
    /// Whether private and identity headers of the sender (sip rules 6) are removed, because the two sides do
    /// not trust each other.
    pub strip: bool,
}

/// The entry that a retargeted call gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverted {
    /// The header that the trunk reads: `Diversion` (RFC 5806), whose topmost entry it becomes, or `History-Info` (RFC
    /// 7044), where it follows those that are there. Never [`DiversionForm::None`].
    pub header: DiversionForm,
    /// The header's value, such as `<sip:+4930123@gw.example;user=phone>;reason=user-busy;counter=1`.
    pub entry: Box<str>,
}

/// What happens when a call is not taken. Targets are decided anew by the element, as the called user's forwarding.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Treatment {
    /// The called is busy.
    pub on_busy: Option<Box<str>>,
    /// Nobody answers in time.
    pub on_no_answer: Option<(Box<str>, u16)>,
    /// No trunk could reach it.
    pub on_unreachable: Option<Box<str>>,
}

/// A call that goes nowhere: an answer, not an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The reason, stable.
    pub reason: Reason,
    /// In words, with the name of what is wrong. Empty unless a trail is kept.
    pub words: String,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $print:literal, $status:literal, $phrase:literal;)+) => {
        /// Why a call goes nowhere.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// A stable name, for APIs, logs and tests.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $print,)+ }
            }

            /// The SIP status that an element answers.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// What to look at, for people.
            #[must_use]
            pub const fn hint(self) -> &'static str {
                match self { $(Self::$name => $phrase,)+ }
            }
        }
    };
}

reasons! {
    /// The tenant has no policy that compiles.
    NoPolicy = "policy.none", 503, "the tenant has no policy in force: write one, or see why it was refused";
    /// The ingress trunk is not of this tenant's policy.
    UnknownTrunk = "trunk.unknown", 403, "the trunk is not in the tenant's policy: check spec.trunks";
    /// The user whose phone is said to call is not in this tenant's directory.
    UnknownUser = "user.unknown", 403, "the caller is not in the tenant's directory: import the user";
    /// What was called is no number and no domain of a trunk.
    NotANumber = "number.invalid", 484, "what was called is no number: check the dial plan's rules";
    /// A number longer than E.164 allows, or longer than the limit.
    NumberTooLong = "number.too_long", 414, "a number has at most 15 digits";
    /// A number of the tenant that nobody owns.
    UnknownNumber = "number.unknown", 404, "nobody owns the number: assign it in the directory, or add a route";
    /// An explicit route refuses it.
    RefusedByRoute = "route.refused", 403, "an explicit route refuses the number: see spec.numbers.routes";
    /// From outside to outside, and no user of the tenant is shown to have forwarded it.
    NoForwarder = "toll.no_forwarder", 403, "a call from outside to outside needs a user of the tenant who forwarded it: see Diversion, History-Info or Referred-By";
    /// The toll policy does not allow it.
    Toll = "toll.refused", 403, "the toll rules do not allow the call: see spec.toll";
    /// Endpoint row 5 is off.
    NotReleased = "feature.not_released", 480, "endpoint row 5 is off: set spec.features.row5, or change the user's call control";
    /// No row of the table fits the user.
    UnsupportedEndpoint = "endpoint.unsupported", 480, "user, call control and phone are no supported combination";
    /// A workgroup's agent is not a CIC user.
    AgentNotCicUser = "agent.not_cic_user", 480, "an agent needs a CIC account";
    /// There is no trunk of the role that the next hop needs.
    NoTrunk = "trunk.missing", 503, "the tenant has no trunk to the system that the call needs: check spec.trunks";
    /// The element that asks is leaving.
    Leaving = "element.leaving", 503, "the edge is leaving and takes no new call: its peer tries the next address";
    /// It would go back to the system it came from.
    WouldReturn = "route.would_return", 482, "the number would go back to the system it came from: check that system's routes";
    /// Too many unanswered attempts alike.
    LoopDetected = "route.loop", 482, "the same call is already being tried: two systems send it to each other, or, if they are many callers who show one number and name, spec.limits.attemptsAlike is too low";
    /// The expected way meets one system twice with one number.
    PlannedLoop = "route.planned_loop", 482, "the way meets one system twice with the same number: give the user a DID that differs from the Line URI";
    /// The WAN is lost, and no survivable rule reaches the called.
    WanLost = "route.wan_lost", 503, "the WAN is lost and nothing reaches the called without it: see spec.survivable";
    /// A CIC phone that is registered nowhere at its site.
    PhoneNotRegistered = "survivable.phone_not_registered", 480, "CIC is silent, and the CIC phone is not registered with an element of its site";
    /// A queue without a target for the time that CIC is silent.
    NoHuntTarget = "survivable.no_hunt_target", 503, "CIC is silent, and the queue has no hunt target: set spec.survivable.huntTarget or the workgroup's";
    /// Lync cannot pass the call on to CIC.
    NoSharedUsage = "route.no_shared_usage", 404, "Lync's trunks to gateway and CIC share no PSTN usage";
    /// Nobody can join SRTP and RTP.
    NoTranscryptor = "route.srtp_no_transcryptor", 488, "one side needs SRTP, the other has RTP, and no media server is in the call";
    /// No emergency egress for the caller's site.
    NoEmergencyEgress = "site.no_emergency_egress", 503, "the caller's site has no emergency egress: set sites[].emergency.egress";
    /// No media server may anchor the call.
    NoMediaServer = "media.no_media_server", 503, "the call must be recorded, and no media server of the premises is up";
}
