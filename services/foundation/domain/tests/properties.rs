//! What holds for every tenant and every call: random tenants and attempts, shrunk and printed on failure.

#![allow(clippy::unwrap_used, reason = "a tenant that cannot be made is a failed test")]

mod common;

use common::{World, tenant};
use proptest::prelude::*;
use proptest::sample::select;
use tandem_domain::document::directory::{NumberAssignment, User};
use tandem_domain::document::policy::TollRule;
use tandem_domain::document::terms::{
    AssignmentKind, InboundOption, LyncPstnEgress, MediaLost, MediaPath, Model, RouteOwner, TelephonyMode,
    TrunkRole,
};
use tandem_domain::number::Number;
use tandem_domain::routing::attempt::{
    CallAttempt, Caller, EndpointFacts, Facts, Hints, Ingress, Method, SilentAddress,
};
use tandem_domain::routing::decision::{Decision, Outcome, Reason};
use tandem_domain::routing::plan::{Element, Plan};
use tandem_domain::routing::trail::{NoTrail, Steps};
use tandem_domain::routing::{TARGETS_MAX, decide, plan};
use tandem_domain::view::{TenantView, View};

/// Numbers of users, few enough that users collide.
const NUMBERS: [&str; 10] = [
    "+49305550101",
    "+49305550103",
    "+49305550104",
    "+49305550120",
    "+49305550202",
    "+49305550203",
    "+49305550206",
    "+49305550208",
    "+4989123456",
    "3101",
];

/// What is called beside: what nobody owns, what is no number, what is not even text.
const STRANGE: [&str; 20] = [
    "",
    "112",
    "110",
    "urn:service:sos",
    "urn:service:counseling",
    "+49305550999",
    "0900123456",
    "0049900123456",
    "sip:rolf@acme.example",
    "sip:x@cic.acme.example;gruu",
    "sip:1900@gw.acme.example",
    "sip:x@elsewhere",
    "tel:+",
    "tel:+49-30-555-0101;ext=12",
    "sip:+49305550203@x;user=phone",
    "+1234567890123456",
    "\u{0}\r\n",
    "☎",
    "*43#",
    "sips:[2001:db8::1]",
];

