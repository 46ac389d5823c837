//! The whole way that a call is expected to take. Beyond the next hop it is a prediction, for CIC and Lync
//! follow their own configuration; what was seen on the wire is labelled observed by whoever saw it.

mod legs;
mod make;
pub(crate) mod media;
mod wan;
pub(crate) mod way;
mod words;

pub use make::plan;

use crate::id::{SiteName, UserId};
use crate::number::Number;

use super::decision::Rejection;

/// The expected way of one call.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Who is called: the endpoint row of the user, or of the agent that takes a queued call.
    pub callee: Callee,
    /// Signalling, in order.
    pub hops: Vec<Hop>,
    /// Legs in hop order, then side legs.
    pub legs: Vec<Leg>,
    /// Where the audio is fixed, in the table's words: what can be.
    pub anchor: Anchor,
    /// The element that holds the audio by today's policy, and where it stands. None: nobody, the ends talk
    /// directly.
    pub anchored_at: Option<(Element, SiteName)>,
    /// Whether SRTP and RTP meet on the way, so that a media server must join them (domain rules 2.2, rule 6).
    pub srtp_mixed: bool,
    /// Legs of signalling that cross between sites, side legs not counted.
    pub signalling_crossings: u8,
    /// Legs of media that cross between sites, without a media server in the way and with one.
    pub media_crossings: (u8, u8),
    /// Mediation sessions.
    pub mediation_sessions: u8,
    /// What the call has.
    pub features: Features,
    /// How it is answered.
    pub answer: Answer,
    /// How the caller's own station is answered, where CIC rings that first (domain rules 9.2).
    pub station_answer: Option<Answer>,
    /// What a new call like this does when the WAN is lost.
    pub wan_lost: WanLost,
    /// Why the call ends before it reaches anybody.
    pub rejected: Option<Rejection>,
}

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callee {
    /// A user by number.
    User(UserId, Option<Row>),
    /// A queue, with the agent that CIC chose.
    Agent(UserId, Option<Row>),
    /// A queue, before an agent is chosen.
    Queue,
    /// A system itself (Attendant, default owner).
    System(Element),
    /// The PSTN.
    Pstn,
    /// Nobody.
    Nobody,
}

/// An endpoint row of domain rules 1.2, or the IM-only user, the seventh configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// CIC user, CIC client, CIC phone.
    R1,
    /// Lync user, Lync client, Lync phone.
    R2,
    /// Lync-enabled CIC user, CIC client without plug-in, Lync phone that is a station.
    R3,
    /// The same with the plug-in.
    R4,
    /// Lync client, Lync phone that is a station ("Future release").
    R5,
    /// Lync client controlling a CIC phone (RCC).
    R6,
    /// Lync-enabled CIC user without Lync telephony: routes as row 1 when there is a CIC station.
    ImOnly,
}

/// An element of the topology, as the decision table abbreviates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Element {
    /// The gateway, or where the carrier's calls enter.
    Gw,
    /// The SIP proxy.
    Px,
    /// Tandem's edge where the table has no proxy (options 2 and 3).
    Edge,
    /// CIC.
    Cic,
    /// Lync's Mediation.
    Med,
    /// Lync's Front End.
    Fe,
    /// The media server.
    Ms,
    /// A CIC phone.
    Cph,
    /// A Lync phone or client.
    Lph,
    /// The PSTN beyond the gateway.
    Pstn,
}

/// One element on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Which.
    pub element: Element,
    /// Where it stands.
    pub site: SiteName,
    /// The number it is asked for.
    pub number: Option<Number>,
    /// Who decides that the call comes here.
    pub decided_by: DecidedBy,
    /// How it follows from the hop before.
    pub join: Join,
}

/// How a hop follows from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Join {
    /// The call goes on.
    Next,
    /// The same element begins a leg of its own: CIC rings the caller's own station first (domain rules 9.2).
    Aside,
    /// The same element goes on once the leg before was answered.
    OnAnswer,
}

