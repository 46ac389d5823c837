//! What holds for every tenant of two premises in two countries: explicit routes, dial rules by site, treatments of
//! numbers and workgroups, people who sit in either place. Random tenants and changes, shrunk and printed on failure.

#![allow(clippy::unwrap_used, reason = "a tenant that cannot be made is a failed test")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{OPTIONS, World, by_trunk, by_user, tenant};
use proptest::prelude::*;
use proptest::sample::select;
use tandem_domain::document::directory::{NumberAssignment, User};
use tandem_domain::document::policy::{MediaSelection, NumberRoute, TenantSpec, Treatments};
use tandem_domain::document::terms::{
    AssignmentKind, InboundOption, MediaPath, Model, RouteOwner, TrunkRole,
};
use tandem_domain::id::{Revision, WorkgroupId};
use tandem_domain::number::{Digits, Number};
use tandem_domain::record::{Change, Kind, PolicyRecord, Record};
use tandem_domain::routing::attempt::{CallAttempt, Caller, Facts, Ingress};
use tandem_domain::routing::decision::{Carriage, Decision, Outcome, Treatment};
use tandem_domain::routing::plan::{Element, Hop};
use tandem_domain::routing::trail::NoTrail;
use tandem_domain::routing::{decide, plan};
use tandem_domain::view::{TenantView, View};

/// Everything that is called: numbers of people and groups of both countries, routes, extensions, nobody's numbers.
const CALLED: [&str; 26] = [
    "+49305550101",
    "+4315550102",
    "+4315550103",
    "+49305550104",
    "+49305550105",
    "+49305550120",
    "+49305550130",
    "+49305550171",
    "+49305550175",
    "+49305550181",
    "+49305550185",
    "+49305550190",
    "+4315550190",
    "+4315550203",
    "+49305550204",
    "+49305550205",
    "+4315550290",
    "+4989123456",
    "+441234567",
    "3101",
    "3102",
    "3103",
    "3105",
    "3190",
    "3200",
    "3300",
];
/// Numbers that people and groups are given: few, so that they collide.
const GIVEN: [&str; 6] =
    ["+49305550101", "+4315550103", "+49305550120", "+49305550190", "+4315550190", "+49305550181"];
const LINES: [&str; 4] = ["+4315550203", "+49305550204", "+4315550290", "+49305550190"];
const PEOPLE: [&str; 6] = ["berta", "viktor", "vera", "lena", "rune", "nova"];
const TRUNKS: [&str; 6] = ["gw-berlin", "gw-berlin-2", "gw-vienna", "carrier", "cic", "lync"];

fn treatments() -> impl Strategy<Value = Treatments> {
    let to = || proptest::option::of(select(&GIVEN[..]).prop_map(str::to_owned));
    (to(), to(), proptest::option::of(1_u16..400), to()).prop_map(
        |(on_busy, on_no_answer, no_answer_seconds, on_unreachable)| Treatments {
            on_busy,
            on_no_answer,
            no_answer_seconds,
            on_unreachable,
        },
    )
}

