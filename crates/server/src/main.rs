//! The program `plasma`.

use std::process::ExitCode;

fn main() -> ExitCode {
    plasma_server::run()
}
