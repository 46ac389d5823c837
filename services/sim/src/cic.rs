//! A CIC server (PureConnect) with its media servers and the telephones that are its own.
//!
//! ```text
//! line, phone --> CIC --own number--> user: station call      no answer, busy, Do Not Disturb: voicemail
//!                  |                  workgroup: queue         an agent by CIC's own statuses, then a station call
//!                  |                  attendant profile        CIC answers, perhaps transfers
//!                  +----dial plan---> line group: tandem, lines and outbound proxies in order
//! ```
//!
//! A station is where its contact address says: a telephone of CIC's own, wherever a softphone registered from, or a
//! number that its line reaches; a Lync endpoint is such a number on the line to Mediation.
//!
//! Audio goes between the callers' own addresses, or through a media server: when CIC plays something, when the call is
//! recorded, when a line's audio path is always-in. A caller whom a media server served is brought to the other side by
//! a re-INVITE, unless the media server stays.
//!
//! Invariants: an agent has one call of a workgroup at a time; one who did not answer is set to `ACD - Agent Not
//! Answering` and is offered nothing until the status is changed; a media server that cannot be reached over the WAN is
//! not selected.

mod agents;
mod audio;
mod call;
mod check;
mod config;
mod held;
mod queue;
mod registrar;
mod routing;
mod status;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use config::{
    AttendantProfile, AudioPath, Config, DialPlanEntry, Line, LineGroup, MediaServer, MediaServerSelection,
    Station, User, Workgroup,
};

use self::agents::Agents;
use self::registrar::Registrar;
use self::routing::Contact;
use crate::World;
use crate::behaviour::Command;
use crate::element::{Element, Kind, Member, Plan};
use crate::net::Transport;
use crate::number;
use crate::phone::{self, Taking};
use crate::place::{Conduct, Place};
use crate::seen::Log;
use crate::service::{self, BehaveError, PlaceError, Placer, Simulator, StartError};
use crate::settings::{Phone, millis};
use crate::ua::{Arrival, Incoming, Invite, Target, Ua, Voice, number_uri, uri_target};

/// Starts CIC servers.
#[derive(Debug)]
pub struct Cic;

impl Cic {
    /// Starts a CIC server; it lives until the world's life ends.
    ///
    /// # Errors
    ///
    /// When an address cannot be had, or the configuration does not hold together.
    pub fn start(config: Config, world: &World) -> Result<Simulator, StartError> {
        service::require(&config)?;
        let log = Log::default();
        let element = Element::new(plan(&config, Kind::Cic, &config.name, &config.site, None), world, &log);
        let (ua, arrivals) = Ua::start(&element, config.address, "address")?;
        let mut members = vec![Member { element: Arc::clone(&element), ua: Some(ua.clone()) }];
        let mut media = HashMap::new();
        for server in &config.media_servers {
            let plan = plan(&config, Kind::MediaServer, &server.name, &server.location, Some(server.address));
            let element = Element::new(plan, world, &log);
            members.push(Member { element: Arc::clone(&element), ua: None });
            media.insert(server.name.clone(), element);
        }
        let mut phones = HashMap::new();
        for settings in &config.phones {
            let device = start_phone(&config, settings, world, &log)?;
            members.push(Member { element: Arc::clone(&device.element), ua: Some(device.ua.clone()) });
            phones.insert(settings.name.clone(), device);
        }
        let server = Arc::new(Server {
            agents: Agents::new(&config),
            registrar: Registrar::default(),
            config,
            element,
            ua,
            media,
            phones,
        });
        world.life.tasks.spawn("cic", run(Arc::clone(&server), arrivals));
        Ok(Simulator::new("cic", members, log, world, server))
    }
}

fn plan(config: &Config, kind: Kind, name: &str, site: &str, media: Option<IpAddr>) -> Plan {
    Plan {
        name: name.to_owned(),
        kind,
        site: site.to_owned(),
        media,
        interval: millis(config.packet_interval_ms),
        calls_max: config.calls_max,
    }
}

