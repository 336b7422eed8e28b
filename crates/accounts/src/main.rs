//! The operator's view and hand: which account serves, which is capped until when, which one needs a login, and what
//! to type.
//!
//! Run as `kubectl exec deploy/litellm -c codex-cli -- accounts`.

mod args;
mod desk;
mod doctor;
#[cfg(test)]
#[path = "../tests/it/fixture.rs"]
mod fixture;
mod listing;
mod outcome;
mod paint;
mod question;
mod refreshing;
mod removal;
mod steer;
mod table;

use std::process::ExitCode;

use auth_volume::atomic::Access;
use auth_volume::audit::By;
use auth_volume::exit::{Exit, Failure, finish};
use auth_volume::state::Parked;
use auth_volume::{Timestamp, Volume, leftovers, secret};
use clap::Parser as _;
use rotation::{pass, report};

use crate::args::{Args, Verb};
use crate::desk::Desk;
use crate::listing::Listing;
use auth_volume::output::say;

/// The name in front of every log line.
const COMMAND: &str = "accounts";

fn main() -> ExitCode {
    secret::keep_out_of_core_dumps();
    let args = Args::parse();
    let verb = args.verb().unwrap_or_else(|e| e.exit());
    leftovers::sweep();
    finish(COMMAND, run(&args, verb))
}

fn run(args: &Args, verb: Verb) -> Result<(), Failure> {
    let opened = args.volume.open();
    if let (Verb::Doctor(_), Err(e)) = (&verb, &opened) {
        return doctor::without_volume(e, args.json);
    }
    let volume = opened?;
    let now = Timestamp::now();
    let desk = Desk {
        volume: &volume,
        wish: args.policy.wish(None, volume.published_access()),
        naming: args.naming(),
        by: By::this_process(COMMAND, args.by()),
        now,
    };
    let outcome = match verb {
        Verb::List(list) => {
            let renew_before = desk.wish.renew_before;
            let listing =
                Listing { volume: &volume, renew_before, naming: args.naming(), as_json: args.json };
            return match list.watch {
                Some(every) => listing.again_and_again(every),
                None => listing.once(),
            };
        }
        Verb::Doctor(doctor) => return doctor::examine(&desk, &doctor, args.json),
        Verb::Why => return why(args, &volume, now),
        Verb::Park(park) => desk.park(park.slot, Parked { until: park.until(now), reason: park.reason })?,
        Verb::Unpark { slot } => desk.unpark(slot)?,
        Verb::Pin { slot } => desk.pin(slot)?,
        Verb::Unpin => desk.unpin()?,
        Verb::Use { slot } => desk.use_now(slot)?,
        Verb::Refresh(refresh) => desk.refresh(refresh)?,
        Verb::Remove(remove) => desk.remove(&remove)?,
    };
    say(&if args.json { outcome.json() } else { outcome.text() }).map(|_| ())
}

/// The rotator's own words: what a pass would do if it ran now.
fn why(args: &Args, volume: &Volume, now: Timestamp) -> Result<(), Failure> {
    let (_, outlook, plan) = pass::look(volume, args.policy.wish(None, Access::PRIVATE), now)?;
    say(&if args.json {
        report::json(&plan, true).to_string() + "\n"
    } else {
        report::text(&plan, &outlook)
    })?;
    match plan.chosen {
        Some(_) => Ok(()),
        None => Err(Failure::new(Exit::NoUsableAccount, report::nothing_chosen(&plan, None, volume))),
    }
}
