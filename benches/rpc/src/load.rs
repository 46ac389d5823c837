//! The load: so many requests in flight, for so long, answers counted and looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tandem_proto::routing::v1 as pb;
use tandem_proto::routing::v1::routing_client::RoutingClient;
use tokio_stream::StreamExt as _;
use tonic::transport::Channel;

use crate::{CONNECTIONS, IN_FLIGHT, Result};

/// The next call: tenants and numbers change from call to call, so that nothing stays in a cache by chance.
pub fn request(at: u64, tenants: usize, numbers: usize) -> pb::RouteCallRequest {
    let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (tenant, number) = ((mixed >> 33) % tenants as u64, (mixed >> 13) % numbers as u64);
    let attempt = pb::CallAttempt {
        ingress: Some(pb::call_attempt::Ingress::Trunk("gateway".into())),
        called: crate::server::number(number),
        caller: "+4989123456".into(),
        call_id: "f81d4fae-7dec-11d0@gw".into(),
        ..pb::CallAttempt::default()
    };
    let parent = format!("tenants/t{tenant}");
    pb::RouteCallRequest { parent, attempt: Some(attempt), tag: at, ..Default::default() }
}

pub async fn run(address: &str, stream: bool, tenants: usize, numbers: usize, time: Duration) -> Result<u64> {
    let done = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + time;
    let mut tasks = Vec::new();
    for connection in 0..CONNECTIONS {
        let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
        for flight in 0..IN_FLIGHT {
            let (client, done) = (RoutingClient::new(channel.clone()), Arc::clone(&done));
            let seed = ((connection * IN_FLIGHT + flight) as u64) << 32;
            if stream && flight > 0 {
                continue;
            }
            tasks.push(async move {
                if stream {
                    streaming(client, seed, tenants, numbers, end, &done).await
                } else {
                    unary(client, seed, tenants, numbers, end, &done).await
                }
            });
        }
    }
    try_join_all(tasks).await?;
    Ok(done.load(Ordering::Relaxed))
}

fn check(decision: &pb::Decision) -> Result<()> {
    match &decision.outcome {
        Some(pb::decision::Outcome::Route(route)) if !route.targets.is_empty() => Ok(()),
        other => Err(format!("not routed: {other:?}").into()),
    }
}

async fn unary(
    mut client: RoutingClient<Channel>,
    seed: u64,
    tenants: usize,
    numbers: usize,
    end: Instant,
    done: &AtomicU64,
) -> Result<()> {
    let mut at = seed;
    while Instant::now() < end {
        at += 1;
        let decision = client.route_call(request(at, tenants, numbers)).await?.into_inner();
        check(&decision)?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// As many in flight on one stream as unary has on a connection: an answer lets the next request go.
async fn streaming(
    mut client: RoutingClient<Channel>,
    seed: u64,
    tenants: usize,
    numbers: usize,
    end: Instant,
    done: &AtomicU64,
) -> Result<()> {
    let (out, requests) = tokio::sync::mpsc::channel(IN_FLIGHT);
    for at in 0..IN_FLIGHT as u64 {
        out.send(request(seed + at, tenants, numbers)).await?;
    }
    let mut answers =
        client.route_calls(tokio_stream::wrappers::ReceiverStream::new(requests)).await?.into_inner();
    let mut at = seed + IN_FLIGHT as u64;
    let mut out = Some(out);
    while let Some(answer) = answers.next().await {
        match answer?.result {
            Some(pb::route_calls_response::Result::Decision(decision)) => check(&decision)?,
            other => return Err(format!("not decided: {other:?}").into()),
        }
        done.fetch_add(1, Ordering::Relaxed);
        at += 1;
        if Instant::now() >= end {
            out = None;
        }
        if let Some(out) = &out {
            out.send(request(at, tenants, numbers)).await?;
        }
    }
    Ok(())
}
