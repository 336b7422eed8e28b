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
mod server;
mod snapshot;

use anyhow::Context as _;
use cli::exit::{Exit, Failure, OrExit as _};

use crate::answer::Answers;
use crate::host::Hosts;
use crate::snapshot::Viewer;

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "accounts-serve";

/// Serves until told to stop.
///
/// # Errors
/// The address cannot be had, or the server failed.
pub fn run(args: &Args) -> Result<(), Failure> {
    let socket = server::bind(&args.listen.addresses())
        .with_context(|| format!("cannot listen on {}", args.listen))
        .or_exit(Exit::BadConfig)?;
    let hosts = Hosts::new(args.hosts.concat());
    let answers = Answers { exec: args.exec.clone(), viewer: Viewer::of(args), hosts };
    server::run(socket, answers).context("cannot serve").or_exit(Exit::Failed)
}
