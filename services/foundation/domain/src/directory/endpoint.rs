//! The endpoint row (domain rules 1.2), by lookup from what a user has. Never stored.

use crate::document::directory::User;
use crate::document::terms::{CallControl, PhoneKind, TelephonyMode, UserKind};
use crate::routing::plan::Row;

/// What a user's configuration amounts to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endpoint {
    /// A row of the table, or the IM-only user beside it. Row 5 works only where the tenant turned it on.
    Row(Row),
    /// No row.
    Unsupported(Unsupported),
}

impl Endpoint {
    /// The row, if there is one.
    #[must_use]
    pub const fn row(self) -> Option<Row> {
        match self {
            Self::Row(row) => Some(row),
            Self::Unsupported(_) => None,
        }
    }
}

/// Why no row fits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Unsupported {
    /// Neither a CIC nor a Lync account.
    NoAccount,
    /// A Lync phone or client without a Lync account.
    NoLyncAccount,
    /// A CIC phone or client without a CIC account.
    NoCicAccount,
    /// Lync has telephony of its own for a user whose CIC client controls a CIC phone.
    TelephonyBesideCic,
    /// Nothing rings, though there is telephony.
    NothingRings,
}

impl Unsupported {
    /// The reason, for an administrator.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NoAccount => "the user has neither a CIC nor a Lync account",
            Self::NoLyncAccount => "a Lync phone or Lync client needs a Lync account",
            Self::NoCicAccount => "a CIC phone or CIC client needs a CIC account",
            Self::TelephonyBesideCic => {
                "the CIC client controls a CIC phone while Lync has telephony of its own: such a user is for instant \
                 messages only in Lync"
            }
            Self::NothingRings => "Lync has telephony for the user, but no phone is named",
        }
    }
}

/// Whose account a user has; none: no account at all.
#[must_use]
pub const fn kind(user: &User) -> Option<UserKind> {
    match (user.cic.is_some(), user.lync.is_some()) {
        (true, false) => Some(UserKind::CicUser),
        (false, true) => Some(UserKind::LyncUser),
        (true, true) => Some(UserKind::LyncEnabledCicUser),
        (false, false) => None,
    }
}

/// The side of a phone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rings {
    Cic,
    Lync,
    Nothing,
}

/// One line of the table; none: any.
struct Line {
    kind: UserKind,
    control: Option<CallControl>,
    rings: Option<Rings>,
    plug_in: Option<bool>,
    /// Whether Lync has telephony for the user.
    telephony: Option<bool>,
    is: Endpoint,
}

const fn line(
    kind: UserKind,
    control: Option<CallControl>,
    rings: Option<Rings>,
    plug_in: Option<bool>,
    telephony: Option<bool>,
    is: Endpoint,
) -> Line {
    Line { kind, control, rings, plug_in, telephony, is }
}

/// The table, the first line that fits wins. A CIC user who names no phone yet is row 1, a Lync user row 2: there
/// is no other row for them.
#[rustfmt::skip]
const TABLE: &[Line] = {
    use CallControl::{CicClient, LyncClient};
    use Endpoint::{Row as Is, Unsupported as No};
    use Rings::{Cic, Lync, Nothing};
    use Unsupported as U;
    use UserKind::{CicUser, LyncEnabledCicUser as Both, LyncUser};
    &[
        //   kind      client            phone          plug-in      telephony
        line(CicUser,  Some(LyncClient), None,          None,        None,        No(U::NoLyncAccount)),
        line(CicUser,  None,             Some(Lync),    None,        None,        No(U::NoLyncAccount)),
        line(CicUser,  None,             None,          None,        None,        Is(Row::R1)),
        line(LyncUser, Some(CicClient),  None,          None,        None,        No(U::NoCicAccount)),
        line(LyncUser, None,             Some(Cic),     None,        None,        No(U::NoCicAccount)),
        line(LyncUser, None,             None,          None,        None,        Is(Row::R2)),
        line(Both,     Some(CicClient),  Some(Lync),    Some(false), None,        Is(Row::R3)),
        line(Both,     Some(CicClient),  Some(Lync),    Some(true),  None,        Is(Row::R4)),
        line(Both,     Some(LyncClient), Some(Lync),    None,        None,        Is(Row::R5)),
        line(Both,     Some(LyncClient), Some(Cic),     None,        None,        Is(Row::R6)),
        line(Both,     Some(CicClient),  Some(Cic),     None,        Some(false), Is(Row::ImOnly)),
        line(Both,     Some(CicClient),  Some(Cic),     None,        Some(true),  No(U::TelephonyBesideCic)),
        line(Both,     None,             Some(Nothing), None,        Some(false), Is(Row::ImOnly)),
        line(Both,     None,             Some(Nothing), None,        Some(true),  No(U::NothingRings)),
    ]
};

