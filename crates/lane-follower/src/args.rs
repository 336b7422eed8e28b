//! The command line.

use clap::Parser;
use cli::{LanesArgs, LanesSecretArgs, LiveDirArgs};

/// Follows the Secret with the records of the lanes, and writes them where one replica of LiteLLM reads them
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct Args {
    /// End once the records of all lanes are there: for an init container, before LiteLLM starts
    #[arg(long)]
    pub(crate) once: bool,

    #[command(flatten)]
    pub(crate) secret: LanesSecretArgs,

    #[command(flatten)]
    pub(crate) live: LiveDirArgs,

    #[command(flatten)]
    pub(crate) lanes: LanesArgs,
}

const AFTER_HELP: &str = "\
It writes lane-1.json and so on, and as auth.json the record of the first lane, as a volume of the Secret has them. \
Whatever becomes of the Secret or of Kubernetes' API, the records that it has stay.

Exit codes: 0 stopped by SIGTERM or SIGINT, or with --once the records are there, 1 failed, 2 usage, 73 the directory \
cannot be written, 75 stopped before the records are there, 78 no such directory, no cluster, or no service account";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
