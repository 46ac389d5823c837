//! A running simulator: its status, its calls, its behaviour, in the library and by gRPC (`tandem.sim.v1`).

use std::sync::Arc;

use tandem_proto::sim::v1 as proto;
use tandem_proto::sim::v1::simulator_server;
use tandem_runtime::listen;
use tonic::{Request, Response, Status};

use crate::World;
use crate::behaviour::{Behaviour, Command};
use crate::element::Member;
use crate::place::{Conduct, Ongoing, Place};
use crate::seen::Log;
use crate::settings::Settings;

/// Legs in one answer of `GetStatus`.
const STATUS_LEGS_MAX: usize = 1000;
/// Bytes of a name, number or word in a request.
const TEXT_MAX: usize = 256;
/// The longest that a call may ring or be held by request, in milliseconds: an hour.
const CALL_MS_MAX: u32 = 3_600_000;

/// Why a simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be had.
    #[error(transparent)]
    Listen(#[from] listen::Error),
    /// The configuration was not made by [`settings::load`](crate::settings::load) and does not hold together.
    #[error("{path}: {message}")]
    Settings {
        /// The field.
        path: String,
        /// What is wrong.
        message: String,
    },
}

/// Refuses a configuration that does not hold together.
pub(crate) fn require<T: Settings>(config: &T) -> Result<(), StartError> {
    match config.check().into_iter().next() {
        None => Ok(()),
        Some(finding) => Err(StartError::Settings { path: finding.path, message: finding.message }),
    }
}

/// Why a call cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Nothing of that name places calls.
    #[error("nothing named `{0}` places calls here")]
    Element(String),
    /// A caller on the PSTN has a number.
    #[error("caller: a caller on the PSTN needs a number, for example +12065550001")]
    Caller,
}

/// Why something cannot be asked of an element.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BehaveError {
    /// Nothing of that name is there.
    #[error("no element or user is named `{0}`")]
    Element(String),
    /// It is not one that this can be asked of.
    #[error("`{0}` cannot be told that: {1}")]
    Kind(String, &'static str),
}

/// What differs between simulators: who places calls, and who is told what.
pub(crate) trait Placer: Send + Sync + 'static {
    /// Begins a call; the rest goes on by itself.
    fn place(self: Arc<Self>, call: Place, conduct: Conduct) -> Result<(), PlaceError>;

    /// Asks something of a user. False: there is no such user.
    fn command_user(&self, _user: &str, _command: &Command) -> Result<bool, BehaveError> {
        Ok(false)
    }
}

/// A running simulator. Cheap to clone; it runs until the life of its world ends, whoever holds it.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

struct Inner {
    kind: &'static str,
    members: Vec<Member>,
    log: Log,
    world: World,
    placer: Arc<dyn Placer>,
}

impl Simulator {
    pub(crate) fn new(
        kind: &'static str,
        members: Vec<Member>,
        log: Log,
        world: &World,
        placer: Arc<dyn Placer>,
    ) -> Self {
        Self(Arc::new(Inner { kind, members, log, world: world.clone(), placer }))
    }

    /// What its elements are and saw: the last 1,000 legs, or those that `marker` finds (a word given to
    /// [`Place::marker`], or the caller's number).
    pub fn status(&self, marker: &str) -> proto::Status {
        proto::Status {
            kind: self.0.kind.to_owned(),
            elements: self.0.members.iter().map(Member::to_proto).collect(),
            calls: self.0.log.legs(marker, STATUS_LEGS_MAX),
        }
    }

    /// Where an element listens for SIP: what was chosen when its configuration says port 0.
    pub fn sip_address(&self, element: &str) -> Option<std::net::SocketAddr> {
        let member = self.0.members.iter().find(|member| member.element.name() == element)?;
        Some(member.ua.as_ref()?.address())
    }

    /// Places a call, which then goes on by itself.
    ///
    /// # Errors
    ///
    /// When nothing of that name places calls.
    pub fn place_call(&self, call: Place) -> Result<Ongoing, PlaceError> {
        if !call.marker.is_empty() {
            self.0.log.mark(&call.caller, &call.marker);
        }
        let (ongoing, conduct) = Ongoing::new();
        Arc::clone(&self.0.placer).place(call, conduct)?;
        Ok(ongoing)
    }

