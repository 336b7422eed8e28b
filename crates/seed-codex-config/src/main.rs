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

use std::process::ExitCode;

use clap::Parser as _;
use cli::exit::{Failure, finish};
use cli::log::line;

use crate::args::Args;
use crate::config_file::ConfigFile;
use crate::seed::{Merged, Wanted};

const NAME: &str = "seed-codex-config";

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(code) => code,
        Err(failure) => finish(NAME, Err(failure)),
    }
}

fn run(args: &Args) -> Result<ExitCode, Failure> {
    let wanted = args.wanted()?;
    let file = ConfigFile::in_home(args.home()?)?;
    if args.check {
        return check(&file, &wanted);
    }
    let merged = seed(&file, &wanted)?;
    let key = agent::key_variable(&merged, !args.command.is_empty());
    Ok(agent::become_command(args, key))
}

fn check(file: &ConfigFile, wanted: &Wanted) -> Result<ExitCode, Failure> {
    let merged = file.merged(wanted)?;
    let mut changes = merged.changed;
    changes.extend(file.too_open().map(|mode| format!("the file's mode ({mode:o})")));
    if changes.is_empty() {
        line(NAME, format_args!("{} is up to date", file.path.display()));
        return Ok(ExitCode::SUCCESS);
    }
    line(NAME, format_args!("{} would change: {}", file.path.display(), changes.join(", ")));
    Ok(ExitCode::FAILURE)
}

fn seed(file: &ConfigFile, wanted: &Wanted) -> Result<Merged, Failure> {
    let _lock = file.lock()?;
    let merged = file.merged(wanted)?;
    let path = file.path.display();
    if merged.changed.is_empty() {
        file.narrow();
        line(NAME, format_args!("{path} is up to date"));
    } else {
        file.write(&merged.text)?;
        line(NAME, format_args!("wrote {path} ({})", merged.route()));
    }
    Ok(merged)
}
