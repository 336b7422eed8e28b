//! Whether LiteLLM calls the callback.

use records::Timestamp;
use records::heartbeat::Heartbeat;

use crate::Published;
use crate::bounds::HEARTBEAT;
use crate::finding::{Finding, Id};
use crate::findings::digest;
use crate::observed::Observed;

/// How LiteLLM is made to call it.
const HOW: &str = "set callbacks: rotate_now.handler in LiteLLM's config.yaml, with rotate_now.py beside it, and restart it";

/// The heartbeat that stands for those of several replicas: of those that are alive one that is called by nobody or cannot
/// leave its signals, if there is one, and else the newest. One that has ended is nothing that is wrong.
#[must_use]
pub fn worst_alive(heartbeats: Vec<Heartbeat>, now: Timestamp) -> Option<Heartbeat> {
    let rank = |beat: &Heartbeat| {
        let is_alive = now.since(beat.at) <= HEARTBEAT;
        (is_alive, is_alive && !beat.held, is_alive && beat.cannot_write.is_some(), beat.at)
    };
    heartbeats.into_iter().max_by_key(rank)
}

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
            let advice = "remove what is in its place, or give LiteLLM's user the right to write there; if it is an address, \
                          let LiteLLM's pods reach it";
            Some(Finding::new(Id::CallbackBlocked, message).because(why).advise(advice))
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(seconds_ago: i64, held: bool, cannot_write: Option<&str>) -> Heartbeat {
        let (litellm, cannot_write) = ("1.109.1".to_owned(), cannot_write.map(str::to_owned));
        Heartbeat { at: now().plus_seconds(-seconds_ago), held, litellm, cannot_write }
    }

    fn now() -> Timestamp {
        Timestamp::from_seconds(1_795_439_575)
    }

    #[test]
    fn of_several_replicas_the_worst_that_is_alive_counts_and_one_that_is_gone_does_not() {
        let (fine, blocked) = (beat(10, true, None), beat(170, true, Some("no route")));
        let (not_called, gone) = (beat(100, false, None), beat(181, false, None));
        let worst = |all: &[&Heartbeat]| worst_alive(all.iter().copied().cloned().collect(), now());
        assert_eq!(worst(&[&gone, &fine]), Some(fine.clone()));
        assert_eq!(worst(&[&fine, &blocked, &gone]), Some(blocked.clone()));
        assert_eq!(worst(&[&blocked, &not_called, &fine]), Some(not_called));
        assert_eq!(worst(&[&beat(7200, true, None), &gone]), Some(gone), "none is alive");
        assert_eq!(worst(&[]), None);
    }
}
