//! The program: what it is asked to do, and what it says when that fails.

mod cli;

use std::process::ExitCode;

/// Every request allocates some forty times, on whichever thread takes it; the system's allocator made a sixth of its time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
