//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use auth_volume::clock;
use clap::{Parser, Subcommand};
use cli::{IntervalArgs, PolicyArgs, VolumeArgs, positive_duration};
use overview::bounds::INTERVAL;
use records::text::printable;
use records::{Naming, Slot, Timestamp};
use rotation::observing::Observer;

/// Shows which account serves and what to type for the others; parks, pins, refreshes and removes them
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,

    #[command(flatten)]
    watch: WatchArgs,

    /// Print JSON (version 1) on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Show whole addresses and account ids
    #[arg(long, global = true)]
    show_identity: bool,

    /// Your name, for the audit
    #[arg(long, global = true, value_name = "NAME", env = "CHATGPT_OPERATOR")]
    by: Option<String>,

    #[command(flatten, next_help_heading = "How the rotator judges")]
    pub(crate) policy: PolicyArgs,

    #[command(flatten, next_help_heading = "How the rotator judges")]
    pub(crate) interval: IntervalArgs,

    #[command(flatten, next_help_heading = "The volume")]
    pub(crate) volume: VolumeArgs,
}

/// A command.
#[derive(Clone, Debug, Subcommand)]
pub enum Verb {
    /// Show every account; this is done without a command, too
    List(WatchArgs),
    /// Say which account the rotator would choose now, and why it would pass over each other slot
    Why,
    /// Check the pod as a whole, and say what to type for each finding
    Doctor(DoctorArgs),
    /// Keep an account from serving; if it is active, another one takes over at once
    Park(ParkArgs),
    /// End the park of an account, and its cooldown
    Unpark {
        /// The account's slot
        #[arg(value_name = "N")]
        slot: Slot,
    },
    /// Prefer one account, which then serves whenever it can
    Pin {
        /// The account's slot
        #[arg(value_name = "N")]
        slot: Slot,
    },
    /// End the preference for the pinned account
    Unpin,
    /// Use an account now, as rotate-once --to N does
    Use {
        /// The account's slot
        #[arg(value_name = "N")]
        slot: Slot,
    },
    /// Refresh a login now, even if its last refresh was never answered
    Refresh(RefreshArgs),
    /// Remove a login from the volume
    Remove(RemoveArgs),
}

/// Whether the table is printed once or repeatedly.
#[derive(Clone, Debug, clap::Args)]
pub struct WatchArgs {
    /// Show them again every 2 s, or as often as given
    #[arg(long, value_name = "EVERY", num_args = 0..=1, require_equals = true, default_missing_value = "2s", value_parser = positive_duration)]
    pub(crate) watch: Option<Duration>,
}

/// What the doctor checks besides the volume.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Ask the provider, once for each access token, whether it accepts it; nothing is refreshed
    #[arg(long)]
    pub(crate) probe: bool,

    /// The codex program, by path or by name
    #[arg(long, value_name = "PROGRAM", env = "CODEX_BIN", default_value = "codex")]
    pub(crate) codex_bin: OsString,
}

/// Which account is parked, how long and why.
#[derive(Clone, Debug, clap::Args)]
pub struct ParkArgs {
    /// The account's slot
    #[arg(value_name = "N")]
    pub(crate) slot: Slot,

    /// How long, such as 6h or 2d; by default until it is unparked
    #[arg(long = "for", value_name = "DURATION", value_parser = positive_duration, conflicts_with = "until")]
    duration: Option<Duration>,

    /// Until when, such as 2026-12-03T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,

    /// Why, to be shown below the table
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(crate) reason: Option<String>,
}

/// Which login is removed, and whether it is revoked as well.
#[derive(Clone, Debug, clap::Args)]
pub struct RemoveArgs {
    /// The account's slot
    #[arg(value_name = "N")]
    pub(crate) slot: Slot,

    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,

    /// End the login at the issuer first; without it the issuer is not contacted
    #[arg(long)]
    pub(crate) revoke: bool,
}

/// Which login is refreshed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct RefreshArgs {
    /// The account's slot
    #[arg(value_name = "N")]
    pub(crate) slot: Slot,

    /// Do not ask for confirmation
    #[arg(long)]
    pub(crate) yes: bool,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed (doctor: there are findings), 2 usage, 69 no usable account (why, use), 73 the volume cannot be read or written, \
75 try again (lock, network), 78 no such directory or a newer state";

impl Args {
    /// The command; `list` if none is given.
    ///
    /// # Errors
    /// `--watch` is given before another command than `list`.
    pub fn verb(&self) -> Result<Verb, clap::Error> {
        match (&self.verb, self.watch.watch) {
            (None, _) => Ok(Verb::List(self.watch.clone())),
            (Some(Verb::List(WatchArgs { watch })), earlier) => {
                Ok(Verb::List(WatchArgs { watch: watch.or(earlier) }))
            }
            (Some(verb), None) => Ok(verb.clone()),
            (Some(_), Some(_)) => Err(clap::Error::raw(
                clap::error::ErrorKind::ArgumentConflict,
                "--watch is for accounts list only\n",
            )),
        }
    }

    pub(crate) fn observer(&self) -> Observer {
        Observer {
            naming: self.naming(),
            refresh_before: self.policy.refresh_before(),
            interval: self.interval.or(INTERVAL),
            quota: self.policy.quota(),
        }
    }

    pub(crate) fn naming(&self) -> Naming {
        if self.show_identity { Naming::InFull } else { Naming::Masked }
    }

    /// A variable that is set to nothing counts as not set.
    pub(crate) fn by(&self) -> Option<String> {
        self.by.clone().filter(|name| !name.trim().is_empty())
    }
}

impl ParkArgs {
    /// When the park ends; `None` for never.
    pub(crate) fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.duration.map(|duration| now.plus(duration)).or(self.until)
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    let expected = "expected a time in UTC, such as 2026-12-03T10:00:00Z";
    let time = Timestamp::from_json(&text.into()).ok_or(expected)?;
    if time <= clock::now() { Err(format!("{time} has passed")) } else { Ok(time) }
}

/// One short line, because it is printed in tables and log lines.
fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().count() > 200 || printable(text) != text {
        return Err("expected one line of at most 200 characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_flags_of_list_may_be_given_before_it_or_without_it() {
        for line in ["accounts --watch=5s", "accounts list --watch=5s", "accounts --watch=5s list"] {
            let verb = Args::parse_from(line.split(' ')).verb();
            let Ok(Verb::List(WatchArgs { watch })) = verb else { panic!("{line}: {verb:?}") };
            assert_eq!(watch, Some(Duration::from_secs(5)), "{line}");
        }
        assert!(Args::parse_from(["accounts", "--watch", "unpin"]).verb().is_err());
    }

    #[test]
    fn the_volume_may_be_named_before_or_after_the_command() {
        for line in ["accounts --auth-dir /v why", "accounts why --auth-dir /v"] {
            assert!(format!("{:?}", Args::parse_from(line.split(' '))).contains("\"/v\""), "{line}");
        }
    }

    #[test]
    fn a_park_ends_in_the_future_and_its_reason_is_a_line() {
        assert!(time("2001-01-01T00:00:00Z").unwrap_err().ends_with("has passed"));
        assert!(time("tomorrow").is_err());
        assert_eq!(reason(" kept for the release ").unwrap(), "kept for the release");
        assert!(reason("two\nlines").is_err() && reason(&"x".repeat(201)).is_err());
    }
}
