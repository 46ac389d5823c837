//! Signalling: which elements a call meets, in order (domain rules 9, 9.2).
//!
//! The model decides nothing here: it shows only in where the elements stand.

use crate::document::terms::{InboundOption, LyncPstnEgress, TrunkRole};
use crate::number::Number;
use crate::tenant::{Config, SiteIx};

use super::{DecidedBy, Element, Hop, Join};

/// Where a call starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// A call from the PSTN, at the gateway.
    Gateway,
    /// Another SIP proxy hands it to ours.
    Proxy,
    /// A Lync phone or client dials.
    LyncPhone,
    /// It comes from Lync; from which phone is not known.
    Lync,
    /// A CIC phone dials.
    CicPhone,
    /// It comes from CIC; from which phone is not known.
    Cic,
    /// A CIC client dials for a Lync phone: CIC first rings that phone, by this Line URI.
    StationFirst(Option<Number>),
    /// A Lync client dials for a CIC phone (RCC): CIC first rings that phone.
    Rcc,
}

/// Where it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// CIC, at a CIC phone.
    CicPhone,
    /// CIC, at a Lync phone that is its station, by this Line URI.
    Station(Number),
    /// CIC answers itself: Attendant, a queue without an agent, or its default.
    Cic,
    /// Lync, at a Lync phone.
    LyncPhone,
    /// Lync decides further: its default.
    Lync,
    /// Out to the PSTN.
    Pstn,
}

impl Goal {
    /// Whether it is CIC's to deliver.
    pub(crate) const fn is_cic(self) -> bool {
        matches!(self, Self::CicPhone | Self::Station(_) | Self::Cic)
    }
}

/// Where each element stands for one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    pub(crate) gateway: SiteIx,
    pub(crate) proxy: SiteIx,
    pub(crate) cic: SiteIx,
    pub(crate) lync: SiteIx,
    pub(crate) caller_phone: SiteIx,
    pub(crate) callee_phone: SiteIx,
    /// None: no media server may be used.
    pub(crate) media_server: Option<SiteIx>,
}

impl Stand {
    /// By placement, and by the first trunk of each role where it stands elsewhere.
    pub(crate) fn of(config: &Config) -> Self {
        let at = |role: TrunkRole| {
            config.trunks_of(role).next().map_or(config.places.of(role), |t| config.trunk(t).site)
        };
        Self {
            gateway: at(TrunkRole::Gateway),
            proxy: config.places.proxy,
            cic: at(TrunkRole::Cic),
            lync: at(TrunkRole::Lync),
            caller_phone: config.places.phones,
            callee_phone: config.places.phones,
            media_server: Some(config.places.media_server),
        }
    }
}

/// A hop while the way is being found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) element: Element,
    pub(crate) site: SiteIx,
    pub(crate) number: Option<Number>,
    pub(crate) decided_by: DecidedBy,
    pub(crate) join: Join,
}

impl Step {
    pub(crate) fn hop(&self, config: &Config) -> Hop {
        Hop {
            element: self.element,
            site: config.site(self.site).name.clone(),
            number: self.number,
            decided_by: self.decided_by,
            join: self.join,
        }
    }
}

/// Why a way ends before its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Lync's trunks to gateway and CIC share no PSTN usage (domain rules 3.1).
    NoSharedUsage,
    /// The last hop meets its system a second time with the same number (domain rules 3.3).
    Loop,
}

/// The way of one call, hop by hop.
#[derive(Debug)]
pub(crate) struct Way<'a> {
    config: &'a Config,
    stand: Stand,
    /// Whether Tandem's edge is drawn where it can stand.
    edge: bool,
    called: Option<Number>,
    /// The Line URI of the Lync user called: what Tandem asks for from where it stands on.
    line: Option<Number>,
    pub(crate) steps: Vec<Step>,
    pub(crate) cut: Option<Cut>,
}

