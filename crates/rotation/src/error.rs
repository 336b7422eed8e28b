//! What ends a pass.

use auth_volume::VolumeError;
use records::{Classified, ErrorClass};
use thiserror::Error;

/// What ended a pass. An account that could serve has been published, and logins that could be refreshed have been.
#[derive(Debug, Error)]
pub enum PassError {
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// An address, a proxy or a certificate is configured wrongly.
    #[error("{0:#}")]
    Issuer(anyhow::Error),
    /// The thread of a refresh ended without a report.
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
