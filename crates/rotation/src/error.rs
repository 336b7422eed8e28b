//! What ends a pass.

use auth_volume::VolumeError;
use records::{Classified, ErrorClass};
use thiserror::Error;

/// What ended a pass. What could be served was served, and what could be refreshed was.
#[derive(Debug, Error)]
pub enum PassError {
    /// The volume cannot be read or written.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The way to the issuer is configured wrongly.
    #[error("{0:#}")]
    Issuer(anyhow::Error),
    /// A thread ended without a result.
    #[error("a refresh ended without a result")]
    NoResult,
}

impl Classified for PassError {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Volume(error) => error.class(),
            Self::Issuer(_) => ErrorClass::Configuration,
            Self::NoResult => ErrorClass::Other,
        }
    }
}
