//! Station: the directory of each tenant, and its only writer.
//!
//! ```text
//! ImportDirectory ── read ──> entries ── plan (pure) ──> commits ──> store
//!                                          │ dry run: the same plan, no commit     │
//!                                          └──> answer                             v
//! GetUser, ListUsers, ResolveUser, WatchUsers <── cell's ViewFollower <── the log ─┘
//! ```
//!
//! Invariants:
//! - reads are answered from one snapshot of the view, and name its revision; the store is not read for them;
//! - what an import answers was computed by the same code whether it is applied or not;
//! - one import of a tenant writes at a time, in the whole cell: it holds a lease that the store checks in each
//!   commit, with the version of the policy that it planned by;
//! - a directory that the store has lost is written again from what a process remembers, before any import;
//! - an entry that cannot be taken changes nothing, and says where it is, which field, why, and what to do;
//! - fields that another side owns are changed by that side's import alone;
//! - a tenant that the caller may not see and one that does not exist are the same bytes;
//! - whatever a caller does, what is kept for it is bounded.

mod config;
mod counts;
mod grpc;
mod import;
mod order;
mod service;
mod share;
mod user;
mod watch;

pub use config::{Config, Limits};

use tandem_cell::Cell;
use tandem_proto::station::v1::directory_server::DirectoryServer;
use tandem_runtime::drain::Life;
use tandem_runtime::metrics::Metrics;
use tandem_runtime::serve::MESSAGE_BYTES_MAX;

/// The gRPC service `tandem.station.v1.Directory` of a process of this cell, ready for a server.
#[must_use]
pub fn build(life: &Life, cell: &Cell, config: &Config) -> DirectoryServer<grpc::Grpc> {
    build_telling(life, cell, config, &Metrics::default())
}

/// The same, and tells metrics of imports and watches.
#[must_use]
pub fn build_telling(
    life: &Life,
    cell: &Cell,
    config: &Config,
    metrics: &Metrics,
) -> DirectoryServer<grpc::Grpc> {
    let service = service::Service::new(cell.clone(), life.drain.clone(), config);
    service.tell(metrics);
    life.tasks
        .spawn("lost directories", import::write_again(service.clone(), cell.clone(), life.drain.clone()));
    DirectoryServer::new(grpc::Grpc::new(service)).max_decoding_message_size(MESSAGE_BYTES_MAX)
}