impl<'a> Way<'a> {
    pub(crate) fn new(config: &'a Config, stand: Stand, edge: bool, called: Option<Number>) -> Self {
        // The longest of all ways (option 3 with the edge drawn everywhere) has 12 hops.
        Self { config, stand, edge, called, line: None, steps: Vec::with_capacity(12), cut: None }
    }

    /// The same to a Lync user whose Line URI this is, whatever number of theirs is called.
    pub(crate) fn with_line(self, line: Option<Number>) -> Self {
        Self { line, ..self }
    }

    /// The way from a start to a goal.
    pub(crate) fn find(mut self, start: Start, goal: Goal) -> Self {
        let called = self.called;
        match start {
            Start::Gateway => self.at_gateway(goal),
            Start::Proxy => {
                self.go(Element::Px, called);
                self.at_proxy(goal);
            }
            Start::LyncPhone => {
                self.go(Element::Lph, called);
                self.at_front_end(goal);
            }
            Start::Lync => self.at_front_end(goal),
            Start::CicPhone => {
                self.go(Element::Cph, called);
                self.at_cic(goal);
            }
            Start::Cic => self.at_cic(goal),
            Start::StationFirst(line) => {
                self.go(Element::Cic, called);
                self.reach_lync_phone(line, self.stand.caller_phone);
                self.join(Element::Cic, Join::OnAnswer);
                self.beyond_cic(goal);
            }
            Start::Rcc => {
                for element in [Element::Lph, Element::Fe, Element::Cic] {
                    self.go(element, called);
                }
                self.join(Element::Cic, Join::Aside);
                self.step(Element::Cph, called, self.stand.caller_phone);
                self.join(Element::Cic, Join::OnAnswer);
                self.beyond_cic(goal);
            }
        }
        self.cut_at_loop();
        self
    }

    /// The way as far as every call from a start goes, whoever is called: where a refused call ends.
    pub(crate) fn entry(mut self, start: Start) -> Self {
        let called = self.called;
        let elements: &[Element] = match (start, self.config.inbound) {
            (Start::Gateway, InboundOption::ProxyFirst) => &[Element::Gw, Element::Px],
            (Start::Gateway, _) if self.edge => &[Element::Gw, Element::Edge],
            (Start::Gateway, InboundOption::CicFirst) => &[Element::Gw, Element::Cic],
            (Start::Gateway, InboundOption::LyncFirst) => &[Element::Gw, Element::Med, Element::Fe],
            (Start::Proxy, _) => &[Element::Px],
            (Start::LyncPhone, _) => &[Element::Lph, Element::Fe],
            (Start::Lync, _) => &[Element::Fe, Element::Med],
            (Start::CicPhone, _) => &[Element::Cph, Element::Cic],
            (Start::Cic | Start::StationFirst(_), _) => &[Element::Cic],
            (Start::Rcc, _) => &[Element::Lph, Element::Fe, Element::Cic],
        };
        for element in elements {
            self.go(*element, called);
        }
        self
    }

    /// Whether an element is met.
    pub(crate) fn meets(&self, element: Element) -> bool {
        self.steps.iter().any(|s| s.element == element)
    }

    fn at_gateway(&mut self, goal: Goal) {
        self.go(Element::Gw, self.called);
        match self.config.inbound {
            InboundOption::ProxyFirst => {
                self.go(Element::Px, self.called);
                self.at_proxy(goal);
            }
            InboundOption::CicFirst => {
                self.edge_here(self.called);
                self.readdress(self.edge);
                self.at_cic(goal);
            }
            InboundOption::LyncFirst => {
                self.edge_here(self.called);
                self.readdress(self.edge);
                self.go(Element::Med, self.called);
                self.go(Element::Fe, self.called);
                if goal.is_cic() && !self.config.lync.usage_shared {
                    self.cut = Some(Cut::NoSharedUsage);
                    return;
                }
                self.beyond_front_end(goal);
            }
        }
    }

    fn at_proxy(&mut self, goal: Goal) {
        self.readdress(true);
        match goal {
            Goal::LyncPhone | Goal::Lync => self.reach_lync(goal, self.called),
            Goal::Pstn => self.go(Element::Gw, self.called),
            Goal::CicPhone | Goal::Station(_) | Goal::Cic => self.at_cic(goal),
        }
    }