fn called() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(&NUMBERS[..]).prop_map(str::to_owned),
        3 => select(&STRANGE[..]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

/// A policy as one of the shapes that compile: what differs between tenants, as plain choices.
#[derive(Clone, Debug)]
struct Shape {
    model: Model,
    inbound: InboundOption,
    direct: bool,
    row5: bool,
    recorded: bool,
    path: MediaPath,
    lost: MediaLost,
    egress: LyncPstnEgress,
    default_route: Option<RouteOwner>,
    gateway_at_premises: bool,
    second_route: bool,
    hunt: Option<&'static str>,
    toll: bool,
    trusted: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let places = (select(Model::ALL), select(InboundOption::ALL), any::<bool>(), any::<bool>());
    let media = (any::<bool>(), select(MediaPath::ALL), select(MediaLost::ALL));
    let routes = (
        select(LyncPstnEgress::ALL),
        proptest::option::of(select(&[RouteOwner::Cic, RouteOwner::Lync, RouteOwner::Reject][..])),
        proptest::option::of(select(&NUMBERS[..9])),
    );
    let rest = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (places, media, routes, rest).prop_map(|(places, media, routes, rest)| Shape {
        model: places.0,
        inbound: places.1,
        direct: places.2,
        row5: places.3,
        recorded: media.0,
        path: media.1,
        lost: media.2,
        egress: routes.0,
        default_route: routes.1,
        hunt: routes.2,
        gateway_at_premises: rest.0,
        second_route: rest.1,
        toll: rest.2,
        trusted: rest.3,
    })
}

impl Shape {
    fn world(&self) -> World {
        World::with(self.model, self.inbound, |spec| {
            spec.lync.cic_line_direct = self.direct;
            spec.features.row5 = self.row5;
            spec.media.recorded = self.recorded;
            spec.media.path = Some(self.path);
            spec.media.media_server_lost = Some(self.lost);
            spec.lync_pstn_egress = self.egress;
            if self.inbound == InboundOption::ProxyFirst {
                spec.numbers.default_route = self.default_route;
            }
            if self.gateway_at_premises {
                spec.placement.gateway = Some("berlin".into());
            }
            spec.survivable.secondary_route = self.second_route;
            spec.survivable.hunt_target = self.hunt.map(Into::into);
            spec.trunks[0].identity.trusted = self.trusted;
            if self.toll {
                spec.toll.push(TollRule {
                    from: vec![],
                    sites: vec![],
                    called: vec![],
                    trunks: vec![],
                    allow: true,
                });
            }
        })
    }
}

/// A directory that anybody could have entered: numbers collide, halves are missing.
#[derive(Clone, Debug)]
struct Person {
    like: usize,
    line: Option<&'static str>,
    did: Option<&'static str>,
    telephony: TelephonyMode,
    plug_in: bool,
    phone: bool,
}

fn person() -> impl Strategy<Value = Person> {
    let number = || proptest::option::of(select(&NUMBERS[..9]));
    let parts = (0..8_usize, number(), number(), select(TelephonyMode::ALL), any::<bool>(), any::<bool>());
    parts.prop_map(|(like, line, did, telephony, plug_in, phone)| Person {
        like,
        line,
        did,
        telephony,
        plug_in,
        phone,
    })
}

impl Person {
    fn user(&self, at: usize, of: &[User]) -> User {
        let mut user = of[self.like].clone();
        user.id = format!("p{at}").parse().unwrap();
        user.plug_in = self.plug_in;
        if let Some(lync) = &mut user.lync {
            lync.line_uri = self.line.map(|l| format!("tel:{l}"));
            lync.telephony = self.telephony;
        }
        if !self.phone {
            user.phone = None;
        }
        user
    }
}

/// A tenant, printed as the choices that made it.
#[derive(Clone, Debug)]
struct Made {
    shape: Shape,
    people: Vec<Person>,
}

fn made() -> impl Strategy<Value = Made> {
    (shape(), proptest::collection::vec(person(), 0..6)).prop_map(|(shape, people)| Made { shape, people })
}

impl Made {
    fn world(&self) -> World {
        let mut world = self.shape.world();
        let rows = world.directory.users.clone();
        for (at, person) in self.people.iter().enumerate() {
            let user = person.user(at, &rows);
            world.directory.numbers.extend(person.did.map(|number| NumberAssignment {
                number: number.into(),
                kind: AssignmentKind::Did,
                user: Some(user.id.clone()),
                workgroup: None,
                treatments: Default::default(),
            }));
            world.directory.users.push(user);
        }
        world
    }
}

/// An attempt that owns its text.
#[derive(Clone, Debug)]
struct Asked {
    ingress: &'static str,
    by_user: bool,
    called: String,
    from: String,
    private: bool,
    replaces: bool,
    forwarded_by: Option<String>,
    method: Method,
}

fn asked() -> impl Strategy<Value = Asked> {
    let from = || {
        prop_oneof![
            Just("sip:+4940111222@gw.acme.example".to_owned()),
            Just("sip:rolf@acme.example".to_owned()),
            called(),
        ]
    };
    let ingress = prop_oneof![
        6 => select(&["gw", "cic", "lync"][..]).prop_map(|t| (t, false)),
        2 => select(&["r1", "r2", "r3", "r4", "r5", "r6", "im", "p0"][..]).prop_map(|u| (u, true)),
        1 => select(&["ms", "nowhere", ""][..]).prop_map(|t| (t, false)),
    ];
    let method = select(&[Method::Invite, Method::Invite, Method::Refer, Method::Redirect][..]);
    let flags = (any::<bool>(), proptest::bool::weighted(0.1));
    (ingress, called(), from(), flags, proptest::option::weighted(0.3, from()), method).prop_map(
        |((ingress, by_user), called, from, (private, replaces), forwarded_by, method)| Asked {
            ingress,
            by_user,
            called,
            from,
            private,
            replaces,
            forwarded_by,
            method,
        },
    )
}

impl Asked {
    fn attempt(&self) -> CallAttempt<'_> {
        CallAttempt {
            ingress: if self.by_user { Ingress::User(self.ingress) } else { Ingress::Trunk(self.ingress) },
            called: &self.called,
            caller: Caller { from: &self.from, asserted: Some(&self.from), private: self.private },
            hints: Hints {
                replaces: self.replaces,
                forwarded_by: self.forwarded_by.as_deref(),
                ..Hints::default()
            },
            method: self.method,
        }
    }
}

fn facts() -> impl Strategy<Value = Facts> {
    let user = || select(&["r1", "r2", "r3", "r4", "r5", "r6", "p0", "nobody"][..]);
    let endpoint = (user(), any::<bool>(), any::<bool>()).prop_map(|(user, plug_in, lync_client)| {
        EndpointFacts { user: common::user(user), plug_in, lync_client, site: None }
    });
    let silent = select(&[("cic", "10.0.1.1"), ("cic", "10.0.1.2"), ("gw", "10.0.0.1"), ("lync", "x")][..])
        .prop_map(|(trunk, host)| SilentAddress {
            trunk: trunk.parse().unwrap(),
            host: host.into(),
            port: 5060,
            ip: None,
        });
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (
        proptest::collection::vec(silent, 0..3),
        proptest::option::of(select(&[0_u32, 9, 10, 3_600][..])),
        select(&[0_u16, 0, 0, 2, 3, 9][..]),
        proptest::option::of(user()),
        proptest::collection::vec(endpoint, 0..3),
        flags,
    )
        .prop_map(|(silent, cic_silent_seconds, attempts_alike, agent, endpoints, flags)| Facts {
            now_ms: 0,
            silent,
            cic_silent_seconds,
            attempts_alike,
            attempts_by_number: attempts_alike,
            returns: Vec::new(),
            leaving: false,
            agent: agent.map(common::user),
            endpoints,
            premises_media_server_down: flags.0,
            wan_lost: flags.1,
            edge_in_path: flags.2,
        })
}

