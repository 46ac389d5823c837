//! The closed vocabularies that documents, records and decisions share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! terms {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $print:literal,)+ })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// As people read it.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $print,)+ }
            }

            /// As documents write it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.words())
            }
        }
    )*};
}

terms! {
    /// Where control and media live (domain rules 2.1).
    Model {
        /// Everything at the customer.
        OnPremises = "on-premises",
        /// Control in the cloud; media, trunks and recordings at the customer.
        LocalControl = "local control",
        /// Everything but endpoints and Lync in the cloud.
        RemoteControl = "remote control",
    }

    /// Which system a call from the gateway meets first (domain rules 3.2).
    InboundOption {
        /// Option 1: a SIP proxy, which Tandem's edge can be.
        ProxyFirst = "SIP proxy first",
        /// Option 2: CIC.
        CicFirst = "CIC first",
        /// Option 3: Lync.
        LyncFirst = "Lync first",
    }

    /// What a trunk's peer is.
    TrunkRole {
        /// A PSTN gateway or a carrier's session border controller.
        Gateway = "gateway",
        /// Another SIP proxy.
        SipProxy = "SIP proxy",
        /// A CIC server pair.
        Cic = "CIC",
        /// A Lync Mediation pool.
        Lync = "Lync",
        /// An Interaction Media Server. Nothing is routed to it; it has a place and an address.
        MediaServer = "media server",
    }

    /// How SIP travels on a trunk.
    Transport {
        /// UDP only.
        Udp = "UDP",
        /// TCP only.
        Tcp = "TCP",
        /// TLS only; to Mediation this means mutual TLS.
        Tls = "TLS",
        /// UDP, and TCP for what is too large for a datagram (RFC 3261 18.1.1).
        UdpOrTcp = "UDP or TCP",
    }

    /// Whether a trunk's audio is encrypted (Lync's SRTPMode; domain rules 2.2).
    SrtpMode {
        /// SRTP or no call.
        Required = "SRTP required",
        /// SRTP where the peer can.
        Optional = "SRTP optional",
        /// RTP only.
        NotSupported = "RTP only",
    }

    /// How numbers are written on a trunk.
    NumberForm {
        /// `+4930123456`.
        E164Plus = "+E.164",
        /// `4930123456`, without the plus.
        E164 = "E.164 without plus",
        /// As the trunk's own site dials it nationally: national prefix and national number.
        National = "national",
        /// As it came.
        AsReceived = "as received",
    }

    /// How a retargeted call says whose call it was.
    DiversionForm {
        /// RFC 5806.
        Diversion = "Diversion",
        /// RFC 7044.
        HistoryInfo = "History-Info",
        /// Nothing is added.
        None = "none",
    }

    /// CIC's audio path (domain rules 2.3).
    MediaPath {
        /// Endpoints talk directly; the media server comes in when needed.
        Dynamic = "dynamic",
        /// The media server relays all audio.
        AlwaysIn = "always-in",
    }

    /// What local control does with a recorded call when no media server of the premises is up.
    MediaLost {
        /// The call goes on without a recording.
        ProceedUnrecorded = "proceed unrecorded",
        /// The call is refused.
        Refuse = "refuse",
    }

    /// Who takes a Lync user's call to the PSTN out (domain rules 3.4).
    LyncPstnEgress {
        /// Through CIC's trunks, so that CIC can apply toll control.
        Cic = "CIC",
        /// From Mediation to the gateway.
        Gateway = "gateway",
    }

    /// To whom an explicit route gives a number (domain rules 3.1, source 1).
    RouteOwner {
        /// To CIC.
        Cic = "CIC",
        /// To Lync.
        Lync = "Lync",
        /// To a workgroup, which is CIC's.
        Workgroup = "workgroup",
        /// To nobody: the call is refused.
        Reject = "reject",
    }

    /// Whose account a user has (domain rules 1.1); derived, never stored.
    UserKind {
        /// A CIC account only.
        CicUser = "CIC user",
        /// A Lync account only.
        LyncUser = "Lync user",
        /// Both.
        LyncEnabledCicUser = "Lync-enabled CIC user",
    }

    /// With what a user controls calls.
    CallControl {
        /// A CIC client, such as Interaction Desktop.
        CicClient = "CIC client",
        /// The Lync client.
        LyncClient = "Lync client",
    }

    /// What rings.
    PhoneKind {
        /// A SIP desk phone of CIC.
        CicHard = "CIC hard phone",
        /// A SIP soft phone of CIC.
        CicSoft = "CIC soft phone",
        /// A Lync desk phone.
        LyncHard = "Lync hard phone",
        /// The Lync client's own audio.
        LyncSoft = "Lync soft phone",
    }

    /// Lync's telephony modes (domain rules 1.3).
    TelephonyMode {
        /// Enterprise Voice.
        Uc = "Enterprise Voice",
        /// Remote call control.
        Rcc = "remote call control",
        /// Both; in Lync's schema only.
        Dual = "dual",
        /// Instant messages only.
        None = "none",
    }

    /// What kind of station (domain rules 5.1).
    StationKind {
        /// A named workstation with a phone and a client. A SIP phone is one, however far away.
        Workstation = "workstation",
        /// A phone with no client.
        StandAlone = "stand-alone phone",
        /// A configured remote station: one fixed telephone number.
        Remote = "remote station",
        /// A phone that CIC provisions.
        ManagedPhone = "managed phone",
    }

    /// What a number assignment is for.
    AssignmentKind {
        /// A published direct number of a user.
        Did = "DID",
        /// The number of a workgroup.
        Workgroup = "workgroup",
        /// The DNIS of an Attendant profile: CIC answers it itself.
        Attendant = "Attendant",
    }

    /// Which side a directory field came from: only that side's import changes it.
    Source {
        /// Entered here.
        Tandem = "Tandem",
        /// Read from CIC.
        Cic = "CIC",
        /// Read from Lync or Active Directory.
        Lync = "Lync",
    }
}

impl PhoneKind {
    /// Whether it is a Lync phone, hard or soft.
    #[must_use]
    pub const fn is_lync(self) -> bool {
        matches!(self, Self::LyncHard | Self::LyncSoft)
    }
}

impl SrtpMode {
    /// Whether two sides have nothing in common: one encrypts always, the other never.
    #[must_use]
    pub const fn excludes(self, other: Self) -> bool {
        matches!((self, other), (Self::Required, Self::NotSupported) | (Self::NotSupported, Self::Required))
    }
}
