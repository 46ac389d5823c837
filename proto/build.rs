//! Compiles the protocol definitions in pure Rust: no `protoc` is needed.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let files = [
        "tandem/routing/v1/routing.proto",
        "tandem/routing/v1/feed.proto",
        "tandem/station/v1/station.proto",
        "tandem/sim/v1/sim.proto",
    ];
    println!("cargo::rerun-if-changed={}", root.join("tandem").display());
    let set = protox::compile(files.map(|f| root.join(f)), [&root]).map_err(io::Error::other)?;
    fs::write(out.join("descriptors.bin"), prost::Message::encode_to_vec(&set))?;
    // Boxed, so that an event that carries none is small: many come in one message.
    tonic_prost_build::configure()
        .build_transport(true)
        .boxed(".tandem.routing.v1.CallEvent.made")
        .compile_fds(set)
}