/// A policy's choices that two places make different.
#[derive(Clone, Debug)]
struct Shape {
    model: Model,
    inbound: InboundOption,
    routes: Vec<(&'static str, bool, RouteOwner)>,
    treatments: Treatments,
    direct: bool,
    /// Whether Vienna dials as Berlin does.
    plain: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let owner = select(&[RouteOwner::Cic, RouteOwner::Lync, RouteOwner::Workgroup, RouteOwner::Reject][..]);
    let pattern = select(&["+4930555012", "+431555", "+49305550190", "31", "+49305550204", "3200"][..]);
    let routes = proptest::collection::vec((pattern, any::<bool>(), owner), 0..3);
    let flags = (any::<bool>(), any::<bool>());
    (select(Model::ALL), select(InboundOption::ALL), routes, treatments(), flags).prop_map(
        |(model, inbound, routes, treatments, (direct, plain))| Shape {
            model,
            inbound,
            routes,
            treatments,
            direct,
            plain,
        },
    )
}

/// What is recorded, and by a media server of which premises.
#[derive(Clone, Debug)]
struct MediaShape {
    server: &'static str,
    recorded: bool,
    always_in: bool,
    /// Whether those of both may be chosen.
    both: bool,
}

fn media() -> impl Strategy<Value = MediaShape> {
    let server = select(&["berlin", "vienna"][..]);
    (server, any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(server, recorded, always_in, both)| MediaShape { server, recorded, always_in, both })
}

impl MediaShape {
    fn apply(&self, spec: &mut TenantSpec) {
        let sites = if self.both { vec!["berlin", "vienna"] } else { vec![self.server] };
        let sites = sites.into_iter().map(str::to_owned).collect();
        spec.media.selection = Some(MediaSelection { any: false, exclude: Vec::new(), sites });
        spec.media.recorded = self.recorded;
        spec.media.path = Some(if self.always_in { MediaPath::AlwaysIn } else { MediaPath::Dynamic });
        spec.placement.media_server = Some(self.server.to_owned());
        let server = spec.trunks.iter_mut().find(|t| t.role == TrunkRole::MediaServer);
        server.unwrap().site = Some(self.server.to_owned());
    }
}

impl Shape {
    fn world(&self) -> World {
        World::wide(self.model, self.inbound, |spec| {
            let mut seen = BTreeSet::new();
            for (pattern, exact, owner) in &self.routes {
                let pattern = if *exact { (*pattern).to_owned() } else { format!("{pattern}*") };
                if !seen.insert(pattern.clone()) {
                    continue;
                }
                let workgroup = (*owner == RouteOwner::Workgroup).then(|| "support".to_owned());
                spec.numbers.routes.push(NumberRoute { pattern, owner: *owner, workgroup, comment: None });
            }
            spec.treatments = self.treatments.clone();
            spec.treatments.no_answer_seconds = spec.treatments.no_answer_seconds.map(|s| s.clamp(7, 300));
            spec.lync.cic_line_direct = self.direct;
            if self.plain {
                spec.dial_plan.overrides.retain(|o| o.site.is_none());
            }
        })
    }
}

/// What is entered in the directory, or taken out of it.
#[derive(Clone, Debug)]
enum Entry {
    User {
        like: usize,
        id: usize,
        line: usize,
        site: Option<&'static str>,
        treatments: Treatments,
        gone: bool,
    },
    Number {
        number: usize,
        kind: AssignmentKind,
        user: usize,
        treatments: Treatments,
        gone: bool,
    },
    Workgroup {
        extension: &'static str,
        treatments: Treatments,
        gone: bool,
    },
}

fn entry() -> impl Strategy<Value = Entry> {
    let site = proptest::option::of(select(&["berlin", "vienna", "nowhere"][..]));
    let gone = || proptest::bool::weighted(0.3);
    prop_oneof![
        (0..5_usize, 0..PEOPLE.len(), 0..LINES.len(), site, treatments(), gone()).prop_map(
            |(like, id, line, site, treatments, gone)| Entry::User { like, id, line, site, treatments, gone }
        ),
        (0..GIVEN.len(), select(AssignmentKind::ALL), 0..PEOPLE.len(), treatments(), gone()).prop_map(
            |(number, kind, user, treatments, gone)| Entry::Number { number, kind, user, treatments, gone }
        ),
        (select(&["3200", "3190"][..]), treatments(), gone())
            .prop_map(|(extension, treatments, gone)| Entry::Workgroup { extension, treatments, gone }),
    ]
}

impl Entry {
    /// The entry as a change of the store, and the numbers that the record itself names.
    fn change(&self, world: &World, at: u64) -> Change {
        let (kind, key, record) = match self {
            Self::User { like, id, line, site, treatments, gone } => {
                let mut user = world.directory.users[*like].clone();
                user.id = PEOPLE[*id].parse().unwrap();
                user.site = site.map(|s| s.parse().unwrap());
                user.treatments = treatments.clone();
                if let Some(lync) = &mut user.lync {
                    lync.line_uri = Some(format!("tel:{}", LINES[*line]));
                }
                (Kind::User, PEOPLE[*id].to_owned(), (!gone).then(|| Record::User(Arc::new(user))))
            }
            Self::Number { number, kind, user, treatments, gone } => {
                let assignment = NumberAssignment {
                    number: GIVEN[*number].into(),
                    kind: *kind,
                    user: (*kind == AssignmentKind::Did).then(|| PEOPLE[*user].parse().unwrap()),
                    workgroup: (*kind == AssignmentKind::Workgroup)
                        .then(|| WorkgroupId::parse("support").unwrap()),
                    treatments: treatments.clone(),
                };
                let record = (!gone).then(|| Record::Number(Arc::new(assignment)));
                (Kind::Number, GIVEN[*number].to_owned(), record)
            }
            Self::Workgroup { extension, treatments, gone } => {
                let mut group = world.directory.workgroups[0].clone();
                group.extension = Some((*extension).to_owned());
                group.treatments = treatments.clone();
                (Kind::Workgroup, "support".to_owned(), (!gone).then(|| Record::Workgroup(Arc::new(group))))
            }
        };
        Change { tenant: tenant("acme"), kind, key, record, revision: Revision(at), at }
    }

