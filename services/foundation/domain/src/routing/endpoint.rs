//! The endpoint row in force, and how a call there is answered (domain rules 1.2, 3.6).
//!
//! The row is looked up from the directory; what is connected at this moment can lower row 4 to row 3, and says
//! why, so that an agent who has to pick up by hand is told.

use super::attempt::{EndpointFacts, Facts};
use super::plan::{Answer, Features, ManualBecause, Row, Tri};
use crate::document::directory::User;
use crate::document::terms::PhoneKind;

/// A user's row at this moment, and how they answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InForce {
    pub(super) row: Row,
    pub(super) answer: Answer,
}

/// The row of a user in force now.
pub(super) fn in_force(user: &User, configured: Row, facts: &Facts) -> InForce {
    let manual = |row, because| InForce { row, answer: Answer::Manual(because) };
    match configured {
        Row::R1 | Row::ImOnly => InForce { row: configured, answer: Answer::CicPhone },
        Row::R2 => InForce { row: configured, answer: Answer::LyncClient },
        Row::R3 => manual(Row::R3, ManualBecause::NoPlugIn),
        // No off-hook command is ever sent, even if a plug-in is connected.
        Row::R5 => manual(Row::R5, ManualBecause::Row5),
        Row::R6 => InForce { row: configured, answer: Answer::Rcc },
        Row::R4 => {
            let workstation = facts.endpoints.iter().find(|e| e.user == user.id);
            match workstation {
                Some(EndpointFacts { plug_in: true, lync_client: true, .. }) if phone_obeys(user) => {
                    InForce { row: Row::R4, answer: Answer::AutoOffHook }
                }
                Some(EndpointFacts { plug_in: true, lync_client: true, .. }) => {
                    manual(Row::R4, ManualBecause::PhoneNotPaired)
                }
                Some(EndpointFacts { plug_in: true, .. }) => manual(Row::R3, ManualBecause::LyncClientAbsent),
                _ => manual(Row::R3, ManualBecause::PlugInAbsent),
            }
        }
    }
}

/// Whether the Lync client can take the phone off-hook: its own audio, or a desk phone paired with it.
fn phone_obeys(user: &User) -> bool {
    user.phone
        .as_ref()
        .is_some_and(|p| p.kind == PhoneKind::LyncSoft || (p.kind == PhoneKind::LyncHard && p.paired))
}

/// What a call to a row has while CIC handles it; as an agent's call from a queue, or by number.
pub(super) const fn features(row: Row, queue: bool) -> Features {
    let cic = !matches!(row, Row::R2);
    Features {
        recording: if cic { Tri::Yes } else { Tri::No },
        supervisor: cic,
        voicemail: cic && !queue,
        agent_not_answering: cic && queue,
        wrap_up: cic && queue,
        presence_sync: matches!(row, Row::R3 | Row::R4 | Row::R5 | Row::R6 | Row::ImOnly),
        rcc: matches!(row, Row::R6),
    }
}
