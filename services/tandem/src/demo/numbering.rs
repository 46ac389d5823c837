//! Who has which address and which number: all that Tandem's documents and the simulators' configurations share.
//!
//! Every element has a loopback address of its own, `127.BLOCK.PLACE.HOST`. BLOCK is this demonstration's, so that
//! several run side by side. PLACE tells scene and site: 1 to 99 is the cloud of that scene, 101 to 199 its premises.
//! HOST tells the element.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::bail;

/// Blocks to choose from. Below are those of the examples, above the broadcast address of 127/8.
const BLOCKS: std::ops::Range<u8> = 16..250;
/// SIP's own port, and others for machines where somebody has it on every address.
const PORTS: [u16; 4] = [5060, 15060, 25060, 35060];
/// In every block the address that marks it as taken.
const MARK: (u8, u8) = (254, 254);

/// The three topologies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    OnPremises,
    LocalControl,
    RemoteControl,
}

impl Model {
    pub(crate) const ALL: [Self; 3] = [Self::OnPremises, Self::LocalControl, Self::RemoteControl];

    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::OnPremises => "on-premises",
            Self::LocalControl => "local control",
            Self::RemoteControl => "remote control",
        }
    }

    /// As in tenants' names.
    pub(crate) const fn short(self) -> &'static str {
        match self {
            Self::OnPremises => "on-premises",
            Self::LocalControl => "local",
            Self::RemoteControl => "remote",
        }
    }
}

/// Where something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Site {
    Cloud,
    Premises,
}

impl Site {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Premises => "premises",
        }
    }
}

/// What has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    Gateway,
    Edge,
    Cic,
    MediaServer,
    Mediation,
    FrontEnd,
    /// The CIC phone of a person.
    CicPhone(Person),
    /// The Lync phone or client of a person.
    LyncPhone(Person),
}

/// Somebody of the tenant: the endpoint rows 1 to 6, the one with instant messages only (7), and the one whose direct
/// number is also her Line URI (8), a mistake made on purpose.
pub(crate) type Person = u8;

/// One set of elements: a tenant's systems, at addresses that no other set has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    block: u8,
    scene: u8,
    pub(crate) model: Model,
    port: u16,
}

impl Net {
    pub(crate) const fn new(block: &Block, scene: u8, model: Model) -> Self {
        Self { block: block.number, scene, model, port: block.port }
    }

    /// Where the model puts an element (domain rules 2.1).
    pub(crate) const fn site(&self, element: Element) -> Site {
        match (self.model, element) {
            (Model::OnPremises, _) => Site::Premises,
            (Model::LocalControl, Element::Cic) => Site::Cloud,
            (Model::LocalControl, _) => Site::Premises,
            (
                Model::RemoteControl,
                Element::Gateway | Element::Edge | Element::Cic | Element::MediaServer,
            ) => Site::Cloud,
            (Model::RemoteControl, _) => Site::Premises,
        }
    }

    pub(crate) const fn ip(&self, element: Element) -> Ipv4Addr {
        let place = match self.site(element) {
            Site::Cloud => self.scene,
            Site::Premises => 100 + self.scene,
        };
        let host = match element {
            Element::Gateway => 10,
            Element::Edge => 20,
            Element::Cic => 30,
            Element::MediaServer => 40,
            Element::Mediation => 50,
            Element::FrontEnd => 51,
            Element::CicPhone(person) => 100 + person,
            Element::LyncPhone(person) => 200 + person,
        };
        Ipv4Addr::new(127, self.block, place, host)
    }

    /// Mediation listens where Lync's does, the Front End where Lync's does, all others at SIP's port.
    pub(crate) const fn port(&self, element: Element) -> u16 {
        match element {
            Element::Mediation => self.port + 8,
            Element::FrontEnd => self.port + 1,
            _ => self.port,
        }
    }

    pub(crate) fn address(&self, element: Element) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.ip(element)), self.port(element))
    }

    /// All of this scene's cloud, as a network to cut off.
    pub(crate) fn cloud(&self) -> String {
        format!("127.{}.{}.0/24", self.block, self.scene)
    }
}

/// Where an address stands.
pub(crate) fn site_of(ip: IpAddr) -> Option<Site> {
    let IpAddr::V4(v4) = ip else { return None };
    match v4.octets()[2] {
        1..=99 => Some(Site::Cloud),
        101..=199 => Some(Site::Premises),
        _ => None,
    }
}

/// A block of addresses that nobody else takes while it is held.
#[derive(Debug)]
pub(crate) struct Block {
    number: u8,
    pub(crate) port: u16,
    _mark: (TcpListener, UdpSocket),
}

impl Block {
    /// Takes a free block, the first from `start` on.
    ///
    /// # Errors
    /// When the machine lets us listen nowhere in 127/8.
    pub(crate) fn take(start: u64) -> anyhow::Result<Self> {
        let many = u64::from(BLOCKS.end - BLOCKS.start);
        let mut why = None;
        for port in PORTS {
            for step in 0..many {
                let at = u8::try_from((start + step) % many).unwrap_or(0);
                let number = BLOCKS.start + at;
                let mark = SocketAddr::from((Ipv4Addr::new(127, number, MARK.0, MARK.1), port));
                match (TcpListener::bind(mark), UdpSocket::bind(mark)) {
                    (Ok(tcp), Ok(udp)) => return Ok(Self { number, port, _mark: (tcp, udp) }),
                    (Err(error), _) | (_, Err(error)) => why = Some((mark, error)),
                }
            }
        }
        let Some((mark, error)) = why else { bail!("no block of addresses") };
        bail!(
            "no free block of loopback addresses ({mark}: {error}); the demonstration needs addresses of 127.0.0.0/8 \
             beside 127.0.0.1, as Linux has them"
        )
    }

    pub(crate) fn words(&self) -> String {
        format!("127.{}.x.x, port {}", self.number, self.port)
    }
}

/// The direct number of a person, CIC's.
pub(crate) fn did(person: Person) -> String {
    format!("+1206555010{person}")
}

/// The Line URI's number of a person's Lync phone.
pub(crate) fn line(person: Person) -> String {
    format!("+1206555012{person}")
}

/// The number of the workgroup whose one agent is a person.
pub(crate) fn workgroup(person: Person) -> String {
    format!("+1206555018{person}")
}

/// Callers on the PSTN, each call its own: area codes of the state of Washington, numbers kept for drama.
pub(crate) fn caller(area: u16, nth: u8) -> String {
    format!("+1{area}55501{nth:02}")
}
