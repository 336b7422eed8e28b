//! The command line.

use std::ffi::OsString;

use auth_volume::Slot;
use auth_volume::args::VolumeArgs;
use clap::Parser;

/// Signs a ChatGPT account in with codex's device authorization and stores it as auth-N.json
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Slot to sign in to, from 1 on
    #[arg(value_name = "N")]
    pub(crate) slot: Slot,

    /// Take the slot from the account that owns it, and the account from another slot that holds it
    #[arg(long)]
    pub(crate) replace: bool,

    /// The codex program, by path or by name
    #[arg(long, value_name = "PROGRAM", env = "CODEX_BIN", default_value = "codex")]
    pub(crate) codex_bin: OsString,

    #[command(flatten)]
    pub(crate) volume: VolumeArgs,

    /// More arguments for codex login
    #[arg(last = true, value_name = "CODEX_LOGIN_ARGS")]
    pub(crate) for_codex: Vec<OsString>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 signed in, 1 codex or the check of its login failed, 2 usage, 73 the volume cannot be read or \
written, 75 try again (another login into the slot, the network, too many codes), 78 no codex or no such \
directory, 130 and 143 stopped by ^C or SIGTERM. Unless it is 0, the slot is as it was.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
