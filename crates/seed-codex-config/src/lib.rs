//! Writes codex's `config.toml` so that codex uses a `LiteLLM` proxy, then becomes the agent's command.
//!
//! `seed-codex-config --base-url http://litellm:4000/v1 -- codex exec "…"` merges into the file that is there:
//! comments and all other keys stay.

mod agent;
mod args;
mod config_file;
mod edit;
mod merge_error;
mod options;
mod seed;
mod setting;

use cli::exit::{Exit, Failure};
use cli::log::line;

use crate::config_file::ConfigFile;
use crate::seed::{Merged, SeedOptions};

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "seed-codex-config";

/// Writes the file and becomes the command. Returns if there is nothing to run, or with a failure.
///
/// # Errors
/// The file cannot be read or written, the configuration is wrong, or the command cannot be run; with `--check`, the
/// file would change.
pub fn run(args: &Args) -> Result<(), Failure> {
    let options = args.options()?;
    let file = ConfigFile::in_home(&args.home()?)?;
    if args.check {
        return check(&file, &options);
    }
    let merged = seed(&file, &options)?;
    let key = agent::key_variable(&merged, !args.command.is_empty());
    agent::become_command(args, key)
}

fn check(file: &ConfigFile, options: &SeedOptions) -> Result<(), Failure> {
    let merged = file.merged(options)?;
    let mut changes = merged.changed;
    changes.extend(file.too_open().map(|mode| format!("the file's mode ({mode:o})")));
    if changes.is_empty() {
        line(COMMAND, format_args!("{} is up to date", file.path.display()));
        return Ok(());
    }
    let change = format!("{} would change: {}", file.path.display(), changes.join(", "));
    Err(Failure::new(Exit::Failed, change))
}

fn seed(file: &ConfigFile, options: &SeedOptions) -> Result<Merged, Failure> {
    let _lock = file.lock()?;
    let merged = file.merged(options)?;
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
