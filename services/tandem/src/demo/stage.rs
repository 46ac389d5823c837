//! A scene that runs: its simulators, and calls through them.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tandem_domain::routing::plan::Plan;
use tandem_sim::behaviour::Command;
use tandem_sim::cic::Cic;
use tandem_sim::gateway::Gateway;
use tandem_sim::lync::Lync;
use tandem_sim::{Ongoing, Place, Simulator, World};

use super::compare::{Column, columns, heard_out};
use super::expect::Prediction;
use super::numbering::Element;
use super::observe::{Observed, Recorder, Seen};
use super::scene::{Callee, First, Scene};
use super::vendor;

/// How long a call is held at most. Longer than an agent takes who is offered it.
const HOLD: Duration = Duration::from_secs(30);
/// So long without a new leg, answer or packet: all that was to happen has happened. Longer than SIP's T1, so that a
/// request which a busy machine has lost is sent again in time.
const QUIET: Duration = Duration::from_millis(700);
/// How long a call may ring: longer than any survivable rule waits.
const RING: Duration = Duration::from_secs(60);
/// How long the last leg of a call that was hung up may live: longer than SIP sends a BYE again.
const ENDING: Duration = Duration::from_secs(60);
/// Between two looks at whether a call is over.
const LOOK: Duration = Duration::from_millis(10);

/// The simulators of a scene.
pub(crate) struct Stage {
    pub(crate) scene: Scene,
    prediction: Prediction,
    gateway: Simulator,
    cic: Simulator,
    lync: Simulator,
    world: World,
    recorder: Recorder,
}

/// What became of a call, and what should have.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) scene: Scene,
    pub(crate) callee: Callee,
    pub(crate) wan_lost: bool,
    pub(crate) caller: String,
    pub(crate) observed: Observed,
    pub(crate) plan: Plan,
    pub(crate) columns: Vec<Column>,
}

impl Outcome {
    /// Whether the call went as planned.
    pub(crate) fn as_planned(&self) -> bool {
        self.columns.iter().all(|column| column.same)
    }

    /// Whether the table's word for the edge is PX.
    pub(crate) fn proxy(&self) -> bool {
        self.scene.first == First::Proxy
    }
}

impl Stage {
    /// Starts the simulators of a scene.
    ///
    /// # Errors
    /// When an address cannot be had.
    pub(crate) fn start(scene: Scene, world: &World, recorder: &Recorder) -> anyhow::Result<Self> {
        let why = || format!("the simulators of {}", scene.name());
        Ok(Self {
            prediction: Prediction::of(&scene)?,
            gateway: Gateway::start(vendor::gateway(&scene)?, world).with_context(why)?,
            cic: Cic::start(vendor::cic(&scene)?, world).with_context(why)?,
            lync: Lync::start(vendor::lync(&scene)?, world).with_context(why)?,
            world: world.clone(),
            recorder: recorder.clone(),
            scene,
        })
    }

    /// Calls somebody, and tells what was seen and what was planned.
    ///
    /// # Errors
    /// When the call cannot be placed, or its legs do not end.
    pub(crate) async fn call(
        &self,
        callee: Callee,
        caller: String,
        wan_lost: bool,
    ) -> anyhow::Result<Outcome> {
        let call =
            Place { caller: caller.clone(), hold: None, ring: RING, ..Place::new("GW", &callee.number()) };
        let mut call = self.gateway.place_call(call)?;
        if call.answered().await {
            self.settled(&call, callee, &caller).await;
            call.hang_up();
        }
        call.result().await;
        let observed = self.over(&caller).await?;
        let plan = self.prediction.plan(callee, wan_lost);
        let columns = columns(&observed, &plan, &self.scene, callee);
        Ok(Outcome { scene: self.scene, callee, wan_lost, caller, observed, plan, columns })
    }

    /// What is seen of a caller's call now.
    fn seen(&self, caller: &str) -> Seen<'_> {
        let edge = IpAddr::V4(self.scene.net.ip(Element::Edge));
        let statuses = [&self.gateway, &self.cic, &self.lync].map(|s| s.status(caller)).to_vec();
        Seen::new(statuses, edge, &self.recorder)
    }

    /// Waits until somebody has picked up, nothing has happened any more for a while (audio that is moved after the
    /// answer has arrived), and all that was said is heard. A caller who has said all to the music of a queue is told
    /// to speak again. A call that only a system answers is held until [`HOLD`] is over.
    async fn settled(&self, call: &Ongoing, callee: Callee, caller: &str) {
        let clock = &self.world.clock;
        let deadline = clock.monotonic() + HOLD;
        let mut last = (clock.monotonic(), (0, 0, 0));
        while clock.monotonic() < deadline {
            let seen = self.seen(caller);
            let (now, progress) = (clock.monotonic(), seen.progress());
            if progress != last.1 {
                last = (now, progress);
            } else if seen.is_picked_up() && now.saturating_sub(last.0) > QUIET {
                if heard_out(&seen.observed().media, callee) {
                    return;
                }
                if callee.queue {
                    call.speak();
                    last.0 = now;
                }
            }
            clock.sleep(LOOK).await;
        }
    }

    /// What was seen of a caller's call, once every leg has ended.
    async fn over(&self, caller: &str) -> anyhow::Result<Observed> {
        let clock = &self.world.clock;
        let deadline = clock.monotonic() + ENDING;
        loop {
            let seen = self.seen(caller);
            if seen.is_over() {
                return Ok(seen.observed());
            }
            if clock.monotonic() > deadline {
                bail!("a call of {} from {caller} was hung up, but a leg of it lives on", self.scene.name());
            }
            clock.sleep(LOOK).await;
        }
    }

    /// Loses the WAN: the cloud of this scene is cut off from everything else.
    ///
    /// # Errors
    /// When the simulators do not know such a network.
    pub(crate) fn cut_wan(&self) -> anyhow::Result<()> {
        let command: Command = format!("wan-cut:{}", self.scene.net.cloud()).parse()?;
        Ok(self.gateway.set_behaviour("", &command)?)
    }
}
