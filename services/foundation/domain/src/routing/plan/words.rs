//! A plan in the words of the decision table (domain rules 9).

use std::fmt::Write as _;

use super::{
    Anchor, Answer, Callee, DecidedBy, Element, Features, Hop, Join, Leg, ManualBecause, Plan, Row, Tri,
    WanLost,
};

impl Element {
    /// As the table abbreviates it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gw => "GW",
            Self::Px => "PX",
            Self::Edge => "EDGE",
            Self::Cic => "CIC",
            Self::Med => "MED",
            Self::Fe => "FE",
            Self::Ms => "MS",
            Self::Cph => "CPH",
            Self::Lph => "LPH",
            Self::Pstn => "PSTN",
        }
    }

    /// In full.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Gw => "gateway",
            Self::Px => "SIP proxy",
            Self::Edge => "Tandem's edge",
            Self::Cic => "CIC",
            Self::Med => "Lync Mediation",
            Self::Fe => "Lync Front End",
            Self::Ms => "media server",
            Self::Cph => "CIC phone",
            Self::Lph => "Lync phone or client",
            Self::Pstn => "PSTN",
        }
    }
}

impl Row {
    /// As the table abbreviates it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::R1 => "R1",
            Self::R2 => "R2",
            Self::R3 => "R3",
            Self::R4 => "R4",
            Self::R5 => "R5",
            Self::R6 => "R6",
            Self::ImOnly => "IM-only",
        }
    }

    /// What the row is, for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::R1 => "CIC user with a CIC phone",
            Self::R2 => "Lync user",
            Self::R3 => "CIC client without plug-in, Lync phone as CIC station",
            Self::R4 => "CIC client with the Lync plug-in, Lync phone as CIC station",
            Self::R5 => "Lync client, Lync phone as CIC station",
            Self::R6 => "Lync client controlling a CIC phone (RCC)",
            Self::ImOnly => "CIC phone, Lync for instant messages only",
        }
    }
}

impl Callee {
    /// `R1` to `R6`, `Q1` to `Q6`, `IM_ONLY`, `QUEUE`, `SYSTEM`, `PSTN` or `NOBODY`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::User(_, Some(row)) => match row {
                Row::ImOnly => "IM_ONLY",
                other => other.name(),
            },
            Self::Agent(_, Some(row)) => match row {
                Row::R1 => "Q1",
                Row::R2 => "Q2",
                Row::R3 => "Q3",
                Row::R4 => "Q4",
                Row::R5 => "Q5",
                Row::R6 => "Q6",
                Row::ImOnly => "IM_ONLY",
            },
            Self::Queue => "QUEUE",
            Self::System(_) => "SYSTEM",
            Self::Pstn => "PSTN",
            Self::Nobody | Self::User(_, None) | Self::Agent(_, None) => "NOBODY",
        }
    }
}

impl DecidedBy {
    /// Stable: `tandem`, `gateway`, `cic` or `lync`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tandem => "tandem",
            Self::Gateway => "gateway",
            Self::Cic => "cic",
            Self::Lync => "lync",
        }
    }

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Tandem => "Tandem",
            Self::Gateway => "the gateway",
            Self::Cic => "CIC",
            Self::Lync => "Lync",
        }
    }
}

impl Anchor {
    /// In the table's words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::DirectOrMs => "direct GW-phone (MS if recorded or always-in)",
            Self::MedOrBypass => "MED, or GW-endpoint if bypass",
            Self::MedOrMs => "MED (MS if recorded, always-in or RTP/SRTP mixed)",
            Self::MedMsIfRecorded => "MED (MS if recorded)",
            Self::MedMsIfRecordedOrAlwaysIn => "MED (MS if recorded or always-in)",
            Self::QueueThenDirect => "MS (queue), then MS if recorded else direct",
            Self::QueueThenMed => "MS (queue), then MS if recorded else MED",
            Self::MediaServer => "MS",
            Self::LyncOnly => "between Lync endpoints",
            Self::WithoutMediaServer => "MED or direct: no media server may be used",
            Self::None => "none",
        }
    }
}

impl ManualBecause {
    /// Why, for the person who has to pick up.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoPlugIn => "the workstation has no Lync plug-in",
            Self::PlugInAbsent => "the Lync plug-in is not connected",
            Self::LyncClientAbsent => "the Lync client is not signed in on this workstation",
            Self::PhoneNotPaired => "the Lync desk phone is not paired with this workstation",
            Self::Row5 => "the Lync client controls this call: no off-hook command is sent",
        }
    }
}