/// The endpoint row of a user as configured. What is connected at the moment may lower row 4 to row 3.
#[must_use]
pub fn endpoint(user: &User) -> Endpoint {
    let Some(kind) = kind(user) else { return Endpoint::Unsupported(Unsupported::NoAccount) };
    let rings = match user.phone.as_ref().map(|p| p.kind) {
        Some(PhoneKind::CicHard | PhoneKind::CicSoft) => Rings::Cic,
        Some(PhoneKind::LyncHard | PhoneKind::LyncSoft) => Rings::Lync,
        None => Rings::Nothing,
    };
    let telephony = user.lync.as_ref().is_some_and(|l| l.telephony != TelephonyMode::None);
    let fits = |l: &&Line| {
        l.kind == kind
            && l.control.is_none_or(|c| c == user.call_control)
            && l.rings.is_none_or(|r| r == rings)
            && l.plug_in.is_none_or(|p| p == user.plug_in)
            && l.telephony.is_none_or(|t| t == telephony)
    };
    // The table is total; a test walks all combinations.
    TABLE.iter().find(fits).map_or(Endpoint::Unsupported(Unsupported::NoAccount), |l| l.is)
}

/// Whether a field must be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// It must be set.
    Yes,
    /// It may be set.
    Optional,
    /// It has no meaning for the row.
    No,
}

/// What must be set for a row (domain rules 1.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Required {
    /// `cic`.
    pub cic: Need,
    /// `cic.extension`.
    pub extension: Need,
    /// `cic.ntDomainAccount`.
    pub domain_account: Need,
    /// `station`, with a contact address.
    pub station: Need,
    /// `lync`.
    pub lync: Need,
    /// `lync.lineUri`.
    pub line_uri: Need,
    /// `lync.lineServer`.
    pub line_server: Need,
}

/// What must be set for a row.
#[must_use]
pub const fn required(row: Row) -> Required {
    use Need::{No, Optional, Yes};
    let [cic, extension, domain_account, station, lync, line_uri, line_server] = match row {
        Row::R1 => [Yes, Yes, Optional, Yes, No, No, No],
        Row::R2 => [No, No, No, No, Yes, Yes, No],
        Row::R3 | Row::R4 | Row::R5 => [Yes, Yes, Yes, Yes, Yes, Yes, No],
        Row::R6 => [Yes, Yes, Yes, Yes, Yes, Yes, Yes],
        Row::ImOnly => [Yes, Yes, Yes, Optional, Yes, No, No],
    };
    Required { cic, extension, domain_account, station, lync, line_uri, line_server }
}

/// What a row has (domain rules 1.2), whatever call it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowFeatures {
    /// Instant messages in the CIC client.
    pub instant_messages: bool,
    /// Presence can be synchronised.
    pub presence_sync: bool,
    /// CIC can record; row 2 only where CIC stays in the way (option 2) and policy says so.
    pub recording: bool,
    /// Supervisors can listen and coach.
    pub supervisor: bool,
    /// CIC voicemail and handlers on no answer.
    pub voicemail: bool,
    /// The plug-in can take the Lync client off-hook.
    pub auto_off_hook: bool,
    /// It has a CIC station.
    pub station: bool,
}

/// What a row has.
#[must_use]
pub const fn features(row: Row) -> RowFeatures {
    let cic = !matches!(row, Row::R2);
    RowFeatures {
        instant_messages: matches!(row, Row::R3 | Row::R4 | Row::ImOnly),
        presence_sync: !matches!(row, Row::R1 | Row::R2),
        recording: cic,
        supervisor: cic,
        voicemail: cic,
        auto_off_hook: matches!(row, Row::R4),
        station: cic,
    }
}
