//! The agent's command, and the variable with the key that it needs.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use cli::exit::{Exit, Failure};
use cli::log::line;

use crate::COMMAND;
use crate::args::Args;
use crate::seed::Merged;
use crate::setting::is_variable_name;

/// Checks the variable that holds codex's key, and warns if it cannot work. Gives the variable as the command must get
/// it, if it has to be changed.
pub(crate) fn key_variable(merged: &Merged, runs_command: bool) -> Option<(String, OsString)> {
    let name = merged.env_key.clone()?;
    if !is_variable_name(&name) {
        // Most likely the key itself, so it is not repeated.
        line(
            COMMAND,
            "env_key in config.toml is not the name of an environment variable; name one with --env-key",
        );
        return None;
    }
    let content = std::env::var_os(&name);
    let key = content.as_deref().map(bare);
    let remedy = "codex will stop with \"Missing environment variable\"; set it from the LiteLLM key";
    match (content, key) {
        (Some(content), Some(key)) if !key.is_empty() => {
            if key == content {
                return None;
            }
            let then = if runs_command { "the command gets it without" } else { "remove it from the Secret" };
            line(COMMAND, format_args!("{name} has a line end or a space around the key: {then}"));
            Some((name, key))
        }
        (Some(_), _) => {
            line(COMMAND, format_args!("{name} is empty: {remedy}"));
            None
        }
        (None, _) => {
            line(COMMAND, format_args!("{name} is not set: {remedy}"));
            None
        }
    }
}

/// Becomes the command, if there is one. Returns only with a failure, or if there is nothing to run.
pub(crate) fn become_command(args: &Args, key: Option<(String, OsString)>) -> Result<(), Failure> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Ok(());
    };
    let mut command = Command::new(program);
    command.args(arguments).envs(key);
    if let Some(home) = args.codex_home() {
        // If it was given as a flag, codex would otherwise read another file than the one just written.
        command.env("CODEX_HOME", home);
    }
    let error = command.exec();
    let exit = if error.kind() == ErrorKind::NotFound { Exit::NotFound } else { Exit::CannotRun };
    Err(Failure::new(exit, format!("cannot run {}: {error}", program.display())))
}

/// The content without line ends and without spaces around it.
fn bare(content: &OsStr) -> OsString {
    let bytes: Vec<u8> =
        content.as_bytes().iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    OsString::from_vec(bytes.trim_ascii().to_vec())
}
