//! `tandem demo`: real calls over SIP, through Tandem and simulated systems, against what Tandem planned.
//!
//! ```text
//!  numbering ──┬──> tenant (policy, directory) ──> process::up ──> edges ──┐
//!              │                  └──> expect (plan)                       ├── calls ──> observe ──> compare ──> report
//!              └──> vendor (gateway, CIC, Lync) ──> simulators ────────────┘               plan ──────┘
//! ```
//!
//! Tandem's documents and the simulators' configurations are written independently and share addresses and numbers
//! only. What a call did is put together from what the simulators and the edge saw. A call that goes another way than
//! planned is shown, and the command fails.

mod compare;
mod expect;
mod house;
mod ladder;
mod numbering;
mod observe;
mod pcap;
mod report;
mod scene;
mod stage;
mod tenant;
mod vendor;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::try_join_all;
use futures::{StreamExt as _, TryStreamExt as _};
use tandem_runtime::clock::{Chance, Clock};
use tandem_runtime::drain::{Life, Phase, signals};
use tandem_runtime::exit::Exit;
use tandem_sim::World;

use crate::cli::Global;
use crate::show;

use numbering::{Block, Element, caller};
use observe::Recorder;
use pcap::Capture;
use scene::{CALLEES, Callee, Scene, Twist, Vendor};
use stage::{Outcome, Stage};

/// The row of the tour: the one with most to see.
const TOUR: Callee = scene::user(4);
/// Area codes of the callers: of the table, of the tour and single rows, with the WAN cut, of the controls.
const AREAS: [u16; 4] = [425, 509, 360, 253];
/// Scenes whose calls go on at once: all of them together are more than a busy machine bears.
const SCENES_AT_ONCE: usize = 4;
/// How long what runs may take to end.
const LEAVING: Duration = Duration::from_secs(3);

/// Watch real SIP calls take the way that each model and each inbound option prescribes.
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = "Without options: a tour of nine calls, one for each model and inbound option, as ladders, with \
    the reasons of every decision. With --all every row of the decision table, options 2 and 3 with Tandem's edge in \
    path and without; the WAN cut in local control; and two mistakes that must come out wrong.\n\n\
    Gateway, CIC and Lync are simulators with configurations of their own. Exit code 1: a call went another way than \
    planned, or a mistake did not come out wrong.\n\n\
    Examples:\n  \
    tandem demo\n  \
    tandem demo --all --pcap calls.pcap\n  \
    tandem demo --row 92 --output json\n  \
    tandem demo --row 3 --misconfigure lync"
)]
pub(crate) struct Args {
    /// Walk every row of the decision table that signalling can reach, one call each, and compare.
    #[arg(long, conflicts_with = "row")]
    all: bool,
    /// Walk one row of the decision table: 1 to 99.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=99))]
    row: Option<u8>,
    /// Write every packet to a file that Wireshark opens.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Set a simulator up wrong, to see that it is noticed.
    #[arg(long, value_name = "WHOSE", value_enum)]
    misconfigure: Option<Vendor>,
}

/// Runs the demonstration.
///
/// # Errors
/// When it cannot be set up. A call that went another way than planned is [`Exit::Failed`].
pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let life = Life::new();
        let mut signals = signals()?;
        let capture = args.pcap.as_deref().map(Capture::create).transpose()?;
        let mut ended = tokio::select! {
            ended = demonstrate(args, global, &life, capture.as_ref()) => ended,
            _interrupted = signals.next() => Ok(Exit::Failed),
        };
        if let Some(capture) = &capture {
            // Also of a demonstration that was interrupted or failed: that is when it is read.
            match capture.finish().context("--pcap") {
                Ok(packets) if !global.json() => show::line(&format!("{packets} packets written"))?,
                Ok(_) => {}
                Err(why) => ended = ended.and(Err(why)),
            }
        }
        life.shutdown.advance(Phase::Stopped);
        // What does not end by itself ends with the process.
        let _ = tokio::time::timeout(LEAVING, life.tasks.join()).await;
        ended
    })
}

async fn demonstrate(
    args: &Args,
    global: &Global,
    life: &Life,
    capture: Option<&Capture>,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let (clock, chance) = (Clock::machine(), Chance::machine());
    let block = Block::take(chance.u64() >> 1)?;
    let twist = args.misconfigure.map(Twist::Misconfigured);
    let scenes = chosen(args, &block, twist);
    let recorder = Recorder::default();
    let mut world = World::new(clock.clone(), chance.clone(), life.clone());
    if let Some(capture) = capture {
        let edges: Vec<_> =
            scenes.iter().map(|scene| std::net::IpAddr::V4(scene.net.ip(Element::Edge))).collect();
        world = world.observed_by(capture.observer(move |ip| edges.contains(&ip)));
    }
    let house = house::build(&scenes, &recorder, life, clock, chance).await?;
    if !global.json() {
        show::line(&format!(
            "Tandem runs; tenants: {}. Gateways, CIC and Lync are simulators, each element at its own address\n\
             in {}; nothing here was verified against a real CIC or Lync.{}",
            house.tenants,
            block.words(),
            if args.all { "" } else { report::LEGEND }
        ))?;
    }
    let stages: Vec<Stage> =
        scenes.iter().map(|scene| Stage::start(*scene, &world, &recorder)).collect::<anyhow::Result<_>>()?;
    let (outcomes, controls) = if args.all {
        (all(&stages).await?, controls(&block, &world, &recorder).await?)
    } else {
        let callee = args.row.map_or(TOUR, callee_of);
        (each(&stages, callee).await?, Vec::new())
    };
    let good = outcomes.iter().all(Outcome::as_planned) && controls.iter().all(came_out_wrong);
    print(args, global, &outcomes, &controls, began.elapsed())?;
    Ok(if good { Exit::Ok } else { Exit::Failed })
}

