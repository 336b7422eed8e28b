//! The accounts for a browser, for Prometheus and for scripts. Looks, and changes nothing: no lock, no file written,
//! nobody asked.
//!
//! ```text
//! accounts-serve --listen :9095
//! ```

mod answer;
mod args;
mod exec;
mod metrics;
mod page;
mod problems;
mod server;
mod sight;

use std::net::TcpListener;
use std::process::ExitCode;

use auth_volume::exit::{Exit, Failure, OrExit as _, finish};
use auth_volume::{log, secret};
use clap::Parser as _;

use anyhow::Context as _;

use crate::answer::Answers;
use crate::args::Args;
use crate::sight::Eye;

/// The name in front of every log line.
const COMMAND: &str = "accounts-serve";

fn main() -> ExitCode {
    secret::keep_out_of_core_dumps();
    finish(COMMAND, run(&Args::parse()))
}

fn run(args: &Args) -> Result<(), Failure> {
    let addresses = args.listen.addresses();
    let listener = TcpListener::bind(addresses.as_slice())
        .with_context(|| format!("cannot listen on {}", args.listen))
        .or_exit(Exit::BadConfig)?;
    if let Ok(address) = listener.local_addr() {
        log::line(COMMAND, format_args!("listening on http://{address}"));
    }
    let answers = Answers { exec: args.exec.clone(), eye: Eye::of(args) };
    server::run(listener, answers).context("cannot serve").or_exit(Exit::Failed)
}