    /// Whether a change of this record may alter what becomes of a call to a number, in a directory: the record has the
    /// number, or the number is assigned or routed to it.
    fn names(&self, view: &TenantView, called: &str) -> bool {
        let assigned = |to: &dyn Fn(&NumberAssignment) -> bool| {
            view.assignment(called).is_some_and(|assignment| to(assignment))
        };
        let is = |text: Option<&String>| text.is_some_and(|t| t.trim_start_matches("tel:") == called);
        match self {
            Self::Number { number, .. } => GIVEN[*number] == called,
            Self::User { id, .. } => {
                let own = |user: &Arc<User>| {
                    let station = user.station.as_ref().and_then(|s| view.station(s.as_str()));
                    is(user.cic.as_ref().and_then(|c| c.extension.as_ref()))
                        || is(user.lync.as_ref().and_then(|l| l.line_uri.as_ref()))
                        || is(station.and_then(|s| s.extension.as_ref()))
                };
                view.user(PEOPLE[*id]).is_some_and(own)
                    || assigned(&|a| a.user.as_ref().is_some_and(|u| u.as_str() == PEOPLE[*id]))
            }
            Self::Workgroup { .. } => {
                let config = view.config().unwrap();
                let number = Number::parse_canonical(called).unwrap();
                is(view.workgroup("support").and_then(|w| w.extension.as_ref()))
                    || assigned(&|a| a.workgroup.is_some())
                    || config.explicit_route(number).is_some_and(|r| r.workgroup.is_some())
            }
        }
    }
}

/// What becomes of calls to a number, by every trunk and from a phone, whatever revision it is found at.
fn decisions(view: &TenantView, called: &str) -> Vec<Decision> {
    let by_trunk = TRUNKS.iter().map(|trunk| {
        let caller = Caller { from: "sip:+4940111222@x;user=phone", ..Caller::default() };
        CallAttempt { caller, ..by_trunk(trunk, called) }
    });
    let decide = |attempt: CallAttempt<'_>| {
        let decision = decide(view, &attempt, &Facts::default(), &mut NoTrail);
        Decision { revision: Revision(0), ..decision }
    };
    by_trunk.map(decide).collect()
}

fn applied(world: &World, entries: &[Entry]) -> View {
    let mut view = View::build(&world.changes("acme"));
    for (at, entry) in (1_000..).zip(entries) {
        view.apply(&entry.change(world, at));
    }
    view
}

fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 96 };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(cases())]

    /// A change of one record alters what becomes of calls to the numbers that it names, and of no other call.
    #[test]
    fn a_change_of_the_directory_decides_no_other_numbers_anew(
        shape in shape(), before in proptest::collection::vec(entry(), 0..6), last in entry(),
    ) {
        let world = shape.world();
        let old = applied(&world, &before);
        let mut new = old.clone();
        new.apply(&last.change(&world, 2_000));
        let (old, new) = (old.tenant("acme").unwrap(), new.tenant("acme").unwrap());
        for called in CALLED {
            if !last.names(old, called) && !last.names(new, called) {
                prop_assert_eq!(decisions(old, called), decisions(new, called), "{}", called);
            }
        }
    }

    /// Wherever the edge is asked, the plan begins as its decision says, and is refused where that refuses.
    #[test]
    fn the_plan_begins_with_the_decision_wherever_it_is_asked(
        shape in shape(), entries in proptest::collection::vec(entry(), 0..4),
    ) {
        let view = applied(&shape.world(), &entries);
        let view = view.tenant("acme").unwrap();
        let facts = Facts { edge_in_path: true, ..Facts::default() };
        for (trunk, called) in TRUNKS.iter().flat_map(|t| CALLED.map(|c| (t, c))) {
            let attempt = by_trunk(trunk, called);
            let decision = decide(view, &attempt, &facts, &mut NoTrail);
            let plan = plan(view, &attempt, &facts, &mut NoTrail);
            let way = plan.hops_words();
            let Outcome::Route(route) = &decision.outcome else {
                prop_assert!(plan.rejected.is_some(), "{trunk} {called}: {decision:?}, {way}");
                continue;
            };
            let config = view.config().unwrap();
            let first = config.trunk_named(route.targets[0].trunk.as_str()).map(|ix| config.trunk(ix).role);
            // Behind the system that asks, as the way has it. A line of CIC's own to Mediation passes no edge.
            let asks = match config.trunk(config.trunk_named(trunk).unwrap()).role {
                TrunkRole::Cic => Element::Cic,
                TrunkRole::Lync => Element::Med,
                _ => Element::Gw,
            };
            let asked = |w: &&[Hop]| w[0].element == asks && matches!(w[1].element, Element::Px | Element::Edge);
            let expected = plan.hops.windows(3).find(asked).map_or(first, |w| match w[2].element {
                Element::Cic => Some(TrunkRole::Cic),
                Element::Med => Some(TrunkRole::Lync),
                _ => Some(TrunkRole::Gateway),
            });
            prop_assert!(plan.rejected.is_some() || expected == first, "{trunk} {called}: {first:?}, {way}");
        }
    }

    /// Local control: audio touches the cloud nowhere, whichever gateway brings the call and wherever the called sits; and
    /// it crosses between the premises only where its two ends, or the media server, stand in different ones. What the
    /// carrier in the cloud brings or takes begins or ends there, and is left out.
    #[test]
    fn local_control_keeps_audio_on_the_premises_of_two(
        shape in shape(), entries in proptest::collection::vec(entry(), 0..6), media in media(),
        silent in proptest::option::of(0_u32..60), down: bool,
    ) {
        let mut world = Shape { model: Model::LocalControl, ..shape }.world();
        media.apply(&mut world.spec);
        let view = applied(&world, &entries);
        let view = view.tenant("acme").unwrap();
        prop_assert_eq!(view.refused(), None);
        let facts = Facts { cic_silent_seconds: silent, premises_media_server_down: down, ..Facts::default() };
        let by_trunks = ["gw-berlin", "gw-berlin-2", "gw-vienna", "cic", "lync"].into_iter();
        let by_trunks = by_trunks.flat_map(|t| CALLED.map(|c| by_trunk(t, c)));
        for attempt in by_trunks.chain(PEOPLE.iter().flat_map(|u| CALLED.map(|c| by_user(u, c)))) {
            let plan = plan(view, &attempt, &facts, &mut NoTrail);
            if plan.hops.iter().any(|hop| hop.element == Element::Gw && hop.site.is_cloud()) {
                continue;
            }
            let audible = |e: Element| matches!(e, Element::Gw | Element::Med | Element::Cph | Element::Lph);
            let ends = plan.hops.iter().filter(|hop| audible(hop.element)).map(|hop| hop.site.as_str());
            let ends: BTreeSet<&str> = ends.collect();
            prop_assert!(!ends.contains("cloud"), "{attempt:?}: {plan:?}");
            let anchor = plan.anchored_at.as_ref().map(|(_, site)| site.as_str());
            prop_assert!(anchor != Some("cloud"), "{attempt:?}: {plan:?}");
            let (direct, with_server) = plan.media_crossings;
            // What reaches nobody has no audio, but for the caller's own station that was rung first.
            let as_ends = (direct == 0) == (ends.len() <= 1) || plan.rejected.is_some();
            prop_assert!(as_ends, "{attempt:?}: {plan:?}");
            let together = ends.iter().all(|site| *site == media.server);
            prop_assert!(with_server == 0 || !together, "{attempt:?}: {plan:?}");
        }
    }

    /// A call for help goes out by a gateway, as it was dialled, by every trunk and from every phone, whoever is entered
    /// how; it has no treatment, and is not handed back to be placed anew.
    #[test]
    fn help_is_called_from_everywhere(
        shape in shape(), entries in proptest::collection::vec(entry(), 0..6), silent in proptest::option::of(0_u32..60),
        alike: u16, private: bool,
    ) {
        let view = applied(&shape.world(), &entries);
        let view = view.tenant("acme").unwrap();
        let config = view.config().unwrap();
        let facts = Facts { attempts_alike: alike, cic_silent_seconds: silent, ..Facts::default() };
        // Who is not known may sit anywhere, so that every place's strings hold for a stranger.
        let strangers = TRUNKS.iter().chain(&["ms", "nowhere"]);
        let by_trunks = strangers.flat_map(|trunk| ["112", "110", "133", "+112", "urn:service:sos"].map(|n| by_trunk(trunk, n)));
        let people = PEOPLE.iter().chain(&["nobody"]);
        let by_phones = people.flat_map(|user| ["112", "+112", "urn:service:sos.fire"].map(|n| by_user(user, n)));
        // What a gateway brings comes from no phone of the tenant's: there its own place's strings hold.
        let holds = |attempt: &CallAttempt<'_>| {
            let Ingress::Trunk(name) = attempt.ingress else { return true };
            let gateway = config.trunk_named(name).map(|ix| config.trunk(ix)).filter(|t| t.role == TrunkRole::Gateway);
            let string = Digits::parse(attempt.called.trim_start_matches('+').as_bytes());
            gateway.zip(string).is_none_or(|(gateway, string)| config.is_emergency(Some(gateway.site), string))
        };
        for attempt in by_trunks.chain(by_phones).filter(holds) {
            let caller = Caller { private, ..attempt.caller };
            let attempt = CallAttempt { caller, ..attempt };
            let decision = decide(view, &attempt, &facts, &mut NoTrail);
            prop_assert!(decision.emergency, "{attempt:?}");
            let Outcome::Route(route) = &decision.outcome else { panic!("{attempt:?}: {decision:?}") };
            prop_assert_eq!((&route.treatment, route.carriage), (&Treatment::default(), Carriage::Proxy));
            for target in &route.targets {
                let trunk = config.trunk(config.trunk_named(target.trunk.as_str()).unwrap());
                prop_assert_eq!(trunk.role, TrunkRole::Gateway);
                let dialled = attempt.called.trim_start_matches('+');
                let dialled = if dialled.starts_with("urn") { "1" } else { dialled };
                prop_assert!(target.request_uri.starts_with(&format!("sip:{dialled}")), "{target:?}");
                prop_assert!(target.identity.privacy.is_none() && !target.identity.strip);
            }
        }
    }
}

