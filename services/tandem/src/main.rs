//! The `tandem` command: it starts the services and shows what they say. It has no logic of its own.

mod backup;
mod cli;
mod demo;
mod examples;
mod failure;
mod process;
mod serve;
mod show;
mod up;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::main().into()
}
