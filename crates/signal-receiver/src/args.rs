//! The command line.

use clap::Parser;
use cli::{Listen, LiveDirArgs};

/// Takes the signals of LiteLLM's replicas over HTTP, and leaves them for the rotator
#[derive(Debug, Parser)]
#[command(version, about, after_help = AFTER_HELP)]
pub struct Args {
    /// Where to listen: an address and a port, or a port on every address, such as :9096
    #[arg(long, value_name = "ADDRESS", env = "CODEX_SIGNAL_LISTEN", default_value = "127.0.0.1:9096", value_parser = Listen::parse)]
    pub(crate) listen: Listen,

    #[command(flatten)]
    pub(crate) live: LiveDirArgs,
}

const AFTER_HELP: &str = "\
POST /signal takes a signal, and POST /heartbeat, /usage and /agents what a callback reports each minute: at most 4 KiB \
of JSON, or 64 KiB about agents, signed in the header codex-signature by the HMAC-SHA256 of the body with the access \
token of a record that is published, in hexadecimal digits. GET /healthz says that it runs.

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed, 2 usage, 73 the directory cannot be read, 78 cannot listen at that \
address, or no such directory";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
