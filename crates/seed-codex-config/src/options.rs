//! The options of the command line and the environment, checked.

use anyhow::{anyhow, bail};
use cli::exit::{Exit, Failure, OrExit as _};
use cli::log::line;

use crate::COMMAND;
use crate::args::Args;
use crate::seed::SeedOptions;
use crate::setting::{self, Setting, clean, is_variable_name};

impl Args {
    /// What to write into the file, checked.
    pub(crate) fn options(&self) -> Result<SeedOptions, Failure> {
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
        Ok(SeedOptions { base_url, model: given(&self.model), env_key, settings: self.settings()? })
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
                    line(COMMAND, format_args!("{variable} is {is}: {key} is left as it is"));
                }
                Err(why) => return Err(anyhow!("{variable} {why}")).or_exit(Exit::BadConfig),
            }
        }
        Ok(settings)
    }
}

/// Checks a base URL and removes the slashes at its end, because codex appends `/responses`.
///
/// No message repeats it: what is given by mistake may be the key.
fn base_url(text: &str) -> anyhow::Result<String> {
    let error = |what| {
        anyhow!(
            "the base URL (--base-url or LITELLM_BASE_URL) {what}; it should look like http://litellm:4000/v1"
        )
    };
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)))
        .map(|start| &text[start.len()..])
        .ok_or_else(|| error("does not start with http:// or https://"))?;
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        bail!(error("has a space or a control character in it"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    if host_and_port.is_empty() || host_and_port.starts_with(':') {
        bail!(error("names no host"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_the_slash_at_the_end_of_a_base_url() {
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
    fn refuses_an_invalid_base_url_without_repeating_it() {
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
            let message = base_url(given).unwrap_err().to_string();
            let expected = format!(
                "the base URL (--base-url or LITELLM_BASE_URL) {why}; it should look like http://litellm:4000/v1"
            );
            assert_eq!(message, expected);
        }
    }
}