    /// Asks something of an element, of a CIC user or of the network, from now on. `element` empty: of every element.
    ///
    /// # Errors
    ///
    /// When there is no such element, or it cannot be told that.
    pub fn set_behaviour(&self, element: &str, command: &Command) -> Result<(), BehaveError> {
        match command {
            Command::WanCut(network) => self.0.world.wan.cut(*network),
            Command::WanRestored => self.0.world.wan.restore(),
            Command::Behave(behaviour) => {
                for member in self.named(element)? {
                    behave(member, *behaviour);
                }
            }
            Command::Answer => {
                for member in self.named(element)? {
                    member.element.tell_to_answer();
                }
            }
            Command::Status(_) | Command::LoggedOn(_) => {
                if !self.0.placer.command_user(element, command)? {
                    return Err(BehaveError::Element(element.to_owned()));
                }
            }
        }
        Ok(())
    }

    /// Forgets what was seen.
    pub fn reset(&self) {
        self.0.log.clear();
    }

    fn named(&self, element: &str) -> Result<Vec<&Member>, BehaveError> {
        let members = self.0.members.iter();
        let found: Vec<_> =
            members.filter(|member| element.is_empty() || member.element.name() == element).collect();
        if found.is_empty() { Err(BehaveError::Element(element.to_owned())) } else { Ok(found) }
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.members.iter().map(|member| member.element.name()).collect();
        f.debug_struct("Simulator").field("kind", &self.0.kind).field("elements", &names).finish()
    }
}

fn behave(member: &Member, behaviour: Behaviour) {
    member.element.behave(behaviour);
    if let Some(ua) = &member.ua {
        ua.set_down(behaviour == Behaviour::Down);
    }
}

/// `tandem.sim.v1.Simulator` of a running simulator.
#[derive(Clone, Debug)]
pub struct SimulatorService(Simulator);

impl SimulatorService {
    /// Answers for `simulator`.
    pub fn new(simulator: Simulator) -> Self {
        Self(simulator)
    }

    /// As a tonic server, to be added to a router.
    pub fn into_server(self) -> simulator_server::SimulatorServer<Self> {
        simulator_server::SimulatorServer::new(self)
    }
}

#[tonic::async_trait]
impl simulator_server::Simulator for SimulatorService {
    async fn get_status(
        &self,
        request: Request<proto::GetStatusRequest>,
    ) -> Result<Response<proto::Status>, Status> {
        let marker = request.into_inner().marker;
        short("marker", &marker)?;
        Ok(Response::new(self.0.status(&marker)))
    }

    async fn place_call(
        &self,
        request: Request<proto::PlaceCallRequest>,
    ) -> Result<Response<proto::PlacedCall>, Status> {
        let request = request.into_inner();
        for (field, text) in [
            ("element", &request.element),
            ("called", &request.called),
            ("caller", &request.caller),
            ("marker", &request.marker),
        ] {
            short(field, text)?;
        }
        if request.called.is_empty() {
            return Err(invalid("called: say what is dialled"));
        }
        for (field, ms) in [("hold_ms", request.hold_ms), ("ring_ms", request.ring_ms)] {
            if ms > CALL_MS_MAX {
                return Err(invalid(format!("{field}: at most {CALL_MS_MAX}")));
            }
        }
        let call = Place::from_proto(request);
        let ongoing = self.0.place_call(call).map_err(|error| invalid(error.to_string()))?;
        Ok(Response::new(ongoing.result().await.to_proto()))
    }

    async fn reset(&self, _: Request<proto::ResetRequest>) -> Result<Response<proto::ResetResponse>, Status> {
        self.0.reset();
        Ok(Response::new(proto::ResetResponse {}))
    }

    async fn set_behaviour(
        &self,
        request: Request<proto::SetBehaviourRequest>,
    ) -> Result<Response<proto::SetBehaviourResponse>, Status> {
        let request = request.into_inner();
        short("element", &request.element)?;
        short("behaviour", &request.behaviour)?;
        let command: Command =
            request.behaviour.parse().map_err(|error| invalid(format!("behaviour: {error}")))?;
        match self.0.set_behaviour(&request.element, &command) {
            Ok(()) => Ok(Response::new(proto::SetBehaviourResponse {})),
            Err(error @ BehaveError::Element(_)) => Err(tandem_runtime::serve::refusal(
                tonic::Code::NotFound,
                "ELEMENT_UNKNOWN",
                error.to_string(),
            )),
            Err(error) => Err(invalid(error.to_string())),
        }
    }
}

fn invalid(message: impl Into<String>) -> Status {
    tandem_runtime::serve::refusal(tonic::Code::InvalidArgument, "INVALID_REQUEST", message)
}

fn short(field: &str, text: &str) -> Result<(), Status> {
    if text.len() > TEXT_MAX { Err(invalid(format!("{field}: at most {TEXT_MAX} bytes"))) } else { Ok(()) }
}