/// What does not compile never replaces what did: the tenant goes on by the policy before, whatever is wrong.
#[test]
fn a_policy_that_does_not_compile_changes_no_decision() {
    let spoils: [fn(&mut TenantSpec); 4] = [
        |s| s.trunks.clear(),
        |s| s.sites.clear(),
        |s| s.dial_plan.rules[0].strip = 99,
        |s| s.treatments.on_busy = Some("front desk".into()),
    ];
    for inbound in OPTIONS {
        let world = World::wide(Model::OnPremises, inbound, |_| {});
        let mut view = View::build(&world.changes("acme"));
        let before: Vec<_> = CALLED.map(|c| decisions(view.tenant("acme").unwrap(), c)).into();
        for (at, spoil) in (2_000..).zip(spoils) {
            let mut spec = world.spec.clone();
            spoil(&mut spec);
            let policy = PolicyRecord { generation: at, spec };
            view.apply(&Change {
                tenant: tenant("acme"),
                kind: Kind::Policy,
                key: String::new(),
                record: Some(Record::Policy(Arc::new(policy))),
                revision: Revision(at),
                at,
            });
            let tenant = view.tenant("acme").unwrap();
            assert!(tenant.refused().is_some(), "it was to be refused");
            let now: Vec<_> = CALLED.map(|c| decisions(tenant, c)).into();
            assert_eq!(now, before, "{inbound}");
        }
    }
}
