//! What else requests say: an import's header, what to find a user by, which decisions to list, an edge's greeting.

mod route;

use prost::Message as _;
use tandem_domain::document::terms::Source;
use tandem_domain::id::{Incarnation, ListenerName, StationId, TenantId, TenantName};
use tandem_domain::number::Number;
use tandem_proto::routing::v1 as routing;
use tandem_proto::routing::v1::follow_request::{Acknowledgement, Hello};
use tandem_proto::routing::v1::{CallEvent, Decision, DecisionFact};
use tandem_proto::station::v1 as station;
use tandem_proto::station::v1::resolve_user_request::Key;

use crate::limits::{
    ACCOUNT_BYTES_MAX, ADDRESS_BYTES_MAX, CALL_ID_BYTES_MAX, DECISION_BYTES_MAX, EDGE_BYTES_MAX,
    HELLO_TENANTS_MAX, LISTENERS_MAX, NUMBER_BYTES_MAX, REJECTION_BYTES_MAX, REQUEST_ID_BYTES_MAX,
};
use crate::name::{Child, Name};
use crate::violation::{Reader, Violations};

pub use route::RouteCall;

/// How an import changes the directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Entries are added or replaced; others stay.
    Merge,
    /// The directory becomes exactly these entries.
    Replace,
}

/// What holds for a whole import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImportHeader {
    /// `tenants/{tenant}` as it was written, for [`Caller::tenant`](crate::caller::Caller::tenant).
    pub parent: String,
    /// Check everything, apply nothing.
    pub dry_run: bool,
    /// How the directory changes.
    pub mode: Mode,
    /// On whose behalf; none: entered here.
    pub source: Option<Source>,
    /// The same again answers as the first did.
    pub request_id: Option<String>,
}

/// Reads an import's first message.
///
/// # Errors
/// What is wrong with it; also when there is none.
pub fn read_import_header(
    item: Option<station::import_directory_request::Item>,
) -> Result<ImportHeader, Violations> {
    use station::import_directory_request::{Item, Mode as Theirs};
    let mut reader = Reader::new();
    let Some(Item::Header(header)) = item else {
        reader.wrong("header", "is missing", "send it as the first message");
        return reader.finish(None);
    };
    let mode = match Theirs::try_from(header.mode) {
        Ok(Theirs::Merge) => Some(Mode::Merge),
        Ok(Theirs::Replace) => Some(Mode::Replace),
        // The two differ by what they delete: nothing is taken for granted.
        Ok(Theirs::Unspecified) | Err(_) => {
            reader.wrong("header.mode", "says neither", "MERGE or REPLACE");
            None
        }
    };
    let source = reader.some_term("header.source", header.source);
    let request_id = request_id(&mut reader, "header.request_id", header.request_id);
    let (parent, dry_run) = (header.parent, header.dry_run);
    reader.finish(mode.map(|mode| ImportHeader { parent, dry_run, mode, source, request_id }))
}

fn request_id(reader: &mut Reader, field: &str, id: String) -> Option<String> {
    if id.len() > REQUEST_ID_BYTES_MAX || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        let fix = format!("at most {REQUEST_ID_BYTES_MAX} printable ASCII characters, such as a UUID");
        reader.wrong(field, "is no request id", fix);
    }
    Some(id).filter(|id| !id.is_empty())
}

/// Reads what an import deletes: a user, station, workgroup or number of `tenant`.
///
/// # Errors
/// When it is something else, or another tenant's.
pub fn read_delete(tenant: &TenantName, text: &str) -> Result<Child, Violations> {
    let mut reader = Reader::new();
    let fix = format!("write it as tenants/{tenant}/users/{{user}}, stations, workgroups or numbers");
    let child = match Name::parse("delete", text) {
        Ok(name) if name.tenant == *tenant => name.child.filter(|child| !matches!(child, Child::Decision(_))),
        Ok(_) => None,
        Err(violation) => return Err(violation.into()),
    };
    if child.is_none() {
        reader.wrong("delete", "names nothing of this directory", fix);
    }
    reader.finish(child)
}

/// What a user is found by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResolveKey {
    /// A SIP address; case is ignored.
    SipAddress(String),
    /// The name in Interaction Administrator; case is ignored.
    CicUserId(String),
    /// A number in any form that the tenant's dial plan understands.
    Number(String),
    /// Their usual station.
    Station(StationId),
}

