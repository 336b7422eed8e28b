//! Whether LiteLLM calls the callback.

use records::heartbeat::Heartbeat;

use crate::Published;
use crate::bounds::HEARTBEAT;
use crate::finding::{Finding, Id};
use crate::findings::digest;
use crate::observed::Observed;

/// How LiteLLM is made to call it.
const HOW: &str = "set callbacks: rotate_now.handler in LiteLLM's config.yaml, with rotate_now.py beside it, and restart it";

pub(super) fn finding(observed: &Observed) -> Option<Finding> {
    match &observed.heartbeat {
        // What is old says nothing of how the callback is now.
        _ if digest::is_late(&observed.overview) => None,
        // Before there is a record, LiteLLM has not started.
        None if matches!(observed.overview.published, Published::Nothing) => None,
        None => {
            let message = "no LiteLLM has loaded the callback: the rotator does not learn of refusals";
            Some(Finding::new(Id::CallbackMissing, message).advise(HOW))
        }
        Some(Heartbeat { at, litellm, .. }) if observed.overview.now.since(*at) > HEARTBEAT => {
            let message = format!(
                "the last heartbeat of the callback in LiteLLM {litellm} was {at}: LiteLLM is gone, or runs without it"
            );
            Some(
                Finding::new(Id::CallbackLate, message)
                    .advise(format!("look at kubectl logs deploy/litellm; {HOW}")),
            )
        }
        Some(Heartbeat { held: false, litellm, .. }) => {
            let message = format!("LiteLLM {litellm} has imported the callback, and does not call it");
            Some(Finding::new(Id::CallbackNotCalled, message).advise(HOW))
        }
        Some(Heartbeat { cannot_write: Some(why), .. }) => {
            let message = "the callback cannot leave a signal: the rotator does not learn of refusals";
            let advice = "remove what is in its place, or give LiteLLM's user the right to write there";
            Some(Finding::new(Id::CallbackBlocked, message).because(why).advise(advice))
        }
        Some(_) => None,
    }
}
