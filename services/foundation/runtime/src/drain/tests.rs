use std::sync::atomic::{AtomicBool, Ordering};

use futures::stream;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;

use super::*;

const GRACE: Grace = Grace { pause: Duration::from_secs(2), drain: Duration::from_secs(20) };

fn signal_line() -> (mpsc::Sender<Signal>, ReceiverStream<Signal>) {
    let (tx, rx) = mpsc::channel(2);
    (tx, ReceiverStream::new(rx))
}

#[test]
fn a_phase_never_goes_back() {
    let (shutdown, drain) = Shutdown::new();
    shutdown.advance(Phase::Draining);
    shutdown.advance(Phase::Running);
    assert_eq!(drain.phase(), Phase::Draining);
}

#[tokio::test(start_paused = true)]
async fn a_signal_leaves_in_order_and_waits_for_what_runs() {
    let (signal, signals) = signal_line();
    let (phases_tx, mut phases) = mpsc::channel(8);
    let began = tokio::time::Instant::now();
    let ended = run(GRACE, signals, async |life| {
        let drain = life.drain.clone();
        life.tasks.critical("server", async move {
            for phase in [Phase::Running, Phase::Leaving, Phase::Draining] {
                drain.reached(phase).await;
                phases_tx.send((phase, began.elapsed().as_secs())).await?;
            }
            tokio::time::sleep(Duration::from_secs(5)).await;
            anyhow::Ok(())
        });
        signal.send(Signal::Terminate).await?;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(ended, Ended::Drained);
    let mut seen = Vec::new();
    while let Some(phase) = phases.recv().await {
        seen.push(phase);
    }
    assert_eq!(seen, [(Phase::Running, 0), (Phase::Leaving, 0), (Phase::Draining, 2)]);
    assert_eq!(began.elapsed().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_outlives_the_deadline_is_cut_and_joined() {
    let (_signal, signals) = signal_line();
    let dropped = Arc::new(AtomicBool::new(false));
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let guard = OnDrop(dropped.clone());
    let began = tokio::time::Instant::now();
    let ended = run(GRACE, signals, async |life| {
        life.tasks.spawn("deaf", async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        life.shutdown.leave();
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(ended, Ended::Cut);
    assert_eq!(began.elapsed(), GRACE.pause + GRACE.drain + LAST_WORDS);
    assert!(dropped.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn what_ends_at_the_word_of_the_end_is_not_cut_half_way() {
    let (_signal, signals) = signal_line();
    let done = Arc::new(AtomicBool::new(false));
    let struck_off = Arc::clone(&done);
    run(GRACE, signals, async |life| {
        let drain = life.drain.clone();
        life.tasks.spawn("registration", async move {
            drain.stopped().await;
            tokio::time::sleep(LAST_WORDS / 2).await;
            struck_off.store(true, Ordering::SeqCst);
        });
        life.tasks.spawn("deaf", std::future::pending());
        life.shutdown.leave();
        Ok(())
    })
    .await
    .unwrap();
    assert!(done.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_leaves_at_once() {
    let (signal, signals) = signal_line();
    let began = tokio::time::Instant::now();
    let ended = run(GRACE, signals, async |life| {
        life.tasks.spawn("deaf", std::future::pending());
        signal.send(Signal::Interrupt).await?;
        signal.send(Signal::Interrupt).await?;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!((ended, began.elapsed()), (Ended::Cut, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_signal_during_the_build_ends_it() {
    let (signal, signals) = signal_line();
    signal.send(Signal::Terminate).await.unwrap();
    let ended = run(Grace::DESK, signals, async |_| std::future::pending().await).await.unwrap();
    assert_eq!(ended, Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_failed_build_is_returned_and_its_tasks_are_gone() {
    let (alive, gone) = oneshot::channel::<()>();
    let error = run(GRACE, stream::pending(), async |life| {
        life.tasks.spawn("half built", async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        anyhow::bail!("no disk")
    })
    .await
    .unwrap_err();
    assert_eq!(format!("{:#}", anyhow::Error::from(error)), "cannot start: no disk");
    assert!(gone.await.is_err());
}

/// How a critical task ends, and what the process says of it.
async fn check_failure(task: impl Future<Output = anyhow::Result<()>> + Send + 'static, expected: &str) {
    let began = tokio::time::Instant::now();
    let error = run(GRACE, stream::pending(), async |life| {
        life.tasks.critical("follower", task);
        Ok(())
    })
    .await
    .unwrap_err();
    assert_eq!(format!("{:#}", anyhow::Error::from(error)), expected);
    // Nobody is served by a pause once something vital is gone.
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_critical_task_that_ends_early_ends_the_process_with_its_error() {
    check_failure(async { anyhow::bail!("log lost") }, "task `follower` failed: log lost").await;
    check_failure(async { Ok(()) }, "task `follower` ended early").await;
    check_failure(async { panic!("bug") }, "task `follower` panicked").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_any_other_task_does_not() {
    let (signal, signals) = signal_line();
    let ended = run(Grace::DESK, signals, async |life| {
        let handle = life.tasks.spawn("clumsy", async { panic!("bug") });
        while !handle.is_finished() {
            tokio::task::yield_now().await;
        }
        signal.send(Signal::Terminate).await?;
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(ended, Ended::Drained);
}

#[tokio::test]
async fn tasks_are_listed_by_name_while_they_live() {
    let life = Life::new();
    let (end, ended) = oneshot::channel::<()>();
    life.tasks.spawn("b", std::future::pending());
    let task = life.tasks.spawn("a", async move {
        let _ = ended.await;
    });
    assert_eq!(life.tasks.living(), ["a", "b"]);
    end.send(()).unwrap();
    while !task.is_finished() {
        tokio::task::yield_now().await;
    }
    assert_eq!(life.tasks.join().await, ["b"]);
    assert_eq!(life.tasks.living(), [""; 0]);
}
