//! PID 1 that keeps a container alive and, if it has a command, runs it on time or when a file appears.
//!
//! ```text
//! idle
//! idle --every 30m --wake-on /chatgpt-auth/rotate-now -- rotate-once
//! ```
//!
//! There is one thread and no signal handler: signals are blocked and read from a descriptor, so that nothing is
//! interrupted half-way. `main.rs` explains how the program starts.

mod args;
mod command;
mod report;
mod schedule;
mod signals;
mod supervisor;
mod wake_file;

pub use crate::args::{Args, Job};
pub use crate::report::report;
pub use crate::signals::Signals;
pub use crate::supervisor::{run_job, stay_alive};
