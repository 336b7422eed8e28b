//! Whether the rotator runs, and whether it is alone.

use records::remedy;
use records::text::printable;
use records::writer::rivals;

use crate::bounds::{SIGNAL_WAITS, pass_age};
use crate::finding::{Finding, Id};
use crate::findings::digest;
use crate::observed::Observed;
use crate::words::span;

pub(super) fn findings(observed: &Observed) -> Vec<Finding> {
    if digest::is_late(&observed.overview) {
        // What is old says nothing of how the rotator is now.
        return two_rotators(observed).into_iter().collect();
    }
    let waits = signal_waits(observed);
    // A signal that waits shows the same earlier.
    let late = if waits.is_none() { pass_late(observed) } else { None };
    waits.into_iter().chain(late).chain(two_rotators(observed)).collect()
}

fn signal_waits(observed: &Observed) -> Option<Finding> {
    let now = observed.overview.now;
    let since = observed.waiting_since.filter(|since| now.since(*since) > SIGNAL_WAITS)?;
    let message = format!("a signal has waited since {since}: the rotator does not run");
    Some(Finding::new(Id::SignalWaits, message).run(remedy::PASS).advise(sidecar(observed)))
}

fn pass_late(observed: &Observed) -> Option<Finding> {
    let age = observed.last_pass_age().filter(|age| *age > pass_age(observed.interval))?;
    let every = humantime::format_duration(observed.interval);
    let last = if observed.has_passed {
        format!("the last pass was {} ago", span(age))
    } else {
        format!("no pass has ended since auth.json was written {} ago", span(age))
    };
    let message = format!("{last}, and one is due every {every}");
    Some(Finding::new(Id::PassLate, message).run(remedy::PASS).advise(sidecar(observed)))
}

/// Where the sidecar says why it does not run. Where `lane-mirror` runs, the logins are in a pod of their own.
fn sidecar(observed: &Observed) -> String {
    let pod = if observed.mirroring.is_some() { "sts/codex-accounts" } else { "deploy/litellm" };
    format!("then look at kubectl logs {pod} -c rotator")
}

/// Two rotators on one volume, whether their locks exclude each other or not.
fn two_rotators(observed: &Observed) -> Option<Finding> {
    let advice =
        "leave one rotator for this volume: look for a second release, Deployment or CronJob that mounts it";
    let out_of_reach = observed.examined.iter().flat_map(|examined| &examined.out_of_reach).next();
    let message = if let Some(marker) = out_of_reach {
        format!(
            "two writers are at work on this volume, and their locks do not reach each other: another one has been \
             refreshing {} since {}",
            marker.slot, marker.since
        )
    } else {
        let (one, other) = rivals(&observed.writers, observed.overview.now)?;
        let (a, b) = (printable(&one.host), printable(&other.host));
        format!(
            "two rotators are at work on this volume: {a} (last {}) and {b} (last {})",
            one.last, other.last
        )
    };
    Some(Finding::new(Id::TwoRotators, message).advise(advice))
}
