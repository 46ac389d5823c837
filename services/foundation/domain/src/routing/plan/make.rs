//! Makes a plan: whose number it is, which way that leads, and what follows from where the elements stand.

use super::super::attempt::{CallAttempt, Facts};
use super::super::call::{Call, Entry, Owned, name};
use super::super::decision::{Owner, Reason, Rejection};
use super::super::trail::{NoTrail, Rule, Trail, Verdict};
use super::super::{endpoint, lookup};
use super::legs::{Peers, Sides};
use super::media::Wants;
use super::way::{Cut, Goal, Stand, Start, Way};
use super::{Anchor, Answer, Callee, Element, Features, Plan, Row, Tri, WanLost, legs, media, wan};
use crate::document::terms::{InboundOption, MediaLost, TrunkRole};
use crate::number::Number;
use crate::tenant::Config;
use crate::view::TenantView;

/// Predicts the whole way of a call (domain rules 9.1).
///
/// Tandem decides only the hops after an element of its own; of the others it knows what the tenant's policy says
/// they are set to. Each hop says who decides it. Asked with [`Facts::edge_in_path`] it draws Tandem's edge under
/// options 2 and 3 where it can stand; with [`Facts::wan_lost`] it shows the way that is left.
#[must_use]
pub fn plan<T: Trail>(view: &TenantView, attempt: &CallAttempt<'_>, facts: &Facts, trail: &mut T) -> Plan {
    match Call::read(view, attempt, facts) {
        Ok(call) => match call.entry {
            Entry::Stranger(reason) if !call.is_emergency() => nowhere(rejection(reason)),
            _ => Planner::new(&call).plan(trail),
        },
        Err(reason) => nowhere(rejection(reason)),
    }
}

fn rejection(reason: Reason) -> Rejection {
    Rejection { reason, words: reason.hint().into() }
}

fn nowhere(rejected: Rejection) -> Plan {
    Plan {
        callee: Callee::Nobody,
        hops: Vec::new(),
        legs: Vec::new(),
        anchor: Anchor::None,
        anchored_at: None,
        srtp_mixed: false,
        signalling_crossings: 0,
        media_crossings: (0, 0),
        mediation_sessions: 0,
        features: Features::default(),
        answer: Answer::None,
        station_answer: None,
        wan_lost: WanLost::NotApplicable,
        rejected: Some(rejected),
    }
}

struct Planner<'c, 'a> {
    call: &'c Call<'a>,
    config: &'a Config,
    stand: Stand,
    start: Start,
}

/// What is known of a call before its way is found.
struct Aim<'a> {
    number: Option<Number>,
    owned: Owned<'a>,
    /// Lync's reverse number lookup hits before CIC could see the call.
    rings_at_once: bool,
}

impl<'c, 'a> Planner<'c, 'a> {
    fn new(call: &'c Call<'a>) -> Self {
        let config = call.config;
        let mut stand = Stand::of(config);
        stand.media_server = media::media_server(config, stand.cic, call.facts.premises_media_server_down);
        if let Entry::Trunk(_, trunk) = call.entry {
            match trunk.role {
                TrunkRole::Gateway => stand.gateway = trunk.site,
                TrunkRole::Cic => stand.cic = trunk.site,
                TrunkRole::Lync => stand.lync = trunk.site,
                TrunkRole::SipProxy | TrunkRole::MediaServer => {}
            }
        }
        if let Some(user) = call.caller.user {
            stand.caller_phone = lookup::site_of_phone(call.view, user).unwrap_or(stand.caller_phone);
        }
        Self { call, config, stand, start: Self::start(call) }
    }

