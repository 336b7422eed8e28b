//! The program `seed-codex-config`; the library of the same name says what it does.

use std::process::ExitCode;

use clap::Parser as _;
use cli::exit::finish;
use seed_codex_config::{Args, COMMAND, run};

fn main() -> ExitCode {
    finish(COMMAND, run(&Args::parse()))
}
