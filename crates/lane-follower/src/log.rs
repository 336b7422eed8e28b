//! What the log says: what was taken, and once of each trouble, for a Secret is looked at each minute.

use std::fmt::Display;
use std::mem::{Discriminant, discriminant};

use cli::log;
use lanes_secret::ApiError;

use crate::COMMAND;

/// The log, and what it has said last.
#[derive(Debug, Default)]
pub(crate) struct Log {
    api: Option<Discriminant<ApiError>>,
    kept: Option<String>,
}

impl Log {
    /// Kubernetes' API did not answer, or not as it should. The words may change from one attempt to the next.
    pub(crate) fn api_fails(&mut self, error: &ApiError) {
        let kind = discriminant(error);
        if self.api.replace(kind) != Some(kind) {
            log::line(COMMAND, error);
        }
    }

    /// It answers.
    pub(crate) fn api_answers(&mut self) {
        if self.api.take().is_some() {
            log::line(COMMAND, "Kubernetes' API answers again");
        }
    }

    /// Why what is in the Secret was not taken.
    pub(crate) fn kept(&mut self, why: String) {
        if self.kept.as_ref() != Some(&why) {
            log::line(COMMAND, &why);
        }
        self.kept = Some(why);
    }

    /// What was taken from the Secret, if it was not here already or has been away.
    pub(crate) fn taken(&mut self, is_new: bool, what: impl Display) {
        if self.kept.take().is_some() || is_new {
            log::line(COMMAND, what);
        }
    }
}
