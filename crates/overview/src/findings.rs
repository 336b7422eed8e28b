//! Everything that is wrong or worth knowing, with its remedy: the one list that the table, the page, the doctor, the
//! metrics and the events render. Pure.

mod callback;
mod clock;
mod digest;
mod examined;
mod mirror;
mod pool;
mod record;
mod rotator;
mod slots;
mod state;

use records::ErrorClass;

use crate::Overview;
use crate::finding::{Finding, Id};
use crate::observed::Observed;

pub use self::callback::worst_alive;
pub use self::digest::{
    digest_broken, digest_late, digest_missing, digest_not_opened, digest_of_another_release,
};

/// Every finding, the most severe first.
#[must_use]
pub fn findings(observed: &Observed) -> Vec<Finding> {
    let mut findings: Vec<_> = examined::volume(observed)
        .into_iter()
        .chain(pool::findings(&observed.overview))
        .chain(slots::findings(observed))
        .chain(state::findings(observed))
        .chain(clock::findings(observed))
        .chain(digest_late(observed.overview.at, observed.overview.now))
        .chain(rotator::findings(observed))
        .chain(record::finding(&observed.overview))
        .chain(callback::finding(observed))
        .chain(mirror::finding(observed))
        .chain(examined::codex(observed))
        .chain(examined::provider(observed))
        .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.id.severity()));
    findings
}

/// The findings about accounts, for which an overview is enough.
#[must_use]
pub fn of_accounts(overview: &Overview) -> Vec<Finding> {
    pool::findings(overview).into_iter().chain(overview.rows.iter().flat_map(slots::of_row)).collect()
}

/// The only finding of a volume that cannot be read, by the class of the error.
#[must_use]
pub fn unreadable(class: ErrorClass, why: &str, is_missing: bool) -> Finding {
    match class {
        ErrorClass::Configuration if is_missing => Finding::new(Id::VolumeMissing, why)
            .advise("mount the volume, or set CHATGPT_AUTH_DIR and CHATGPT_LIVE_DIR to where it is"),
        ErrorClass::Configuration => Finding::new(Id::StateUnusable, why).advise(
            "use the newest release, or move the state away from a pod with a shell that mounts the volume; the parks and \
             cooldowns in it are lost",
        ),
        ErrorClass::Storage | ErrorClass::Temporary | ErrorClass::Other => {
            Finding::new(Id::VolumeUnreadable, why).advise("see which user owns the file")
        }
    }
}