/// Reads what a user is to be found by.
///
/// # Errors
/// When it is missing, empty or too long.
pub fn read_resolve_key(key: Option<Key>) -> Result<ResolveKey, Violations> {
    let mut reader = Reader::new();
    let key = match key {
        Some(Key::SipAddress(text)) => Some(ResolveKey::SipAddress(reader.full_line(
            "sip_address",
            text,
            ADDRESS_BYTES_MAX,
            "sip:jane@example.com",
        ))),
        Some(Key::CicUserId(text)) => {
            Some(ResolveKey::CicUserId(reader.full_line("cic_user_id", text, ACCOUNT_BYTES_MAX, "jane.doe")))
        }
        Some(Key::Number(text)) => {
            Some(ResolveKey::Number(reader.full_line("number", text, NUMBER_BYTES_MAX, "+4930123456")))
        }
        Some(Key::Station(text)) => reader.name("station", &text, StationId::parse).map(ResolveKey::Station),
        None => {
            reader.wrong("key", "is missing", "one of sip_address, cic_user_id, number, station");
            None
        }
    };
    reader.finish(key)
}

/// Which remembered decisions to list: all that is given must fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DecisionFilter {
    /// The called number.
    pub number: Option<Number>,
    /// The Call-ID.
    pub call_id: Option<String>,
    /// From this moment on, in microseconds since 1970.
    pub from_us: Option<u64>,
    /// Up to this moment, included.
    pub to_us: Option<u64>,
    /// Only routed (true) or only rejected ones.
    pub routed: Option<bool>,
}

impl DecisionFilter {
    /// Reads the filter of a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(request: &routing::ListDecisionsRequest) -> Result<Self, Violations> {
        let mut reader = Reader::new();
        let number = Some(request.number.as_str()).filter(|number| !number.is_empty()).and_then(|number| {
            let read = Number::parse_canonical(number);
            if read.is_none() {
                reader.wrong(
                    "number",
                    "is not in canonical form",
                    "write it as +4930123456, or an extension",
                );
            }
            read
        });
        let call_id = reader.some_line("call_id", request.call_id.clone(), CALL_ID_BYTES_MAX);
        let moment = |us: u64| (us != 0).then_some(us);
        let (from_us, to_us) = (moment(request.from_us), moment(request.to_us));
        if from_us.zip(to_us).is_some_and(|(from, to)| from > to) {
            reader.wrong("to_us", "is before from_us", "exchange the two");
        }
        let routed = match routing::OutcomeKind::try_from(request.outcome) {
            Ok(routing::OutcomeKind::Unspecified) => None,
            Ok(routing::OutcomeKind::Routed) => Some(true),
            Ok(routing::OutcomeKind::Rejected) => Some(false),
            Err(_) => {
                reader.wrong("outcome", "is not known to this release", "ROUTED or REJECTED");
                None
            }
        };
        reader.finish(Some(Self { number, call_id, from_us, to_us, routed }))
    }

    /// The filter as a page token is bound to it.
    #[must_use]
    pub fn parts(&self) -> [String; 5] {
        [
            format!("number={:?}", self.number),
            format!("call_id={:?}", self.call_id),
            format!("from_us={:?}", self.from_us),
            format!("to_us={:?}", self.to_us),
            format!("routed={:?}", self.routed),
        ]
    }
}

/// What an edge says of itself first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// Unique in the cell's life.
    pub edge: String,
    /// The release.
    pub version: String,
    /// Tenants that it serves; none: all that its caller may see.
    pub tenants: Vec<TenantName>,
    /// Its listeners.
    pub listeners: Vec<ListenerName>,
}

/// Reads an edge's first message.
///
/// # Errors
/// What is wrong with it.
pub fn read_hello(hello: Hello) -> Result<Greeting, Violations> {
    let mut reader = Reader::new();
    let greeting = reader.inside("hello", |reader| Greeting {
        edge: reader.full_line("edge", hello.edge, EDGE_BYTES_MAX, "edge-host1-3f2a"),
        version: reader.line("version", hello.version, EDGE_BYTES_MAX),
        tenants: names(reader, "tenants", &hello.tenants, HELLO_TENANTS_MAX, TenantName::parse),
        listeners: names(reader, "listeners", &hello.listeners, LISTENERS_MAX, ListenerName::parse),
    });
    reader.finish(Some(greeting))
}

fn names<T>(
    reader: &mut Reader,
    field: &'static str,
    names: &[String],
    max: usize,
    parse: fn(&str) -> Result<T, tandem_domain::id::NameError>,
) -> Vec<T> {
    reader.inside(field, |reader| {
        if names.len() > max {
            reader.wrong("", format!("has {} names", names.len()), format!("at most {max}"));
            return Vec::new();
        }
        let one = |(at, name): (usize, &String)| reader.at(at, |reader| reader.name("", name, parse));
        names.iter().enumerate().filter_map(one).collect()
    })
}

