//! The operator's command line: which account serves, which ones are capped and until when, which ones need a login,
//! what to type, and every change by hand.
//!
//! Run as `kubectl exec deploy/litellm -c codex-cli -- accounts`.

mod args;
mod colour;
mod confirmation;
mod doctor;
mod listing;
mod operator;
mod outcome;
mod refreshing;
mod removal;
mod steer;
mod table;

use auth_volume::{Volume, clock};
use cli::exit::{Exit, Failure};
use cli::output::say;
use judgement::report;
use records::Timestamp;
use records::audit::Actor;
use records::state::Parked;
use rotation::rotate;

use crate::listing::Listing;
use crate::operator::Operator;

pub use crate::args::{Args, Verb};

/// The name in front of every log line.
pub const COMMAND: &str = "accounts";

/// Carries out a command.
///
/// # Errors
/// It cannot be carried out, the doctor has findings, or no account is usable.
pub fn run(args: &Args, verb: Verb) -> Result<(), Failure> {
    let opened = Volume::at(args.volume.directories());
    if let (Verb::Doctor(_), Err(e)) = (&verb, &opened) {
        return doctor::without_volume(e, args.json);
    }
    let volume = opened?;
    let now = clock::now();
    let operator = Operator {
        volume: &volume,
        options: args.policy.options(None),
        access: volume.published_access(),
        naming: args.naming(),
        by: Actor::new(COMMAND, durable_file::current_user(), args.by()),
        now,
    };
    let outcome = match verb {
        Verb::List(list) => {
            let listing = Listing { volume: &volume, observer: args.observer(), as_json: args.json };
            return match list.watch {
                Some(every) => listing.repeat(every),
                None => listing.once(),
            };
        }
        Verb::Doctor(doctor) => return doctor::examine(&volume, &args.observer(), &doctor, now, args.json),
        Verb::Why => return why(args, &volume, now),
        Verb::Park(park) => {
            operator.park(park.slot, Parked { until: park.until(now), reason: park.reason })?
        }
        Verb::Unpark { slot } => operator.unpark(slot)?,
        Verb::Pin { slot } => operator.pin(slot)?,
        Verb::Unpin => operator.unpin()?,
        Verb::Use { slot } => operator.use_now(slot)?,
        Verb::Refresh(refresh) => operator.refresh(refresh)?,
        Verb::Remove(remove) => operator.remove(&remove)?,
    };
    say(&if args.json { outcome.json() } else { outcome.text() }).map(|_| ())
}

/// Prints what a pass would do now, as `rotate-once --dry-run` does.
fn why(args: &Args, volume: &Volume, now: Timestamp) -> Result<(), Failure> {
    let (_, assessment, plan) = rotate::preview(volume, &args.policy.options(None), now)?;
    say(&if args.json {
        report::json(&plan, true).to_string() + "\n"
    } else {
        report::text(&plan, &assessment)
    })?;
    match plan.chosen {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            Exit::NoUsableAccount,
            report::nothing_chosen(&plan, None, volume.layout().auth()),
        )),
    }
}
