//! The command line.

use auth_volume::Slot;
use auth_volume::args::VolumeArgs;
use auth_volume::atomic::Access;
use clap::Parser;
use rotation::args::PolicyArgs;
use rotation::pass::Wish;

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

    /// Print what would be done and why, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print the plan as JSON on stdout
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    policy: PolicyArgs,

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

impl Args {
    pub(crate) fn wish(&self) -> Wish {
        let access = Access { mode: self.published_mode, group: self.published_group };
        Wish { offline: self.init, ..self.policy.wish(self.to, access) }
    }
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
    fn a_mode_is_octal_and_never_shuts_its_owner_out() {
        assert_eq!(mode("0640"), Ok(0o640));
        assert_eq!(mode(""), Ok(0o600));
        for text in ["640x", "rw", "040", "777", "4600"] {
            assert!(mode(text).is_err(), "{text}");
        }
    }
}
