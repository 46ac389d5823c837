//! One Redis alone, which is permitted to keep what it acknowledges by itself.

use std::sync::Arc;
use std::time::Duration;

use tandem_faults::dice::Dice;
use tandem_faults::load::tenant;
use tandem_faults::record::Recorder;
use tandem_history::Disturbance;
use tandem_servers::Server;
use tandem_store::redis::Settings;

use crate::Plan;
use crate::round::{Done, Round};
use crate::table::Table;

#[derive(Clone, Copy)]
enum Kind {
    /// Killed, and started again.
    Restart,
    /// Killed, and started again with what it was a while ago.
    Restore,
    /// Stands still for longer than anybody waits.
    Stop,
}

const KINDS: [(&str, Kind); 3] =
    [("restart", Kind::Restart), ("restore", Kind::Restore), ("stop", Kind::Stop)];

pub(crate) async fn run(plan: Plan, table: Arc<Table>) {
    for (name, kind, seed) in plan.rounds("alone", &KINDS) {
        let mut server = match kind {
            Kind::Restore => Server::start(&["--appendonly", "no"]),
            // Synced each second only, it loses what it acknowledged while its disk was behind.
            Kind::Restart | Kind::Stop => Server::start(&["--appendonly", "yes", "--appendfsync", "always"]),
        };
        let settings = Settings { single: true, ..Settings::alone("127.0.0.1", server.port) };
        let tenants = vec![tenant("acme"), tenant("globex")];
        let judged = async {
            let mut round = Round::begin(settings, tenants, seed).await?;
            let recorder = Arc::clone(&round.recorder);
            let done = match kind {
                Kind::Restart => restart(&mut server, &recorder, &mut round.dice).await,
                Kind::Restore => restore(&mut server, &recorder, &mut round.dice).await,
                Kind::Stop => stop(&server, &recorder, &mut round.dice).await,
            };
            round.end().await;
            round.judge(done, vec![]).await
        };
        table.take(&name, seed, judged.await);
    }
}

async fn restart(server: &mut Server, recorder: &Recorder, dice: &mut Dice) -> Done {
    let from = recorder.now();
    server.kill();
    tokio::time::sleep(Duration::from_millis(dice.roll(1500))).await;
    server.again();
    Done::in_place("restart", recorder, from)
}

async fn stop(server: &Server, recorder: &Recorder, dice: &mut Dice) -> Done {
    let from = recorder.now();
    server.signal("STOP");
    tokio::time::sleep(Duration::from_millis(2000 + dice.roll(5000))).await;
    server.signal("CONT");
    Done::in_place("stop", recorder, from)
}

/// What was acknowledged since the copy may be lost, and a holder of before it be one again.
async fn restore(server: &mut Server, recorder: &Recorder, dice: &mut Dice) -> Done {
    const LONG: u64 = 60_000_000;
    let from = recorder.now();
    assert_eq!(server.cli(&["SAVE"]), "OK");
    let copy = std::fs::read(server.dir().join("dump.rdb")).unwrap();
    tokio::time::sleep(Duration::from_millis(300 + dice.roll(2000))).await;
    server.kill();
    std::fs::write(server.dir().join("dump.rdb"), copy).unwrap();
    server.again();
    let until = recorder.now();
    let disturbance = Disturbance { what: "restore".to_owned(), from, until, overlap: LONG, loses: true };
    Done::restored(disturbance)
}
