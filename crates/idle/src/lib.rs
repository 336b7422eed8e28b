//! PID 1 that keeps a container alive and, given a command, runs it on time or when a file appears.
//!
//! ```text
//! idle
//! idle --every 30m --wake-on /chatgpt-auth/rotate-now -- rotate-once
//! ```
//!
//! One thread and no signal handlers: signals are blocked and read from a descriptor, so nothing here can
//! be interrupted half-way. How the program starts is all in `main.rs`.

mod args;
mod command;
mod keep;
mod report;
mod schedule;
mod signals;
mod wake;

pub use crate::args::{Args, Job};
pub use crate::keep::{alive, running};
pub use crate::report::report;
pub use crate::signals::Signals;
