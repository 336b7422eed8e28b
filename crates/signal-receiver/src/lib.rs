//! Takes the signals of LiteLLM's replicas over HTTP, and leaves them where the rotator finds those of a LiteLLM in its own
//! pod. It mounts the directory of the published records, and no login.
//!
//! ```text
//! signal-receiver --listen :9096
//! ```

mod args;
mod gate;
mod inbox;
mod server;

use anyhow::Context as _;
use auth_volume::Volume;
use cli::exit::{Exit, Failure, OrExit as _};

use crate::inbox::Inbox;

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "signal-receiver";

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// There is no such directory, it cannot listen at the address, or the server failed.
pub fn run(args: &Args) -> Result<(), Failure> {
    // Only what LiteLLM sees: it has the records and the signal, and no master.
    let volume = Volume::at((args.live.directory(), None))?;
    let socket = http_server::bind(args.listen)
        .with_context(|| format!("cannot listen on {}", args.listen))
        .or_exit(Exit::BadConfig)?;
    http_server::run(COMMAND, socket, |listener| server::serve(listener, Inbox::new(volume)))
        .context("cannot serve")
        .or_exit(Exit::Failed)
}
