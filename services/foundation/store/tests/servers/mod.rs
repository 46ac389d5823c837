//! Real servers, and words for requests to a store on them.

#![allow(dead_code, unused_imports, reason = "each test file uses what it needs")]

pub(crate) mod rig;

pub(crate) use tandem_servers::{Server, cli, cluster, free_port, proxy, sentinel};
