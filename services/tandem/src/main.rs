//! The `tandem` command: it starts the services and shows what they say. It has no logic of its own.

mod process;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {}
