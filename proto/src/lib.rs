//! The protocol definitions of Tandem and what is generated from them, no more.
//!
//! One package a service, each with its version: `tandem.routing.v1`, `tandem.station.v1`, `tandem.sim.v1`.
//! The definitions themselves, with their comments, are in `proto/tandem`.

#![allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    unreachable_pub,
    reason = "generated from the definitions, which carry the words"
)]

/// Which way each call goes, and the feed to edges.
pub mod routing {
    pub mod v1 {
        tonic::include_proto!("tandem.routing.v1");
    }
}

/// The directory, and who sits where.
pub mod station {
    pub mod v1 {
        tonic::include_proto!("tandem.station.v1");
    }
}

/// What simulators saw.
pub mod sim {
    pub mod v1 {
        tonic::include_proto!("tandem.sim.v1");
    }
}

/// All definitions as an encoded `FileDescriptorSet`, for reflection and for tests that walk every RPC.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