    fn start(call: &Call<'a>) -> Start {
        let user = match call.entry {
            Entry::Trunk(_, trunk) => {
                return match trunk.role {
                    TrunkRole::Gateway | TrunkRole::MediaServer => Start::Gateway,
                    TrunkRole::SipProxy => Start::Proxy,
                    TrunkRole::Cic => Start::Cic,
                    TrunkRole::Lync if call.caller.user.is_some() => Start::LyncPhone,
                    // Between Mediation and CIC stands what came in by the gateway (option 3).
                    TrunkRole::Lync if call.config.inbound == InboundOption::LyncFirst => Start::Gateway,
                    TrunkRole::Lync => Start::Lync,
                };
            }
            Entry::User(user) => user,
            Entry::Stranger(_) => return Start::Gateway,
        };
        match lookup::row(user) {
            Some(Row::R3 | Row::R4) => Start::StationFirst(user.line()),
            Some(Row::R6) => Start::Rcc,
            _ if lookup::dials_in_lync(user) => Start::LyncPhone,
            _ => Start::CicPhone,
        }
    }

    fn plan<T: Trail>(mut self, trail: &mut T) -> Plan {
        let aim = match self.aim(trail) {
            Ok(aim) => aim,
            Err((number, reason)) => return self.refused(number, reason),
        };
        if let Some(user) = aim.owned.user {
            let site = lookup::site_of_phone(self.call.view, user);
            self.stand.callee_phone = site.unwrap_or(self.stand.callee_phone);
        }
        if aim.number.is_none() {
            // Help is called by a gateway of the caller's site, wherever other calls leave.
            let gateway = self.call.emergency_site().and_then(|(_, trunks)| trunks.first().copied());
            let Some(gateway) = gateway else { return self.refused(None, Reason::NoEmergencyEgress) };
            self.stand.gateway = self.config.trunk(gateway).site;
        }
        let lost = self.is_lost();
        if !lost && !aim.rings_at_once && self.asks_tandem() {
            match aim.number.map(|n| self.call.next(n, &aim.owned, trail)) {
                Some(Err(reason)) => return self.refused(aim.number, reason),
                Some(Ok(next)) if aim.owned.goal == Goal::Pstn => {
                    let gateway = next.trunks.first().map(|t| self.config.trunk(*t));
                    let gateway = gateway.filter(|t| t.role == TrunkRole::Gateway);
                    self.stand.gateway = gateway.map_or(self.stand.gateway, |t| t.site);
                }
                _ => {}
            }
        }
        let way = self.way(aim.number).with_line(self.line_of(&aim.owned)).find(self.start, aim.owned.goal);
        self.describe(&aim, way, lost, trail)
    }

    /// Whether a decision of Tandem's is on the way from here, whose refusals the plan must show.
    fn asks_tandem(&self) -> bool {
        self.config.inbound == InboundOption::ProxyFirst
            || self.call.facts.edge_in_path
            || self.start != Start::Gateway
    }

    /// What Tandem asks Lync for: of a Lync user the Line URI.
    fn line_of(&self, owned: &Owned<'a>) -> Option<Number> {
        owned.user.filter(|_| owned.goal == Goal::LyncPhone).and_then(|u| u.line())
    }

