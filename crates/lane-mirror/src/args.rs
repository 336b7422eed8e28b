//! The command line.

use clap::Parser;
use cli::{LanesSecretArgs, VolumeArgs};

/// Mirrors the records of the lanes into a Secret, once, for LiteLLM's replicas
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    pub(crate) secret: LanesSecretArgs,

    /// Mirror this volume although the Secret has later records than it
    #[arg(long)]
    pub(crate) take_over: bool,

    /// Only look whether the Secret has later records than this volume, and have no login refreshed then
    #[arg(long, conflicts_with = "take_over")]
    pub(crate) check: bool,

    #[command(flatten)]
    pub(crate) volume: VolumeArgs,
}

const AFTER_HELP: &str = "\
No refresh token and no id token gets into the Secret. Run it when a record has changed, as the state is
written after each that has, and each minute:
  idle --every 1m --wake-on /chatgpt-auth/rotator_state.json -- lane-mirror

Exit codes: 0 the Secret has the records, 1 failed, 2 usage, 73 the volume cannot be read or written, \
75 try again: no answer from the API, no records yet, or another lane-mirror is at work, \
78 no such Secret, no right to it, or it has later records than the volume";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
