//! Routing: which way each call goes, why, and the feed that lets edges decide the same by themselves.
//!
//! ```text
//! store ──> cell's ViewFollower ──┬──> RouteCall, RouteCalls, ExplainCall ──> decisions kept in a ring ────┐
//!                                 └──> EdgeFeed <──> edges ──> what they decided, each with its share ──┴──> ListDecisions
//! ```
//!
//! Invariants:
//! - an answer is computed from one snapshot of the view, and names its revision; nothing is read from the store
//!   and nothing is written for a decision;
//! - a rejection is a successful reply; an error means that it could not be decided;
//! - a tenant that the caller may not see and one that does not exist are the same bytes;
//! - whatever a caller or an edge does, what waits for it is bounded.

mod config;
mod counts;
mod fact;
mod feed;
mod grpc;
mod listing;
mod ring;
mod route;
mod service;
mod stream;
mod told;

pub use config::Config;
pub use feed::{EdgeStatus, Edges};

use std::sync::Arc;
use tandem_cell::Cell;

use tandem_proto::routing::v1::edge_feed_server::EdgeFeedServer;
use tandem_proto::routing::v1::routing_server::RoutingServer;
use tandem_runtime::drain::Life;
use tandem_runtime::serve::{MESSAGE_BYTES_MAX, Server};
use tandem_wire::limits::FEED_BYTES_MAX;

/// The gRPC services of routing, ready for a server.
pub struct Services {
    /// `tandem.routing.v1.Routing`.
    routing: RoutingServer<grpc::Grpc>,
    /// Its `RouteCall` and `RouteCalls`, answered from bytes.
    bytes: Arc<service::Service>,
    /// `tandem.routing.v1.EdgeFeed`.
    feed: EdgeFeedServer<feed::Feed>,
    /// The edges that follow the feed now.
    pub edges: Edges,
}

/// Makes the services of a process of this cell.
#[must_use]
pub fn build(life: &Life, cell: &Cell, config: &Config) -> Services {
    let service = service::Service::new(cell.clone(), config);
    let edges = Edges::new(config.edges_max);
    let feed = feed::Feed::new(life.clone(), cell.clone(), edges.clone(), service.clone());
    Services {
        routing: RoutingServer::new(grpc::Grpc::new(service.clone()))
            .max_decoding_message_size(MESSAGE_BYTES_MAX),
        bytes: Arc::new(service),
        feed: EdgeFeedServer::new(feed).max_decoding_message_size(FEED_BYTES_MAX),
        edges,
    }
}

impl Services {
    /// Puts them on a server.
    pub fn serve(self, server: Server) -> Server {
        server
            .service(self.routing)
            .lean("/tandem.routing.v1.Routing/RouteCall", self.bytes.clone())
            .streamed("/tandem.routing.v1.Routing/RouteCalls", self.bytes)
            .service(self.feed)
    }
}
