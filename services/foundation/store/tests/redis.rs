//! The suite against a real Redis.

#![allow(clippy::unwrap_used, reason = "a test")]

mod servers;

use std::sync::Arc;

use servers::Server;
use tandem_store::Backend;
use tandem_store::conformance::{self, Keeps, Opts};
use tandem_store::redis::{Redis, Settings, Time};

/// How a case opens its store: under a prefix of its own, on its own clock.
fn settings(port: u16, name: &str) -> Settings {
    Settings {
        prefix: name.to_owned(),
        single: true,
        time: Time::World,
        ..Settings::alone("127.0.0.1", port)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_passes_the_suite() {
    let server = Server::start(&["--appendonly", "no"]);
    let port = server.port;
    let open = move |opts: Opts| -> conformance::Opening {
        Box::pin(async move {
            let redis = Redis::open(settings(port, &opts.name), opts.world);
            redis.check().await.unwrap();
            Arc::new(redis) as Arc<dyn Backend>
        })
    };
    conformance::run(Keeps::AfterClose, open).await;
}
