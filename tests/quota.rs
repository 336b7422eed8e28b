//! What the provider's limits mean for the pool: it moves on before a cap, and a model's limit is that model's alone.

use std::thread;
use std::time::Duration;

use fixture::{ANN, BEN, wait_until};
use stand_in::{RefusalRequest, UsageRequest, Way, WindowRequest};
use support::litellm::{LiteLlm, SPARK, VERSIONS};
use support::pod::Pod;

/// A pod of two accounts that serves, with its rotator and LiteLLM.
fn two_accounts(pod: &Pod) -> fixture::Running {
    pod.put_login(1, ANN);
    pod.put_login(2, BEN);
    let sidecar = pod.sidecar();
    wait_until("ann is active", || !pod.logged("active account-1").is_empty());
    sidecar
}

/// The accounts that the provider was asked with, and whether it served.
fn asked(pod: &Pod) -> Vec<(String, bool)> {
    let requests = pod.openai.requests_to("/backend-api/codex/responses");
    let account = |email: &str| email.split('@').next().unwrap().to_owned();
    requests
        .iter()
        .map(|request| (account(request.account.as_deref().unwrap()), request.status == Some(200)))
        .collect()
}

fn the_pool_moves_on_before_the_cap(version: &str) {
    let pod = Pod::new();
    let _sidecar = two_accounts(&pod);
    for email in [ANN, BEN] {
        let window = WindowRequest {
            minutes: 300,
            used_percent: Some(90.0),
            percent_per_request: Some(1.0),
            ..WindowRequest::default()
        };
        pod.openai.limit(&UsageRequest {
            email: email.to_owned(),
            windows: Some(vec![window]),
            ..UsageRequest::default()
        });
    }
    let litellm = LiteLlm::start(version, &pod);
    // Each answer says what was used before it: the sixth says 95 %.
    for _ in 0..6 {
        assert_eq!(litellm.ask_for(true).0, 200);
    }
    wait_until("ben is active", || !pod.logged("active account-2").is_empty());
    assert_eq!(litellm.ask_for(true).0, 200);
    let expected = ["ann", "ann", "ann", "ann", "ann", "ann", "ben"].map(|name| (name.to_owned(), true));
    assert_eq!(asked(&pod), expected);
}

#[test]
fn on_litellm_1_106_2_the_pool_moves_on_before_the_cap() {
    the_pool_moves_on_before_the_cap(VERSIONS[0]);
}

#[test]
fn on_litellm_1_109_1_the_pool_moves_on_before_the_cap() {
    the_pool_moves_on_before_the_cap(VERSIONS[1]);
}

#[test]
fn on_litellm_1_110_2_the_pool_moves_on_before_the_cap() {
    the_pool_moves_on_before_the_cap(VERSIONS[2]);
}

/// Each of two accounts is refused for one of two models. After each has been refused once, both models are served.
fn two_models_are_served_by_two_accounts(version: &str, way: &Way, headers: Option<bool>) {
    let pod = Pod::new();
    let _sidecar = two_accounts(&pod);
    let litellm = LiteLlm::start_with_two_models(version, &pod);
    for (email, model) in [(ANN, SPARK), (BEN, "gpt-5.6-sol")] {
        pod.openai.refuse(RefusalRequest {
            way: way.clone(),
            email: Some(email.to_owned()),
            model: Some(model.to_owned()),
            headers,
            ..RefusalRequest::default()
        });
    }
    for _ in 0..4 {
        for model in [SPARK, "gpt-5.6-sol"] {
            let answer = litellm.answer_of(model, true);
            assert_eq!(answer.status, 200, "{model}: {answer:?}, {:?}", asked(&pod));
            thread::sleep(Duration::from_millis(300));
        }
    }
    let refused = asked(&pod).iter().filter(|(_, served)| !served).count();
    assert!(refused <= 2, "{refused} refusals: {:?}", asked(&pod));
}

#[test]
fn a_model_that_is_in_one_plan_only_takes_the_other_models_nothing() {
    two_models_are_served_by_two_accounts(VERSIONS[0], &Way::ModelNotSupported, None);
}

#[test]
fn a_cap_that_does_not_say_that_it_is_a_models_turns_out_to_be_one() {
    two_models_are_served_by_two_accounts(VERSIONS[0], &Way::UsageLimitReached, Some(false));
    two_models_are_served_by_two_accounts(VERSIONS[2], &Way::UsageLimitReached, Some(false));
}