fn decided(view: &TenantView, asked: &Asked, facts: &Facts) -> Decision {
    decide(view, &asked.attempt(), facts, &mut NoTrail)
}

fn planned(view: &TenantView, asked: &Asked, facts: &Facts) -> Plan {
    plan(view, &asked.attempt(), facts, &mut NoTrail)
}

fn role(view: &TenantView, trunk: &str) -> Option<TrunkRole> {
    let config = view.config()?;
    config.trunk_named(trunk).map(|ix| config.trunk(ix).role)
}

/// 256 of each, or as many as `PROPTEST_CASES` says.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 256 };
    ProptestConfig { cases, ..default }
}

proptest! {
    #![proptest_config(cases())]

    /// Every attempt has an answer; twice the same; a trail changes nothing but the words.
    #[test]
    fn total_and_deterministic(made in made(), asked in asked(), facts in facts()) {
        let world = made.world();
        let view = world.view();
        let decision = decided(&view, &asked, &facts);
        prop_assert_eq!(&decision, &decided(&world.view(), &asked, &facts));
        let mut trail = Steps::default();
        let mut told = decide(&view, &asked.attempt(), &facts, &mut trail);
        if let (Outcome::Reject(told), Outcome::Reject(silent)) = (&mut told.outcome, &decision.outcome) {
            prop_assert!(silent.words.is_empty() && !told.words.is_empty());
            told.words.clear();
        }
        prop_assert_eq!(&told, &decision);
        let mut way = Steps::default();
        prop_assert_eq!(plan(&view, &asked.attempt(), &facts, &mut way), planned(&view, &asked, &facts));
    }

    /// Another tenant in the cell, even one of the same numbers, changes no answer of this one.
    #[test]
    fn another_tenant_changes_nothing(
        one in made(), two in made(), asked in asked(), facts in facts(), before in any::<bool>(),
    ) {
        let (one, two) = (one.world(), two.world());
        let alone = decided(&one.view(), &asked, &facts);
        let (ours, theirs) = (one.changes("acme"), two.changes("globex"));
        let order = if before { [&theirs, &ours] } else { [&ours, &theirs] };
        let both = View::build(order.into_iter().flatten());
        let ours = both.tenant("acme").unwrap();
        prop_assert_eq!(ours.id(), &tenant("acme"));
        prop_assert_eq!(decided(ours, &asked, &facts), alone);
        prop_assert_eq!(planned(ours, &asked, &facts), planned(&one.view(), &asked, &facts));
    }

    /// Targets are addresses of this tenant's trunks, at most 16, each once.
    #[test]
    fn targets_are_the_tenants_own(made in made(), asked in asked(), facts in facts()) {
        let world = made.world();
        let view = world.view();
        if let Outcome::Route(route) = decided(&view, &asked, &facts).outcome {
            prop_assert!(!route.targets.is_empty() && route.targets.len() <= TARGETS_MAX);
            let config = view.config().unwrap();
            let mut seen = Vec::new();
            for target in &route.targets {
                let trunk = config.trunk_named(target.trunk.as_str()).map(|ix| config.trunk(ix));
                let listed = trunk.is_some_and(|t| {
                    t.addresses.iter().any(|a| a.host == target.host && a.port == target.port)
                });
                prop_assert!(listed, "{target:?}");
                let place = (&target.trunk, &target.host, target.port);
                prop_assert!(!seen.contains(&place), "twice: {target:?}");
                seen.push(place);
            }
        }
    }

    /// A new call never goes back to the system that it came from. The table allows one way: while CIC is silent, what
    /// Lync passed on to CIC comes back to Lync under another number, the Line URI (rows 56 to 66).
    #[test]
    fn nothing_returns(made in made(), asked in asked(), facts in facts()) {
        let world = made.world();
        let view = world.view();
        let decision = decided(&view, &asked, &facts);
        let came = role(&view, asked.ingress).filter(|_| !asked.by_user && asked.method == Method::Invite);
        if let (Some(came), Outcome::Route(route), false) = (came, &decision.outcome, decision.emergency) {
            for target in &route.targets {
                let same = role(&view, target.trunk.as_str()) == Some(came);
                let number = decision.called.map(|n| n.digits().to_string()).unwrap_or_default();
                let renumbered = !number.is_empty() && !target.request_uri.contains(&format!("{number}@"));
                let allowed = route.survivable && came == TrunkRole::Lync && renumbered;
                prop_assert!(!same || allowed, "{decision:?}");
            }
        }
    }

    /// A call for help is routed by a gateway of the tenant's, whoever asks and whatever else is so.
    #[test]
    fn help_is_always_called(
        made in made(), asked in asked(), facts in facts(),
        called in select(&["112", "+112", "urn:service:sos", "URN:SERVICE:SOS.police"][..]),
    ) {
        let view = made.world().view();
        let asked = Asked { called: called.into(), ..asked };
        let decision = decided(&view, &asked, &facts);
        prop_assert!(decision.emergency);
        let Outcome::Route(route) = &decision.outcome else { panic!("{decision:?}") };
        prop_assert_eq!(role(&view, route.targets[0].trunk.as_str()), Some(TrunkRole::Gateway));
        prop_assert!(route.targets[0].request_uri.starts_with("sip:112@"), "{route:?}");
    }

    /// Local control: audio is never fixed in the cloud, and never crosses, unless policy itself lets it leave.
    #[test]
    fn local_control_keeps_audio_on_the_premises(made in made(), asked in asked(), facts in facts()) {
        let shape = Shape { model: Model::LocalControl, ..made.shape };
        let world = Made { shape, ..made }.world();
        let plan = planned(&world.view(), &asked, &facts);
        prop_assert_eq!(plan.media_crossings, (0, 0));
        let cloud = plan.anchored_at.as_ref().is_some_and(|(_, site)| site.is_cloud());
        prop_assert!(!cloud, "{plan:?}");
    }

    /// What the plan says holds together: every leg has its letter, crossings are those of the legs, sessions those of
    /// the hops, and no system is met twice with one number.
    #[test]
    fn a_plan_is_consistent(made in made(), asked in asked(), facts in facts()) {
        let world = made.world();
        let plan = planned(&world.view(), &asked, &facts);
        let sessions = plan.hops.iter().filter(|h| h.element == Element::Med).count();
        prop_assert_eq!(usize::from(plan.mediation_sessions), sessions);
        let crossing = plan.legs.iter().filter(|l| l.crosses && !l.side).count();
        prop_assert_eq!(usize::from(plan.signalling_crossings), crossing);
        let pairs = plan.hops.windows(2).filter(|w| w[1].join == tandem_domain::routing::plan::Join::Next).count();
        let legs = plan.legs.iter().filter(|l| !l.side && l.letter != 'a').count();
        prop_assert_eq!(legs, pairs, "{}", plan.hops_words());
        if plan.rejected.is_some() {
            let audio = (plan.anchor, plan.anchored_at.is_some(), plan.media_crossings);
            prop_assert_eq!(audio, (tandem_domain::routing::plan::Anchor::None, false, (0, 0)));
        } else {
            let at = |e: Element| -> Vec<Option<Number>> {
                plan.hops.iter().filter(|h| h.element == e && h.join == tandem_domain::routing::plan::Join::Next)
                    .map(|h| h.number).collect()
            };
            for element in [Element::Px, Element::Cic] {
                let numbers = at(element);
                for (i, n) in numbers.iter().enumerate() {
                    prop_assert!(n.is_none() || !numbers[..i].contains(n), "{}", plan.hops_words());
                }
            }
        }
    }

    /// At the proxy the plan begins as the decision says.
    #[test]
    fn the_plan_begins_with_the_decision(made in made(), asked in asked(), facts in facts()) {
        let shape = Shape { inbound: InboundOption::ProxyFirst, ..made.shape };
        let world = Made { shape, ..made }.world();
        let asked = Asked { ingress: "gw", by_user: false, replaces: false, ..asked };
        let facts = Facts { wan_lost: false, ..facts };
        let view = world.view();
        let decision = decided(&view, &asked, &facts);
        let plan = planned(&view, &asked, &facts);
        match &decision.outcome {
            Outcome::Reject(rejection) => {
                // What only a run-time fact refuses is no matter of the plan.
                let only_now = rejection.reason == Reason::LoopDetected;
                prop_assert!(only_now || plan.rejected.is_some(), "{decision:?}\n{}", plan.hops_words());
            }
            Outcome::Route(route) if plan.rejected.is_none() && plan.hops.len() > 2 => {
                let next = match plan.hops[2].element {
                    Element::Cic => TrunkRole::Cic,
                    Element::Med => TrunkRole::Lync,
                    _ => TrunkRole::Gateway,
                };
                prop_assert_eq!(role(&view, route.targets[0].trunk.as_str()), Some(next), "{}", plan.hops_words());
            }
            Outcome::Route(_) => {}
        }
    }
}
