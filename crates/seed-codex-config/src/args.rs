//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Parser;
use cli::exit::{Exit, Failure};

#[expect(clippy::doc_markdown, reason = "the help text, in which backticks are noise")]
/// Writes codex's config.toml for a LiteLLM proxy, then becomes the agent's command
///
/// What is already in the file stays: comments, order, other keys and other
/// providers. Nothing is ever removed, and a second run changes nothing.
#[derive(Debug, Default, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Args {
    /// The URL of the proxy, such as http://litellm:4000/v1
    #[arg(long, value_name = "URL", env = "LITELLM_BASE_URL", hide_env_values = true)]
    pub(crate) base_url: Option<String>,

    /// The model to use [default: the one in the file, else gpt-5.6-sol]
    #[arg(long, value_name = "MODEL", env = "CODEX_MODEL", hide_env_values = true)]
    pub(crate) model: Option<String>,

    /// The variable that holds the proxy's key
    /// [default: the one in the file, else LITELLM_API_KEY]
    #[arg(long, value_name = "NAME")]
    pub(crate) env_key: Option<String>,

    /// Set any key to a TOML value, such as 'approval_policy="never"'
    ///
    /// May be repeated, and takes precedence over all other options. A table
    /// adds to the one in the file. A value given here can be read in the
    /// process list: take secrets from the environment with --set-env.
    #[arg(long, value_name = "KEY=TOML")]
    pub(crate) set: Vec<String>,

    /// Set any key to the text in an environment variable, after every --set
    ///
    /// The text becomes a TOML string as it is, without line ends and spaces
    /// around it. A missing or empty variable leaves the key alone.
    #[arg(long, value_name = "KEY=ENVVAR")]
    pub(crate) set_env: Vec<String>,

    /// The directory of config.toml [default: .codex in the home directory]
    #[arg(long, value_name = "DIR", env = "CODEX_HOME", hide_env_values = true)]
    codex_home: Option<OsString>,

    /// Only print which keys would change; write and run nothing
    #[arg(long, conflicts_with = "command")]
    pub(crate) check: bool,

    /// The command to run once the file is written
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

const EXIT_CODES: &str = "\
Exit codes:
    0  done, or with --check: up to date
    1  with --check: would change
    2  wrong usage
   73  cannot read or write the file
   78  wrong configuration: no or no valid base URL, a file that does not parse
  126  CMD cannot be run
  127  CMD was not found
otherwise CMD's own";

impl Args {
    /// The directory of `config.toml`.
    pub(crate) fn home(&self) -> Result<PathBuf, Failure> {
        if let Some(home) = self.codex_home() {
            return Ok(PathBuf::from(home));
        }
        match std::env::var_os("HOME") {
            Some(home) if !home.is_empty() => Ok(PathBuf::from(home).join(".codex")),
            _ => Err(Failure::new(
                Exit::BadConfig,
                "no directory for config.toml: pass --codex-home or set CODEX_HOME or HOME",
            )),
        }
    }

    /// The directory that was given, which the command must then use as well.
    pub(crate) fn codex_home(&self) -> Option<&OsStr> {
        self.codex_home.as_deref().filter(|home| !home.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn args_are_sound() {
        Args::command().debug_assert();
    }
}
