//! The program `agent-key`; the library of the same name says what it does.

use std::process::ExitCode;
use std::time::SystemTime;

use agent_key::{Args, COMMAND, run};
use clap::Parser as _;
use cli::core_dumps;
use cli::exit::finish;
use records::Timestamp;

fn main() -> ExitCode {
    core_dumps::keep_out();
    let args = Args::parse();
    finish(COMMAND, run(&args, Timestamp::from_system_time(SystemTime::now())))
}
