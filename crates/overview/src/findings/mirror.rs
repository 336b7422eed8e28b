//! Whether LiteLLM's replicas get the records of the lanes. Without `lane-mirror` there is nothing to say.

use crate::bounds::MIRROR;
use crate::finding::{Finding, Id};
use crate::findings::digest;
use crate::observed::Observed;

/// Where it says why.
const LOG: &str = "look at kubectl logs sts/codex-accounts -c lane-mirror";

/// What follows from either.
const SO: &str = "LiteLLM's replicas serve on with the records that they have";

pub(super) fn finding(observed: &Observed) -> Option<Finding> {
    // What is old says nothing of how lane-mirror is now.
    let mirroring = observed.mirroring.as_ref().filter(|_| !digest::is_late(&observed.overview))?;
    let now = observed.overview.now;
    if now.since(mirroring.at) > MIRROR {
        let message =
            format!("lane-mirror has not run since {}, and a run is due each minute: {SO}", mirroring.at);
        return Some(Finding::new(Id::MirrorLate, message).advise(LOG));
    }
    let why = mirroring.failed.as_ref()?;
    let message = match mirroring.succeeded {
        // The next run may bring them.
        Some(at) if now.since(at) <= MIRROR => return None,
        Some(at) => format!("the Secret of the lanes has not been what it should be since {at}: {SO}"),
        None => {
            "the Secret of the lanes has not got their records: LiteLLM's replicas wait for it".to_owned()
        }
    };
    let advice = format!("{LOG}; helm upgrade makes the Secret, its Role and its RoleBinding again");
    Some(Finding::new(Id::MirrorFailing, message).because(why).advise(advice))
}
