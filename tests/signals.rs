//! LiteLLM's callback: which failures become a signal, and what it says.

use std::fs;

use fixture::{ANN, wait_until};
use serde_json::{Value, json};
use stand_in::Behaviour;
use support::litellm::{LiteLlm, VERSIONS};
use support::pod::Pod;

/// The signal without its parts that differ from run to run.
fn signal(pod: &Pod) -> Value {
    wait_until("the callback has left a signal", || pod.file("rotate-now").exists());
    let text = pod.read("rotate-now");
    assert!(!text.contains("eyJ") && !text.contains("Bearer"), "a token in the signal: {text}");
    let mut signal: Value = serde_json::from_str(&text).unwrap();
    assert!(signal["at"].as_f64().unwrap() > 1_700_000_000.0, "{text}");
    assert!(signal["message"].as_str().unwrap().len() <= 500, "{text}");
    for field in ["at", "message"] {
        signal.as_object_mut().unwrap().remove(field);
    }
    signal
}

fn a_refused_account_is_named_and_the_rotator_moves_on(version: &str) {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    pod.put_login(2, "ben@example.test");
    pod.rotate_once(&[]).success();
    let litellm = LiteLlm::start(version, &pod);

    assert_eq!(litellm.ask().0, 200);
    pod.openai.set(ANN, Behaviour::Broken);
    assert_eq!(litellm.ask().0, 500);
    assert!(
        !pod.file("rotate-now").exists(),
        "neither a success nor a server's trouble is the account's fault"
    );

    pod.openai.set(ANN, Behaviour::Capped);
    let (status, body) = litellm.ask();
    assert_eq!(status, 429, "{body}");
    let capped = signal(&pod);
    assert_eq!(
        [&capped["status"], &capped["account_id"], &capped["user_id"], &capped["type"], &capped["code"]],
        [&json!(429), &json!("acct-ann"), &json!("user-ann"), &json!("usage_limit_reached"), &Value::Null]
    );
    let resets_at = capped["resets_at"].as_i64().unwrap();
    assert_eq!(capped["headers"]["x-codex-primary-reset-at"], resets_at.to_string());
    assert_eq!(capped["headers"]["x-codex-primary-used-percent"], "100.0");
    assert!(capped["resets_in_seconds"].is_i64());
    assert_eq!([&capped["model"], &capped["plan_type"]], ["gpt-5.6-sol", "plus"]);

    pod.rotate_once(&["--policy", "sticky"]).success();
    assert!(!pod.file("rotate-now").exists());
    let (status, body) = litellm.ask();
    assert!(status == 200 && body.contains("Hello from ben@example.test"), "{body}");

    pod.openai.set("ben@example.test", Behaviour::Invalidated);
    assert_eq!(litellm.ask().0, 401);
    let revoked = signal(&pod);
    assert_eq!(
        [&revoked["status"], &revoked["account_id"], &revoked["code"]],
        [&json!(401), &json!("acct-ben"), &json!("token_invalidated")]
    );
}

#[test]
fn litellm_1_106_2_tells_the_rotator() {
    a_refused_account_is_named_and_the_rotator_moves_on(VERSIONS[0]);
}

#[test]
fn litellm_1_110_2_tells_the_rotator() {
    a_refused_account_is_named_and_the_rotator_moves_on(VERSIONS[2]);
}

fn a_success_ends_the_cooldown_of_the_account_that_serves(version: &str) {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    let _sidecar = pod.sidecar();
    wait_until("ann is published", || pod.logged("active account-1 ").len() == 1);
    let litellm = LiteLlm::start_with(version, &pod, &[("CHATGPT_FAILOVER_WAIT_SEC", "0")]);
    pod.openai.set(ANN, Behaviour::Capped);
    assert_eq!(litellm.ask_for(true).0, 429);
    wait_until("ann serves for want of others", || !pod.logged("all are cooling down").is_empty());
    pod.openai.set(ANN, Behaviour::Ok);
    assert_eq!(litellm.ask_for(true).0, 200);
    wait_until("her cooldown is over", || {
        !pod.logged("account-1 serves again: its cooldown is over").is_empty()
    });
    wait_until("and forgotten", || {
        pod.json("rotator_state.json").get("accounts").is_none_or(|accounts| {
            accounts.as_array().unwrap().iter().all(|account| account.get("cooldown").is_none())
        })
    });
}

#[test]
fn litellm_1_106_2_tells_of_a_success_after_a_cap() {
    a_success_ends_the_cooldown_of_the_account_that_serves(VERSIONS[0]);
}

#[test]
fn litellm_1_110_2_tells_of_a_success_after_a_cap() {
    a_success_ends_the_cooldown_of_the_account_that_serves(VERSIONS[2]);
}

#[test]
fn litellm_1_109_1_tells_of_a_success_after_a_cap() {
    a_success_ends_the_cooldown_of_the_account_that_serves(VERSIONS[1]);
}

/// What a swap of auth.json between LiteLLM's two reads of it comes to: one account's token, another's id.
fn a_request_never_names_another_account_than_its_token_does(version: &str) {
    let pod = Pod::new();
    pod.put_login(1, ANN);
    pod.put_login(2, "ben@example.test");
    pod.rotate_once(&["--to", "1"]).success();
    let litellm = LiteLlm::start(version, &pod);
    let mut record = pod.json("auth.json");
    record["account_id"] = json!("acct-ben");
    fs::write(pod.file("auth.json"), record.to_string()).unwrap();
    for stream in [false, true] {
        let (status, body) = litellm.ask_for(stream);
        assert!(status == 200 && body.contains("Hello from ann@example.test (acct-ann)"), "{body}");
    }
    let requests = pod.openai.requests_to("/backend-api/codex/responses");
    assert!(requests.iter().all(|request| request.account_id.as_deref() == Some("acct-ann")), "{requests:?}");
}

#[test]
fn litellm_1_106_2_never_names_another_account_than_its_token_does() {
    a_request_never_names_another_account_than_its_token_does(VERSIONS[0]);
}

#[test]
fn litellm_1_110_2_never_names_another_account_than_its_token_does() {
    a_request_never_names_another_account_than_its_token_does(VERSIONS[2]);
}

#[test]
fn litellm_1_109_1_never_names_another_account_than_its_token_does() {
    a_request_never_names_another_account_than_its_token_does(VERSIONS[1]);
}
