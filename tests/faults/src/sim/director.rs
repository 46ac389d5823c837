//! What is done to the servers, and when.

use std::time::Duration;

use tandem_history::Disturbance;
use tokio::time::Instant;

use super::client::LATE;
use super::cloud::{Cloud, MAX_LAG};
use super::server::What;
use crate::dice::Dice;
use crate::load::Load;

/// The longest that it takes until a primary that is gone or cut off is noticed, milliseconds.
const DETECTION: u64 = 1500;

/// Does several faults, one after the other. What loses nothing and makes nobody a holder is no disturbance.
pub(crate) async fn direct(cloud: &Cloud, load: &Load, dice: &mut Dice) -> Vec<Disturbance> {
    let mut done = Vec::new();
    rest(dice, 300, 1500).await;
    for _ in 0..1 + dice.roll(4) {
        let from = load.recorder.now();
        let (what, overlap) = match dice.roll(12) {
            0..3 => ("the primary is killed", killed(cloud, dice).await),
            3..6 => ("the primary is cut off", cut_off(cloud, dice).await),
            6..8 => {
                cloud.set_down(true);
                rest(dice, 100, 4000).await;
                cloud.set_down(false);
                ("the primary stands still", 0)
            }
            8..10 => {
                cloud.set_lossy(10 + dice.roll(40));
                rest(dice, 500, 3000).await;
                cloud.set_lossy(2);
                ("networks lose", 0)
            }
            10 => {
                cloud.jump((dice.roll(7200) as i64 - 3600) * 1_000_000);
                ("the clock jumps", 0)
            }
            _ => {
                fast(cloud, load, dice).await;
                ("the clock is fast", 0)
            }
        };
        let until = load.recorder.now();
        done.push(Disturbance { what: what.to_owned(), from, until, overlap, loses: false });
        rest(dice, 200, 1500).await;
    }
    done
}

async fn rest(dice: &mut Dice, least: u64, most: u64) {
    tokio::time::sleep(Duration::from_millis(least + dice.roll(most - least))).await;
}

/// One replica is behind, and not always the one that is behind anyway.
fn hold_one_up(cloud: &Cloud, dice: &mut Dice) {
    cloud.hold_up(dice.roll(2) as usize, Instant::now() + Duration::from_millis(dice.roll(4000)));
}

/// Waits until the condition under which `Replicated` is kept holds again after the election before.
async fn until_spared(cloud: &Cloud) {
    while !cloud.can_spare_it() {
        tokio::time::sleep(Duration::from_millis(5)).await;
        cloud.replicate();
    }
}

async fn killed(cloud: &Cloud, dice: &mut Dice) -> u64 {
    hold_one_up(cloud, dice);
    rest(dice, 0, 1000).await;
    until_spared(cloud).await;
    cloud.set_down(true);
    rest(dice, 100, DETECTION).await;
    cloud.elect(false);
    0
}

/// Answers how long two holders may overlap: as long as the old primary goes on, and as long as a client takes to hear of
/// the new one.
async fn cut_off(cloud: &Cloud, dice: &mut Dice) -> u64 {
    hold_one_up(cloud, dice);
    rest(dice, 0, 1000).await;
    until_spared(cloud).await;
    cloud.elect(true);
    rest(dice, 500, 4000).await;
    cloud.heal();
    MAX_LAG.as_micros() as u64 + DETECTION * 1000
}

/// A quarter of an hour in seconds, which one follower does not see. Nothing is asked for or under way meanwhile: what
/// is done again within seconds is known again, and these are a quarter of an hour.
async fn fast(cloud: &Cloud, load: &Load, dice: &mut Dice) {
    let _quiet = load.quiet().await;
    tokio::time::sleep(LATE).await;
    cloud.set_blind(Some(1));
    for _ in 0..480 {
        cloud.jump(2_000_000);
        for shard in load.shards() {
            let epoch = cloud.state().epoch;
            // One that is not there is not swept.
            drop(cloud.ask(epoch, What::Sweep(shard)));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cloud.set_blind(None);
    rest(dice, 0, 1000).await;
}
