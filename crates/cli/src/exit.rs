//! Exit codes, and how an error becomes a line on stderr and a code.

use std::fmt::Display;
use std::process::ExitCode;

use records::{Classified, ErrorClass};

use crate::log;

/// The documented exit codes. Those from 69 to 78 are from `sysexits.h`, for scripts that distinguish failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command failed, and no other code says more.
    Failed = 1,
    /// The command line is wrong (clap's code).
    Usage = 2,
    /// No account can be used now.
    NoUsableAccount = 69,
    /// A directory or file cannot be read or written.
    CannotWrite = 73,
    /// Trying again later may help: another process holds the lock, or the network failed.
    TryAgain = 75,
    /// The configuration is wrong: a path that is not there, a file that does not parse.
    BadConfig = 78,
    /// A command is there and cannot be run (a shell's code).
    CannotRun = 126,
    /// A command is not there (a shell's code).
    NotFound = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // The discriminants above all fit a byte.
        ExitCode::from(exit as u8)
    }
}

impl From<ErrorClass> for Exit {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::Other => Self::Failed,
            ErrorClass::Storage => Self::CannotWrite,
            ErrorClass::Temporary => Self::TryAgain,
            ErrorClass::Configuration => Self::BadConfig,
        }
    }
}

/// An error, and the exit code that it means.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// With its causes.
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure without a cause beyond its message.
    pub fn new(exit: Exit, message: impl Display + Send + Sync + std::fmt::Debug + 'static) -> Self {
        Self { exit, error: anyhow::Error::msg(message) }
    }
}

impl<E: Classified> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: error.class().into(), error: error.into() }
    }
}

/// Gives the error of a step an exit code.
pub trait OrExit<T> {
    /// Turns an error into a [`Failure`] with this code.
    ///
    /// # Errors
    /// The error itself.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure { exit, error: error.into() })
    }
}

/// Ends a command: prints the failure as one line, if there is one, and returns the exit code.
#[must_use]
pub fn finish(command: &str, outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::line(command, format_args!("{:#}", failure.error));
            failure.exit.into()
        }
    }
}