fn start_phone(config: &Config, settings: &Phone, world: &World, log: &Log) -> Result<Device, StartError> {
    let site = settings.site.as_deref().unwrap_or(&config.site);
    let media = Some(settings.media_address.unwrap_or(settings.address.ip()));
    let element = Element::new(plan(config, Kind::CicPhone, &settings.name, site, media), world, log);
    let (ua, arrivals) = Ua::start(&element, settings.address, "phones")?;
    let name = format!("{} phone", settings.name);
    world.life.tasks.spawn(name, phone::run(Arc::clone(&element), Taking::of(settings), arrivals));
    Ok(Device { element, ua })
}

/// A telephone of CIC's own.
struct Device {
    element: Arc<Element>,
    ua: Ua,
}

/// A running CIC server.
struct Server {
    config: Config,
    element: Arc<Element>,
    ua: Ua,
    agents: Agents,
    registrar: Registrar,
    media: HashMap<String, Arc<Element>>,
    phones: HashMap<String, Device>,
}

async fn run(server: Arc<Server>, mut arrivals: mpsc::Receiver<Arrival>) {
    while let Some(arrival) = arrivals.recv().await {
        match arrival {
            Arrival::Call(incoming) => {
                let tasks = server.element.world.life.tasks.clone();
                tasks.spawn("cic call", call::take(Arc::clone(&server), incoming));
            }
            Arrival::Registration(registration) => server.registrar.take(&server, registration),
        }
    }
}

/// Where a call comes from, as CIC knows it.
#[derive(Clone, Copy)]
enum Origin<'a> {
    /// By a line.
    Line(&'a Line),
    /// From a station, with the user who sits there.
    Station(&'a Station, Option<&'a User>),
}

/// One way to reach somebody: the address in the Request-URI, and the next hop.
struct Reach<'a> {
    uri: String,
    target: Target,
    line: &'a Line,
}

impl Server {
    /// Where a call comes from: a telephone of CIC's own, a softphone that registered, or a line.
    fn origin(&self, incoming: &Incoming) -> Option<Origin<'_>> {
        let from = incoming.peer_ip();
        let phone = self.phones.iter().find(|(_, phone)| phone.ua.address().ip() == from);
        let of_phone =
            |name: &String| self.config.stations.iter().find(|station| station.phone.as_ref() == Some(name));
        if let Some(station) = phone.and_then(|(name, _)| of_phone(name)) {
            return Some(self.at(station));
        }
        if let Some(line) = self.config.line_from(from) {
            return Some(Origin::Line(line));
        }
        let registered =
            self.registrar.name_at(SocketAddr::new(from, incoming.peer.port()), self.ua.clock().monotonic());
        let station = registered.and_then(|name| self.station_registered_as(&name));
        let contact = |station: &&Station| {
            let uri = match routing::contact(station) {
                Contact::Phone(uri) => uri,
                _ => return false,
            };
            uri_target(&uri, Transport::Udp).is_some_and(|target| target.address.ip() == from)
        };
        if let Some(station) = station.or_else(|| self.config.stations.iter().find(contact)) {
            return Some(self.at(station));
        }
        let stranger = self.config.lines.first().filter(|_| self.config.accept_unknown_peers);
        stranger.map(Origin::Line)
    }

    fn at<'a>(&'a self, station: &'a Station) -> Origin<'a> {
        Origin::Station(station, self.user_at(station))
    }

    /// Who sits at a station.
    fn user_at(&self, station: &Station) -> Option<&User> {
        self.config.users.iter().find(|user| user.default_station.as_ref() == Some(&station.name))
    }

    /// A softphone registers as its station, or as the extension of the user who sits there.
    fn station_registered_as(&self, name: &str) -> Option<&Station> {
        let user = || self.config.users.iter().find(|user| user.extension == name);
        self.config.station(name).or_else(|| self.config.station(user()?.default_station.as_deref()?))
    }

    /// The ways to a station, in order. Empty: it is not registered.
    fn reach(&self, station: &Station) -> Vec<Reach<'_>> {
        let Some(line) = self.config.line(&station.line) else { return Vec::new() };
        match routing::contact(station) {
            Contact::Number(number) => self.dial(line, &number),
            Contact::Phone(uri) => {
                let target = uri_target(&uri, line.transport);
                target.map(|target| Reach { uri, target, line }).into_iter().collect()
            }
            Contact::Own(name) => {
                let phone = self.phones.get(&name).map(|phone| phone.ua.address());
                let reach = |address| {
                    let target = Target { transport: line.transport, address };
                    let name = self.user_at(station).map_or(name.as_str(), |user| &user.extension);
                    let uri = number_uri(name, target).replace(";user=phone", "");
                    Reach { uri, target, line }
                };
                phone.map(reach).into_iter().collect()
            }
            Contact::Registered => {
                let now = self.ua.clock().monotonic();
                let extension = self.user_at(station).map(|user| user.extension.as_str());
                let names = [Some(station.name.as_str()), extension];
                let bound = names.into_iter().flatten().find_map(|name| self.registrar.find(name, now));
                bound.map(|(uri, target)| Reach { uri, target, line }).into_iter().collect()
            }
        }
    }

    /// The ways by which a line reaches a number, in order.
    fn dial<'a>(&self, line: &'a Line, number: &str) -> Vec<Reach<'a>> {
        let hops = line.next_hops();
        let far_end = line.remote.or(hops.first().copied());
        let Some(far_end) = far_end else { return Vec::new() };
        let at = Target { transport: line.transport, address: far_end };
        let uri = number_uri(&line.write_number(number), at);
        let reach =
            |address| Reach { uri: uri.clone(), target: Target { transport: line.transport, address }, line };
        hops.into_iter().map(reach).collect()
    }

    /// The number that a user's own calls show.
    fn shown_number(user: &User) -> &str {
        user.outbound_ani.as_ref().or(user.dids.first()).unwrap_or(&user.extension)
    }
}

