//! What a caller can do about an error, whichever crate it comes from.

use std::error::Error;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// Nothing but read it.
    Other,
    /// Repair the directory or the file that it names, which cannot be read or written.
    Storage,
    /// Try again later: a lock is held, or the network failed.
    Temporary,
    /// Correct the configuration.
    Configuration,
}

/// An error that says what a caller can do about it.
pub trait Classified: Error + Send + Sync + 'static {
    /// What a caller can do about it.
    fn class(&self) -> ErrorClass;
}