    fn at_front_end(&mut self, goal: Goal) {
        self.go(Element::Fe, self.called);
        self.beyond_front_end(goal);
    }

    fn beyond_front_end(&mut self, goal: Goal) {
        match goal {
            Goal::LyncPhone => self.step(Element::Lph, self.called, self.stand.callee_phone),
            Goal::Lync => {}
            Goal::Pstn => {
                self.go(Element::Med, self.called);
                match self.config.lync_pstn_egress {
                    LyncPstnEgress::Gateway => {
                        self.edge_here(self.called);
                        self.go(Element::Gw, self.called);
                    }
                    LyncPstnEgress::Cic => {
                        self.edge_here(self.called);
                        self.at_cic(goal);
                    }
                }
            }
            Goal::CicPhone | Goal::Station(_) | Goal::Cic => {
                self.go(Element::Med, self.called);
                self.edge_here(self.called);
                self.at_cic(goal);
            }
        }
    }

    fn at_cic(&mut self, goal: Goal) {
        self.go(Element::Cic, self.called);
        self.beyond_cic(goal);
    }

    fn beyond_cic(&mut self, goal: Goal) {
        match goal {
            Goal::CicPhone => self.step(Element::Cph, self.called, self.stand.callee_phone),
            Goal::Cic => {}
            Goal::Station(line) => self.reach_lync_phone(Some(line), self.stand.callee_phone),
            Goal::LyncPhone | Goal::Lync => {
                self.outbound_proxy(self.called);
                self.readdress(!self.config.lync.cic_line_direct);
                self.reach_lync(goal, self.called);
            }
            Goal::Pstn => {
                if self.config.inbound == InboundOption::ProxyFirst {
                    self.go(Element::Px, self.called);
                } else {
                    self.edge_here(self.called);
                }
                self.go(Element::Gw, self.called);
            }
        }
    }

    fn reach_lync(&mut self, goal: Goal, number: Option<Number>) {
        self.go(Element::Med, number);
        self.go(Element::Fe, number);
        if goal == Goal::LyncPhone {
            self.step(Element::Lph, number, self.stand.callee_phone);
        }
    }

    fn reach_lync_phone(&mut self, line: Option<Number>, phone: SiteIx) {
        self.outbound_proxy(line);
        self.go(Element::Med, line);
        self.go(Element::Fe, line);
        self.step(Element::Lph, line, phone);
    }

    /// Where a survivable rule takes over: the proxy, unless the call stands there.
    pub(crate) fn reach_survivable_proxy(&mut self) {
        if self.steps.last().is_some_and(|s| matches!(s.element, Element::Px | Element::Edge)) {
            return;
        }
        self.go(Element::Px, self.called);
    }

    /// From the proxy to a Lync phone past the lost CIC.
    pub(crate) fn survive_by_lync(&mut self, line: Option<Number>) {
        self.reach_lync(Goal::LyncPhone, line);
    }

    /// Any element that stands where placement puts it.
    pub(crate) fn go(&mut self, element: Element, number: Option<Number>) {
        let site = match element {
            Element::Gw | Element::Pstn => self.stand.gateway,
            Element::Px | Element::Edge => self.stand.proxy,
            Element::Cic => self.stand.cic,
            Element::Med | Element::Fe => self.stand.lync,
            Element::Ms => self.stand.media_server.unwrap_or(self.stand.cic),
            Element::Cph | Element::Lph => self.stand.caller_phone,
        };
        self.step(element, number, site);
    }

    fn step(&mut self, element: Element, number: Option<Number>, site: SiteIx) {
        let decided_by = decider(self.steps.last().map_or(element, |s| s.element));
        self.steps.push(Step { element, site, number, decided_by, join: Join::Next });
    }

    fn join(&mut self, element: Element, join: Join) {
        self.go(element, self.called);
        if let Some(last) = self.steps.last_mut() {
            (last.join, last.decided_by) = (join, decider(element));
        }
    }

