//! One pass of the rotator: reads the signals, chooses an account, publishes its record for LiteLLM, refreshes what is
//! due, and ends.
//!
//! Run by hand, from a `CronJob`, or by `idle --every 30m --wake-on /chatgpt-auth/rotate-now -- rotate-once`.

mod args;
mod command;
mod condition;
mod deadline;
mod digest;
mod event;
mod ledger;
mod notified_file;
mod notify;
mod receiver;

use std::cell::Cell;

use auth_volume::{Locked, Volume, clock};
use cli::exit::{Exit, Failure};
use cli::log;
use cli::output::say;
use judgement::plan::Plan;
use judgement::policy::PassOptions;
use judgement::report;
use records::text;
use rotation::pass::Pass;
use rotation::polling;
use rotation::rotate::{self, rotate};

use crate::receiver::Receiver;

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "rotate-once";

/// Makes the pass; or with `--dry-run` prints what it would do, or with `--digest` only leaves the page's digest.
///
/// # Errors
/// The volume cannot be read or written, another process holds its lock, or no account is usable.
pub fn run(args: &Args) -> Result<(), Failure> {
    if let Some(directory) = &args.digest.directory {
        return digest::leave(args, directory);
    }
    let volume = Volume::at(args.volume.directories())?;
    let options = args.options();
    let plan = if args.dry_run { look(args, &volume, &options)? } else { pass(args, &volume, &options)? };
    match plan.chosen {
        None if !args.init => Err(Failure::new(
            Exit::NoUsableAccount,
            report::nothing_chosen(&plan, args.to, volume.layout().auth()),
        )),
        _ => Ok(()),
    }
}

/// Asks after the pass how much idle accounts have used, if that is wanted. It changes no exit code.
pub fn poll(args: &Args) {
    let Some(interval) = args.usage_poll.filter(|_| args.is_whole_pass()) else { return };
    let log = |line| log::line(COMMAND, line);
    // If there is no volume, the pass has said so.
    if let Ok(volume) = Volume::at(args.volume.directories())
        && let Err(e) = polling::poll(&volume, interval, &log)
    {
        log(format!("usage was not read: {e:#}"));
    }
}

/// Notifies the receivers after the pass, whatever its outcome and without the lock, by what the volume says then.
pub fn notify(args: &Args) {
    if !args.is_whole_pass() {
        return;
    }
    let receivers = Receiver::all(args);
    // If there is no volume, the pass has said so.
    if !receivers.is_empty()
        && let Ok(volume) = Volume::at(args.volume.directories())
    {
        notify::notify(&receivers, &volume, args.options().refresh_before);
    }
}

fn look(args: &Args, volume: &Volume, options: &PassOptions) -> Result<Plan, Failure> {
    let (pool, assessment, plan) = rotate::preview(volume, options, clock::now())?;
    let events = notify::preview(&Receiver::all(args), volume, &pool, options.refresh_before);
    if args.json {
        let mut document = report::json(&plan, true);
        document["events"] = events.into_iter().map(|(_, event)| event.document).collect();
        say(&format!("{document}\n"))?;
    } else {
        let events: String = events.iter().map(|(line, _)| text::line(line) + "\n").collect();
        say(&(report::text(&plan, &assessment) + &events))?;
    }
    Ok(plan)
}

fn pass(args: &Args, volume: &Volume, options: &PassOptions) -> Result<Plan, Failure> {
    let log = |line| log::line(COMMAND, line);
    // A pass serves several times, and logs only once that it cannot mark its end.
    let is_logged = Cell::new(false);
    // The init container is not the rotator, so its pass does not count as one.
    let served = |locked: &Locked<'_>| {
        if !args.init
            && let Err(e) = locked.end_pass()
            && !is_logged.replace(true)
        {
            log(e.to_string());
        }
    };
    let plan = rotate(Pass { volume, options, access: args.access(), log: &log, served: &served })?;
    if args.json {
        say(&format!("{}\n", report::json(&plan, false)))?;
    }
    Ok(plan)
}
