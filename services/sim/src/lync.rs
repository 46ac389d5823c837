//! A Lync system: a Mediation Server between the trunks and a Front End, the Front End that knows users, Line URIs and
//! voice routes, and the endpoints that its users are signed in at.
//!
//! ```text
//! trunk peer --TCP--> MED --> FE --reverse number lookup--> LPH, LPH, ...   all endpoints of a user at once
//!                              |
//!                              +--voice route, PSTN usage--> MED --TCP--> trunk peer
//! LPH --> FE                                                              what a user's client dials
//! ```
//!
//! Each arrow is a leg of its own and a visible hop. Audio of a call by a trunk passes through the Mediation Server,
//! unless the trunk has media bypass.
//!
//! Invariants: only known peers are listened to, everyone else gets 403; UDP is not heard; a call goes from trunk to
//! trunk only by a voice route whose pattern matches and whose PSTN usages both trunks share; what the Mediation Server
//! and the Front End tell each other (`ms-trunking-peer`) leaves neither.

mod config;
mod front_end;
mod mediation;
mod voice;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

pub use config::{Config, FrontEnd, Mediation, NormalizationRule, Trunk, User, VoiceRoute};

use crate::World;
use crate::element::{Element, Kind, Member, Plan};
use crate::media::{self, Flowing};
use crate::net::Transport;
use crate::number;
use crate::phone::{self, Taking};
use crate::place::{Conduct, Place};
use crate::seen::Log;
use crate::service::{self, PlaceError, Placer, Simulator, StartError};
use crate::settings::{Phone, millis};
use crate::ua::{Invite, Target, Ua, Voice};

/// The header by which the Mediation Server and the Front End name a trunk to each other.
const TRUNKING_PEER: &str = "ms-trunking-peer";

/// Starts Lync systems.
#[derive(Debug)]
pub struct Lync;

impl Lync {
    /// Starts a Lync system; it lives until the world's life ends.
    ///
    /// # Errors
    ///
    /// When an address cannot be had, or the configuration does not hold together.
    pub fn start(config: Config, world: &World) -> Result<Simulator, StartError> {
        service::require(&config)?;
        let log = Log::default();
        let med =
            element(&config, Kind::Mediation, &config.mediation.name, config.mediation.site.as_ref(), {
                Some(config.mediation.media_address.unwrap_or(config.mediation.address.ip()))
            });
        let fe =
            element(&config, Kind::FrontEnd, &config.front_end.name, config.front_end.site.as_ref(), None);
        let (med, fe) = (Element::new(med, world, &log), Element::new(fe, world, &log));
        let (med_ua, med_arrivals) = Ua::start(&med, config.mediation.address, "mediation.address")?;
        let (fe_ua, fe_arrivals) = Ua::start(&fe, config.front_end.address, "front_end.address")?;
        let mut members = vec![
            Member { element: Arc::clone(&med), ua: Some(med_ua.clone()) },
            Member { element: Arc::clone(&fe), ua: Some(fe_ua.clone()) },
        ];
        let mut phones = HashMap::new();
        for settings in &config.endpoints {
            let device = start_phone(&config, settings, world, &log)?;
            phones.insert(settings.name.clone(), device.clone());
            members.push(Member { element: device.element, ua: Some(device.ua) });
        }
        let system = Arc::new(System {
            config,
            med: Side { element: med, ua: med_ua },
            fe: Side { element: fe, ua: fe_ua },
            phones,
        });
        world.life.tasks.spawn("mediation", mediation::run(Arc::clone(&system), med_arrivals));
        world.life.tasks.spawn("front end", front_end::run(Arc::clone(&system), fe_arrivals));
        Ok(Simulator::new("lync", members, log, world, system))
    }
}

fn element(
    config: &Config,
    kind: Kind,
    name: &str,
    site: Option<&String>,
    media: Option<std::net::IpAddr>,
) -> Plan {
    Plan {
        name: name.to_owned(),
        kind,
        site: site.unwrap_or(&config.site).clone(),
        media,
        interval: millis(config.packet_interval_ms),
        calls_max: config.calls_max,
    }
}

fn start_phone(config: &Config, settings: &Phone, world: &World, log: &Log) -> Result<Side, StartError> {
    let media = Some(settings.media_address.unwrap_or(settings.address.ip()));
    let plan = element(config, Kind::LyncPhone, &settings.name, settings.site.as_ref(), media);
    let element = Element::new(plan, world, log);
    let (ua, arrivals) = Ua::start(&element, settings.address, "endpoints")?;
    let name = format!("{} phone", settings.name);
    world.life.tasks.spawn(name, phone::run(Arc::clone(&element), Taking::of(settings), arrivals));
    Ok(Side { element, ua })
}

/// An element with its signalling.
#[derive(Clone)]
struct Side {
    element: Arc<Element>,
    ua: Ua,
}

impl Side {
    /// Within the system everything goes by TCP.
    fn target(&self) -> Target {
        tcp(self.ua.address())
    }
}

fn tcp(address: SocketAddr) -> Target {
    Target { transport: Transport::Tcp, address }
}

/// What the elements of a Lync system know of each other.
struct System {
    config: Config,
    med: Side,
    fe: Side,
    phones: HashMap<String, Side>,
}

impl System {
    /// The endpoint that a request from this address comes from.
    fn phone_at(&self, address: std::net::IpAddr) -> Option<&str> {
        let at = |(_, phone): &(&String, &Side)| phone.ua.address().ip() == address;
        self.phones.iter().find(at).map(|(name, _)| name.as_str())
    }

    /// The number of a user's Line URI.
    fn line_number(user: &User) -> Option<String> {
        user.line_uri.as_deref().map(number::bare)
    }
}

impl Placer for System {
    fn place(self: Arc<Self>, call: Place, conduct: Conduct) -> Result<(), PlaceError> {
        let Some(phone) = self.phones.get(&call.element).cloned() else {
            return Err(PlaceError::Element(call.element));
        };
        let user = voice::user_at(&self.config, &call.element);
        let address = user.map_or_else(
            || format!("sip:{}@{}", call.element, self.config.sip_domain),
            |user| user.sip_address.clone(),
        );
        let own = user.and_then(Self::line_number).unwrap_or_default();
        let caller = if call.caller.is_empty() { own } else { call.caller.clone() };
        let uri = if call.called.starts_with("sip:") {
            call.called.clone()
        } else {
            format!("sip:{}@{};user=phone", number::bare(&call.called), self.config.sip_domain)
        };
        // What a client says of itself: its address, and its number.
        let headers = if caller.is_empty() {
            Vec::new()
        } else {
            vec![("P-Preferred-Identity", format!("<{address}>, <tel:{caller}>"))]
        };
        let target = self.fe.target();
        phone::place(
            &phone.element,
            &phone.ua,
            call,
            conduct,
            move |voice: Voice, sdp: Bytes, call: &Place| Invite {
                target,
                uri,
                display: String::new(),
                from: address,
                headers,
                sdp,
                caller: if caller.is_empty() { call.element.clone() } else { caller },
                why: "dialled".to_owned(),
                for_call_id: String::new(),
                voice: Some(voice),
            },
        );
        Ok(())
    }
}

/// Our own offer, at a port of ours.
fn offer(voice: &Voice) -> Bytes {
    media::write(voice.port.local(), 1, Flowing::SendReceive)
}