    fn way(&self, number: Option<Number>) -> Way<'a> {
        let by_trunk = matches!(self.call.entry, Entry::Trunk(_, t) if matches!(t.role, TrunkRole::Cic | TrunkRole::Lync));
        // A call that came by a trunk of CIC or Lync is at the edge: it can be drawn there without being asked.
        let proxy = by_trunk && self.config.inbound == InboundOption::ProxyFirst;
        Way::new(self.config, self.stand, self.call.facts.edge_in_path || proxy, number)
    }

    /// Who is called.
    fn aim<T: Trail>(&self, trail: &mut T) -> Result<Aim<'a>, (Option<Number>, Reason)> {
        if self.call.is_emergency() {
            // The decision says so, with the reason.
            return Ok(Aim { number: None, owned: Owned::pstn(), rings_at_once: false });
        }
        let called = self.call.number(trail).map_err(|r| (None, r))?;
        let number = self.call.called_back(called, trail).unwrap_or(called);
        if let Some(user) = self.lync_hits(number) {
            self.passes_edge(number).map_err(|reason| (Some(number), reason))?;
            trail.step(Rule::InboundOption, Verdict::Won, || {
                let name = name(user);
                format!(
                    "Lync is met first, and {number} is {name}'s Line URI: its reverse number lookup rings {name} at \
                     once, CIC never sees the call"
                )
                .into()
            });
            return Ok(Aim { number: Some(number), owned: self.call.lync_user(user), rings_at_once: true });
        }
        let owned = self.call.owner(number, trail).map_err(|(_, r)| (Some(number), r))?;
        Ok(Aim { number: Some(number), owned, rings_at_once: false })
    }

    /// Whether the edge, where it stands between gateway and Lync, lets a call pass that Lync then rings at once.
    fn passes_edge(&self, number: Number) -> Result<(), Reason> {
        if self.start != Start::Gateway || !self.call.facts.edge_in_path {
            return Ok(());
        }
        let owned = self.call.owner(number, &mut NoTrail).map_err(|(_, reason)| reason)?;
        if self.is_lost() {
            return Ok(());
        }
        self.call.next(number, &owned, &mut NoTrail).map(|_| ())
    }

    /// Whether the cloud is not reached: what is decided then is the survivable rules' to say.
    fn is_lost(&self) -> bool {
        self.call.facts.wan_lost || self.call.survivable()
    }

    /// The user whom Lync rings because it meets the call first and the number is a Line URI with Enterprise Voice.
    fn lync_hits(&self, number: Number) -> Option<&'a crate::view::Person> {
        let first = match self.start {
            Start::Gateway => {
                let at_gateway = matches!(self.call.entry, Entry::Trunk(_, t) if t.role != TrunkRole::Lync);
                at_gateway && self.config.inbound == InboundOption::LyncFirst
            }
            Start::LyncPhone => matches!(self.call.entry, Entry::User(_)),
            _ => false,
        };
        lookup::number(self.call.view, number).line.filter(|user| first && lookup::has_enterprise_voice(user))
    }

    /// A plan that ends where the call is refused.
    fn refused(&self, number: Option<Number>, reason: Reason) -> Plan {
        let way = self.way(number).entry(self.start);
        let peers = Peers::of(self.config, self.gateway());
        let legs = legs::legs(&way.steps, &peers, &self.stand, Sides::default());
        let hops = way.steps.iter().map(|s| s.hop(self.config)).collect();
        let signalling_crossings = crossing(&legs);
        let mediation_sessions = count(way.steps.iter().filter(|s| s.element == Element::Med).count());
        Plan { hops, legs, signalling_crossings, mediation_sessions, ..nowhere(rejection(reason)) }
    }

    fn describe<T: Trail>(&self, aim: &Aim<'a>, mut way: Way<'a>, lost: bool, trail: &mut T) -> Plan {
        let goal = aim.owned.goal;
        let queue = aim.owned.queue();
        let wan_lost = self.wan_lost(&way, goal, queue);
        let cut_by_wan = lost && !matches!(wan_lost, WanLost::NotApplicable | WanLost::Works);
        let mut rejected = if cut_by_wan {
            self.survive(aim, &mut way, wan_lost, trail).err()
        } else {
            way.cut.map(|cut| match cut {
                Cut::NoSharedUsage => Reason::NoSharedUsage,
                Cut::Loop => Reason::PlannedLoop,
            })
        };
        let (mut callee, mut answer, mut features) = self.who_answers(aim, &way);
        if cut_by_wan {
            (answer, features) = left(answer, goal, wan_lost);
            // Whoever takes the call, it is no agent of the queue.
            callee = if queue { Callee::Queue } else { callee };
        }
        let peers = Peers::of(self.config, self.gateway());
        let wants = self.wants(aim, &way, &peers);
        if rejected.is_none() {
            rejected = self.without_media_server(&wants, &way, &mut features, trail);
        }
        if rejected.is_none() && wants.mixed && !self.server_may_come(&way) && aim.number.is_some() {
            rejected = Some(Reason::NoTranscryptor);
        }
        if rejected.is_some() {
            (answer, features) = (Answer::None, Features::default());
        }
        self.tell(&wants, &way, answer, trail);
        let steps = &way.steps;
        let legs = legs::legs(steps, &peers, &self.stand, self.sides(aim, &way, answer));
        let at = media::anchored_at(self.config, steps, goal, &wants, self.stand.media_server);
        Plan {
            callee,
            hops: steps.iter().map(|s| s.hop(self.config)).collect(),
            anchor: if rejected.is_some() {
                Anchor::None
            } else {
                media::anchor(steps, goal, &wants, self.stand.media_server)
            },
            anchored_at: at
                .filter(|_| rejected.is_none())
                .map(|(element, site)| (element, self.config.site(site).name.clone())),
            srtp_mixed: wants.mixed,
            signalling_crossings: crossing(&legs),
            media_crossings: match rejected {
                Some(_) => (0, 0),
                None => media::crossings(steps, &self.stand, self.server_may_come(&way)),
            },
            mediation_sessions: count(steps.iter().filter(|s| s.element == Element::Med).count()),
            legs,
            features,
            answer,
            station_answer: self.station_answer().filter(|_| rejected.is_none()),
            wan_lost,
            rejected: rejected.map(rejection),
        }
    }

    fn wan_lost(&self, way: &Way<'a>, goal: Goal, queue: bool) -> WanLost {
        let by_client = matches!(self.start, Start::StationFirst(_) | Start::Rcc);
        let here = self.stand.caller_phone;
        match wan::wan_lost(self.config, &self.stand, &way.steps, goal, queue) {
            WanLost::NotApplicable => WanLost::NotApplicable,
            // The caller's own client must reach CIC before there is a call.
            _ if by_client && wan::lost(here, self.stand.cic) => WanLost::Fails,
            other => other,
        }
    }

    fn gateway(&self) -> Option<&'a crate::tenant::Trunk> {
        match self.call.entry {
            Entry::Trunk(_, trunk) if trunk.role == TrunkRole::Gateway => Some(trunk),
            _ => None,
        }
    }

    fn wants(&self, aim: &Aim<'a>, way: &Way<'a>, peers: &Peers<'_>) -> Wants {
        let media = &self.config.media;
        let cic = way.meets(Element::Cic);
        let recorded = if self.passes_through_cic(aim) { media.record_lync_users } else { media.recorded };
        let mixed = peers.srtp_mixed(&way.steps);
        Wants { queue: aim.owned.queue() && cic, recorded: recorded && cic, mixed }
    }

    /// A call from outside to a Lync user that CIC only passes on (option 2).
    fn passes_through_cic(&self, aim: &Aim<'a>) -> bool {
        matches!(self.start, Start::Gateway | Start::Proxy)
            && matches!(aim.owned.goal, Goal::LyncPhone | Goal::Lync)
    }

    fn server_may_come(&self, way: &Way<'a>) -> bool {
        way.meets(Element::Cic) && self.stand.media_server.is_some()
    }

    fn sides(&self, aim: &Aim<'a>, way: &Way<'a>, answer: Answer) -> Sides {
        Sides {
            media_server: self.server_may_come(way).then(|| self.passes_through_cic(aim)),
            rcc: answer == Answer::Rcc,
            plug_ins: u8::from(answer == Answer::AutoOffHook)
                + u8::from(way.meets(Element::Lph) && self.station_answer() == Some(Answer::AutoOffHook)),
        }
    }

    /// Vector 21 of domain rules 9.3: without a media server that may be used, the call goes on unrecorded or is
    /// refused, as policy says. It is never anchored in the cloud.
    fn without_media_server<T: Trail>(
        &self,
        wants: &Wants,
        way: &Way<'a>,
        features: &mut Features,
        trail: &mut T,
    ) -> Option<Reason> {
        if self.stand.media_server.is_some() || !way.meets(Element::Cic) {
            return None;
        }
        features.recording = Tri::No;
        let refuse = wants.recorded && self.config.media.media_server_lost == MediaLost::Refuse;
        trail.step(Rule::MediaAnchor, if refuse { Verdict::Won } else { Verdict::Applied }, || {
            let then = if refuse { "the call is refused" } else { "the call goes on unrecorded" };
            format!("no media server of the premises is up, and media may not leave them: {then}").into()
        });
        refuse.then_some(Reason::NoMediaServer)
    }

    /// How the caller's own station, which CIC rings first, is answered (domain rules 9.2, 3.6 step 5). None: CIC rings
    /// no station of the caller's.
    fn station_answer(&self) -> Option<Answer> {
        let user =
            self.call.caller.user.filter(|_| matches!(self.start, Start::StationFirst(_) | Start::Rcc))?;
        Some(endpoint::in_force(user, lookup::row(user)?, self.call.facts).answer)
    }

    fn who_answers(&self, aim: &Aim<'a>, way: &Way<'a>) -> (Callee, Answer, Features) {
        let owned = &aim.owned;
        let now = owned.user.zip(owned.row).map(|(u, row)| endpoint::in_force(u, row, self.call.facts));
        let callee = match (&owned.owner, owned.user) {
            (Owner::Workgroup(_), Some(user)) => Callee::Agent(user.id.clone(), now.map(|n| n.row)),
            (Owner::Workgroup(_), None) => Callee::Queue,
            (_, Some(user)) => Callee::User(user.id.clone(), now.map(|n| n.row)),
            (Owner::Pstn | Owner::NotLookedUp, None) => Callee::Pstn,
            (Owner::Lync, None) => Callee::System(Element::Fe),
            (_, None) => Callee::System(Element::Cic),
        };
        let (answer, features) = match (owned.goal, now) {
            (Goal::CicPhone | Goal::Station(_), Some(now)) => {
                (now.answer, endpoint::features(now.row, owned.queue()))
            }
            (Goal::LyncPhone, _) => (Answer::LyncClient, self.features_of_callers(aim, way)),
            (Goal::Pstn, _) => (Answer::None, self.features_of_callers(aim, way)),
            (Goal::Cic, _) => {
                (Answer::System, Features { recording: Tri::Yes, voicemail: true, ..Features::default() })
            }
            (Goal::Lync | Goal::CicPhone | Goal::Station(_), _) => (Answer::System, Features::default()),
        };
        (callee, answer, features)
    }

    /// What a call has that ends at nobody of CIC's: if CIC passes it on it may record it; if a CIC user made it, it
    /// is an interaction of theirs.
    fn features_of_callers(&self, aim: &Aim<'a>, way: &Way<'a>) -> Features {
        let made_in_cic =
            matches!(self.start, Start::CicPhone | Start::StationFirst(_) | Start::Rcc | Start::Cic);
        if !way.meets(Element::Cic) {
            return Features::default();
        }
        if made_in_cic {
            return Features { recording: Tri::Yes, supervisor: true, ..Features::default() };
        }
        let passed_on = self.passes_through_cic(aim) || aim.owned.goal == Goal::Pstn;
        Features { recording: if passed_on { Tri::Possible } else { Tri::No }, ..Features::default() }
    }

    fn tell<T: Trail>(&self, wants: &Wants, way: &Way<'a>, answer: Answer, trail: &mut T) {
        if wants.mixed {
            let joined = self.server_may_come(way);
            trail.step(Rule::Transcryption, if joined { Verdict::Applied } else { Verdict::Lost }, || {
                let then =
                    if joined { "CIC's media server joins them" } else { "nobody is there to join them" };
                format!("one side has SRTP, the other RTP: {then}").into()
            });
        }
        trail.step(Rule::AnswerMode, Verdict::Applied, || match answer.why() {
            Some(why) => format!("{}: {why}", answer.words()).into(),
            None => answer.words().into(),
        });
    }

    /// The way that is left when the WAN is lost (domain rules 2.4).
    fn survive<T: Trail>(
        &self,
        aim: &Aim<'a>,
        way: &mut Way<'a>,
        wan_lost: WanLost,
        trail: &mut T,
    ) -> Result<(), Reason> {
        trail.step(Rule::Survivable, Verdict::Won, || wan_lost.words().into());
        let Some(at) = wan::first_lost(&way.steps) else { return Ok(()) };
        way.steps.truncate(at);
        let second = matches!(
            wan_lost,
            WanLost::Survivable(true) | WanLost::Hunt(true) | WanLost::Voicemail(true) | WanLost::Queue(true)
        );
        if second && !self.config.survivable.secondary_route {
            return Err(Reason::WanLost);
        }
        match wan_lost {
            WanLost::Survivable(_) => {
                self.survive_to(aim.owned.goal, self.line_of(&aim.owned).or(aim.number), way)
            }
            WanLost::Hunt(_) => self.hunt(aim, way),
            WanLost::Voicemail(true) | WanLost::Queue(true) => {
                // The gateway's second route leads straight to CIC.
                way.steps.truncate(1);
                way.go(Element::Cic, aim.number);
                Ok(())
            }
            WanLost::Fails => Err(Reason::WanLost),
            _ => Ok(()),
        }
    }

    fn survive_to(&self, goal: Goal, number: Option<Number>, way: &mut Way<'a>) -> Result<(), Reason> {
        let proxy_is_near = way.steps.first().is_some_and(|s| !wan::lost(s.site, self.stand.proxy));
        if proxy_is_near {
            way.reach_survivable_proxy();
        }
        match goal {
            Goal::Station(line) => way.survive_by_lync(Some(line)),
            Goal::LyncPhone => way.survive_by_lync(number),
            Goal::Pstn => way.go(Element::Gw, number),
            _ => return Err(Reason::PhoneNotRegistered),
        }
        Ok(())
    }

    fn hunt(&self, aim: &Aim<'a>, way: &mut Way<'a>) -> Result<(), Reason> {
        way.reach_survivable_proxy();
        let target = self.call.hunt_target(&aim.owned).ok_or(Reason::NoHuntTarget)?;
        let next = self.call.hunt(&aim.owned, &mut NoTrail)?;
        match next.trunks.first().map(|t| self.config.trunk(*t).role) {
            Some(TrunkRole::Lync) => way.survive_by_lync(Some(next.number)),
            _ => way.go(Element::Gw, Some(target)),
        }
        Ok(())
    }
}

/// How a call is answered, and what it has, when the WAN is lost.
fn left(answer: Answer, goal: Goal, wan_lost: WanLost) -> (Answer, Features) {
    match wan_lost {
        WanLost::Survivable(_) if goal == Goal::Pstn => (answer, Features::default()),
        WanLost::Survivable(_) | WanLost::Hunt(_) => (Answer::LyncClient, Features::default()),
        WanLost::Voicemail(_) => {
            (Answer::System, Features { recording: Tri::Yes, voicemail: true, ..Features::default() })
        }
        WanLost::Queue(_) => (Answer::System, Features { recording: Tri::Yes, ..Features::default() }),
        WanLost::Announce => (Answer::System, Features::default()),
        WanLost::NotApplicable | WanLost::Works | WanLost::Fails => (answer, Features::default()),
    }
}

fn crossing(legs: &[super::Leg]) -> u8 {
    count(legs.iter().filter(|l| l.crosses && !l.side).count())
}

fn count(n: usize) -> u8 {
    u8::try_from(n).unwrap_or(u8::MAX)
}
