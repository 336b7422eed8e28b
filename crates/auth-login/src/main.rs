//! The program `auth-login`; the library of the same name says what it does.

use std::process::ExitCode;

use auth_login::{Args, COMMAND, Ended, run};
use clap::Parser as _;
use cli::exit::finish;
use cli::{core_dumps, log};

fn main() -> ExitCode {
    core_dumps::keep_out();
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended::Stopped(stop)) => {
            log::line(COMMAND, stop.line(args.slot));
            ExitCode::from(stop.exit_code())
        }
        Err(Ended::Failed(failure)) => finish(COMMAND, Err(failure)),
    }
}
