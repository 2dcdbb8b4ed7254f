//! The binary `tcpress`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tracer::cli::main()
}