/// Who sends a call to the next element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DecidedBy {
    /// Tandem: this is the decision itself.
    Tandem,
    /// The gateway's or carrier's own configuration.
    Gateway,
    /// CIC's own configuration: a prediction.
    Cic,
    /// Lync's own configuration: a prediction.
    Lync,
}

/// A leg of domain rules 2.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Its letter, `a` to `q`.
    pub letter: char,
    /// From.
    pub from: Element,
    /// To.
    pub to: Element,
    /// Protocol and port, as `SIP/UDP 5060`.
    pub protocol: String,
    /// What media runs along it: `RTP`, `SRTP`, or nothing.
    pub media: Option<&'static str>,
    /// Whether its ends stand at different sites.
    pub crosses: bool,
    /// A side leg: media server, plug-in, RCC.
    pub side: bool,
    /// Whether it exists only under a condition (`(k)` in the table: only if recorded).
    pub conditional: bool,
}

/// Where the audio is fixed (domain rules 2.3), in the table's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// direct GW-phone (MS if recorded or always-in)
    DirectOrMs,
    /// MED, or GW-endpoint if bypass
    MedOrBypass,
    /// MED (MS if recorded, always-in or RTP/SRTP mixed)
    MedOrMs,
    /// MED (MS if recorded)
    MedMsIfRecorded,
    /// MED (MS if recorded or always-in)
    MedMsIfRecordedOrAlwaysIn,
    /// MS (queue), then MS if recorded else direct
    QueueThenDirect,
    /// MS (queue), then MS if recorded else MED
    QueueThenMed,
    /// Between a Lync endpoint and another, CIC not involved.
    LyncOnly,
    /// MS: CIC answers itself.
    MediaServer,
    /// No media server may be used: what is left is direct, or Mediation where it is in the way.
    WithoutMediaServer,
    /// No audio: the call reaches nobody.
    None,
}

/// What a call has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Features {
    /// CIC can record.
    pub recording: Tri,
    /// Supervisors can listen and coach.
    pub supervisor: bool,
    /// CIC voicemail and handlers.
    pub voicemail: bool,
    /// "ACD - Agent Not Answering".
    pub agent_not_answering: bool,
    /// Wrap-up.
    pub wrap_up: bool,
    /// Presence can be synchronised.
    pub presence_sync: bool,
    /// The Lync client controls a CIC phone.
    pub rcc: bool,
}

/// Yes, no, or possible by policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Tri {
    /// No.
    #[default]
    No,
    /// If policy says so.
    Possible,
    /// Yes.
    Yes,
}

/// How a call is answered. The answer itself is always the SIP 200 OK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// CIC signals its own phone.
    CicPhone,
    /// The Lync client or phone, by hand, because it is no CIC station.
    LyncClient,
    /// The plug-in takes the Lync client off-hook.
    AutoOffHook,
    /// By hand, and why.
    Manual(ManualBecause),
    /// CIC takes its own phone off-hook, told by the Lync client (RCC).
    Rcc,
    /// CIC or a system answers itself.
    System,
    /// By nobody of the tenant's: the call leaves it, or reaches nobody.
    None,
}

/// Why a Lync phone that is a station is answered by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ManualBecause {
    /// The user has no plug-in (row 3).
    NoPlugIn,
    /// The plug-in is configured but not connected.
    PlugInAbsent,
    /// The Lync client is absent or signed out.
    LyncClientAbsent,
    /// A Lync hard phone that is not paired with the client of that workstation.
    PhoneNotPaired,
    /// The Lync client controls the call (row 5): no off-hook command is sent.
    Row5,
}

/// What a new call does when the WAN is lost, in the table's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WanLost {
    /// There is no WAN in the way.
    NotApplicable,
    /// works
    Works,
    /// surv: the survivable rule; `true`: only with a secondary target (`surv*`).
    Survivable(bool),
    /// hunt: a static target; `true`: only with a secondary target (`hunt*`).
    Hunt(bool),
    /// vm: CIC voicemail in the cloud; `true`: only with a secondary route (`vm*`).
    Voicemail(bool),
    /// announce
    Announce,
    /// queue; `true`: only with a secondary route (`queue*`).
    Queue(bool),
    /// fail
    Fails,
}
