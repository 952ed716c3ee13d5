//! The program `plasma`.

use std::process::ExitCode;

/// Several times quicker than glibc's for what a server does: small pieces that one thread makes and another frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    plasma_server::run()
}
