//! The program `lane-follower`; the library of the same name says what it does.

use std::process::ExitCode;

use clap::Parser as _;
use cli::core_dumps;
use cli::exit::finish;
use lane_follower::{Args, COMMAND, run};

fn main() -> ExitCode {
    core_dumps::keep_out();
    finish(COMMAND, run(&Args::parse()))
}