/// Looks at an edge's acknowledgement.
///
/// # Errors
/// When its reason is too long.
pub fn check_acknowledgement(acknowledgement: &Acknowledgement) -> Result<(), Violations> {
    let mut reader = Reader::new();
    // Several violations stand in it, one a line at most.
    reader.check_line("acknowledgement.rejected", &acknowledgement.rejected, REJECTION_BYTES_MAX);
    reader.finish(Some(()))
}

/// An event of a call that an edge told, checked.
#[derive(Clone, PartialEq, Debug)]
pub struct CallTold {
    /// Whose call it was.
    pub tenant: TenantId,
    /// What was asked and decided, if that is what happened.
    pub made: Option<Box<DecisionFact>>,
}

/// Reads an event of a call that an edge tells. Each stands for itself: one that is wrong takes no other with it.
///
/// # Errors
/// A text that is too long, or a decision of another tenant.
pub fn read_call_event(event: CallEvent) -> Result<CallTold, Violations> {
    let mut reader = Reader::new();
    let name = reader.name("event.tenant", &event.tenant, TenantName::parse);
    let incarnation = Incarnation::parse(&event.incarnation);
    if incarnation.is_none() {
        reader.wrong("event.incarnation", "is none", "32 hexadecimal digits, as in `TenantBirth`");
    }
    let tenant = name.zip(incarnation).map(|(name, incarnation)| TenantId { name, incarnation });
    reader.check_line("event.call_id", &event.call_id, CALL_ID_BYTES_MAX);
    reader.check_line("event.decision", &event.decision, EDGE_BYTES_MAX);
    reader.check_line("event.trunk", &event.trunk, EDGE_BYTES_MAX);
    if let (Some(tenant), Some(fact)) = (&tenant, &event.made) {
        check_made(&mut reader, &tenant.name, &event.decision, fact);
    }
    reader.finish(tenant.map(|tenant| CallTold { tenant, made: event.made }))
}

/// Looks at a decision that an edge made: it is remembered as its own are by the process that it was told.
fn check_made(reader: &mut Reader, tenant: &TenantName, id: &str, fact: &DecisionFact) {
    if let Err(why) = crate::attempt::Attempt::read(fact.attempt.as_ref()) {
        let why = why.to_string();
        reader.wrong("event.made.attempt", format!("cannot be read: {why}"), "as `RouteCall` takes it");
    }
    let Some(decision) = &fact.decision else {
        return reader.wrong("event.made.decision", "is missing", "say what was decided");
    };
    let named = Name::parse("event.made.decision.name", &decision.name);
    let this = |child: Option<Child>| matches!(child, Some(Child::Decision(named)) if named == id);
    if !named.is_ok_and(|n| n.tenant == *tenant && this(n.child)) {
        let fix = "tenants/{tenant}/decisions/{decision}, of the event's tenant and decision";
        reader.wrong("event.made.decision.name", "is not the event's decision", fix);
    }
    let bytes = decision.encoded_len();
    if bytes > DECISION_BYTES_MAX {
        let fix = format!("at most {DECISION_BYTES_MAX}");
        reader.wrong("event.made.decision", format!("has {bytes} bytes"), fix);
    }
    // It is shown to people as it came.
    texts(decision).for_each(|text| reader.check_line("event.made.decision", text, DECISION_BYTES_MAX));
}

/// Every text of a decision but its name.
fn texts(decision: &Decision) -> impl Iterator<Item = &str> {
    use tandem_proto::routing::v1::decision::Outcome;
    let (route, rejection) = match &decision.outcome {
        Some(Outcome::Route(route)) => (Some(route), None),
        Some(Outcome::Rejection(rejection)) => (None, Some(rejection)),
        None => (None, None),
    };
    let targets = route.into_iter().flat_map(|route| &route.targets).flat_map(|target| {
        let identity = target.identity.iter().flat_map(|identity| {
            identity.asserted.iter().chain([&identity.privacy, &identity.diversion_entry])
        });
        [&target.trunk, &target.host, &target.request_uri].into_iter().chain(identity)
    });
    let treatment = route.and_then(|route| route.treatment.as_ref());
    let treatment = treatment.into_iter().flat_map(|t| [&t.on_busy, &t.on_no_answer, &t.on_unreachable]);
    let rejection = rejection.into_iter().flat_map(|rejection| [&rejection.reason, &rejection.message]);
    let owner = decision.owner.iter().map(|owner| &owner.id);
    targets.chain(treatment).chain(rejection).chain(owner).chain([&decision.called]).map(String::as_str)
}

#[cfg(test)]
mod tests;
