//! The scenes: a tenant with its systems, and whether Tandem's edge is in the way of its calls.

use super::numbering::{Block, Model, Net, Person, did, line, workgroup};

/// What the gateway meets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    Proxy,
    Cic,
    Lync,
}

impl First {
    pub(crate) const ALL: [Self; 3] = [Self::Proxy, Self::Cic, Self::Lync];

    /// The number of the inbound option.
    pub(crate) const fn option(self) -> u8 {
        match self {
            Self::Proxy => 1,
            Self::Cic => 2,
            Self::Lync => 3,
        }
    }

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Proxy => "SIP proxy first",
            Self::Cic => "CIC first",
            Self::Lync => "Lync first",
        }
    }
}

/// What is wrong in a scene, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    /// Lync's trunks to gateway and CIC share no PSTN usage.
    NoSharedUsage,
    /// A person's direct number is also her Line URI.
    DidIsLineUri,
    /// A simulator is set up wrong, and nobody told Tandem.
    Misconfigured(Vendor),
}

/// Whose configuration is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Vendor {
    /// The gateway routes calls to the wrong system.
    Gateway,
    /// CIC's station of a Lync phone has somebody else's contact address.
    Cic,
    /// Lync's reverse lookup knows no Line URI of the stations.
    Lync,
}

/// A scene.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) net: Net,
    pub(crate) first: First,
    /// Whether Tandem's edge is in the way. Under option 1 it always is: it is the proxy.
    pub(crate) edge: bool,
    /// Whether its WAN is to be cut after its calls.
    pub(crate) wan: bool,
    pub(crate) twist: Option<Twist>,
}

/// Who is called: as the decision table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Callee {
    /// By a queue, as its agent.
    pub(crate) queue: bool,
    pub(crate) person: Person,
}

/// The callees of the decision table, in its order.
pub(crate) const CALLEES: [Callee; 11] =
    [user(1), user(2), user(3), user(4), user(5), user(6), agent(1), agent(3), agent(4), agent(5), agent(6)];

pub(crate) const fn user(person: Person) -> Callee {
    Callee { queue: false, person }
}

const fn agent(person: Person) -> Callee {
    Callee { queue: true, person }
}

impl Callee {
    /// `R1`, `Q4`.
    pub(crate) fn name(self) -> String {
        format!("{}{}", if self.queue { 'Q' } else { 'R' }, self.person)
    }

    /// What the caller dials: a Lync user by the only number that there is.
    pub(crate) fn number(self) -> String {
        match self {
            Self { queue: true, person } => workgroup(person),
            Self { person: 2, .. } => line(2),
            Self { person, .. } => did(person),
        }
    }
}

impl Scene {
    /// The tenant: one of nine, or its like with the edge out of the way.
    pub(crate) fn name(&self) -> String {
        let model = self.net.model.short();
        let option = self.first.option();
        match self.twist {
            Some(Twist::NoSharedUsage) => format!("{model}-{option}-no-shared-usage"),
            Some(Twist::DidIsLineUri) => format!("{model}-{option}-did-is-line-uri"),
            _ if self.edge => format!("{model}-{option}"),
            _ => format!("{model}-{option}-without-edge"),
        }
    }

    /// The row of the decision table, from 1.
    pub(crate) fn row(&self, callee: Callee) -> usize {
        let model = Model::ALL.iter().position(|m| *m == self.net.model).unwrap_or(0);
        let option = usize::from(self.first.option()) - 1;
        let callee = CALLEES.iter().position(|c| *c == callee).unwrap_or(0);
        model * 33 + option * 11 + callee + 1
    }

    /// Whether CIC records what it handles: not everywhere, so that audio is seen both with a media server and without.
    pub(crate) fn recorded(&self) -> bool {
        self.net.model != Model::OnPremises
    }
}

/// Every scene of the table: option 1, options 2 and 3 with the edge in the way, and without.
pub(crate) fn table(block: &Block, twist: Option<Twist>) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for edge in [true, false] {
        for model in Model::ALL {
            for first in First::ALL {
                if edge || first != First::Proxy {
                    let net = Net::new(block, u8::try_from(scenes.len()).unwrap_or(98) + 1, model);
                    let wan = model == Model::LocalControl && first == First::Proxy;
                    scenes.push(Scene { net, first, edge, wan, twist });
                }
            }
        }
    }
    scenes
}

/// The two scenes that must come out wrong.
pub(crate) fn controls(block: &Block) -> [Scene; 2] {
    let scene = |number, twist| Scene {
        net: Net::new(block, number, Model::OnPremises),
        first: First::Lync,
        edge: false,
        wan: false,
        twist: Some(twist),
    };
    [scene(21, Twist::NoSharedUsage), scene(22, Twist::DidIsLineUri)]
}
