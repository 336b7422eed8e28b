//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use cli::{IntervalArgs, PolicyArgs, VolumeArgs, duration};
use durable_file::Access;
use judgement::policy::PassOptions;
use judgement::poll::SHORTEST_INTERVAL;
use overview::bounds::INTERVAL;
use records::{Naming, Secret, Slot};
use rotation::observing::Observer;

/// Makes one pass: chooses an account, publishes its record for LiteLLM and refreshes what is due
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct Args {
    /// Only make sure that LiteLLM finds a well-formed auth.json when it starts; leaves signals alone
    #[arg(long, conflicts_with = "to")]
    pub(crate) init: bool,

    /// Use this slot's account now
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<Slot>,

    /// Print what would be done and why, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the plan as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Run this command for each event, with its JSON on standard input; split at white space, without a shell
    #[arg(long, value_name = "CMD", env = COMMAND_VARIABLE, hide_env_values = true, default_value = "", hide_default_value = true)]
    pub(crate) on_event: String,

    /// Post each event to this URL as JSON
    #[arg(long, value_name = "URL", env = WEBHOOK_VARIABLE, hide_env_values = true, default_value = "", hide_default_value = true, value_parser = secret)]
    pub(crate) webhook: Secret,

    #[command(flatten)]
    policy: PolicyArgs,

    /// Ask the provider how much an account has used, if that was not read for this long; at least 5m, and not at all
    /// without it
    #[arg(long, value_name = "DURATION", env = "CODEX_USAGE_POLL_SEC", default_value = "", hide_default_value = true, value_parser = poll_interval)]
    pub(crate) usage_poll: PollInterval,

    /// Permissions of the published auth.json
    #[arg(long, value_name = "OCTAL", env = "CHATGPT_PUBLISHED_MODE", default_value = "600", value_parser = mode)]
    published_mode: u32,

    /// Group id of the published auth.json, if LiteLLM runs as another user
    #[arg(long, value_name = "GID", env = "CHATGPT_PUBLISHED_GROUP", default_value = "", hide_default_value = true, value_parser = group)]
    published_group: Group,

    #[command(flatten)]
    pub(crate) volume: VolumeArgs,

    #[command(flatten, next_help_heading = "The page")]
    pub(crate) digest: DigestArgs,
}

/// What is left for the page, and where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DigestArgs {
    /// Make no pass: only leave in this directory what accounts-serve shows, without a token
    #[arg(id = "digest", long = "digest", value_name = "DIR", conflicts_with_all = ["init", "to", "dry_run", "json"])]
    pub(crate) directory: Option<PathBuf>,

    /// Leave whole addresses and account ids there
    #[arg(long, requires = "digest")]
    show_identity: bool,

    #[command(flatten)]
    interval: IntervalArgs,
}

// Both are kept out of a command's environment: where else an event goes does not concern it.
pub(crate) const COMMAND_VARIABLE: &str = "CODEX_EVENT_COMMAND";
pub(crate) const WEBHOOK_VARIABLE: &str = "CODEX_EVENT_WEBHOOK";

const AFTER_HELP: &str = "\
Events: needs-login, refresh-failing, pool-exhausted, pool-runs-out and recovered, each sent once, after the pass; one that cannot be sent is one line \
of log, is sent by a later pass, and changes no exit code

Exit codes: 0 published, 1 failed, 2 usage, 69 no usable account (the last record or a placeholder stays), \
73 the volume cannot be read or written, or the digest not written, 75 another process holds the lock, 78 no such directory or a newer state";

impl Args {
    pub(crate) fn access(&self) -> Access {
        Access { mode: self.published_mode, group: self.published_group }
    }

    /// Whether this run is the rotator's, and more than a look.
    pub(crate) fn is_whole_pass(&self) -> bool {
        !self.init && !self.dry_run && self.digest.directory.is_none()
    }

    /// How the volume is observed for the page.
    pub(crate) fn observer(&self) -> Observer {
        Observer {
            naming: if self.digest.show_identity { Naming::InFull } else { Naming::Masked },
            refresh_before: self.policy.refresh_before(),
            interval: self.digest.interval.or(INTERVAL),
            quota: self.policy.quota(),
        }
    }

    pub(crate) fn options(&self) -> PassOptions {
        PassOptions { offline: self.init, ..self.policy.options(self.to) }
    }
}

/// How often usage is polled, or not at all. It has a name of its own for the same reason as a group.
type PollInterval = Option<Duration>;

fn poll_interval(text: &str) -> Result<PollInterval, String> {
    match duration(text)? {
        Some(interval) if interval.is_zero() => Ok(None),
        Some(interval) if interval < SHORTEST_INTERVAL => Err("expected at least 5m (300)".to_owned()),
        interval => Ok(interval),
    }
}

/// A group, or none. It has a name of its own because clap takes `Option` for a flag that may be left out.
type Group = Option<u32>;

fn group(text: &str) -> Result<Group, String> {
    if text.is_empty() {
        return Ok(None);
    }
    // To the kernel the largest number means that the group stays.
    let number = text.parse().ok().filter(|number| *number != u32::MAX);
    number.map(Some).ok_or_else(|| "expected a group id, such as 65532".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a parser that can fail")]
fn secret(text: &str) -> Result<Secret, String> {
    Ok(Secret::new(text))
}

fn mode(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(Access::PRIVATE.mode);
    }
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| mode & !0o666 == 0 && mode & 0o600 == 0o600);
    mode.ok_or_else(|| {
        "expected an octal mode with which the owner can read and write, such as 640".to_owned()
    })
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
    fn usage_is_polled_every_five_minutes_at_most_and_not_unless_asked_for() {
        assert_eq!((poll_interval(""), poll_interval("0")), (Ok(None), Ok(None)));
        assert_eq!(poll_interval("300"), Ok(Some(Duration::from_mins(5))));
        assert!(poll_interval("299").unwrap_err().starts_with("expected at least 5m"));
    }

    #[test]
    fn a_group_is_a_number_that_names_one() {
        assert_eq!((group("65532"), group("")), (Ok(Some(65532)), Ok(None)));
        for text in ["-1", "4294967295", "4294967296", "litellm"] {
            assert!(group(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mode_is_octal_and_lets_the_owner_read_and_write() {
        assert_eq!(mode("0640"), Ok(0o640));
        assert_eq!(mode(""), Ok(0o600));
        for text in ["640x", "rw", "040", "777", "4600"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}
