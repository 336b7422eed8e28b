//! The accounts for a browser, for Prometheus and for scripts. Looks, and changes nothing: no lock, no file written,
//! nobody asked.
//!
//! ```text
//! accounts-serve --listen :9095
//! ```

mod answer;
mod args;
mod connections;
mod exec;
mod host;
mod metrics;
mod page;
mod problems;
mod server;
mod snapshot;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use cli::core_dumps;
use cli::exit::{Exit, Failure, OrExit as _, finish};

use crate::answer::Answers;
use crate::args::Args;
use crate::host::Hosts;
use crate::snapshot::Viewer;

/// The name in front of every log line.
const COMMAND: &str = "accounts-serve";

fn main() -> ExitCode {
    core_dumps::keep_out();
    finish(COMMAND, run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let socket = server::bind(&args.listen.addresses())
        .with_context(|| format!("cannot listen on {}", args.listen))
        .or_exit(Exit::BadConfig)?;
    let hosts = Hosts::new(args.hosts.concat());
    let answers = Answers { exec: args.exec.clone(), viewer: Viewer::of(args), hosts };
    server::run(socket, answers).context("cannot serve").or_exit(Exit::Failed)
}
