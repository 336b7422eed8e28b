//! The accounts for a browser, for Prometheus and for scripts. It reads one file, the digest that the rotator leaves for it,
//! which holds no token; it writes nothing and sends no request.
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
use crate::snapshot::SnapshotReader;

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "accounts-serve";

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// It cannot listen at the address, or the server failed.
pub fn run(args: &Args) -> Result<(), Failure> {
    let socket = http_server::bind(args.listen)
        .with_context(|| format!("cannot listen on {}", args.listen))
        .or_exit(Exit::BadConfig)?;
    let hosts = Hosts::new(args.hosts.concat());
    let answers = Answers { exec: args.exec.clone(), reader: SnapshotReader::of(&args.digest_dir()), hosts };
    http_server::run(COMMAND, socket, |listener| server::serve(listener, answers))
        .context("cannot serve")
        .or_exit(Exit::Failed)
}
