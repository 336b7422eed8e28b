//! The command line.

use std::ffi::OsString;

use clap::Parser;
use cli::VolumeArgs;
use records::Slot;

/// Signs a ChatGPT account in with codex's device authorization and stores it as auth-N.json
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXIT_CODES)]
pub struct Args {
    /// The slot to sign in to, from 1 on
    #[arg(value_name = "N")]
    pub slot: Slot,

    /// Replace the account that the slot belongs to, and take the new one out of any other slot
    #[arg(long)]
    pub(crate) replace: bool,

    /// End the login into this slot that is under way, even in another container that shares the volume
    #[arg(long, conflicts_with_all = ["replace", "for_codex"])]
    pub(crate) abort: bool,

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
directory, 129 the terminal or the connection is gone, 130 and 143 stopped by ^C or SIGTERM (or --abort). Unless it \
is 0, the slot is as it was. With --abort: 0 no login is under way any more, 75 it does not end.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
