//! The doctor: checks the pod as a whole, and prints what to do about each finding.
//!
//! It takes the lock for a moment, tests the volume with a file of its own, and refreshes nothing. Only with `--probe`
//! does it send requests.

mod examination;
mod report;
#[cfg(test)]
mod tests;

use auth_volume::{Volume, VolumeError};
use cli::exit::{Exit, Failure};
use cli::output::say;
use overview::finding::Finding;
use overview::findings::findings;
use overview::observed::Observed;
use records::Timestamp;
use rotation::observing::{Observer, unreadable};

use crate::args::DoctorArgs;

/// Checks a volume that can be opened.
pub(crate) fn examine(
    volume: &Volume,
    observer: &Observer,
    args: &DoctorArgs,
    now: Timestamp,
    as_json: bool,
) -> Result<(), Failure> {
    match observer.observe(volume, now) {
        Ok(mut facts) => {
            facts.examined = Some(examination::examine(volume, &facts.overview, args, now));
            conclude(&findings(&facts), Some(&facts), as_json)
        }
        Err(e) => conclude(&[unreadable(&e)], None, as_json),
    }
}

/// Reports a volume that cannot be opened, as the only finding.
pub(crate) fn without_volume(error: &VolumeError, as_json: bool) -> Result<(), Failure> {
    conclude(&[unreadable(error)], None, as_json)
}

fn conclude(findings: &[Finding], observed: Option<&Observed>, as_json: bool) -> Result<(), Failure> {
    let findings: Vec<_> = findings.iter().filter(|finding| finding.is_actionable()).collect();
    say(&if as_json { report::json(&findings, observed) } else { report::text(&findings, observed) })?;
    match findings.len() {
        0 => Ok(()),
        1 => Err(Failure::new(Exit::Failed, "1 finding")),
        count => Err(Failure::new(Exit::Failed, format!("{count} findings"))),
    }
}
