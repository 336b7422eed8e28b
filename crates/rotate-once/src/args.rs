//! The command line.

use std::time::Duration;

use auth_volume::Slot;
use auth_volume::args::VolumeArgs;
use auth_volume::atomic::Access;
use clap::{Parser, ValueEnum};

use crate::cooldown::Floors;
use crate::pass::Wish;

/// Chooses the account in use and publishes its record for LiteLLM, then ends
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Only make sure that LiteLLM finds a well-formed auth.json when it starts; leaves signals alone
    #[arg(long, conflicts_with = "to")]
    pub(crate) init: bool,

    /// Use this slot's account now
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<Slot>,

    /// Which account is next
    #[arg(long, value_enum, value_name = "POLICY", env = "CODEX_ROTATION_POLICY", default_value_t = Order::RoundRobin)]
    policy: Order,

    /// Print what would be done and why, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the plan as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    /// Renew a login this long before its access token ends
    #[arg(long, value_name = "DURATION", env = "CODEX_REFRESH_BEFORE_SEC", default_value = "1d", value_parser = duration)]
    refresh_before: Span,

    /// How long an account that is capped is left alone when nobody says until when
    #[arg(long, value_name = "DURATION", env = "CODEX_CAP_COOLDOWN_SEC", default_value = "3h", value_parser = duration)]
    cap_cooldown: Span,

    /// The same for a refusal that passes
    #[arg(long, value_name = "DURATION", env = "CODEX_TRANSIENT_COOLDOWN_SEC", default_value = "5m", value_parser = duration)]
    transient_cooldown: Span,

    /// Permissions of the published auth.json
    #[arg(long, value_name = "OCTAL", env = "CHATGPT_PUBLISHED_MODE", default_value = "600", value_parser = mode)]
    published_mode: u32,

    /// Group id of the published auth.json, when LiteLLM runs as another user
    #[arg(long, value_name = "GID", env = "CHATGPT_PUBLISHED_GROUP", default_value = "", hide_default_value = true, value_parser = group)]
    published_group: Group,

    #[command(flatten)]
    pub(crate) volume: VolumeArgs,
}

const EXIT_CODES: &str = "\
Exit codes: 0 published, 1 failed, 2 usage, 69 no usable account (the last record or a placeholder stays), \
73 the volume cannot be read or written, 75 another process holds the lock, 78 no such directory or a newer state";

/// Which account is next when nothing says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Order {
    /// Each tick moves on to the next usable account
    RoundRobin,
    /// The account in use stays until it is refused
    Sticky,
    /// The same, and then the account whose usage window resets first, as far as signals told
    EarliestReset,
}

impl Args {
    pub(crate) fn wish(&self) -> Wish {
        Wish {
            order: self.policy,
            to: self.to,
            init: self.init,
            floors: Floors {
                cap: self.cap_cooldown.unwrap_or(Duration::from_hours(3)),
                transient: self.transient_cooldown.unwrap_or(Duration::from_mins(5)),
            },
            renew_before: self.refresh_before.unwrap_or(Duration::from_hours(24)),
            access: Access { mode: self.published_mode, group: self.published_group },
        }
    }
}

/// A duration, or the default where a variable is set to nothing, as charts do.
type Span = Option<Duration>;

/// Plain seconds, as the predecessor's variables hold, or with units.
fn duration(text: &str) -> Result<Span, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let seconds = text.parse().map(Duration::from_secs).ok();
    let duration = seconds.or_else(|| humantime::parse_duration(text).ok());
    duration.map(Some).ok_or_else(|| "want 30m, 1h30m, 90s or plain seconds".to_owned())
}

/// A group, or none; under a name of its own, for clap reads `Option` as a flag that may be left out.
type Group = Option<u32>;

fn group(text: &str) -> Result<Group, String> {
    let number = || text.parse().map_err(|_| "want a group's number, such as 65532".to_owned());
    if text.is_empty() { Ok(None) } else { number().map(Some) }
}

fn mode(text: &str) -> Result<u32, String> {
    if text.is_empty() {
        return Ok(Access::PRIVATE.mode);
    }
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| mode & !0o666 == 0 && mode & 0o600 == 0o600);
    mode.ok_or_else(|| "want an octal mode that its owner can read and write, such as 640".to_owned())
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
    fn a_duration_is_plain_seconds_or_has_units_and_nothing_is_the_default() {
        assert_eq!(duration("1800"), duration("30m"));
        assert_eq!(duration("\n"), Ok(None));
        assert!(duration("soon").is_err());
    }

    #[test]
    fn a_mode_is_octal_and_never_shuts_its_owner_out() {
        assert_eq!(mode("0640"), Ok(0o640));
        assert_eq!(mode(""), Ok(0o600));
        for text in ["640x", "rw", "040", "777", "4600"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}
