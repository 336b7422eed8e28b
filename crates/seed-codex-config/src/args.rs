//! The command line, and what it asks for.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use auth_volume::exit::{Exit, Failure, OrExit as _};
use auth_volume::log::line;
use clap::Parser;

use crate::NAME;
use crate::seed::Wanted;
use crate::setting::{self, Setting, clean, is_variable_name};

#[expect(clippy::doc_markdown, reason = "the help text, in which backticks are noise")]
/// Write codex's config.toml for a LiteLLM proxy, then run a command in place of this one
///
/// What is in the file already stays: comments, order, other keys and other
/// providers. Nothing is ever removed, and a second run changes nothing.
#[derive(Debug, Default, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Where the proxy answers, as in http://litellm:4000/v1
    #[arg(long, value_name = "URL", env = "LITELLM_BASE_URL", hide_env_values = true)]
    base_url: Option<String>,

    /// The model to ask for [default: the one in the file, else gpt-5.6-sol]
    #[arg(long, value_name = "MODEL", env = "CODEX_MODEL", hide_env_values = true)]
    model: Option<String>,

    /// The variable that holds the proxy's key
    /// [default: the one in the file, else LITELLM_API_KEY]
    #[arg(long, value_name = "NAME")]
    env_key: Option<String>,

    /// Set any key to a TOML value, as in 'approval_policy="never"'
    ///
    /// May be repeated; wins over all other options. A table adds to the one
    /// in the file. A value given here can be read in the process list: take
    /// secrets from the environment with --set-env.
    #[arg(long, value_name = "KEY=TOML")]
    set: Vec<String>,

    /// Set any key to the text in an environment variable, after every --set
    ///
    /// The text becomes a TOML string as it is, without line ends and spaces
    /// around it. A missing or empty variable leaves the key alone.
    #[arg(long, value_name = "KEY=ENVVAR")]
    set_env: Vec<String>,

    /// The directory of config.toml [default: .codex in the home directory]
    #[arg(long, value_name = "DIR", env = "CODEX_HOME", hide_env_values = true)]
    codex_home: Option<OsString>,

    /// Only say which keys would change; write and run nothing
    #[arg(long, conflicts_with = "command")]
    pub(crate) check: bool,

    /// What to run once the file is right
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
    /// Everything the file must say, checked.
    pub(crate) fn wanted(&self) -> Result<Wanted, Failure> {
        let given = |option: &Option<String>| option.as_deref().and_then(clean);
        let base_url =
            given(&self.base_url).map(|url| base_url(&url)).transpose().or_exit(Exit::BadConfig)?;
        let env_key = given(&self.env_key);
        if env_key.as_deref().is_some_and(|name| !is_variable_name(name)) {
            return Err(Failure::new(
                Exit::Usage,
                "--env-key takes the name of an environment variable, not the key itself",
            ));
        }
        Ok(Wanted { base_url, model: given(&self.model), env_key, settings: self.settings()? })
    }

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

    /// The directory that was asked for, which the command must then use too.
    pub(crate) fn codex_home(&self) -> Option<&OsStr> {
        self.codex_home.as_deref().filter(|home| !home.is_empty())
    }

    fn settings(&self) -> Result<Vec<Setting>, Failure> {
        let mut settings = Vec::new();
        for argument in &self.set {
            settings.extend(setting::from_toml(argument).or_exit(Exit::Usage)?);
        }
        for argument in &self.set_env {
            let (key, variable) = setting::from_env(argument).or_exit(Exit::Usage)?;
            let content = std::env::var_os(variable);
            match setting::clean_variable(content.as_deref()) {
                Ok(Some(text)) => settings.push(Setting { key, value: text.into() }),
                Ok(None) => {
                    let is = if content.is_none() { "not set" } else { "empty" };
                    let key = crate::edit::dotted(&key);
                    line(NAME, format_args!("{variable} is {is}: {key} is left as it is"));
                }
                Err(why) => return Err(anyhow!("{variable} {why}")).or_exit(Exit::BadConfig),
            }
        }
        Ok(settings)
    }
}

/// Checks a base URL and takes the slashes off its end: codex appends `/responses`.
///
/// The URL is in no message: what is there by mistake may well be the key.
fn base_url(text: &str) -> anyhow::Result<String> {
    let trouble = |what| {
        anyhow!("the base URL (--base-url or LITELLM_BASE_URL) {what}; it looks like http://litellm:4000/v1")
    };
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)))
        .map(|start| &text[start.len()..])
        .ok_or_else(|| trouble("does not start with http:// or https://"))?;
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        bail!(trouble("has a space or a control character in it"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    if host_and_port.is_empty() || host_and_port.starts_with(':') {
        bail!(trouble("names no host"));
    }
    Ok(text.trim_end_matches('/').to_owned())
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
    fn takes_the_slash_off_a_base_url() {
        for (given, kept) in [
            ("http://litellm:4000/v1/", "http://litellm:4000/v1"),
            ("https://litellm//", "https://litellm"),
            ("HTTP://litellm", "HTTP://litellm"),
            ("http://[::1]:4000/v1", "http://[::1]:4000/v1"),
            ("http://user:pw@litellm/v1", "http://user:pw@litellm/v1"),
        ] {
            assert_eq!(base_url(given).unwrap(), kept);
        }
    }

    #[test]
    fn refuses_what_is_no_base_url_without_repeating_it() {
        for (given, why) in [
            ("litellm:4000", "does not start with http:// or https://"),
            ("sk-1234", "does not start with http:// or https://"),
            ("ftp://litellm", "does not start with http:// or https://"),
            ("htt\u{fc}\u{fc}\u{fc}", "does not start with http:// or https://"),
            ("http://", "names no host"),
            ("https:///v1", "names no host"),
            ("http://:4000/v1", "names no host"),
            ("http://user@/v1", "names no host"),
            ("http://lite llm", "has a space or a control character in it"),
            ("http://a\u{7}b", "has a space or a control character in it"),
        ] {
            let told = base_url(given).unwrap_err().to_string();
            let expected = format!(
                "the base URL (--base-url or LITELLM_BASE_URL) {why}; it looks like http://litellm:4000/v1"
            );
            assert_eq!(told, expected);
        }
    }
}
