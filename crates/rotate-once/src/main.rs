//! The program `rotate-once`; the library of the same name says what it does.

use std::process::ExitCode;

use auth_volume::leftovers;
use clap::Parser as _;
use cli::core_dumps;
use cli::exit::finish;
use rotate_once::{Args, COMMAND, notify, poll, run};

fn main() -> ExitCode {
    core_dumps::keep_out();
    let args = Args::parse();
    leftovers::sweep();
    let exit = finish(COMMAND, run(&args));
    poll(&args);
    notify(&args);
    exit
}