impl Placer for Server {
    fn place(self: Arc<Self>, call: Place, conduct: Conduct) -> Result<(), PlaceError> {
        if self.config.user(&call.element).is_some() && !self.phones.contains_key(&call.element) {
            let tasks = self.element.world.life.tasks.clone();
            tasks.spawn("cic client call", held::from_client(self, call, conduct));
            return Ok(());
        }
        let Some(phone) = self.phones.get(&call.element) else {
            return Err(PlaceError::Element(call.element));
        };
        let station =
            self.config.stations.iter().find(|station| station.phone.as_ref() == Some(&call.element));
        let user = station.and_then(|station| self.user_at(station));
        let own = user.map_or(call.element.as_str(), |user| user.extension.as_str());
        let caller = if call.caller.is_empty() { own.to_owned() } else { call.caller.clone() };
        let line = station.and_then(|station| self.config.line(&station.line));
        let transport = line.map_or(Transport::Udp, |line| line.transport);
        let target = Target { transport, address: self.ua.address() };
        let from = format!("sip:{caller}@{}", self.ua.address());
        let uri = number_uri(&number::bare(&call.called), target).replace(";user=phone", "");
        phone::place(&phone.element, &phone.ua, call, conduct, move |voice: Voice, sdp: Bytes, _: &Place| {
            Invite {
                target,
                uri,
                display: String::new(),
                from,
                headers: Vec::new(),
                sdp,
                caller,
                why: "dialled".to_owned(),
                for_call_id: String::new(),
                voice: Some(voice),
            }
        });
        Ok(())
    }

    fn command_user(&self, user: &str, command: &Command) -> Result<bool, BehaveError> {
        match command {
            Command::Status(name) => match status::find(name) {
                Some(status) => Ok(self.agents.set_status(user, status)),
                None => Err(BehaveError::Kind(user.to_owned(), "CIC has no such status")),
            },
            Command::LoggedOn(on) => Ok(self.agents.set_logged_on(user, *on)),
            _ => Ok(false),
        }
    }
}