/// The scenes that are wanted: all, those of a row, or the nine of the tour.
fn chosen(args: &Args, block: &Block, twist: Option<Twist>) -> Vec<Scene> {
    let mut scenes = scene::table(block, twist);
    match args.row {
        Some(row) => scenes.retain(|scene| scene.row(callee_of(row)) == usize::from(row)),
        None if !args.all => scenes.retain(|scene| scene.edge),
        None => {}
    }
    scenes
}

/// Who is called in a row of the table.
fn callee_of(row: u8) -> Callee {
    CALLEES[usize::from(row - 1) % CALLEES.len()]
}

/// One call in each scene, all at once.
async fn each(stages: &[Stage], callee: Callee) -> anyhow::Result<Vec<Outcome>> {
    let calls = (0..).zip(stages).map(|(nth, stage)| stage.call(callee, caller(AREAS[1], nth), false));
    try_join_all(calls).await
}

/// Every row of every scene; and once more with the WAN cut, where there is one to cut.
async fn all(stages: &[Stage]) -> anyhow::Result<Vec<Outcome>> {
    let scenes = futures::stream::iter(stages.iter().map(scene)).buffer_unordered(SCENES_AT_ONCE);
    let mut outcomes: Vec<Outcome> = scenes.try_collect::<Vec<_>>().await?.into_iter().flatten().collect();
    // What stands beside each other in the table is read beside each other.
    outcomes.sort_by_key(|o| (o.wan_lost, o.scene.row(o.callee), !o.scene.edge));
    Ok(outcomes)
}

/// A scene's calls: users at once, then queues at once, for an agent on the phone gets no call of a queue.
async fn scene(stage: &Stage) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let area = if stage.scene.edge { AREAS[0] } else { AREAS[1] };
    for queue in [false, true] {
        let callees = CALLEES.iter().enumerate().filter(|(_, callee)| callee.queue == queue);
        let nth = |at: usize| u8::try_from((stage.scene.row(CALLEES[at]) - 1) % 99).unwrap_or(0);
        let calls = callees.map(|(at, callee)| stage.call(*callee, caller(area, nth(at)), false));
        outcomes.extend(try_join_all(calls).await?);
    }
    if stage.scene.wan {
        stage.cut_wan()?;
        let calls = (0..).zip(CALLEES).map(|(nth, callee)| stage.call(callee, caller(AREAS[2], nth), true));
        outcomes.extend(try_join_all(calls).await?);
    }
    Ok(outcomes)
}

/// The two scenes that must come out wrong.
async fn controls(block: &Block, world: &World, recorder: &Recorder) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for scene in scene::controls(block) {
        let stage = Stage::start(scene, world, recorder)?;
        let nth = u8::try_from(outcomes.len()).unwrap_or(0);
        outcomes.push(stage.call(scene::user(3), caller(AREAS[3], nth), false).await?);
    }
    Ok(outcomes)
}

/// Whether a control came out wrong in the way that the real systems would.
fn came_out_wrong(outcome: &Outcome) -> bool {
    let hops = outcome.observed.hops_words(false);
    match outcome.scene.twist {
        Some(Twist::NoSharedUsage) => hops == "GW > MED > FE" && outcome.observed.status == 404,
        Some(Twist::DidIsLineUri) => hops == "GW > MED > FE > LPH" && outcome.observed.status == 200,
        _ => false,
    }
}

fn print(
    args: &Args,
    global: &Global,
    outcomes: &[Outcome],
    controls: &[Outcome],
    took: Duration,
) -> anyhow::Result<()> {
    let off = outcomes.iter().filter(|outcome| !outcome.as_planned()).count();
    if global.json() {
        let json = |outcome| report::json(outcome);
        let value = serde_json::json!({
            "calls": outcomes.iter().map(json).collect::<Vec<_>>(),
            "controls": controls.iter().map(|outcome| {
                let mut value = report::json(outcome);
                value["cameOutWrongAsItMust"] = came_out_wrong(outcome).into();
                value
            }).collect::<Vec<_>>(),
            "notAsPlanned": off,
        });
        return show::line(&serde_json::to_string_pretty(&value)?);
    }
    let color = global.stdout().color;
    if args.all {
        show::line(&format!("\n{}", report::table(outcomes, color)))?;
        for control in controls {
            show::line(&format!("\n{}", report::control(control, came_out_wrong(control), color)))?;
        }
    } else {
        for outcome in outcomes {
            show::line(&format!("\n{}", report::call(outcome, color)))?;
        }
    }
    let calls = outcomes.len();
    show::line(&format!(
        "\n{calls} calls, {off} of them another way than planned; {:.1} s",
        took.as_secs_f64()
    ))
}