impl Answer {
    /// In the table's words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::CicPhone => "CIC phone",
            Self::LyncClient => "Lync client or phone",
            Self::AutoOffHook => "auto off-hook",
            Self::Manual(_) => "manual answer",
            Self::Rcc => "RCC control",
            Self::System => "answered by the system",
            Self::None => "none of ours",
        }
    }

    /// Why it is by hand, if it is and somebody could wonder.
    #[must_use]
    pub const fn why(self) -> Option<&'static str> {
        match self {
            Self::Manual(because) => Some(because.words()),
            _ => None,
        }
    }
}

impl WanLost {
    /// In the table's words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotApplicable => "n/a",
            Self::Works => "works",
            Self::Survivable(false) => "surv",
            Self::Survivable(true) => "surv*",
            Self::Hunt(false) => "hunt",
            Self::Hunt(true) => "hunt*",
            Self::Voicemail(false) => "vm",
            Self::Voicemail(true) => "vm*",
            Self::Announce => "announce",
            Self::Queue(false) => "queue",
            Self::Queue(true) => "queue*",
            Self::Fails => "fail",
        }
    }

    /// For people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotApplicable => "there is no WAN in this tenant",
            Self::Works => "the call works without the WAN",
            Self::Survivable(false) => {
                "the proxy's survivable rule reaches the phone, without CIC's features"
            }
            Self::Survivable(true) => {
                "the survivable rule reaches the phone, if there is a second route past the lost system"
            }
            Self::Hunt(false) => "the proxy sends the call to the hunt target; no queue",
            Self::Hunt(true) => {
                "the call goes to the hunt target, if there is a second route past the lost system; no queue"
            }
            Self::Voicemail(false) => "CIC in the cloud takes it: voicemail and handlers",
            Self::Voicemail(true) => "CIC in the cloud takes it, if the gateway has a second route to CIC",
            Self::Announce => "CIC in the cloud answers and announces",
            Self::Queue(false) => {
                "the caller waits in the queue; only agents reachable without the WAN can take it"
            }
            Self::Queue(true) => "the caller waits in the queue, if the gateway has a second route to CIC",
            Self::Fails => "the call fails",
        }
    }
}

impl Features {
    /// Each feature in the table's words, in its order, without the answer mode.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        [
            (self.rcc, "RCC control"),
            (self.recording == Tri::Yes, "rec"),
            (self.recording == Tri::Possible, "rec possible"),
            (self.supervisor, "sup"),
            (self.voicemail, "vm"),
            (self.agent_not_answering, "ANA"),
            (self.wrap_up, "wrap-up"),
            (self.presence_sync, "sync"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
    }
}

impl Plan {
    /// The hops as the table writes them: `GW > PX > CIC > CPH`.
    #[must_use]
    pub fn hops_words(&self) -> String {
        let mut out = String::new();
        for (at, Hop { element, join, .. }) in self.hops.iter().enumerate() {
            let between = match join {
                _ if at == 0 => "",
                Join::Next => " > ",
                Join::Aside => "; ",
                Join::OnAnswer => "; on answer ",
            };
            // Writing to a String cannot fail.
            let _ = write!(out, "{between}{}", element.name());
        }
        out
    }

    /// The legs as the table writes them: `a b c j k`, with `(k)` for one that is there only under a condition.
    #[must_use]
    pub fn legs_words(&self) -> String {
        let mut out = String::new();
        for Leg { letter, conditional, .. } in &self.legs {
            let space = if out.is_empty() { "" } else { " " };
            let _ =
                if *conditional { write!(out, "{space}({letter})") } else { write!(out, "{space}{letter}") };
        }
        out
    }

    /// The features as the table writes them: `manual answer, rec, sup, vm, sync`.
    #[must_use]
    pub fn features_words(&self) -> String {
        let answer =
            matches!(self.answer, Answer::AutoOffHook | Answer::Manual(_)).then(|| self.answer.words());
        let all: Vec<&str> = answer.into_iter().chain(self.features.names()).collect();
        if all.is_empty() { "none of CIC".into() } else { all.join(", ") }
    }
}
