//! The doctor: observes what everybody can see, examines what only it may, and says of each finding what to do.
//!
//! It takes the lock for a moment, tries the volume out with a file of its own, and refreshes nothing. Only with
//! `--probe` does it ask anything outside.

mod examining;
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

/// A volume that is there.
pub(crate) fn examine(
    volume: &Volume,
    looks: Observer,
    args: &DoctorArgs,
    now: Timestamp,
    as_json: bool,
) -> Result<(), Failure> {
    match looks.observe(volume, now) {
        Ok((mut observed, _)) => {
            observed.examined = Some(examining::examine(volume, &observed.overview, args, now));
            conclude(&findings(&observed), Some(&observed), as_json)
        }
        Err(e) => conclude(&[unreadable(&e)], None, as_json),
    }
}

/// One that is not there is the only finding.
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
