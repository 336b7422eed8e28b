//! One pass of the rotator: look at the logins, choose the one in use, publish it for LiteLLM, end.
//!
//! Run by hand, from a `CronJob`, or by `idle --every 30m --wake-on /chatgpt-auth/rotate-now -- rotate-once`.

mod args;
mod decide;
mod pass;
mod report;
mod world;

use std::process::ExitCode;

use auth_volume::exit::{Exit, Failure, finish};
use auth_volume::{Timestamp, log, secret};
use clap::Parser as _;

use crate::args::Args;
use crate::decide::decide;

/// The name in front of every log line.
const COMMAND: &str = "rotate-once";

fn main() -> ExitCode {
    secret::keep_out_of_core_dumps();
    finish(COMMAND, run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let volume = args.volume.open()?;
    let now = Timestamp::now();
    let plan = if args.dry_run {
        let reading = world::read(&volume, volume.signals()?)?;
        decide(&reading.world, args.policy(), now)
    } else {
        let locked = volume.lock()?;
        // The init container runs beside nobody who waits for an answer: signals are the rotator's.
        let signals = if args.init { Vec::new() } else { locked.take_signals(now)? };
        let reading = world::read(&volume, signals)?;
        let plan = decide(&reading.world, args.policy(), now);
        pass::carry_out(&locked, reading, &plan, args.access(), now, &|line| log::line(COMMAND, line))?;
        plan
    };
    if args.json {
        println!("{}", report::json(&plan, args.dry_run));
    } else if args.dry_run {
        print!("{}", report::text(&plan));
    }
    match plan.chosen {
        None if !args.init => Err(Failure::new(
            Exit::NoUsableAccount,
            report::nothing_chosen(&plan, args.policy().purpose, &volume),
        )),
        _ => Ok(()),
    }
}
