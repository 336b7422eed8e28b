//! One pass of the rotator: take the signals in, renew what is due, choose the account in use, publish it for
//! LiteLLM, end.
//!
//! Run by hand, from a `CronJob`, or by `idle --every 30m --wake-on /chatgpt-auth/rotate-now -- rotate-once`.

mod args;
mod event;
mod hook;
mod ledger;
mod matter;
mod patience;
mod receiver;
mod tell;

use std::cell::Cell;
use std::process::ExitCode;

use auth_volume::exit::{Exit, Failure, finish};
use auth_volume::output::say;
use auth_volume::{Locked, Timestamp, Volume, leftovers, log, secret, text};
use clap::Parser as _;
use rotation::decide::Plan;
use rotation::pass::{self, Pass, Wish};
use rotation::report;

use crate::args::Args;
use crate::receiver::Receiver;

/// The name in front of every log line.
const COMMAND: &str = "rotate-once";

fn main() -> ExitCode {
    secret::keep_out_of_core_dumps();
    let args = Args::parse();
    leftovers::sweep();
    let exit = finish(COMMAND, run(&args));
    tell_of_events(&args);
    exit
}

/// Last, without the lock, and whatever came of the pass: it is what the volume says then that is told.
fn tell_of_events(args: &Args) {
    if args.init || args.dry_run {
        return;
    }
    let receivers = Receiver::all(args);
    // A volume that is not there, the pass has named.
    if !receivers.is_empty()
        && let Ok(volume) = args.volume.open()
    {
        tell::tell(&receivers, &volume, args.wish().renew_before);
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    let volume = args.volume.open()?;
    let wish = args.wish();
    let plan = if args.dry_run { look(args, &volume, wish)? } else { pass(args, &volume, wish)? };
    match plan.chosen {
        None if !args.init => {
            Err(Failure::new(Exit::NoUsableAccount, report::nothing_chosen(&plan, args.to, &volume)))
        }
        _ => Ok(()),
    }
}

fn look(args: &Args, volume: &Volume, wish: Wish) -> Result<Plan, Failure> {
    let (world, outlook, plan) = pass::look(volume, wish, Timestamp::now())?;
    let events = tell::foresee(&Receiver::all(args), volume, &world, wish.renew_before);
    if args.json {
        let mut document = report::json(&plan, true);
        document["events"] = events.into_iter().map(|(_, event)| event.document).collect();
        say(&format!("{document}\n"))?;
    } else {
        let events: String = events.iter().map(|(line, _)| text::line(line) + "\n").collect();
        say(&(report::text(&plan, &outlook) + &events))?;
    }
    Ok(plan)
}

fn pass(args: &Args, volume: &Volume, wish: Wish) -> Result<Plan, Failure> {
    let log = |line| log::line(COMMAND, line);
    // A pass serves several times, and says once what is wrong with its mark.
    let is_said = Cell::new(false);
    // The init container runs before anybody who waits for an answer, and is not the rotator.
    let served = |locked: &Locked<'_>| {
        if !args.init
            && let Err(e) = locked.end_pass()
            && !is_said.replace(true)
        {
            log(e.to_string());
        }
    };
    let plan = Pass { volume, wish, log: &log, served: &served }.run()?;
    if args.json {
        say(&format!("{}\n", report::json(&plan, false)))?;
    }
    Ok(plan)
}
