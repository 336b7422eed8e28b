//! The command line.

use std::time::Duration;

use clap::Parser;
use cli::positive_duration;

use crate::entry::Limits;
use crate::name::AgentName;

/// Makes an agent's key for LiteLLM, and prints the Secrets to apply
///
/// kubectl get secret litellm-agent-keys -o json | agent-key ann | kubectl apply -f -
///
/// The Secret of hashes that comes in goes out with the new hash in it, and
/// with it the Secret agent-NAME-litellm-key of the key itself. For an agent
/// that has a key, the old one stays good for a day, and so do the limits that
/// are not given.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Args {
    /// The agent, as in the chart's values
    #[arg(value_name = "NAME")]
    pub(crate) name: AgentName,

    /// There is no Secret of hashes yet: read nothing from stdin
    ///
    /// Make it with kubectl create, which fails if there is one after all.
    #[arg(long, conflicts_with = "limits_only")]
    pub(crate) first: bool,

    /// Change the limits only: the agent's key stays
    #[arg(long, conflicts_with_all = ["expires", "keep_old"])]
    pub(crate) limits_only: bool,

    #[command(flatten)]
    pub(crate) limits: Limits,

    /// How long the key is good, such as 90d [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = positive_duration)]
    pub(crate) expires: Option<Duration>,

    /// How long the agent's old key stays good, such as 1h
    #[arg(long, value_name = "DURATION", value_parser = positive_duration, default_value = "1d")]
    pub(crate) keep_old: Duration,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 78 no or no such Secret came in.
Except with 0 nothing is printed to be applied.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
