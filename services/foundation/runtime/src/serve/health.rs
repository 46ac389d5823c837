//! `grpc.health.v1`: what the world is told of us.
//!
//! One status for each service and one, under the empty name, for the process. All start NOT_SERVING. Readiness
//! means: the view was synchronised once, and the process is not leaving; it never depends on the store being
//! reachable now, for all replicas lose it together and a service without endpoints would make an outage of it.

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::drain::Life;

/// The handle that sets the health. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health {
    reporter: HealthReporter,
    names: &'static [&'static str],
    life: Life,
}

impl Health {
    /// Health of the process and of the services named (fully qualified, as in `tandem.routing.v1.RoutingService`),
    /// all NOT_SERVING. Once the process leaves, all are set so again and stay so.
    pub async fn new(life: &Life, names: &'static [&'static str]) -> Self {
        let health = Self { reporter: HealthReporter::new(), names, life: life.clone() };
        health.set_all(ServingStatus::NotServing).await;
        let (leaving, drain) = (health.clone(), life.drain.clone());
        life.tasks.spawn("health", async move {
            drain.leaving().await;
            leaving.set_all(ServingStatus::NotServing).await;
        });
        health
    }

    /// Sets one service's status. Ignored once the process leaves.
    pub async fn set(&self, name: &str, serving: bool) {
        let status =
            if serving && !self.is_leaving() { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(name, status).await;
        // The process may have begun to leave between the look and the write.
        if serving && self.is_leaving() {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    }

    /// Sets all services and the process SERVING: what a build does last.
    pub async fn ready(&self) {
        for name in self.names {
            self.set(name, true).await;
        }
        self.set("", true).await;
    }

    fn is_leaving(&self) -> bool {
        self.life.drain.phase() >= crate::drain::Phase::Leaving
    }

    async fn set_all(&self, status: ServingStatus) {
        for name in self.names.iter().chain(&[""]) {
            self.reporter.set_service_status(*name, status).await;
        }
    }

    pub(super) fn server(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }
}
