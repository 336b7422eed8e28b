//! The doctor: gathers facts, judges them, and says of each finding what to type.
//!
//! It takes the lock for a moment, tries the volume out with a file of its own, and renews nothing. Only with
//! `--probe` does it ask anybody outside.

mod facts;
mod judgement;
mod report;
#[cfg(test)]
mod tests;

use auth_volume::VolumeError;
use cli::exit::{Exit, Failure};
use cli::output::say;

use crate::args::DoctorArgs;
use crate::operator::Operator;

/// What was looked at, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) about: About,
    pub(crate) said: String,
    /// What to type, if it is a finding.
    pub(crate) remedy: Option<String>,
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    Volume,
    Slots,
    State,
    Clock,
    Rotator,
    Record,
    Callback,
    Codex,
    Provider,
}

/// A volume that is there, at the operator.
pub(crate) fn examine(operator: &Operator<'_>, args: &DoctorArgs, as_json: bool) -> Result<(), Failure> {
    let facts = facts::gather(operator, args);
    conclude(&judgement::judge(&facts), as_json)
}

/// One that is not there is the only finding.
pub(crate) fn without_volume(error: &VolumeError, as_json: bool) -> Result<(), Failure> {
    let remedy =
        Some("mount the volume, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR to where it is".to_owned());
    conclude(&[Check { about: About::Volume, said: error.to_string(), remedy }], as_json)
}

fn conclude(checks: &[Check], as_json: bool) -> Result<(), Failure> {
    say(&if as_json { report::json(checks) } else { report::text(checks) })?;
    match checks.iter().filter(|check| check.remedy.is_some()).count() {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Failed, "1 finding")),
        findings => Err(Failure::new(Exit::Failed, format!("{findings} findings"))),
    }
}
