//! PID 1 that keeps a container alive and, given a command, runs it on time or when a file appears.
//!
//! ```text
//! idle
//! idle --every 30m --wake-on /chatgpt-auth/rotate-now -- rotate-once
//! ```
//!
//! One thread and no signal handlers: signals are blocked and read from a descriptor, so nothing here can
//! be interrupted half-way.

mod args;
mod command;
mod keep;
mod schedule;
mod signals;
mod wake;

use std::process::ExitCode;

use anyhow::Context;

use crate::signals::Signals;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            keep::report(&format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<u8> {
    // Before all else: for PID 1 the kernel drops a SIGTERM that finds no handler, instead of keeping it.
    let signals = Signals::block().context("cannot take over signals")?;

    match args::job() {
        None => keep::alive(&signals),
        Some(job) => keep::running(job, &signals),
    }
}
