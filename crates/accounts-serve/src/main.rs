//! The program `accounts-serve`; the library of the same name says what it does.

use std::process::ExitCode;

use accounts_serve::{Args, COMMAND, run};
use clap::Parser as _;
use cli::core_dumps;
use cli::exit::finish;

fn main() -> ExitCode {
    core_dumps::keep_out();
    finish(COMMAND, run(&Args::parse()))
}
