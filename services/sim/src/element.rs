//! An element of a simulator: its name and site, where its audio is, how it behaves, what it saw.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_proto::sim::v1 as proto;
use tokio::sync::watch;

use crate::World;
use crate::behaviour::Behaviour;
use crate::media::{Port, PortError};
use crate::seen::Log;
use crate::ua::Ua;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Gateway,
    Cic,
    Mediation,
    FrontEnd,
    MediaServer,
    CicPhone,
    LyncPhone,
}

impl Kind {
    /// Whether it takes SIP by UDP. The servers of a Lync system do not.
    pub(crate) fn hears_udp(self) -> bool {
        !matches!(self, Self::Mediation | Self::FrontEnd)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Cic => "cic",
            Self::Mediation => "mediation",
            Self::FrontEnd => "front-end",
            Self::MediaServer => "media-server",
            Self::CicPhone => "cic-phone",
            Self::LyncPhone => "lync-phone",
        }
    }
}

/// What an element is made with.
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) site: String,
    /// None: it has no audio.
    pub(crate) media: Option<IpAddr>,
    /// Between two RTP packets.
    pub(crate) interval: Duration,
    /// Legs at once.
    pub(crate) calls_max: usize,
}

/// See the module.
pub(crate) struct Element {
    pub(crate) plan: Plan,
    pub(crate) world: World,
    pub(crate) log: Log,
    behaviour: watch::Sender<Behaviour>,
    /// Counts [`Element::tell_to_answer`].
    told: watch::Sender<u64>,
}

impl Element {
    pub(crate) fn new(plan: Plan, world: &World, log: &Log) -> Arc<Self> {
        Arc::new(Self {
            plan,
            world: world.clone(),
            log: log.clone(),
            behaviour: watch::Sender::new(Behaviour::Normal),
            told: watch::Sender::new(0),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.plan.name
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        *self.behaviour.borrow()
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }

    /// Whoever stands by the telephone picks up what rings now.
    pub(crate) fn tell_to_answer(&self) {
        self.told.send_modify(|told| *told += 1);
    }

    /// Follows [`Element::tell_to_answer`] from now on.
    pub(crate) fn told(&self) -> watch::Receiver<u64> {
        self.told.subscribe()
    }

    /// A port for one leg's audio.
    ///
    /// # Errors
    ///
    /// When the element has no audio that can be had. The call is then refused with 500.
    pub(crate) fn open_port(&self) -> Result<Port, PortError> {
        let address = self.plan.media.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
        Port::open(address, self.plan.interval, &self.world)
    }
}

/// An element as a simulator keeps it: with its signalling, unless it has none.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) element: Arc<Element>,
    pub(crate) ua: Option<Ua>,
}

impl Member {
    pub(crate) fn to_proto(&self) -> proto::Element {
        let plan = &self.element.plan;
        let (sip_received, sip_sent) = self.ua.as_ref().map(Ua::counts).unwrap_or_default();
        proto::Element {
            name: plan.name.clone(),
            kind: plan.kind.as_str().to_owned(),
            site: plan.site.clone(),
            sip_address: self.ua.as_ref().map(|ua| ua.address().to_string()).unwrap_or_default(),
            media_address: plan.media.map(|media| media.to_string()).unwrap_or_default(),
            sip_received,
            sip_sent,
            calls_up: self.element.log.living(&plan.name) as u64,
            behaviour: self.element.behaviour().to_string(),
        }
    }
}
