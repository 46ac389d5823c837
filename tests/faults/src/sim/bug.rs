//! Bugs that are planted in the simulated store, each with the promise that it breaks.

use tandem_history::Promise;

/// A bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// `Replicated` is acknowledged before a replica has it.
    AcknowledgesTooSoon,
    /// The replica that lags most is elected.
    ElectsTheWrongOne,
    /// A retry is done under another id.
    ForgetsCommitIds,
    /// A reply that was lost is said to be a commit that was not done.
    TakesALostReplyForNothingDone,
    /// A request that was given up and then refused arrives late, and is done.
    DeliversLate,
    /// Nobody looks at fences.
    AcceptsAStaleFence,
    /// Nobody looks at versions.
    AcceptsAStaleVersion,
    /// A primary that is cut off goes on for good, and says that a replica has what it acknowledges.
    GoesOnCutOff,
    /// A pull leaves an entry out.
    SkipsAnEvent,
    /// A pull does not ask whether what was seen last is there.
    PullsAnything,
    /// A log is cut after a second.
    CutsTooSoon,
    /// A listing shows an older state than its position says.
    ListsThePast,
}

/// Each bug, and what it is found by; one of them.
pub const BUGS: [(Bug, &[Promise]); 12] = [
    (Bug::AcknowledgesTooSoon, &[Promise::LostReplicated]),
    (Bug::ElectsTheWrongOne, &[Promise::LostReplicated]),
    (Bug::ForgetsCommitIds, &[Promise::Invented]),
    (Bug::TakesALostReplyForNothingDone, &[Promise::UnavailableHappened]),
    (Bug::DeliversLate, &[Promise::RefusedHappened]),
    (Bug::AcceptsAStaleFence, &[Promise::TwoHolders]),
    (Bug::AcceptsAStaleVersion, &[Promise::StaleAccepted]),
    (Bug::GoesOnCutOff, &[Promise::TwoHolders, Promise::LostReplicated]),
    (Bug::SkipsAnEvent, &[Promise::SkippedEvent]),
    (Bug::PullsAnything, &[Promise::UnnoticedDivergence]),
    (Bug::CutsTooSoon, &[Promise::WrongTrim]),
    (Bug::ListsThePast, &[Promise::WrongListing]),
];
