//! The program `accounts`; the library of the same name says what it does.

use std::process::ExitCode;

use accounts::{Args, COMMAND, run};
use auth_volume::leftovers;
use clap::Parser as _;
use cli::core_dumps;
use cli::exit::finish;

fn main() -> ExitCode {
    core_dumps::keep_out();
    let args = Args::parse();
    let verb = args.verb().unwrap_or_else(|e| e.exit());
    leftovers::sweep();
    finish(COMMAND, run(&args, verb))
}
