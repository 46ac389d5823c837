//! What is counted and told of commits.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod servers;

use std::sync::{Arc, Mutex};

use servers::rig::{local, put, world};
use tandem_servers::on::On;
use tandem_store::{Cause, Precondition};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Keeps what spans named `commit` say.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Visit for Heard {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{field}={value:?}"));
    }
}

impl<S: tracing::Subscriber> Layer<S> for Heard {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "commit" {
            attributes.record(&mut self.clone());
        }
    }

    fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
        values.record(&mut self.clone());
    }
}

#[tokio::test]
async fn every_commit_is_counted_by_how_it_ended_and_has_a_span_that_says_it() {
    let heard = Heard::default();
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(heard.clone()));
    for on in [On::Embedded, On::Redis] {
        let backing = on.start();
        let store = backing.open(world()).await.unwrap();
        heard.0.lock().unwrap().clear();
        let shard = tandem_store::Shard::of(&servers::rig::acme()).0;
        let one = local(vec![], vec![put("a", "1")]);
        store.commit(one).await.unwrap();
        let absent = Precondition::Absent(servers::rig::key("a"));
        store.commit(local(vec![absent], vec![put("a", "2")])).await.unwrap();
        store.commit(local(vec![], vec![])).await.unwrap_err();
        store.stage(&servers::rig::acme(), 1, 0, vec![put("b", "1")]).await.unwrap();
        store.turn_over(local(vec![], vec![]), 1, 1).await.unwrap();
        let outcomes = store.counts().outcomes();
        let expected =
            [("committed", 2), ("refused", 1), ("indeterminate", 0), ("unavailable", 0), ("invalid", 1)];
        assert_eq!(outcomes, expected, "{on:?}");
        let (sum, buckets) = store.counts().took();
        assert!(sum > 0.0 && buckets.iter().map(|(_, n)| n).sum::<u64>() == 4, "{buckets:?}");
        let said = heard.0.lock().unwrap().join(" ");
        for outcome in ["committed", "refused", "invalid"] {
            let words = format!("shard={shard} outcome=\"{outcome}\"");
            assert!(said.contains(&words), "{words}: {said}");
        }
        store.counts().resync(Cause::Compacted);
        assert_eq!(store.counts().resyncs(), [("compacted", 1), ("diverged", 0)]);
    }
}
