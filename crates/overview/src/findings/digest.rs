//! Whether the page knows how the accounts stand.

use std::path::Path;

use records::Timestamp;

use crate::Overview;
use crate::bounds::DIGEST;
use crate::finding::{Finding, Id};
use crate::words::span;

/// What writes the digest, and where it says why it does not.
const WRITER: &str =
    "look at kubectl logs deploy/litellm -c accounts-digest, which runs rotate-once --digest each minute";

/// The only finding of a page that has never had a digest.
#[must_use]
pub fn digest_missing(path: &Path) -> Finding {
    let message = format!("there is no {}: nothing is known of the accounts", path.display());
    Finding::new(Id::DigestMissing, message).advise(WRITER)
}

/// The only finding of a page that may not open its digest.
#[must_use]
pub fn digest_not_opened(path: &Path, why: &str) -> Finding {
    unreadable(path, why).advise("see which user and group own it, and run the page as one of them")
}

/// The only finding of a page that cannot make sense of its digest.
#[must_use]
pub fn digest_broken(path: &Path, why: &str) -> Finding {
    unreadable(path, why).advise(WRITER)
}

/// The only finding of a page whose digest is of a version that it does not know.
#[must_use]
pub fn digest_of_another_release(path: &Path, why: &str) -> Finding {
    unreadable(path, why).advise("run accounts-serve and rotate-once of the same release")
}

fn unreadable(path: &Path, why: &str) -> Finding {
    let message = format!("{} cannot be read: nothing is known of the accounts", path.display());
    Finding::new(Id::DigestUnreadable, message).because(why)
}

/// That what is shown is old, if it is.
#[must_use]
pub fn digest_late(at: Timestamp, now: Timestamp) -> Option<Finding> {
    let age = now.since(at);
    let message =
        format!("this is how the accounts stood {} ago: the digest is no longer written", span(age));
    (age > DIGEST).then(|| Finding::new(Id::DigestLate, message).advise(WRITER))
}

/// Whether what is shown is too old to say what is at work.
pub(super) fn is_late(overview: &Overview) -> bool {
    digest_late(overview.at, overview.now).is_some()
}
