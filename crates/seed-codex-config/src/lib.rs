//! Writes codex's `config.toml` so that codex talks to a `LiteLLM` proxy, then becomes the agent's command.
//!
//! `seed-codex-config --base-url http://litellm:4000/v1 -- codex exec "…"` merges into the file that is there:
//! comments and every key that is not ours stay.

mod agent;
mod args;
mod config_file;
mod edit;
mod refusal;
mod seed;
mod setting;
mod wanted;

use cli::exit::{Exit, Failure};
use cli::log::line;

use crate::config_file::ConfigFile;
use crate::seed::{Merged, Wanted};

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "seed-codex-config";

/// Does what the command line asks for. Comes back with nothing to run, or when something failed.
///
/// # Errors
/// The file cannot be read or written, the configuration is wrong, the command cannot be run; with `--check` that
/// the file would change.
pub fn run(args: &Args) -> Result<(), Failure> {
    let wanted = args.wanted()?;
    let file = ConfigFile::in_home(args.home()?)?;
    if args.check {
        return check(&file, &wanted);
    }
    let merged = seed(&file, &wanted)?;
    let key = agent::key_variable(&merged, !args.command.is_empty());
    agent::become_command(args, key)
}

fn check(file: &ConfigFile, wanted: &Wanted) -> Result<(), Failure> {
    let merged = file.merged(wanted)?;
    let mut changes = merged.changed;
    changes.extend(file.too_open().map(|mode| format!("the file's mode ({mode:o})")));
    if changes.is_empty() {
        line(COMMAND, format_args!("{} is up to date", file.path.display()));
        return Ok(());
    }
    let change = format!("{} would change: {}", file.path.display(), changes.join(", "));
    Err(Failure::new(Exit::Failed, change))
}

fn seed(file: &ConfigFile, wanted: &Wanted) -> Result<Merged, Failure> {
    let _lock = file.lock()?;
    let merged = file.merged(wanted)?;
    let path = file.path.display();
    if merged.changed.is_empty() {
        file.narrow();
        line(COMMAND, format_args!("{path} is up to date"));
    } else {
        file.write(&merged.text)?;
        line(COMMAND, format_args!("wrote {path} ({})", merged.route()));
    }
    Ok(merged)
}
