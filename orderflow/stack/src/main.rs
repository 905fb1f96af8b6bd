//! `orderflow-stack`: what `cargo xtask stack` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    orderflow_stack::command::main()
}