    /// Options 2 and 3: Tandem's edge, if it is asked for. Option 1 has its proxy where the table has it, and
    /// also between Mediation and CIC or the gateway if the call is at the edge.
    fn edge_here(&mut self, number: Option<Number>) {
        if self.edge {
            self.go(self.proxy(), number);
        }
    }

    /// CIC sends to Mediation on a line of its own, or through its outbound proxy (leg e becomes c and f).
    fn outbound_proxy(&mut self, number: Option<Number>) {
        if !self.config.lync.cic_line_direct {
            self.go(self.proxy(), number);
        }
    }

    /// Where Tandem has just been met, it asks on for the Line URI.
    fn readdress(&mut self, met: bool) {
        self.called = self.line.filter(|_| met).or(self.called);
    }

    fn proxy(&self) -> Element {
        if self.config.inbound == InboundOption::ProxyFirst { Element::Px } else { Element::Edge }
    }

    /// Ends the way where a system is met a second time with the same number. MED > FE > MED is one visit.
    fn cut_at_loop(&mut self) {
        let mut seen: Vec<(System, Number)> = Vec::with_capacity(8);
        let mut here = None;
        for at in 0..self.steps.len() {
            let step = self.steps[at];
            let now = system(step.element).zip(step.number);
            if step.join == Join::Aside {
                // What came before was the Lync client's remote control: no call went through Lync.
                seen.clear();
            }
            if let Some(visit) = now.filter(|_| step.join == Join::Next && now != here) {
                if seen.contains(&visit) {
                    self.steps.truncate(at + 1);
                    self.cut = Some(Cut::Loop);
                    return;
                }
                seen.push(visit);
            }
            // A phone belongs to the system that rings it: it neither begins nor ends a visit.
            if !matches!(step.element, Element::Cph | Element::Lph) {
                here = now;
            }
        }
    }
}

/// The systems that a loop can meet twice. EDGE is none: it is no hop of the table, and stands on both sides of
/// option 3's double pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Gateway,
    Proxy,
    Cic,
    Lync,
}

const fn system(element: Element) -> Option<System> {
    match element {
        Element::Gw => Some(System::Gateway),
        Element::Px => Some(System::Proxy),
        Element::Cic => Some(System::Cic),
        Element::Med | Element::Fe => Some(System::Lync),
        Element::Edge | Element::Ms | Element::Cph | Element::Lph | Element::Pstn => None,
    }
}

/// Whose configuration sends a call on from an element.
const fn decider(from: Element) -> DecidedBy {
    match from {
        Element::Px | Element::Edge => DecidedBy::Tandem,
        Element::Cic | Element::Cph | Element::Ms => DecidedBy::Cic,
        Element::Med | Element::Fe | Element::Lph => DecidedBy::Lync,
        Element::Gw | Element::Pstn => DecidedBy::Gateway,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::policy::TenantSpec;

    /// Policy refuses such a tenant under option 3; a plan of one that changed under way still ends where Lync does.
    #[test]
    fn without_a_shared_usage_the_way_ends_in_lync() {
        let spec: TenantSpec =
            serde_saphyr::from_str(include_str!("../../../tests/data/policy.yaml")).unwrap();
        let mut config = crate::tenant::compile("acme", &spec).unwrap().config;
        config.inbound = InboundOption::LyncFirst;
        for (shared, elements, cut) in [
            (true, vec!["GW", "MED", "FE", "MED", "CIC", "CPH"], None),
            (false, vec!["GW", "MED", "FE"], Some(Cut::NoSharedUsage)),
        ] {
            config.lync.usage_shared = shared;
            let number = Number::parse_canonical("+49305550101");
            let way =
                Way::new(&config, Stand::of(&config), false, number).find(Start::Gateway, Goal::CicPhone);
            let met: Vec<&str> = way.steps.iter().map(|s| s.element.name()).collect();
            assert_eq!((met, way.cut), (elements, cut));
        }
    }
}
