//! Follows the Secret with the records of the lanes, and writes them where one replica of LiteLLM reads them.
//!
//! The kubelet does the same for a volume of the Secret, up to a minute and a half later. One connection lists the Secret and
//! watches it for about a minute; whatever ends it, the next one begins with a list, so that nothing that was missed stays so.

mod args;
mod log;
mod pause;
mod replica;
mod stop;

use std::time::Instant;

use anyhow::Context as _;
use auth_volume::Volume;
use cli::exit::{Exit, Failure, OrExit as _};
use lanes_secret::{Api, ApiError};

use crate::pause::{Pause, WATCH, about};
use crate::replica::Replica;

pub use crate::args::Args;

/// The name in front of every log line.
pub const COMMAND: &str = "lane-follower";

/// Follows the Secret until SIGTERM or SIGINT, or once until the records of all lanes are there.
///
/// # Errors
/// This is no pod with a token, or the directory is not there or cannot be written. What Kubernetes' API says is waited out.
pub fn run(args: &Args) -> Result<(), Failure> {
    let when_stopped = if args.once { Exit::TryAgain as i32 } else { 0 };
    stop::on_signals(when_stopped).context("cannot wait for signals").or_exit(Exit::Failed)?;
    let volume = Volume::at((args.live.directory(), None))?;
    // What no waiting mends is said at once.
    drop(api(args)?);
    let mut replica = Replica::new(volume, &args.secret.name, args.lanes.count());
    if args.once && replica.is_complete() {
        return Ok(());
    }
    let mut pause = Pause::default();
    loop {
        let began = Instant::now();
        // Anew each time, because Kubernetes replaces the token, and at times the certificate.
        if replica.follow(api(args), about(WATCH), args.once)? {
            return Ok(());
        }
        std::thread::sleep(pause.after(began.elapsed()));
    }
}

fn api(args: &Args) -> Result<Api, ApiError> {
    Api::of_pod(&args.secret.service_account, &args.secret.name)
}
